"""Make torch fast on a CPU: few threads, and an allocator that keeps its pages."""

from __future__ import annotations

import ctypes
import os

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def tune(threads: int) -> None:
    """Set torch's threads, and let glibc keep large buffers instead of returning them.

    glibc gives a large buffer back to the system each time it is freed, and the next one costs
    page faults: keeping them makes an encoder's forward and backward about 1.5 times as fast.
    """
    torch.set_num_threads(threads)
    try:
        libc = ctypes.CDLL('libc.so.6')
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    except (OSError, AttributeError):
        pass  # another C library: slower, and nothing else


def be_nice(level: int, on_clock: bool = False) -> None:
    """Give way to the control loop.

    The control loop is several processes long, and even the nicest of the others may finish its
    slice of some milliseconds before each of them runs. On a robot's clock that is too much:
    SCHED_IDLE gives way at once. It asks for no privilege.

    Args:
        level: The priority of this thread, and of those that it starts, becomes at least this.
        on_clock: Run only where nobody else wants to.
    """
    os.nice(max(0, level - os.nice(0)))
    if on_clock and hasattr(os, 'SCHED_IDLE'):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
