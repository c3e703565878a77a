"""Weights on disk: safetensors, written whole or not at all, and never executed when read."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from medal_ros.bounded import TooLarge, read_bytes
from medal_ros.errors import WeightsError
from medal_ros.files import write_whole

MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class Written:
    """What a reader needs to check a weights file."""

    path: Path
    size: int
    checksum: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return what announces a file as it is now."""
        data = path.read_bytes()
        return cls(path, len(data), zlib.crc32(data))


def save_tensors(
    tensors: Mapping[str, Tensor],
    path: Path,
    text: dict[str, str] | None = None,
    durable: bool = True,
) -> Written:
    """Write named tensors; an existing file is replaced in one step.

    Args:
        tensors: What to write.
        path: Where to.
        text: Words beside the tensors.
        durable: Wait until the file is on the disk, so that power may fail.

    Raises:
        WeightsError: A number is not finite: such weights are never handed on.
        OSError: The disk is full, or cannot be written to.
    """
    data = tensor_bytes(tensors, path.name, text)
    write_whole(path, data, durable)
    return Written(path, len(data), zlib.crc32(data))


def tensor_bytes(
    tensors: Mapping[str, Tensor], what: str, text: dict[str, str] | None = None
) -> bytes:
    """Return named tensors as the content of a file.

    Raises:
        WeightsError: A number is not finite: such weights are never handed on.
    """
    here = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in here.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f'the weights {name} of {what} are not finite')
    return save(here, text)


def load_tensors(path: Path, checksum: int | None = None) -> dict[str, Tensor]:
    """Read named tensors.

    Raises:
        WeightsError: The file is missing, too large, damaged, or not the one announced.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
    except TooLarge:
        raise WeightsError(f'{path} is larger than the {MAX_BYTES >> 30} GiB allowed') from None
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
        if not path.is_file():  # a pipe would never open
            raise OSError
        if path.stat().st_size > MAX_BYTES:
            raise WeightsError(f'{path} is larger than the {MAX_BYTES >> 30} GiB allowed')
        with safe_open(path, 'pt') as file:
            return file.metadata() or {}
    except OSError:
        raise WeightsError(f'there is no weights file {path} that can be read') from None
    except SafetensorError:
        raise WeightsError(f'{path} is damaged or truncated') from None


def load_into(module: nn.Module, path: Path, checksum: int | None = None) -> None:
    """Read a module's weights; the module keeps its old ones if they do not fit.

    Raises:
        WeightsError: As `fitting_tensors`.
    """
    module.load_state_dict(fitting_tensors(module, path, checksum))


def fitting_tensors(
    module: nn.Module, path: Path, checksum: int | None = None
) -> dict[str, Tensor]:
    """Read weights that a module can load.

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
    return tensors
