"""The control loop goes before other programs, where the system lets it."""

from __future__ import annotations

import os
from contextlib import suppress

FIRST = -10  # of nice


def be_first(priority: int) -> None:
    """Raise the priority of every thread of this process, and of those that they start.

    ROS has threads of its own by now, and what they receive late is late. Each right is used
    where it is there: real time (`rtprio` in limits.conf) and nice (`nice`).

    Args:
        priority: Of SCHED_FIFO; 0: stay like any other program.
    """
    if not priority:
        return
    for thread in map(int, os.listdir('/proc/self/task')):
        with suppress(PermissionError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, thread, FIRST)
        with suppress(PermissionError, ProcessLookupError):
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))


def be_ordinary() -> None:
    """Give this thread alone the priority of any other program."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, max(0, os.getpriority(os.PRIO_PROCESS, 0)))
