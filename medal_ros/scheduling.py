"""Who goes first on a machine: the control loop; and who gives way to it: all that learns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from medal_ros.options import OptionError, option

FIRST = -10  # of nice


@dataclass(frozen=True)
class LoopConfig:
    """How the processes of the control loop run, by the clock."""

    priority: int = option(
        10,
        'real-time priority (SCHED_FIFO) of the control loop, where the system allows one; 0: none',
        source='ours',
        low=0,
        high=49,
    )
    cores: tuple[int, ...] = option(
        (), 'processors of the control loop; empty: all', source='ours', low=0
    )


def be_first(config: LoopConfig) -> None:
    """Put every thread of this process before other programs, and those that they start.

    ROS has threads of its own by now, and what they receive late is late. Each right is used
    where it is there: real time (`rtprio` in limits.conf) and nice (`nice`).

    Raises:
        OptionError: As `check_cores`.
    """
    check_cores('loop.cores', config.cores)
    for thread in map(int, os.listdir('/proc/self/task')):
        with suppress(ProcessLookupError):  # it has ended
            if config.cores:
                os.sched_setaffinity(thread, config.cores)
            if config.priority:
                _raise(thread, config.priority)


def _raise(thread: int, priority: int) -> None:
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, thread, FIRST)
    with suppress(PermissionError):
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))


def be_ordinary() -> None:
    """Give this thread alone the priority of any other program."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, max(0, os.getpriority(os.PRIO_PROCESS, 0)))


def be_nice(level: int, on_clock: bool = False, cores: Sequence[int] = ()) -> None:
    """Give way to the control loop.

    The control loop is several processes long, and even the nicest of the others may finish its
    slice of some milliseconds before each of them runs. On a robot's clock that is too much:
    SCHED_IDLE gives way at once. It asks for no privilege.

    Args:
        level: The priority of this thread, and of those that it starts, becomes at least this.
        on_clock: Run only where nobody else wants to.
        cores: Processors that it may use; empty: all.

    Raises:
        OptionError: As `check_cores`.
    """
    check_cores('graph.learning_cores', cores)
    if cores:
        os.sched_setaffinity(0, cores)
    os.nice(max(0, level - os.nice(0)))
    if on_clock and hasattr(os, 'SCHED_IDLE'):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def check_cores(key: str, cores: Sequence[int]) -> None:
    """Refuse processors that are not there for us.

    Raises:
        OptionError: Which, and which there are.
    """
    there = os.sched_getaffinity(0)
    if missing := set(cores) - there:
        raise OptionError(
            f'{key}: there is no processor {min(missing)} for us here, only '
            f'{", ".join(map(str, sorted(there)))}'
        )
