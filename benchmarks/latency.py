"""How long the robot waits for its policy in the graph, with and without a learner beside it.

python benchmarks/latency.py --seconds 60
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from machine import machine
from medal_ros.msg import Action, Observation, Step, Weights

from medal_ros import bringup
from medal_ros.bringup import NodeSpec
from medal_ros.config import RunConfig
from medal_ros.learning.policy import Policy
from medal_ros.learning.weights import save_tensors
from medal_ros.monitor import Monitor
from medal_ros.nodes.qos import HISTORY, STREAM
from medal_ros.nodes.weights import announcement
from medal_ros.processes import Processes
from medal_ros.run_folder import RunFolder
from medal_ros.sim import task_class
from medal_ros.spaces import AGENTS
from medal_ros.train import alone

READY_SECONDS = 900.0  # for the cloning before practice and the first steps, on a busy machine


@dataclass
class Record:
    """Stamps, in seconds, by sequence number.

    Attributes:
        images: When the images of an observation were taken.
        published: When camera_sync published it.
        acted: When policy_server published its first answer.
        sources: Who made each step.
    """

    images: dict[int, float] = field(default_factory=dict)
    published: dict[int, float] = field(default_factory=dict)
    acted: dict[int, float] = field(default_factory=dict)
    sources: dict[int, str] = field(default_factory=dict)

    def listen(self, monitor: Monitor) -> None:
        """Take what arrives at a monitor's node from now on."""
        node = monitor.node
        node.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        node.create_subscription(Action, 'action', self.on_action, STREAM)
        node.create_subscription(Step, 'step', self.on_step, STREAM)

    def on_observation(self, message: Observation) -> None:
        self.images.setdefault(message.sequence, seconds(message.header.stamp))
        self.published.setdefault(message.sequence, seconds(message.published))

    def on_action(self, message: Action) -> None:
        self.acted.setdefault(message.sequence, seconds(message.header.stamp))

    def on_step(self, message: Step) -> None:
        self.sources[message.sequence] = message.source

    def report(self, rate: float) -> str:
        """Return the figures of all answered observations as lines."""
        both = sorted(self.acted.keys() & self.published.keys())
        acted = np.array([self.acted[n] for n in both])
        follow = np.diff(both) == 1  # an arm's reset between segments is nobody's delay
        rows = {
            'observation published to action published': acted - [self.published[n] for n in both],
            'images stamped to action published': acted - [self.images[n] for n in both],
            f'period of actions, off {1000 / rate:.0f} ms by': abs(np.diff(acted) - 1 / rate)[
                follow
            ],
        }
        lines = [f'  {"ms":44}{"p50":>8}{"p99":>8}{"max":>8}']
        for name, values in rows.items():
            figures = 1000 * np.percentile(values, (50, 99, 100))
            lines.append(f'  {name:44}' + ''.join(f'{figure:8.2f}' for figure in figures))
        held = sum(source == 'hold' for source in self.sources.values())
        return '\n'.join(
            [*lines, f'  steps held for want of an action: {held} of {len(self.sources)}']
        )

    def clear(self) -> None:
        """Forget everything so far."""
        for stamps in (self.images, self.published, self.acted, self.sources):
            stamps.clear()


def seconds(stamp: Time) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec


def measure(
    title: str,
    specs: Sequence[NodeSpec],
    folder: RunFolder,
    options: argparse.Namespace,
    prepare: Callable[[Monitor], object],
) -> None:
    """Run a graph, listen for some seconds once it acts (and learns), and print the figures."""
    learning = any(spec.name == 'trainer' for spec in specs)
    record = Record()
    with alone('latency') as monitor:
        record.listen(monitor)
        kept = prepare(monitor)  # a publisher lives as long as somebody holds it
        processes = Processes(specs, folder.path, monitor.namespace)

        def ready() -> bool:
            processes.check()  # raises when a node has failed
            learner = monitor.newest.get('learner')
            return bool(record.acted) and (not learning or (learner and learner.updates > 0))

        try:
            if not monitor.wait_for(ready, READY_SECONDS):
                raise SystemExit(f'{title}: no action within {READY_SECONDS:.0f} s')
            record.clear()
            monitor.spin(options.seconds)
            processes.check()
        finally:
            processes.stop(60.0)
        del kept
    rate = f', {monitor.newest["learner"].updates_per_second:.1f} updates/s' if learning else ''
    print(f'{title}{rate}, {len(record.acted)} actions\n{record.report(options.rate)}', flush=True)


def give_weights(monitor: Monitor, config: RunConfig, folder: RunFolder) -> object:
    """Announce one set of untrained weights, in the place of a trainer."""
    publisher = monitor.node.create_publisher(Weights, 'weights/policy', HISTORY)
    for agent in AGENTS:
        policy = Policy(getattr(config, agent).agent, task_class(config.task).spaces)
        written = save_tensors(policy.state_dict(), folder.path / f'{agent}.safetensors')
        publisher.publish(announcement(monitor.node, agent, 0, 0, 0, written))
    return publisher


def main() -> None:
    """Measure a graph with a learner, then one without."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=60.0, help='of each measurement')
    parser.add_argument('--rate', type=float, default=10.0, help='control steps per second')
    parser.add_argument('--preset', default='quickstart')
    parser.add_argument('--task', help='default: the preset says')
    options = parser.parse_args()
    if options.seconds <= 0 or options.rate <= 0:
        parser.error('--seconds and --rate must be more than 0')
    changes = {'graph.rate': options.rate, 'steps': 0}
    config = bringup.configure(options.task, options.preset, changes=changes)
    print(machine())
    print(f'{config.task}, {config.preset}, {options.rate:g} steps/s, {options.seconds:g} s each')
    with tempfile.TemporaryDirectory(prefix='medal_') as place:
        folder = bringup.prepare(config, Path(place), 'latency', say=lambda text: None)
        nodes = bringup.training(config, folder)
        measure('with a learner', nodes, folder, options, lambda monitor: None)
        few = [node for node in nodes if node.name not in ('trainer', 'reward', 'evaluator')]
        give = lambda monitor: give_weights(monitor, config, folder)  # noqa: E731
        measure('without a learner', few, folder, options, give)


if __name__ == '__main__':
    main()
