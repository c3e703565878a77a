"""What the control loop keeps of its rate while the learner takes every core it may.

python benchmarks/control_loop.py --seconds 60

In one run: the graph with a learner and without one, each beside a bare process that only waits
for its next tick, and beside one on each processor that goes before everything else: where that one
is late, the machine was away. Then a loop that learns between its steps, with the same networks.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing as mp
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from machine import machine
from medal_ros.msg import Action, Observation, Step, Weights

from medal_ros import bringup, preparing
from medal_ros.bench.practice import Practice
from medal_ros.bringup import NodeSpec
from medal_ros.config import RunConfig
from medal_ros.learning.demonstrations import load_demonstrations
from medal_ros.learning.performance import tune
from medal_ros.learning.policy import Policy
from medal_ros.learning.weights import save_tensors
from medal_ros.monitor import Monitor
from medal_ros.nodes.qos import HISTORY, STREAM
from medal_ros.nodes.weights import announcement
from medal_ros.options import parse_assignment
from medal_ros.processes import Processes
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of
from medal_ros.spaces import AGENTS
from medal_ros.train import alone

BOUND = 100_000  # steps of the sequential loop, at most
MOST_LISTED = 20  # missed ticks that are named
WATCH_RATE, WATCH_PRIORITY = 500.0, 60  # of those who watch whether a processor is there at all
AWAY = 5  # milliseconds that they list
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

    def report(self, rate: float, bare: np.ndarray) -> str:
        """Return the figures of all answered observations as lines; `bare`: a timer's ticks."""
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
        steps = len(self.sources)
        held = sum(source == 'hold' for source in self.sources.values())
        lines.append(f'  steps held for want of an action: {held} of {steps}')
        shown = sorted(self.images)
        ticks = np.diff([self.images[n] for n in shown])
        late = late_of(ticks, rate)
        lines.append(f'  ticks missed: {len(late)} of {len(ticks)}')
        for i in late[:MOST_LISTED]:
            source = self.sources.get(shown[i], 'unknown')
            after = f'{1000 * ticks[i]:.0f} ms after {shown[i]}, a step of {source}'
            begin, end = self.images[shown[i]], self.images[shown[i + 1]]
            missed = late_of(np.diff(bare), rate)
            both = np.any((bare[missed] < end) & (bare[missed + 1] > begin))
            also = ', when the bare timer missed one, too' if both else ''
            lines.append(f'    observation {shown[i + 1]}: {after}{also}')
        return '\n'.join(lines)

    def clear(self) -> None:
        """Forget everything so far."""
        for stamps in (self.images, self.published, self.acted, self.sources):
            stamps.clear()


def seconds(stamp: Time) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec


def late_of(intervals: np.ndarray, rate: float) -> np.ndarray:
    """Return the indices of ticks that did not come in time to be told from the next one."""
    return np.flatnonzero(np.asarray(intervals) > 1.5 / rate)


class BareTimer:
    """A process beside the graph that only waits for its next tick: what the machine allows.

    Args:
        rate: Ticks per second.
        core: A processor of its own, where it goes before everything else; None: any, as others.

    Attributes:
        first: Whether the system lets it go before everything else.
    """

    def __init__(self, rate: float, core: int | None = None) -> None:
        self.rate, context = rate, mp.get_context('spawn')
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=tick, args=(rate, core, theirs), daemon=True)
        self._process.start()
        self.first = self._ours.recv()  # it has imported everything

    def ticks(self) -> np.ndarray:
        """End it, and return when its ticks came, by the clock of ROS's stamps."""
        self._ours.send(None)
        came = self._ours.recv()
        self._process.join()
        return np.array(came)


def tick(rate: float, core: int | None, pipe: Any) -> None:
    """Note when each tick came, until somebody asks for it."""
    first = False
    if core is not None:
        os.sched_setaffinity(0, {core})
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(WATCH_PRIORITY))
            first = True
    pipe.send(first)
    came, due = [], time.monotonic()
    while not pipe.poll():
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))
        came.append(time.time())
    pipe.send(came)


def beside(bare: np.ndarray, rate: float, watchers: dict[int, BareTimer]) -> str:
    """Return as lines what the machine allowed meanwhile."""
    intervals = np.diff(bare)
    p99 = 1000 * np.percentile(abs(intervals - 1 / rate), 99)
    missed = f'{len(late_of(intervals, rate))} of {len(intervals)} ticks missed'
    lines = [f'  a bare timer beside it: off by {p99:.2f} ms at p99, {missed}']
    for core, watcher in watchers.items():
        away = 1000 * np.diff(watcher.ticks())
        if not watcher.first:
            continue
        lines.append(
            f'  processor {core} was away {np.sum(away > AWAY)} times for more than {AWAY} ms, '
            f'{away.max():.0f} ms at most'
        )
    return '\n'.join(lines)


