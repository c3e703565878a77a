"""What a node that is killed does to the others: by shared memory, and by the loopback interface.

    python benchmarks/killed.py --times 40 --hangs 14

Fast DDS carries messages within a machine by shared memory if nobody says otherwise;
`config/fastdds/this_machine.xml` does. Two questions to either way:

* One node publishes as fast as it can and is killed. How long does another, which publishes to the
  same listener a hundred times a second, wait then?
* One after another of a few nodes that talk to each other is stopped for six seconds, killed and
  started again, while the processors are kept busy at a low priority, as a learner does. Do all
  hear it, and it all of them?
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import rclpy
from std_msgs.msg import String

from medal_ros.network import PROFILES, RANGE, profile
from medal_ros.nodes.qos import HISTORY, RAW, STREAM

WAYS = {
    'shared memory': {RANGE: 'LOCALHOST'},
    'loopback': {RANGE: 'LOCALHOST', PROFILES: profile('machine')},
}
NODES = 7
HANGS = 6.0  # seconds: long enough for all peers to give its shared memory up
RECENT = 2.0  # seconds in which whoever is heard has spoken twenty times
PATIENCE = 15.0  # seconds after which a node that was started again counts as deaf
AFTER = 2.5  # seconds for which who publishes is watched after a kill
LONG = 0.1  # seconds: a publication that costs a robot a tick


def speak(name: str, folder: Path) -> None:
    """Be a node that speaks ten times a second, and keep in a file who was heard lately."""
    rclpy.init(args=[])
    node, heard = rclpy.create_node(name), {}
    publisher = node.create_publisher(String, 'talk', STREAM)
    for i in range(4):  # as many as a node of a run has, for those who come late
        node.create_publisher(String, f'{name}_{i}', HISTORY)
    node.create_subscription(String, 'talk', lambda m: heard.update({m.data: time.time()}), STREAM)

    def say() -> None:
        publisher.publish(String(data=name))
        now = time.time()
        lately = [other for other, at in heard.items() if now - at < RECENT]
        keep(folder, name, [now, lately])

    node.create_timer(0.1, say)
    rclpy.spin(node)


def listen(name: str, folder: Path) -> None:
    """Be the listener."""
    rclpy.init(args=[])
    node = rclpy.create_node(name)
    node.create_subscription(String, 'talk', lambda m: None, RAW)
    rclpy.spin(node)


def publish(name: str, folder: Path) -> None:
    """Be who publishes, at once again or a hundred times a second; keep what took long.

    In a file are the moment of the last publication and every one above `LONG`, in seconds.
    """
    rclpy.init(args=[])
    node = rclpy.create_node(name)
    publisher, message = node.create_publisher(String, 'talk', RAW), String(data='x' * 100)
    pause, waits, kept = 0.0 if name == 'fast' else 0.01, [], 0.0
    while not publisher.get_subscription_count():
        time.sleep(0.05)
    while True:
        began = time.monotonic()
        publisher.publish(message)
        now = time.monotonic()
        if now - began > LONG:
            waits.append(now - began)
        if now - kept > 0.1:
            kept = now
            keep(folder, name, [time.time(), waits])
        if pause:
            time.sleep(pause)


ROLES = {'listener': listen, 'fast': publish, 'steady': publish}  # any other: speak


def keep(folder: Path, name: str, content: object) -> None:
    """Write a node's file, whole or not at all."""
    half = folder / f'{name}.half'
    half.write_text(json.dumps(content))
    half.replace(folder / f'{name}.json')


