"""Where networks are trained."""

from __future__ import annotations

import re

import torch

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
