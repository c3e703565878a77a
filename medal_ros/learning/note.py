"""What a node notes down for whoever takes its place while the rest of the graph goes on.

A state (`States`) is of the end of a run, and is on the disk. A note is of this very moment, and
in shared memory: it outlives the process, not the machine, and no control loop waits for a disk
that is busy with a checkpoint. It counts within one session, which begins when somebody takes hold
of the run, and ends with that process.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from medal_ros.bounded import TooLarge, read_bytes
from medal_ros.learning.journal import line, parse
from medal_ros.run_folder import RunFolder

SHARED = Path('/dev/shm')
MOST = 64 << 10  # bytes of a note


def prefix(folder: RunFolder) -> str:
    """Return how the names of all notes of a run begin."""
    return f'medal_{hashlib.sha256(bytes(folder.path.resolve())).hexdigest()[:16]}_'


def forget(folder: RunFolder) -> None:
    """Remove all notes of a run: nobody will take a place in this session any more."""
    for path in SHARED.glob(f'{prefix(folder)}*'):
        path.unlink(missing_ok=True)


class Note:
    """The note of one node: written often, read once.

    Args:
        folder: The run's folder.
        node: Whose note it is.
    """

    def __init__(self, folder: RunFolder, node: str) -> None:
        self.path = SHARED / f'{prefix(folder)}{node}'
        self.session = 0  # nobody holds the run: nobody takes anybody's place
        with suppress(OSError):
            self.session = folder.lock.stat().st_mtime_ns
        self._file = -1

    def write(self, values: dict[str, Any]) -> None:
        """Replace the note, at the cost of one copy of it.

        No room for it is no reason to stop: who takes our place then begins anew.
        """
        if not self.session:
            return
        text = line({'session': self.session, 'values': values})
        with suppress(OSError):
            if self._file < 0:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))

    def read(self) -> dict[str, Any] | None:
        """Return what was noted last in this session; None where nothing whole was."""
        found = None
        with suppress(OSError, TooLarge):
            if self.path.stat().st_uid == os.getuid():  # anybody may write into shared memory
                whole, end, _ = read_bytes(self.path, MOST).partition(b'\n')
                found = parse(whole + end)  # who was killed may not have cut off a longer one
        if not found or not self.session or found.get('session') != self.session:
            return None
        return found['values']
