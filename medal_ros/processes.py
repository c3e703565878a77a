"""Start the nodes of a system as processes, watch them, start them again, and stop all of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from medal_ros.bringup import NodeSpec
from medal_ros.network import closed
from medal_ros.nursery import Child, Nursery
from medal_ros.orphans import ENDS_WITH_PARENT
from medal_ros.restarts import Restarts, TooManyRestarts
from medal_ros.shared_memory import sweep

ROS_PREFIX = re.compile(r'^\[[A-Z]+\] \[[\d.]+\] \[[^]]*\]: ')  # severity, time, logger
# By itself; or all was closed, and only ROS did not let go (nodes/run.py).
ENDED = (0, -signal.SIGALRM)
MISTAKE = 2  # a person's: to start again would not put it right
PATIENCE = 3.0  # seconds between two lines about nodes that are still saving


class ProcessFailed(RuntimeError):
    """A node ended by itself although it should not have."""


class Processes:
    """The nodes of one system.

    Args:
        specs: What to start.
        folder: Where parameters and logs go.
        namespace: ROS namespace of all of them.
        restarts: Says when one that ended or hangs is started again; None: its end is the end.
        until: The node that ends by itself when all is done.
        nursery: Whether to import once what all of them need and fork them: they start, by
            `tend`, when that is done.
        reserve: Whether to keep the nursery for those that are started again.

    Attributes:
        told: Who ended and is started again, or is done without: a sentence each.
    """

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        folder: Path,
        namespace: str,
        restarts: Restarts | None = None,
        until: str | None = None,
        nursery: bool = False,
        reserve: bool = False,
    ) -> None:
        self.folder, self.namespace = folder, namespace
        self.restarts, self.until, self.reserve = restarts, until, reserve
        self.nursery: Nursery | None = None
        self._waiting = list(specs)
        self.specs = {spec.name: spec for spec in specs}
        self.spare = {spec.name for spec in specs if not spec.vital}
        self.running: dict[str, subprocess.Popen | Child] = {}
        self.statuses: dict[str, int] = {}
        self.told: list[str] = []
        self._told = 0
        sweep()  # what earlier ones left
        (folder / 'log').mkdir(parents=True, exist_ok=True)
        if nursery:
            self._nurse()
        else:
            self._begin()

    def _nurse(self) -> None:
        self.nursery = Nursery(list(self.specs), environment())

    def _begin(self) -> None:
        """Start all nodes, unless they wait for a nursery that is to be ready in time."""
        if self.nursery is not None and not (self.nursery.ready or self.nursery.late):
            return
        for spec in self._waiting:
            self._start(spec)
        self._waiting = []
        if not self.reserve:
            self._end_nursery()

    def _end_nursery(self) -> None:
        if self.nursery is not None:
            self.nursery.end()
            self.nursery = None

    def _start(self, spec: NodeSpec) -> None:
        words, log = self._words(spec), self.folder / 'log' / f'{spec.name}.log'
        self.running[spec.name] = self._forked(words, log) or self._new(words, log)
        if self.restarts is not None and spec.name not in self.spare:
            self.restarts.started(spec.name)

    def _forked(self, words: list[str], log: Path) -> Child | None:
        if self.nursery is None or not self.nursery.ready:
            return None
        child = self.nursery.fork(words, log)
        if child is None:  # it was killed, too
            self._end_nursery()
        return child

    def _words(self, spec: NodeSpec) -> list[str]:
        parameters = spec.parameters_file(self.folder / 'parameters')
        words = [spec.name, '--ros-args', '-r', f'__ns:=/{self.namespace}']
        words += ['--params-file', str(parameters), '--enclave', f'/{self.namespace}/{spec.name}']
        for name, topic in spec.remappings.items():
            words += ['-r', f'{name}:={topic}']
        return words

    def _new(self, words: list[str], path: Path) -> subprocess.Popen:
        with open(path, 'ab') as log:
            return subprocess.Popen(
                [*ENDS_WITH_PARENT, sys.executable, '-m', 'medal_ros.nodes.start', *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                # Ctrl-C comes to us, and we stop the nodes. Not a session for each of them:
                # Linux shares the cores among sessions before it looks at priorities.
                process_group=0,
            )

    def check(self) -> dict[str, int]:
        """Return the statuses of the nodes that ended by themselves, and may, so far.

        Raises:
            ProcessFailed: One of them ended otherwise and is not to be started again.
        """
        for name in list(self.running):
            status = self.running[name].poll()
            if status is not None:
                del self.running[name]
                self._take_end(name, status)
        return self.statuses

    def _take_end(self, name: str, status: int) -> None:
        spare = name in self.spare
        meant = self.restarts is None or name == self.until or spare
        if status in ENDED and meant:
            self.statuses[name] = status
            return
        what = self._explain(name, status)
        if spare:
            self.statuses[name] = status
            self.told.append(f'{what}; all else goes on')
            return
        if self.restarts is None or status == MISTAKE:
            raise ProcessFailed(what)
        try:
            delay = self.restarts.ended(name)
        except TooManyRestarts as error:
            raise ProcessFailed(f'{what}; {error}') from None
        self.told.append(f'{what}: it is started again in {delay:g} s')

    def tend(self) -> None:
        """Start who waits for the nursery; kill who hangs, and start again who is due."""
        if self._waiting:
            self._begin()
        if self.restarts is None:
            return
        busy = lambda name: name in self.running and runnable(self.running[name].pid)  # noqa: E731
        for name, seconds in self.restarts.hung(busy).items():
            self._kill(name, f'the node {name} said nothing for {seconds:.0f} s and is killed')
        for name, other in self.restarts.deaf().items():
            why = f'the nodes {name} and {other} do not hear each other: {name} is killed'
            self._kill(name, why)
        for name in self.restarts.due():
            self.specs[name] = self.specs[name].again()
            self._start(self.specs[name])
        if self.reserve and not (self.nursery or self._waiting or self.restarts.away):
            self._nurse()

    def _kill(self, name: str, why: str) -> None:
        self.told.append(why)
        if name in self.running:
            self.running[name].kill()  # `check` sees its end

    def stop(self, seconds: float, say: Callable[[str], None] = print) -> list[str]:
        """Interrupt every node, wait for it, and kill what is left; return whom.

        Args:
            seconds: How long to wait altogether.
            say: Told, every few seconds, who is still busy.
        """
        self._end_nursery()
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
        sweep()
        return killed

    def _left(self) -> list[str]:
        return [name for name, process in self.running.items() if process.poll() is None]

    def _explain(self, name: str, status: int) -> str:
        log = self.folder / 'log' / f'{name}.log'
        lines = [line for line in log.read_text(errors='replace').splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith('[FATAL]')]
        how = f'was killed by signal {-status}' if status < 0 else f'ended with status {status}'
        told = [] if status == -signal.SIGKILL else fatal or lines  # who is killed says no more
        last = f': {ROS_PREFIX.sub("", told[-1])}' if told else ''
        return f'the node {name} {how}{last} (see {log})'


def runnable(pid: int) -> bool:
    """Return whether a thread of a process runs, or would if a processor were free."""
    states = []
    for stat in Path(f'/proc/{pid}/task').glob('*/stat'):
        with suppress(OSError):
            states.append(stat.read_text().rpartition(')')[2].split()[0])
    return 'R' in states


def environment() -> dict[str, str]:
    """Return the environment of a node: only this machine hears it unless `network` says other."""
    return {
        **closed(os.environ),
        'RCUTILS_COLORIZED_OUTPUT': '0',
        **os.environ,
        'PYTHONUNBUFFERED': '1',
    }
