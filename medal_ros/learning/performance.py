"""Make torch fast on a CPU: few threads, and an allocator that keeps its pages."""

from __future__ import annotations

import ctypes

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
