"""Does a node that hung, was killed and started again hear all others, and they it?

    python benchmarks/hang.py --times 56

One after another of a few nodes that talk to each other is stopped for six seconds, killed, and
started again. Every other round the lock files of their ports are removed before they are killed
(`medal_ros.shared_memory.close_ports`, as of every node that `medal train` kills). The processors
are kept busy at a low priority meanwhile, as a learner does.
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
from contextlib import suppress
from pathlib import Path

from medal_ros.shared_memory import close_ports

NODES = 7
HANGS = 6.0  # seconds: long enough for all peers to give its shared memory up
RECENT = 2.0  # seconds in which whoever is heard has spoken twenty times
PATIENCE = 15.0  # seconds after which a node that was started again counts as deaf


def talk(name: str, folder: Path) -> None:
    """Be a node: speak ten times a second, and keep in a file who was heard lately."""
    import rclpy
    from std_msgs.msg import String

    from medal_ros.nodes.qos import HISTORY, STREAM

    rclpy.init(args=[])
    node, heard = rclpy.create_node(name), {}
    publisher = node.create_publisher(String, 'talk', STREAM)
    for i in range(4):  # as many as a node of a run has, for those who come late
        node.create_publisher(String, f'{name}_{i}', HISTORY)
    node.create_subscription(String, 'talk', lambda m: heard.update({m.data: time.time()}), STREAM)

    def speak() -> None:
        publisher.publish(String(data=name))
        now = time.time()
        lately = [other for other, at in heard.items() if now - at < RECENT]
        half = folder / f'{name}.half'
        half.write_text(json.dumps([now, lately]))
        half.replace(folder / f'{name}.json')

    node.create_timer(0.1, speak)
    rclpy.spin(node)


class Nodes:
    """Some nodes as processes; a context manager that leaves none behind."""

    def __init__(self, folder: Path, count: int = NODES) -> None:
        # Not above: a node is to start at once, or its peers have forgotten the one before.
        from medal_ros.processes import environment

        self.folder, self.environment = folder, environment()
        self.environment['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
        self.processes = {f'node{i}': self.start(f'node{i}') for i in range(count)}
        busy = ['nice', '-n', '10', sys.executable, '-c', 'while True: pass']
        self.busy = [subprocess.Popen(busy) for _ in range(os.cpu_count() or 1)]

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.processes.values(), *self.busy):
            process.kill()
            process.wait()

    def start(self, name: str) -> subprocess.Popen:
        (self.folder / f'{name}.json').unlink(missing_ok=True)
        command = [sys.executable, __file__, '--node', name, '--folder', str(self.folder)]
        with open(self.folder / f'{name}.log', 'ab') as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    def unheard(self) -> list[str]:
        """Return who does not hear whom now."""
        missing = []
        for name in self.processes:
            at, heard = 0.0, []
            with suppress(OSError):
                at, heard = json.loads((self.folder / f'{name}.json').read_text())
            heard = heard if time.time() - at < RECENT else []
            missing += [f'{name} {other}' for other in self.processes if other not in heard]
        return missing

    def whole(self, patience: float) -> bool:
        """Wait until all hear each other; False: they do not in that many seconds."""
        end = time.monotonic() + patience
        while self.unheard() and time.monotonic() < end:
            time.sleep(0.1)
        return not self.unheard()

    def replace(self, name: str, close: bool) -> None:
        """Hang a node, kill it, and start it again."""
        process = self.processes[name]
        process.send_signal(signal.SIGSTOP)
        time.sleep(HANGS)
        if close:
            close_ports(process.pid)
        process.kill()
        process.wait()
        time.sleep(0.5)
        self.processes[name] = self.start(name)


def measure(nodes: Nodes, times: int) -> dict[bool, list[bool]]:
    """Return, with and without closing its ports, whether each node came back well."""
    well: dict[bool, list[bool]] = {True: [], False: []}
    for i in range(times):
        name, close = f'node{i % NODES}', i // NODES % 2 == 1
        began = time.monotonic()
        nodes.replace(name, close)
        well[close].append(nodes.whole(PATIENCE))
        seconds = time.monotonic() - began - HANGS
        what = f'{seconds:.1f} s' if well[close][-1] else f'deaf: {", ".join(nodes.unheard())}'
        print(f'{name}, ports {"closed" if close else "left"}: {what}', flush=True)
        while not nodes.whole(PATIENCE):
            nodes.replace(name, close=True)
    return well


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--times', type=int, default=56, help='hangs (default: 56)')
    parser.add_argument('--node', help=argparse.SUPPRESS)
    parser.add_argument('--folder', type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.node:
        talk(options.node, options.folder)
        return
    with tempfile.TemporaryDirectory() as folder, Nodes(Path(folder)) as nodes:
        if not nodes.whole(60.0):
            sys.exit(f'they do not find each other: {", ".join(nodes.unheard())}')
        well = measure(nodes, options.times)
    for close, found in well.items():
        deaf = found.count(False)
        print(f'ports {"closed" if close else "left"}: {deaf} of {len(found)} came back deaf')


if __name__ == '__main__':
    main()
