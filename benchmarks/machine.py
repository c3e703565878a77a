"""What figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def machine(device: str = 'cpu') -> str:
    """Return processor, cores, load and versions; with a GPU, its name."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    cores = len(os.sched_getaffinity(0))
    text = f'{names[0] if names else platform.machine()}, {cores} cores'
    if device != 'cpu':
        text = f'{torch.cuda.get_device_name(device)}; {text}'
    load = os.getloadavg()[0]
    return f'{text}, load {load:.1f}, Python {platform.python_version()}, torch {torch.__version__}'
