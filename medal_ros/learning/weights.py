"""Weights on disk: safetensors, written whole or not at all, and never executed when read."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from medal_ros.errors import UserError

MAX_BYTES = 4 << 30


class WeightsError(UserError):
    """A weights file that cannot be used, and why, in one sentence."""


@dataclass(frozen=True)
class Written:
    """What a reader needs to check a weights file."""

    path: Path
    size: int
    checksum: int


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path, text: dict[str, str] | None = None
) -> Written:
    """Write named tensors; an existing file is replaced in one step.

    Raises:
        WeightsError: A number is not finite: such weights are never handed on.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f'the weights {name} of {path.name} are not finite')
    data = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, text)
    partial = path.with_suffix('.partial')
    partial.write_bytes(data)
    partial.replace(path)
    return Written(path, len(data), zlib.crc32(data))


def load_tensors(path: Path, checksum: int | None = None) -> dict[str, Tensor]:
    """Read named tensors.

    Raises:
        WeightsError: The file is missing, too large, damaged, or not the one announced.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WeightsError(f'{path} is larger than the {MAX_BYTES >> 30} GiB allowed')
        data = path.read_bytes()
    except OSError:
        raise WeightsError(f'there is no weights file {path} that can be read') from None
    if checksum is not None and zlib.crc32(data) != checksum:
        raise WeightsError(f'{path} is not the file that was announced: its checksum differs')
    try:
        return load(data)
    except (SafetensorError, KeyError):  # KeyError: a type that torch does not have
        raise WeightsError(f'{path} is damaged or truncated') from None


def load_text(path: Path) -> dict[str, str]:
    """Read the text beside the tensors of a file.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    try:
        with safe_open(path, 'pt') as file:
            return file.metadata() or {}
    except OSError:
        raise WeightsError(f'there is no weights file {path} that can be read') from None
    except SafetensorError:
        raise WeightsError(f'{path} is damaged or truncated') from None


def load_into(module: nn.Module, path: Path, checksum: int | None = None) -> None:
    """Read a module's weights; the module keeps its old ones if they do not fit.

    Raises:
        WeightsError: The file cannot be used or is of networks of another size.
    """
    tensors, own = load_tensors(path, checksum), module.state_dict()
    if {k: (v.shape, v.dtype) for k, v in tensors.items()} != {
        k: (v.shape, v.dtype) for k, v in own.items()
    }:
        raise WeightsError(f'{path} holds weights of other networks than this configuration has')
    if not all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point()):
        raise WeightsError(f'{path} holds a number that is not finite')
    module.load_state_dict(tensors)
