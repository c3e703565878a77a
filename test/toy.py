"""A toy run for tests of the learning nodes: tiny parameters, a folder, messages."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from medal_ros.msg import Observation, Step, Weights
from rcl_interfaces.srv import ListParameters
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from ros import Nodes, Probe, wait_until
from small import AGENT, CLASSIFIER, SPACES, demonstration

from medal_ros.learning.config import AgentConfig
from medal_ros.learning.demonstrations import save_demonstration
from medal_ros.learning.policy import Policy
from medal_ros.learning.weights import Written, save_tensors
from medal_ros.nodes.images import image_from_array
from medal_ros.options import flatten
from medal_ros.processes import ENDED
from medal_ros.run_folder import RunFolder
from medal_ros.spaces import AGENTS

TASK, SEED = 'toy', 7


def run_folder(path: Path) -> RunFolder:
    """Return a run's folder with two demonstrations of each direction."""
    folder = RunFolder(path)
    for number in range(2):
        for direction in AGENTS:
            save_demonstration(demonstration(6 + number, direction), folder.demonstrations, number)
    return folder


def parameters(folder: RunFolder, **changes: Any) -> dict[str, Any]:
    """Return a learning node's parameters; a double underscore in a change means a dot.

    Keys of `agent` and `classifier` mean both directions.
    """
    values: dict[str, Any] = {'task': TASK, 'seed': SEED, 'steps': 1000, 'folder': str(folder.path)}
    values |= {f'spaces.{key}': value for key, value in flatten(SPACES).items()}
    shared = {f'agent.{k}': v for k, v in AGENT.items()}
    shared |= {f'classifier.{k}': v for k, v in CLASSIFIER.items()}
    given = {key.replace('__', '.'): value for key, value in changes.items()}
    both = {k: v for k, v in given.items() if k.split('.')[0] in ('agent', 'classifier')}
    for side in AGENTS:
        values |= {f'{side}.{key}': value for key, value in {**shared, **both}.items()}
    return {**values, **{k: v for k, v in given.items() if k not in both}}


def observation(
    sequence: int, frame: np.ndarray | None = None, proprio: np.ndarray | None = None
) -> Observation:
    frame = np.zeros(SPACES.frame_shape, np.uint8) if frame is None else frame
    proprio = np.zeros(SPACES.proprio, np.float32) if proprio is None else proprio
    return Observation(
        sequence=sequence,
        names=list(SPACES.cameras),
        images=[image_from_array(frame)],
        proprio=proprio.tolist(),
    )


def step(sequence: int, agent: str, action: np.ndarray, **changes: Any) -> Step:
    values = {'source': 'policy', 'agent': agent, 'action': action.tolist(), **changes}
    return Step(sequence=sequence, **values)


def constant(config: AgentConfig, value: float, path: Path) -> Written:
    """Write a policy of form `noise` whose mean is one value, whatever it sees."""
    policy = Policy(config, SPACES)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.zero_()
        policy.actor.network[-1].bias.fill_(np.arctanh(value))
    return save_tensors(policy.state_dict(), path)


def weights(agent: str, written: Written, sequence: int = 0, **values: int) -> Weights:
    return Weights(
        agent=agent,
        sequence=sequence,
        size=written.size,
        checksum=written.checksum,
        path=str(written.path),
        **values,
    )


def damage(written: Written) -> Written:
    """Cut a weights file in half, and announce it as it is now."""
    data = written.path.read_bytes()
    return replaced(written.path, data[: len(data) // 2])


def replaced(path: Path, data: bytes) -> Written:
    """Put other bytes into a file, and return what would announce it."""
    path.write_bytes(data)
    return Written(path, len(data), zlib.crc32(data))


def publisher(probe: Probe, kind: type, topic: str, qos: QoSProfile) -> Publisher:
    """Return a publisher that nobody needs to have found yet."""
    return probe.publisher(kind, topic, qos, readers=0)


def connected(*publishers: Publisher) -> None:
    """Return when each has found its reader: a node that imports torch takes its time."""
    for one in publishers:
        wait_until(one.get_subscription_count, 60.0, f'a reader of {one.topic_name}')


def settle(probe: Probe, node: str) -> None:
    """Return when a node has handled what was sent before: one message of each topic at most."""
    probe.call(ListParameters, f'{node}/list_parameters')


def stopped_well(nodes: Nodes) -> None:
    """Interrupt nodes and check that each ended by itself, without a traceback."""
    names = list(nodes.processes)
    statuses = nodes.stop(30.0)
    assert set(statuses.values()) <= set(ENDED), {name: nodes.output(name) for name in names}
    assert all('Traceback' not in nodes.output(name) for name in names)


def wait_for_line(nodes: Nodes, node: str, words: str, deadline: float = 10.0) -> str:
    """Return the line of a node's output that contains some words."""

    def found() -> str | None:
        return next((line for line in nodes.output(node).splitlines() if words in line), None)

    return wait_until(found, deadline, f'{words!r} in the output of {node}')
