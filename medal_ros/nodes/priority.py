"""The control loop goes before other programs, where the system lets it."""

from __future__ import annotations

import os
from contextlib import suppress

FIRST = -10  # of nice


def be_first() -> None:
    """Raise the priority of this thread and of those that it starts; without the right, do not."""
    with suppress(PermissionError):
        os.nice(FIRST - os.nice(0))
