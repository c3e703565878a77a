"""From a camera's stamp to the policy's action: two 640x480 streams at 30 fps, actions at 10 Hz.

python benchmarks/camera.py --seconds 60

The cameras are a process of their own. An arm that executes nothing ticks at the control rate.
29.97 fps are what cameras mean by 30, and let the images drift through all phases of the tick
every 33 s.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from array import array
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rclpy
from control_loop import READY_SECONDS, give_weights, seconds
from machine import machine
from medal_ros.msg import Action, ArmState, Observation, Step
from sensor_msgs.msg import Image

from medal_ros import bringup, preparing
from medal_ros.bringup import NodeSpec
from medal_ros.config import RunConfig
from medal_ros.monitor import Monitor
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.qos import HISTORY, RAW, STREAM
from medal_ros.orphans import ENDS_WITH_PARENT
from medal_ros.processes import Processes, environment
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of
from medal_ros.train import alone

HEIGHT, WIDTH, FPS = 480, 640, 29.97
PHASE = 0.008  # seconds that the second camera is behind the first
SYNC = {'slop': 0.02, 'source_size': [HEIGHT, WIDTH], 'frozen_after': 1.0}
DIFFERENT = 8  # frames that a camera shows in turn


def publish_cameras(names: Sequence[str], namespace: str) -> None:
    """Be the cameras until killed: rgb8 and bgr8 noise, stamped when it is handed over."""
    rclpy.init()
    node = rclpy.create_node('cameras', namespace=namespace)
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(DIFFERENT)]
    frames = [image_from_array(pixels) for pixels in noise]
    publishers = [node.create_publisher(Image, f'camera/{n}/image_raw', RAW) for n in names]
    began, k = time.monotonic(), 0
    while True:
        for i, publisher in enumerate(publishers):
            due = began + k / FPS + i * PHASE
            time.sleep(max(due - time.monotonic(), 0.0))
            message = frames[k % DIFFERENT]
            message.encoding = ('rgb8', 'bgr8')[i % 2]
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)
        k += 1


class StillArm:
    """Ticks at the control rate and takes every action as executed; keeps the stamps of all."""

    def __init__(self, monitor: Monitor, proprio: int, action: int, rate: float) -> None:
        self.node, self.action, self.proprio = monitor.node, action, proprio
        self.sequence, self.stepped = -1, True
        self.ticks: dict[int, float] = {}
        self.observations: dict[int, tuple[float, float, float]] = {}
        self.actions: dict[int, float] = {}
        self.health: dict[str, list[float]] = defaultdict(list)
        self.states = self.node.create_publisher(ArmState, 'robot_state', STREAM)
        self.steps = self.node.create_publisher(Step, 'step', HISTORY)
        self.node.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.node.create_subscription(Action, 'action', self.on_action, STREAM)
        self.timer = self.node.create_timer(1 / rate, self.tick)

    def tick(self) -> None:
        if not self.stepped:
            self.step('hold', '', [0.0] * self.action)
        self.sequence += 1
        self.stepped = False
        message = ArmState(sequence=self.sequence, proprio=array('f', [0.0] * self.proprio))
        message.header.stamp, message.header.frame_id = self.node.get_clock().now().to_msg(), 'base'
        self.ticks[self.sequence] = seconds(message.header.stamp)
        self.states.publish(message)

    def step(self, source: str, agent: str, action: Sequence[float]) -> None:
        self.stepped = True
        message = Step(sequence=self.sequence, source=source, agent=agent)
        message.action = array('f', action)
        self.steps.publish(message)

    def on_observation(self, message: Observation) -> None:
        oldest = min(seconds(image.header.stamp) for image in message.images)
        newest, published = seconds(message.header.stamp), seconds(message.published)
        self.observations.setdefault(message.sequence, (oldest, newest, published))

    def on_action(self, message: Action) -> None:
        self.actions.setdefault(message.sequence, seconds(message.header.stamp))
        if message.sequence == self.sequence and not self.stepped:
            self.step('policy', message.agent, message.action)

    def clear(self) -> None:
        for stamps in (self.ticks, self.observations, self.actions, self.health):
            stamps.clear()

    def report(self) -> str:
        both = sorted(self.actions.keys() & self.observations.keys() & self.ticks.keys())
        oldest, newest, published = np.array([self.observations[n] for n in both]).T
        tick = np.array([self.ticks[n] for n in both])
        acted = np.array([self.actions[n] for n in both])
        rows = {
            'newest image stamped to action': acted - newest,
            'oldest image of the set stamped to action': acted - oldest,
            'of which: newest image at the tick (0: after)': np.maximum(tick - newest, 0.0),
            '  tick or later image to observation': published - np.maximum(tick, newest),
            '  observation to action (inference)': acted - published,
            'tick to action': acted - tick,
        }
        lines = [f'  {"ms":48}{"p50":>8}{"p99":>8}{"max":>8}']
        for name, values in rows.items():
            figures = 1000 * np.percentile(values, (50, 99, 100))
            lines.append(f'  {name:48}' + ''.join(f'{figure:8.2f}' for figure in figures))
        return '\n'.join([*lines, f'  ticks without an action: {len(self.ticks) - len(both)}'])


def watch(arm: StillArm, monitor: Monitor) -> None:
    """Keep what camera_sync says of itself, once a second."""
    name = f'{monitor.namespace}/camera_sync: status'
    status = monitor.health.get(name)
    for pair in status.values if status else ():
        if 'delay' in pair.key or 'conversion' in pair.key or 'lost' in pair.key:
            arm.health[pair.key].append(float(pair.value))


def inside(arm: StillArm) -> str:
    """Return camera_sync's own figures: means over the measurement, and the greatest."""
    lines = []
    for key, values in sorted(arm.health.items()):
        if key.endswith(' mean'):
            most = 1000 * max(arm.health[key.replace(' mean', ' max')])
            lines.append(
                f'  camera_sync: {key:40} {1000 * np.mean(values):7.2f}, at most {most:.2f} ms'
            )
        elif key.endswith(' lost'):
            lines.append(f'  camera_sync: {key:40} {values[-1] - values[0]:7.0f}')
    return '\n'.join(lines)


