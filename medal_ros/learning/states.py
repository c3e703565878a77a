"""Whole states of one part of a run: a numbered folder each, which appears whole or not at all.

The newest few are kept. A state is read only if every file in it has the checksum it was written
with; of a damaged one the one before is used, and that is said.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medal_ros.errors import UserError
from medal_ros.files import sync, write_whole

VALUES = 'values.json'


@dataclass(frozen=True)
class State:
    """A whole state: plain values, and the folder of its parts."""

    values: dict[str, Any]
    folder: Path

    def part(self, name: str) -> bytes:
        """Return the content of a part, as it was saved."""
        return (self.folder / f'{name}.safetensors').read_bytes()


class States:
    """The states of one part of a run.

    Args:
        folder: Where they lie.
        keep: How many of them stay.

    Attributes:
        complaints: What `load` found wrong, a sentence each.
    """

    def __init__(self, folder: Path, keep: int = 1) -> None:
        self.folder, self.keep = folder, keep
        self.complaints: list[str] = []

    def save(self, parts: Iterable[tuple[str, bytes]], values: Mapping[str, Any]) -> None:
        """Write a state; older ones go when it is whole.

        Args:
            parts: Name and content of each file, in the format of safetensors.
            values: What else belongs to it, to be written as JSON.

        Raises:
            OSError: The disk is full, or cannot be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        there = self._folders()
        path = self.folder / f'{int(there[-1].name) + 1 if there else 0:08d}'
        partial = path.with_suffix('.partial')
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        partial.mkdir()
        try:
            sums = {}
            for name, data in parts:
                write_whole(partial / f'{name}.safetensors', data)
                sums[name] = zlib.crc32(data)
            text = json.dumps(values)
            whole = {'files': sums, 'checksum': zlib.crc32(text.encode()), 'values': text}
            write_whole(partial / VALUES, json.dumps(whole).encode())
            os.rename(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync(self.folder)
        for old in [*there, path][: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)

    def load(self) -> State | None:
        """Return the newest whole state; None where there is none."""
        for path in reversed(self._folders()):
            try:
                return _verified(path)
            except UserError as error:
                self.complaints.append(f'{error}: the state before it is used, if there is one')
        return None

    def _folders(self) -> list[Path]:
        return sorted(p for p in self.folder.glob('*') if p.is_dir() and p.name.isdigit())


def _verified(path: Path) -> State:
    whole: Any = None
    with suppress(OSError, ValueError):
        whole = json.loads((path / VALUES).read_text())
    try:
        text, sums = whole['values'], dict(whole['files'])
        good = zlib.crc32(text.encode()) == whole['checksum']
    except (TypeError, KeyError, AttributeError, ValueError):
        good = False
    if not good:
        raise UserError(f'{path / VALUES} is damaged or missing')
    for name, checksum in sums.items():
        file, found = path / f'{name}.safetensors', None
        with suppress(OSError):
            found = zlib.crc32(file.read_bytes())
        if found != checksum:
            raise UserError(f'{file} is damaged or missing')
    return State(json.loads(text), path)
