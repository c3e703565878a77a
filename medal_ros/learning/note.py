"""What a node notes down for whoever takes its place while the rest of the graph goes on.

A state (`States`) is of the end of a run, and is on the disk. A note is of this very moment, and
only in the memory of the system: it outlives the process, not the machine. It counts within one
session, which begins when somebody takes hold of the run.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from medal_ros.learning.journal import line, parse
from medal_ros.run_folder import RunFolder


class Note:
    """The note of one node: written often, read once.

    Args:
        folder: The run's folder.
        node: Whose note it is.
    """

    def __init__(self, folder: RunFolder, node: str) -> None:
        self.path = folder.state(node) / 'note'
        self.session = 0  # nobody holds the run: nobody takes anybody's place
        with suppress(OSError):
            self.session = folder.lock.stat().st_mtime_ns
        self._file = -1

    def write(self, values: dict[str, Any]) -> None:
        """Replace the note, at the cost of one copy into the system's memory.

        A full disk is no reason to stop: who takes our place then begins anew.
        """
        if not self.session:
            return
        text = line({'session': self.session, 'values': values})
        with suppress(OSError):
            if self._file < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))

    def read(self) -> dict[str, Any] | None:
        """Return what was noted last in this session; None where nothing whole was."""
        try:
            found = parse(self.path.read_bytes())
        except OSError:
            return None
        if not found or not self.session or found.get('session') != self.session:
            return None
        return found['values']