def processor(processes: dict[str, int]) -> dict[str, np.ndarray]:
    """Return seconds that each process has run and has waited for a core, by the kernel."""
    found = {}
    for name, number in processes.items():
        threads = Path(f'/proc/{number}/task').glob('*/schedstat')
        fields = [path.read_text().split()[:2] for path in threads]
        found[name] = np.array(fields, float).sum(0) / 1e9
    return found


def measure(
    title: str, specs: Sequence[NodeSpec], config: RunConfig, place: Path, o: argparse.Namespace
) -> None:
    """Run the graph, listen once it acts (and learns), and print the figures."""
    spaces = spaces_of(config.task, config.pixels)
    learning = any(spec.name == 'trainer' for spec in specs)
    with alone('camera') as monitor:
        kept = None if learning else give_weights(monitor, config, RunFolder(place))
        arm = StillArm(monitor, spaces.proprio, spaces.action, o.rate)
        processes = Processes(specs, place, monitor.namespace)
        command = [*ENDS_WITH_PARENT, sys.executable, __file__, '--cameras', *spaces.cameras]
        cameras = subprocess.Popen(command, env=environment())
        running = {name: p.pid for name, p in processes.running.items()} | {'cameras': cameras.pid}

        def ready() -> bool:
            processes.check()
            learner = monitor.newest.get('learner')
            return len(arm.actions) > 20 and (not learning or bool(learner and learner.updates))

        try:
            if not monitor.wait_for(ready, READY_SECONDS):
                raise SystemExit(f'{title}: no action within {READY_SECONDS:.0f} s')
            arm.clear()
            timer = monitor.node.create_timer(1.0, lambda: watch(arm, monitor))
            before = processor(running)
            monitor.spin(o.seconds)
            after = processor(running)
            timer.destroy()
            processes.check()
        finally:
            processes.stop(60.0)
            cameras.kill()
            cameras.wait()
        del kept
    print(f'{title}, {len(arm.actions)} actions; {machine()}\n{arm.report()}\n{inside(arm)}')
    spent = {name: (after[name] - before[name]) / o.seconds for name in before}
    shares = [f'{name} {run:.0%}/{wait:.0%}' for name, (run, wait) in spent.items()]
    print(f'  of a core, running/waiting for one: {", ".join(shares)}', flush=True)


def main() -> None:
    """Measure without a learner, then with one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=60.0, help='of each measurement')
    parser.add_argument('--rate', type=float, default=10.0, help='control steps per second')
    parser.add_argument('--fresh', type=float, help='of camera_sync; 1: take what is there')
    parser.add_argument('--alone', action='store_true', help='only without a learner')
    parser.add_argument('--cameras', nargs='+', help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.cameras:
        publish_cameras(o.cameras, 'camera')
    # 32 filters, 1024 units, 10 critics: the paper's sizes. The rest only keeps practice going.
    changes = {
        'task': 'cube_grasp',
        'graph.rate': o.rate,
        'steps': 0,
        'world_reset_every': 0,
        'arm_reset.every_steps': 0,
        'ask_for_help.after_steps': 0,
        'demonstrations.count': 4,
        'classifier.goal_states': 4,
    }
    config = bringup.configure(None, 'paper', changes=changes)
    spaces = spaces_of(config.task, config.pixels)
    shape = {'cameras': list(spaces.cameras), 'height': spaces.height, 'width': spaces.width}
    fresh = {} if o.fresh is None else {'fresh': o.fresh}
    with tempfile.TemporaryDirectory(prefix='medal_') as place:
        folder = RunFolder(Path(place) / 'camera')
        if o.alone:
            folder.path.mkdir()
        else:
            preparing.prepare(config, Path(place), 'camera', say=lambda text: None)
        nodes = [
            NodeSpec('camera_sync', {**SYNC, **shape, **fresh}),
            bringup.supervision(config),
            *bringup.learning(config, folder),
        ]
        few = [node for node in nodes if node.name not in ('trainer', 'reward')]
        measure('without a learner', few, config, folder.path, o)
        if not o.alone:
            measure('with a learner', nodes, config, folder.path, o)


if __name__ == '__main__':
    main()