class Nodes:
    """Some nodes as processes; a context manager that leaves none behind."""

    def __init__(self, folder: Path, way: str) -> None:
        rest = {name: value for name, value in os.environ.items() if name != PROFILES}
        domain = str(1 + os.getpid() % 100)
        self.folder, self.environment = folder, {**rest, **WAYS[way], 'ROS_DOMAIN_ID': domain}
        self.processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.processes):
            self.kill(name)

    def start(self, name: str) -> None:
        (self.folder / f'{name}.json').unlink(missing_ok=True)
        command = [sys.executable, __file__, '--node', name, '--folder', str(self.folder)]
        with open(self.folder / f'{name}.log', 'ab') as log:
            environment = self.environment
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.processes[name] = process

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def said(self, name: str) -> list:
        """Return what a node kept last, and nothing where that was long ago."""
        at, content = 0.0, []
        with suppress(OSError):
            at, content = json.loads((self.folder / f'{name}.json').read_text())
        return content if time.time() - at < RECENT else []

    def unheard(self) -> list[str]:
        """Return who does not hear whom now."""
        names = list(self.processes)
        return [f'{name} {other}' for name in names for other in set(names) - {*self.said(name)}]

    def whole(self, patience: float) -> bool:
        """Wait until all hear each other; False: they do not in that many seconds."""
        end = time.monotonic() + patience
        while self.unheard() and time.monotonic() < end:
            time.sleep(0.1)
        return not self.unheard()

    def hang(self, name: str) -> None:
        """Stop a node, kill it, and start it again."""
        self.processes[name].send_signal(signal.SIGSTOP)
        time.sleep(HANGS)
        self.kill(name)
        time.sleep(0.5)
        self.start(name)


def waits(folder: Path, way: str, times: int) -> list[float]:
    """Return, for each time that the fast one was killed, the longest publication after it."""
    steady = lambda: json.loads((folder / 'steady.json').read_text())[1]  # noqa: E731
    longest = []
    with Nodes(folder, way) as nodes:
        nodes.start('listener')
        nodes.start('steady')
        until((folder / 'steady.json').exists, 'the steady node publishes nothing')
        for _ in range(times):
            nodes.start('fast')
            until((folder / 'fast.json').exists, 'the fast node publishes nothing')
            time.sleep(0.5)
            before = len(steady())  # it may have waited when the fast one came, too
            nodes.kill('fast')
            time.sleep(AFTER)
            longest.append(max(steady()[before:], default=0.0))
    return longest


def deaf(folder: Path, way: str, times: int) -> list[bool]:
    """Return, for each time that a node hung, whether it came back deaf or unheard."""
    found = []
    busy = ['nice', '-n', '10', sys.executable, '-c', 'while True: pass']
    with Nodes(folder, way) as nodes:
        for i in range(NODES):
            nodes.start(f'node{i}')
        if not nodes.whole(60.0):
            sys.exit(f'they do not find each other: {", ".join(nodes.unheard())}')
        loads = [subprocess.Popen(busy) for _ in range(os.cpu_count() or 1)]
        try:
            for i in range(times):
                nodes.hang(f'node{i % NODES}')
                found.append(not nodes.whole(PATIENCE))
                while not nodes.whole(PATIENCE):
                    nodes.hang(f'node{i % NODES}')
        finally:
            for load in loads:
                load.kill()
                load.wait()
    return found


def until(condition: Callable[[], bool], complaint: str, seconds: float = 30.0) -> None:
    """Wait for something.

    Raises:
        SystemExit: With the complaint, when it took longer.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(complaint)
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--times', type=int, default=40, help='kills of a busy node')
    parser.add_argument('--hangs', type=int, default=14, help='nodes that hang')
    parser.add_argument('--node', help=argparse.SUPPRESS)
    parser.add_argument('--folder', type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.node:
        ROLES.get(options.node, speak)(options.node, options.folder)
        return
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            longest = waits(Path(folder), way, options.times)
            late = sum(wait > LONG for wait in longest)
            print(
                f'{way}: after {late} of {options.times} kills somebody else waited, '
                f'{max(longest, default=0.0):.2f} s at most',
                flush=True,
            )
            dead = deaf(Path(folder), way, options.hangs).count(True)
            print(f'{way}: {dead} of {options.hangs} nodes came back deaf', flush=True)


if __name__ == '__main__':
    main()
