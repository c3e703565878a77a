"""Real nodes for tests: a ROS domain of their own, a deadline on every wait, no orphans."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile

from medal_ros.network import choose
from medal_ros.nursery import Child, Nursery

# Read when a context is initialised, so it is enough that a test imports this module. Domains
# above 101 can collide with the ports of other programs.
os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
choose('machine')

NAMESPACE = '/medal'
# Their imports take seconds each; here they are done once, as `medal train` does.
NURSED = ('policy_server', 'reward', 'trainer', 'evaluator', 'examiner')


def wait_until(
    predicate: Callable[[], Any], deadline: float = 10.0, what: str = 'the condition'
) -> Any:
    """Return the predicate's first true value.

    Raises:
        AssertionError: It was still false after `deadline` seconds.
    """
    end = time.monotonic() + deadline
    while not (value := predicate()):
        if time.monotonic() > end:
            raise AssertionError(f'{what} did not come true within {deadline:g} s')
        time.sleep(0.005)
    return value


@functools.cache
def nursery() -> Nursery:
    made = Nursery(NURSED, os.environ)
    atexit.register(made.end)
    wait_until(lambda: made.ready, 60.0, 'the nursery')
    return made


class Nodes:
    """Node processes of medal_ros; a context manager that leaves none behind.

    Args:
        folder: Where their output goes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen | Child] = {}

    def start(
        self,
        module: str,
        *remaps: str,
        namespace: str = NAMESPACE,
        setting: str = '',
        **parameters: Any,
    ) -> None:
        """Start `medal_ros.nodes.<module>`; a double underscore in a name means a dot.

        `setting` is a statement about the module as `node`, made before it runs.
        """
        program = ['-m', f'medal_ros.nodes.{module}']
        if setting:
            program = ['-c', f'import medal_ros.nodes.{module} as node; {setting}; node.main()']
        words = ['--ros-args', '-r', f'__ns:={namespace}']
        for remap in remaps:
            words += ['-r', remap]
        for name, value in parameters.items():
            words += ['-p', f'{name.replace("__", ".")}:={json.dumps(value)}']
        path = self.folder / f'{module}.log'
        path.unlink(missing_ok=True)
        if module in NURSED and not setting:
            self.processes[module] = nursery().fork([module, *words], path)
            return
        with open(path, 'wb') as log:
            self.processes[module] = subprocess.Popen(
                [sys.executable, *program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def output(self, module: str) -> str:
        return (self.folder / f'{module}.log').read_text(errors='replace')

    def stop(self, deadline: float = 3.0) -> dict[str, int]:
        """Send SIGINT to all, SIGKILL to those that need longer, and return their statuses."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        end = time.monotonic() + deadline
        statuses = {}
        for name, process in self.processes.items():
            try:
                statuses[name] = process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                statuses[name] = process.wait(5.0)
        self.processes = {}
        return statuses

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Probe:
    """A node in this process that records topics, publishes, and calls services.

    A context manager: the node spins in a thread of its own while it is open.
    """

    def __enter__(self) -> Probe:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node('probe', namespace=NAMESPACE, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        rclpy.shutdown(context=self.context)
        self.thread.join(5.0)
        self.executor.shutdown()
        self.node.destroy_node()

    def _spin(self) -> None:
        try:
            self.executor.spin()
        except (ExternalShutdownException, RuntimeError):
            if self.context.ok():
                raise

    def record(
        self, kind: type, topic: str, qos: QoSProfile, also: Callable[[Any], None] | None = None
    ) -> list[Any]:
        """Return a list that grows with every message of a topic."""
        seen: list[Any] = []

        def take(message: Any) -> None:
            seen.append(message)
            if also is not None:
                also(message)

        self.node.create_subscription(kind, topic, take, qos)
        self.executor.wake()
        return seen

    def publisher(self, kind: type, topic: str, qos: QoSProfile, readers: int = 1) -> Any:
        """Return a publisher that this many readers have found.

        Raises:
            AssertionError: They did not within half a minute.
        """
        publisher = self.node.create_publisher(kind, topic, qos)
        if readers:
            found = lambda: publisher.get_subscription_count() >= readers  # noqa: E731
            wait_until(found, 30.0, f'{readers} readers of {topic}')
        return publisher

    def call(self, kind: type, service: str, deadline: float = 10.0, **request: Any) -> Any:
        """Return a service's response.

        Raises:
            AssertionError: It did not come in time.
        """
        client = self.node.create_client(kind, service)
        try:
            if not client.wait_for_service(timeout_sec=deadline):
                raise AssertionError(f'nobody offers {service}')
            future = client.call_async(kind.Request(**request))
            self.executor.wake()
            wait_until(future.done, deadline, f'the answer of {service}')
            return future.result()
        finally:
            self.node.destroy_client(client)
