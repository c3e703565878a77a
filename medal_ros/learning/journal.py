"""The journal of a replay store: which rows hold data for sure, in an append-only file of lines.

Rows are written through mapped files, at any time and in any order. A line is added when a
stretch of them is on the disk: from which row to which, and a checksum over all of it. What no line
names never happened. A line is JSON with a checksum of its own, so that a torn one shows.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medal_ros.errors import UserError
from medal_ros.learning.replay import Counts, FrameStore
from medal_ros.spaces import AGENTS

NAME = 'journal.jsonl'
Rows = tuple[int, int]  # first, and the one after the last


@dataclass(frozen=True)
class Record:
    """One stretch of a store.

    Attributes:
        frames: Rows of the frames and of the proprioception. An action is written when its result
            comes, so those of the actions begin and end one row earlier.
        forward: Entries of the forward agent's list.
        backward: And of the backward agent's.
        checksum: CRC-32 of all of them.
        about: What else was true at its end.
    """

    frames: Rows
    forward: Rows
    backward: Rows
    checksum: int
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> Counts:
        """How much of the store held data at its end."""
        return Counts(self.frames[1], self.forward[1], self.backward[1])


class Journal:
    """Adds records. Whoever holds it is the only writer of the store.

    Args:
        folder: The store's folder.

    Raises:
        UserError: Another process writes there.
        OSError: The folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self._file = open(self.path, 'ab+')  # noqa: SIM115  the lock is as long as the file
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(f'another process writes the replay store {folder}') from None
        self.end = Counts()

    def record(self, store: FrameStore, counts: Counts, about: Mapping[str, Any]) -> None:
        """Wait until everything up to these counts is on the disk, and say so.

        Raises:
            OSError: The disk is full, or worse.
        """
        was = self.end
        ranges = {
            'frames': (was.frames, counts.frames),
            **{agent: (was.of(agent), counts.of(agent)) for agent in AGENTS},
        }
        for array, (first, last) in columns(store, **ranges):
            flush(array, first, last)
        record = Record(**ranges, checksum=checksum(store, **ranges), about=dict(about))
        self._append(asdict(record))
        self.end = Counts(counts.frames, counts.forward, counts.backward)

    def restart(self, size: int) -> None:
        """Cut the journal to so many bytes: what a crash tore off, or all of it."""
        self._file.truncate(size)

    def close(self) -> None:
        """Let others write the store."""
        self._file.close()

    def _append(self, values: dict[str, Any]) -> None:
        size = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(line(values))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self.restart(size)  # half a line would make the next one unreadable
            raise


def read(folder: Path) -> tuple[list[Record], int, int]:
    """Return the records of a store, the journal's bytes up to the last, and its damaged lines.

    Raises:
        OSError: There is no journal that can be read.
    """
    records, end, damaged, passed = [], 0, 0, 0
    for raw in (folder / NAME).read_bytes().splitlines(keepends=True):
        passed += len(raw)
        values = parse(raw)
        if values is None:
            damaged += 1
            continue
        ranges = {name: tuple(values[name]) for name in ('frames', *AGENTS)}
        records.append(Record(**ranges, checksum=values['checksum'], about=values['about']))
        end = passed
    return records, end, damaged


def line(values: dict[str, Any]) -> bytes:
    text = json.dumps(values, separators=(',', ':')).encode()
    return b'%08x %s\n' % (zlib.crc32(text), text)


def parse(raw: bytes) -> dict[str, Any] | None:
    """Return what a line says; None where it is torn or damaged."""
    sum_, _, text = raw.partition(b' ')
    if not text.endswith(b'\n') or sum_ != b'%08x' % zlib.crc32(text[:-1]):
        return None
    return json.loads(text)


def checksum(store: FrameStore, frames: Rows, forward: Rows, backward: Rows) -> int:
    """Return the CRC-32 of a stretch of a store."""
    sum_ = 0
    for array, (first, last) in columns(store, frames, forward, backward):
        sum_ = zlib.crc32(np.ascontiguousarray(array[first:last]).reshape(-1).view(np.uint8), sum_)
    return sum_


def columns(
    store: FrameStore, frames: Rows, forward: Rows, backward: Rows
) -> Iterator[tuple[np.ndarray, Rows]]:
    """Yield each column of a store with the rows of it that belong to a stretch."""
    acted = max(frames[0] - 1, 0), max(frames[1] - 1, 0)
    for name in ('frames', 'proprio'):
        yield store.column(name), frames
    for name in ('actions', 'task_rewards'):
        yield store.column(name), acted
    for name, rows in zip(AGENTS, (forward, backward), strict=True):
        yield store.column(name), rows


def flush(array: np.ndarray, first: int, last: int) -> None:
    """Wait until some rows of a mapped column are on the disk."""
    if last <= first:
        return
    row, pages = array[:1].nbytes, array._mmap
    start = first * row // 4096 * 4096
    pages.flush(start, min(last * row, len(pages)) - start)
