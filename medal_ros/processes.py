"""Start the nodes of a system as processes, watch them, and stop all of them."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from medal_ros.bringup import NodeSpec

PR_SET_PDEATHSIG = 1
ROS_PREFIX = re.compile(r'^\[[A-Z]+\] \[[\d.]+\] \[[^]]*\]: ')  # severity, time, logger
# By itself; or all was closed, and only ROS did not let go (nodes/run.py).
ENDED = (0, -signal.SIGALRM)
PATIENCE = 3.0  # seconds between two lines about nodes that are still saving


class ProcessFailed(RuntimeError):
    """A node ended by itself although it should not have."""


class Processes:
    """The nodes of one system.

    Args:
        specs: What to start.
        folder: Where parameters and logs go.
        namespace: ROS namespace of all of them.
    """

    def __init__(self, specs: Sequence[NodeSpec], folder: Path, namespace: str) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen] = {}
        self.statuses: dict[str, int] = {}
        self._told = 0
        logs = folder / 'log'
        logs.mkdir(parents=True, exist_ok=True)
        for spec in specs:
            parameters = spec.parameters_file(folder / 'parameters')
            command = [sys.executable, '-m', 'medal_ros.nodes.start', spec.name, '--ros-args']
            command += ['-r', f'__ns:=/{namespace}', '--params-file', str(parameters)]
            for name, topic in spec.remappings.items():
                command += ['-r', f'{name}:={topic}']
            with open(logs / f'{spec.name}.log', 'ab') as log:
                self.running[spec.name] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment(),
                    # Ctrl-C comes to us, and we stop the nodes. Not a session for each of them:
                    # Linux shares the cores among sessions before it looks at priorities.
                    process_group=0,
                    preexec_fn=die_with_parent,
                )

    def check(self) -> dict[str, int]:
        """Return the statuses of the nodes that ended by themselves so far.

        Raises:
            ProcessFailed: One of them ended with a status other than 0.
        """
        for name in list(self.running):
            status = self.running[name].poll()
            if status is not None:
                del self.running[name]
                self.statuses[name] = status
                if status not in ENDED:
                    raise ProcessFailed(self._explain(name, status))
        return self.statuses

    def stop(self, seconds: float, say: Callable[[str], None] = print) -> list[str]:
        """Interrupt every node, wait for it, and kill what is left; return whom.

        Args:
            seconds: How long to wait altogether.
            say: Told, every few seconds, who is still busy.
        """
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        began, killed = time.monotonic(), []
        while self._left() and time.monotonic() - began < seconds:
            time.sleep(0.02)
            if (passed := time.monotonic() - began) > PATIENCE * (self._told + 1):
                self._told += 1
                say(f'{passed:.0f} s: waiting for {", ".join(self._left())} to save and end')
        for name in self._left():
            self.running[name].kill()
            killed.append(name)
        for name, process in self.running.items():
            self.statuses[name] = process.wait()
        self.running.clear()
        return killed

    def _left(self) -> list[str]:
        return [name for name, process in self.running.items() if process.poll() is None]

    def _explain(self, name: str, status: int) -> str:
        log = self.folder / 'log' / f'{name}.log'
        lines = [line for line in log.read_text(errors='replace').splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith('[FATAL]')]
        how = f'was killed by signal {-status}' if status < 0 else f'ended with status {status}'
        last = f': {ROS_PREFIX.sub("", (fatal or lines)[-1])}' if lines else ''
        return f'the node {name} {how}{last} (see {log})'


def environment() -> dict[str, str]:
    """Return the environment of a node: this machine alone hears it unless asked otherwise."""
    return {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'RCUTILS_COLORIZED_OUTPUT': '0',
        **os.environ,
        'PYTHONUNBUFFERED': '1',
    }


def die_with_parent() -> None:
    """Have the kernel interrupt this process when its parent dies, however it dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