def measure(
    title: str,
    specs: Sequence[NodeSpec],
    folder: RunFolder,
    rate: float,
    duration: float,
    prepare: Callable[[Monitor], object] = lambda monitor: None,
) -> None:
    """Run a graph, listen for some seconds once it acts (and learns), and print the figures."""
    learning = any(spec.name == 'trainer' for spec in specs)
    record = Record()
    with alone('control_loop') as monitor:
        record.listen(monitor)
        kept = prepare(monitor)  # a publisher lives as long as somebody holds it
        processes = Processes(specs, folder.path, monitor.namespace, nursery=True)

        def ready() -> bool:
            processes.check()  # raises when a node has failed
            processes.tend()
            learner = monitor.newest.get('learner')
            return bool(record.acted) and (not learning or (learner and learner.updates > 0))

        try:
            if not monitor.wait_for(ready, READY_SECONDS):
                raise SystemExit(f'{title}: no action within {READY_SECONDS:.0f} s')
            timer = BareTimer(rate)
            watchers = {core: BareTimer(WATCH_RATE, core) for core in os.sched_getaffinity(0)}
            monitor.spin(1.0)  # what came while that was started
            record.clear()
            before, began = monitor.newest.get('learner'), time.monotonic()
            monitor.spin(duration)
            passed = time.monotonic() - began
            processes.check()
            bare = timer.ticks()
            machine_allowed = beside(bare, rate, watchers)
        finally:
            processes.stop(60.0)
        del kept
    learned = ''
    if learning:
        now = monitor.newest['learner']
        updates, stored = now.updates - before.updates, now.stored - before.stored
        learned = f', {updates / passed:.2f} updates/s, {stored / passed:.2f} transitions stored/s'
    print(f'{title}: {duration:g} s{learned}, {len(record.acted)} actions', flush=True)
    print(f'{record.report(rate, bare)}\n{machine_allowed}', flush=True)


def learn_between_steps(config: RunConfig, folder: RunFolder, rate: float, duration: float) -> None:
    """Do in one loop what the graph does side by side, and print its rate."""
    tune(config.graph.threads)
    least = max(getattr(config, name).classifier.goal_states for name in AGENTS)
    spaces = spaces_of(config.task, config.pixels)
    demonstrations = load_demonstrations(folder.demonstrations, config.task, spaces, least)
    practice = Practice(config, RunFolder(folder.path / 'sequential'), demonstrations)
    try:
        while not practice.learner.updates:
            practice.turn()
        began, due = time.monotonic(), time.monotonic()
        steps, updates = practice.steps, practice.learner.updates
        while (passed := time.monotonic() - began) < duration:
            practice.turn()
            due = max(due + 1 / rate, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
    finally:
        practice.close()
    learned = (practice.learner.updates - updates) / passed
    print(f'learning between steps: {duration:g} s, {learned:.2f} updates/s')
    print(f'  transitions stored: {(practice.steps - steps) / passed:.2f} Hz', flush=True)


def give_weights(monitor: Monitor, config: RunConfig, folder: RunFolder) -> object:
    """Announce one set of untrained weights, in the place of a trainer."""
    publisher = monitor.node.create_publisher(Weights, 'weights/policy', HISTORY)
    for agent in AGENTS:
        policy = Policy(getattr(config, agent).agent, spaces_of(config.task, config.pixels))
        written = save_tensors(policy.state_dict(), folder.path / f'{agent}.safetensors')
        publisher.publish(announcement(monitor.node, agent, 0, 0, 0, written))
    return publisher


def main() -> None:
    """Measure a graph with a learner, one without, and a loop that learns between its steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=60.0, help='with a learner')
    parser.add_argument('--compare', type=float, help='without one, and in the loop: as long')
    parser.add_argument('--rate', type=float, default=10.0, help='control steps per second')
    parser.add_argument('--preset', default='quickstart')
    parser.add_argument('--task', help='default: the preset says')
    parser.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='any other key; repeatable'
    )
    options = parser.parse_args()
    compare = options.seconds if options.compare is None else options.compare
    if min(options.seconds, compare, options.rate) <= 0:
        parser.error('--seconds, --compare and --rate must be more than 0')
    changes = {'graph.rate': options.rate, 'steps': 0, **dict(map(parse_assignment, options.set))}
    config = bringup.configure(options.task, options.preset, changes=changes)
    print(machine())
    print(' '.join([f'{config.task}, {config.preset}, {options.rate:g} steps/s', *options.set]))
    with tempfile.TemporaryDirectory(prefix='medal_') as place:
        folder = preparing.prepare(config, Path(place), 'control_loop', say=lambda text: None)
        nodes = bringup.training(config, folder)
        measure('with a learner', nodes, folder, options.rate, options.seconds)
        few = [node for node in nodes if node.name not in ('trainer', 'reward', 'evaluator')]
        give = lambda monitor: give_weights(monitor, config, folder)  # noqa: E731
        measure('without a learner', few, folder, options.rate, compare, give)
        bounded = dataclasses.replace(config, steps=BOUND)  # a store of some size, that is
        learn_between_steps(bounded, folder, options.rate, compare)


if __name__ == '__main__':
    main()
