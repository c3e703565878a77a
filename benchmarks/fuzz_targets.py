"""Everything of medal_ros that reads what somebody else wrote: parsers, topics and services."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from all_nodes import all_nodes
from fuzz_files import files
from fuzz_target import TASK, Target, sent
from fuzz_topics import topics
from medal_ros.srv import Label as LabelService
from medal_ros.srv import Start, SwitchPolicy
from std_srvs.srv import SetBool

from medal_ros.config import make_config
from medal_ros.preparing import prepare
from medal_ros.sim import make, spaces_of

SMALL = {
    'demonstrations.count': 2,
    'evaluation.episodes': 1,
    'agent.encoder.filters': 4,  # small files: what is in them does not matter
    'agent.encoder.feature': 8,
    'agent.hidden': 16,
    'agent.critics': 2,
    'classifier.filters': 4,
    'classifier.feature': 8,
    'classifier.hidden': 16,
    'ask_for_help.privileged': False,
    'ask_for_help.after_steps': 20,
}


@contextmanager
def targets() -> Iterator[list[Target]]:
    """Give all targets, in a ROS domain of this process and a folder that is gone afterwards."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix='fuzz_') as place:
        folder = Path(place)
        config = make_config('quickstart', {**SMALL, 'task': TASK})
        run = prepare(config, folder, 'run', say=lambda _: None)
        with all_nodes(config, run, folder / 'parameters') as made, world_of(made):
            parsers = list(files(folder, config, run, made))
            yield [*parsers, *topics(made, config, run), *services(made)]


@contextmanager
def world_of(made: dict[str, Any]) -> Iterator[None]:
    """Give the arm its world, and the policies their first, expensive action."""
    arm, spaces = made['sim_arm'], spaces_of(TASK)
    arm.world = make(TASK, 0)
    arm.view.draw(arm.world)
    arm.show()
    policy = made['policy_server'].policies['forward']
    policy.act(
        np.zeros((1, *spaces.frame_shape), np.uint8), np.zeros((1, spaces.proprio), np.float32)
    )
    try:
        yield
    finally:
        arm.world.close()


def services(made: dict[str, Any]) -> Iterator[Target]:
    """Yield the services whose requests say something."""
    node, arm = made['supervisor'], made['sim_arm']

    def begin(request: Start.Request) -> None:
        arm.on_start(request, Start.Response())
        while not arm.commands.empty():
            arm.take(arm.commands.get())

    yield Target('service', 'sim_arm sim/start', sent(Start.Request), begin)
    for name, kind, good, answer in (
        ('switch_policy', SwitchPolicy, {'policy': 'backward'}, node.on_switch),
        ('label', LabelService, {'label': 'failure'}, node.on_label),
        ('pause', SetBool, {'data': True}, node.on_pause),
        ('intervene', SetBool, {'data': True}, node.on_intervene),
    ):
        draw = sent(lambda kind=kind, good=good: kind.Request(**good))
        take = lambda r, kind=kind, answer=answer: answer(r, kind.Response())  # noqa: E731
        yield Target('service', f'supervisor {name}', draw, take)
