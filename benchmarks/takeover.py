"""How soon a person who presses the button is in control, with policies at work.

python benchmarks/takeover.py --times 200

A press is one engaged message on `teleop`, at a moment of the control step drawn at random, while
policy_server acts at the control rate. Two times are taken, both by the clock of this process:

- published to executed: until the first Step with source teleop has come back. That is later
  than the command: it has in it both hops, what the arm was at (a step of physics, drawing), the
  images that belong to the person's step, and, in the stand-in, that step's physics.
- published to drawn: the stamp of the observation on which the person's step acts, where the
  press called for it. The clock of the policy's control step is cut at that stamp.

Until the button is let go no step of a policy may follow: those that do are counted.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
from control_loop import READY_SECONDS, give_weights, seconds
from machine import machine
from medal_ros.msg import Step, Teleop
from std_srvs.srv import SetBool

from medal_ros import bringup
from medal_ros.monitor import Monitor
from medal_ros.nodes.qos import STREAM, TELEOP
from medal_ros.processes import Processes
from medal_ros.run_folder import RunFolder
from medal_ros.sim import task_class
from medal_ros.train import alone

ALLOWED = 20.0  # milliseconds at p99
PERIOD = 0.02  # of a person's messages
HELD = 15  # messages of one press
PATIENCE = 20.0  # seconds for anything that must follow


class Person:
    """Presses, holds and lets go, and notes what the arm did meanwhile.

    Attributes:
        executed: Seconds from a press to the arrival of the first step it drove.
        drawn: Seconds from a press to the stamp of that step's observation.
        strays: Steps of a policy between that step and the release.
    """

    def __init__(self, monitor: Monitor, action_size: int) -> None:
        self.monitor, self.size = monitor, action_size
        self.executed: list[float] = []
        self.drawn: list[float] = []
        self.strays = self.policy_steps = 0
        self.pressed: float | None = None
        self.driving = False
        node = monitor.node
        self.publisher = node.create_publisher(Teleop, 'teleop', TELEOP)
        self.service = node.create_client(SetBool, 'intervene')
        node.create_subscription(Step, 'step', self.on_step, STREAM)

    def on_step(self, step: Step) -> None:
        now = time.time()
        if step.source == 'teleop' and self.pressed is not None:
            self.executed.append(now - self.pressed)
            self.drawn.append(seconds(step.header.stamp) - self.pressed)
            self.pressed, self.driving = None, True
        elif step.source == 'policy':
            self.policy_steps += 1
            self.strays += self.driving

    def say(self, engaged: bool) -> None:
        action = array('f', [0.3 * engaged] * self.size)
        self.publisher.publish(Teleop(engaged=engaged, action=action))

    def press(self) -> None:
        """Take over once, drive for a while, let go, and have practice go on."""
        self.wait_for_policy(3)
        self.monitor.spin(random.uniform(0.0, 0.2))
        self.pressed = time.time()
        for _ in range(HELD):
            self.say(True)
            self.monitor.spin(PERIOD)
        self.must(lambda: self.pressed is None, 'step that a person drove')
        self.driving = False
        self.say(False)
        self.must(lambda: self.monitor.newest['state'].mode == 'intervention', 'intervention')
        self.monitor.spin(0.15)  # the release has reached the supervisor, too
        future = self.service.call_async(SetBool.Request(data=False))
        self.must(future.done, 'answer of the supervisor')
        if not future.result().success:
            raise SystemExit(f'the supervisor refused: {future.result().message}')

    def wait_for_policy(self, more: int) -> None:
        wanted = self.policy_steps + more
        self.must(lambda: self.policy_steps >= wanted, f'{more} steps of a policy')

    def must(self, condition: Callable[[], bool], what: str) -> None:
        if not self.monitor.wait_for(condition, PATIENCE):
            words = [f'{name} {h.message}' for name, h in self.monitor.health.items()]
            raise SystemExit(f'no {what} within {PATIENCE:g} s; {"; ".join(words)}')

    def report(self) -> str:
        lines = [f'  {"ms":44}{"p50":>8}{"p99":>8}{"max":>8}']
        called = [t for t in self.drawn if t > 0]  # else it was there already, waiting for a step
        rows = {'published to executed': self.executed, 'published to drawn': called}
        for name, values in rows.items():
            figures = 1000 * np.percentile(values or [np.nan], (50, 99, 100))
            lines.append(f'  {name:44}' + ''.join(f'{figure:8.2f}' for figure in figures))
        lines[0] = f'{lines[0]}   of {len(self.executed)} presses'
        return '\n'.join([*lines, f'  steps of a policy while a person drove: {self.strays}'])


def measure(options: argparse.Namespace, folder_of_runs: Path) -> Person:
    """Run the graph without a learner and press the button so many times."""
    changes = {'graph.rate': options.rate, 'steps': 0, 'ask_for_help.after_steps': 0}
    config = bringup.configure(options.task, options.preset, changes=changes)
    print(f'{config.task}, {options.rate:g} steps/s, {options.times} presses', flush=True)
    folder = RunFolder(folder_of_runs / 'takeover')  # without a learner nobody needs what is in one
    folder.path.mkdir()
    skipped = ('trainer', 'reward', 'evaluator', 'operator')
    nodes = [n for n in bringup.training(config, folder) if n.name not in skipped]
    with alone('takeover') as monitor:
        person = Person(monitor, task_class(config.task).spaces.action)
        kept = give_weights(monitor, config, folder)
        processes = Processes(nodes, folder.path, monitor.namespace)
        try:
            if not monitor.wait_for(lambda: person.policy_steps > 20, READY_SECONDS):
                raise SystemExit(f'no steps of a policy within {READY_SECONDS:.0f} s')
            for _ in range(options.times):
                person.press()
                processes.check()
        finally:
            processes.stop(60.0)
            print(person.report())  # of a run that was broken off, too
        del kept
    return person


def main() -> None:
    """Measure, print, and end with status 1 where a person waits too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--times', type=int, default=200, help='presses of the button')
    parser.add_argument('--rate', type=float, default=10.0, help='control steps per second')
    parser.add_argument('--preset', default='quickstart')
    parser.add_argument('--task', help='default: the preset says')
    options = parser.parse_args()
    if options.times < 1 or options.rate <= 0:
        parser.error('--times and --rate must be more than 0')
    print(machine())
    with tempfile.TemporaryDirectory(prefix='medal_') as place:
        person = measure(options, Path(place))
    late = 1000 * np.percentile(person.executed, 99) > ALLOWED
    if late or person.strays:
        raise SystemExit(f'more than {ALLOWED:g} ms at p99, or a policy moved the arm: see above')


if __name__ == '__main__':
    main()
