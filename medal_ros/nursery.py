"""A process that has imported everything once, and forks nodes sooner than new ones come up."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from medal_ros.orphans import ENDS_WITH_PARENT

PR_SET_CHILD_SUBREAPER = 36
ANSWERS = 5.0  # seconds that a fork may take
IMPORTS = 60.0  # seconds that getting ready may take


class Child:
    """A process that was not started here but is waited for here, with the methods of Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the status, negative for a signal; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        """Return the status when there is one.

        Raises:
            subprocess.TimeoutExpired: There is none for too long.
        """
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Forks nodes as children of this process.

    Args:
        names: The nodes whose modules are imported.
        environment: Of them.
    """

    def __init__(self, names: Sequence[str], environment: Mapping[str, str]) -> None:
        # Whose parent ends, here the fork between, becomes a child of ours.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        command = [sys.executable, '-m', 'medal_ros.nodes.start', '--nursery', *names]
        self.process = subprocess.Popen(
            [*ENDS_WITH_PARENT, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            process_group=0,
        )
        self._ready, self._begun = False, time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether everything is imported."""
        self._ready = self._ready or self._heard(0.0) == b'ready\n'
        return self._ready

    @property
    def late(self) -> bool:
        """Whether it is not worth waiting for: it ended, or takes too long."""
        return self.process.poll() is not None or time.monotonic() > self._begun + IMPORTS

    def fork(self, words: Sequence[str], log: Path) -> Child | None:
        """Return a node; None where there is none to be had.

        Args:
            words: Its name and its arguments.
            log: Where its output is added.
        """
        line = json.dumps({'log': str(log), 'words': list(words)}) + '\n'
        try:
            os.write(self.process.stdin.fileno(), line.encode())
        except OSError:
            return None
        answer = self._heard(ANSWERS).strip()
        return Child(int(answer)) if answer.isdigit() else None

    def end(self) -> None:
        """Fork no more; what was forked goes on."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _heard(self, seconds: float) -> bytes:
        """Return a line if it comes in time; they are short, and come whole."""
        pipe = self.process.stdout.fileno()
        return os.read(pipe, 64) if select.select([pipe], [], [], seconds)[0] else b''
