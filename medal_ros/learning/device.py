"""Where networks are trained, in which precision, and what differs on a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import nn

from medal_ros.errors import UserError


def choose_device(asked: str = 'auto') -> torch.device:
    """Return the device that is meant by `auto`, `cpu`, `cuda` or, of several, `cuda:1`.

    Raises:
        UserError: It is none of these, or a GPU that is not there.
    """
    if asked == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    if asked == 'cpu':
        return torch.device('cpu')
    if not re.fullmatch('cuda(:[0-9]+)?', asked):
        raise UserError(f'the device {asked!r} is none of auto, cpu, cuda, cuda:0, cuda:1 ...')
    if not torch.cuda.is_available():
        raise UserError(f'a GPU was asked for (device {asked}) and there is none')
    device, count = torch.device(asked), torch.cuda.device_count()
    if (device.index or 0) >= count:
        raise UserError(f'the GPU {asked} was asked for and there are only {count}')
    return device


def in_bf16(precision: str, device: torch.device) -> bool:
    """Return whether `auto`, `fp32` or `bf16` means bfloat16 on a device."""
    if precision == 'auto':  # GPUs have it in hardware since compute capability 8.0
        return device.type == 'cuda' and torch.cuda.get_device_capability(device) >= (8, 0)
    return precision == 'bf16'


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return what runs matrix products in a precision: `auto`, `fp32` or `bf16`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(precision, device))


def adam(
    parameters: Iterable[nn.Parameter], rate: float, device: torch.device, fused: bool = True
) -> torch.optim.Adam:
    """Return Adam for parameters on a device; on a GPU, one that a CUDA graph may record."""
    return torch.optim.Adam(parameters, rate, fused=fused, capturable=device.type == 'cuda')
