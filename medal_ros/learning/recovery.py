"""Open a replay store that a run left behind: verify what the journal names, set aside the rest.

A damaged stretch stays where it is; it is listed in `set_aside.json`, and none of its steps is
sampled any more. What comes next is written behind everything that the journal names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medal_ros.errors import UserError
from medal_ros.files import write_whole
from medal_ros.learning import journal
from medal_ros.learning.journal import Journal, Record
from medal_ros.learning.replay import Counts, FrameStore, Replay
from medal_ros.spaces import AGENTS, Spaces

ASIDE = 'set_aside.json'
Stretches = list[dict[str, list[int]]]  # rows of `frames`, `forward` and `backward`


@dataclass
class Opened:
    """A store that is open for writing.

    Attributes:
        store: Its columns.
        journal: Its journal, which this process alone holds.
        counts: How much of it holds data.
        about: What the last record says of that moment; empty in a new store.
        complaints: What was wrong with it, a sentence each.
    """

    store: FrameStore
    journal: Journal
    counts: Counts = field(default_factory=Counts)
    about: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def give(self, replay: Replay) -> None:
        """Let a replay over this store go on where it ended."""
        replay.counts = Counts(self.counts.frames, self.counts.forward, self.counts.backward)
        replay.instead = stand_ins(self.store, self.counts)


def open_store(spaces: Spaces, capacity: int, folder: Path, resume: bool) -> Opened:
    """Open a run's store for writing, as its only writer.

    Args:
        spaces: Shapes of observations and actions.
        capacity: Frames that it is to have room for.
        folder: Where it lies.
        resume: Go on behind what is there; else begin anew.

    Raises:
        UserError: Another process writes it, the disk cannot be written to, it has more frames
            than would fit, or nothing in it is whole.
    """
    try:
        held = Journal(folder)
        records, size, damaged = journal.read(folder) if resume else ([], 0, 0)
        held.restart(size)
        if not records:
            (folder / ASIDE).unlink(missing_ok=True)
            return Opened(FrameStore(spaces, capacity, folder), held)
        counts = records[-1].end
        if counts.frames > capacity:
            raise UserError(
                f'the replay store {folder} holds {counts.frames} frames, more than the '
                f'{capacity} that this run has room for'
            )
        store = FrameStore(spaces, capacity, folder, 'a')
    except OSError as error:
        raise UserError(f'the replay store {folder} cannot be opened: {error.strerror}') from None
    opened = Opened(store, held, counts, records[-1].about)
    held.end = counts
    if damaged:
        opened.complaints.append(f'{damaged} lines of {held.path} were damaged')
    aside = _verify(store, records, _read_aside(folder))
    if aside:
        opened.complaints.append(
            f'{len(aside)} damaged stretches of {folder} are set aside: they are kept, listed in '
            f'{ASIDE}, and not learned from'
        )
    return opened


def open_reader(spaces: Spaces, capacity: int, folder: Path) -> Replay:
    """Return a replay that reads a store which another process writes.

    Raises:
        ValueError: There is none, or of another size.
    """
    replay = Replay(FrameStore(spaces, capacity, folder, 'r'))
    records, *_ = journal.read(folder) if _read_aside(folder) else ([],)
    if records:
        replay.instead = stand_ins(replay.store, records[-1].end)
    return replay


def last_record(folder: Path) -> Record | None:
    """Return the newest record of a store; None where there is none."""
    try:
        records, *_ = journal.read(folder)
    except OSError:
        return None
    return records[-1] if records else None


def _verify(store: FrameStore, records: Sequence[Record], known: Stretches) -> Stretches:
    """Return the stretches that are set aside, and list the new ones among them on the disk."""
    aside = {tuple(s['frames']): s for s in known}

    def whole(record: Record) -> bool:
        ranges = {name: getattr(record, name) for name in ('frames', *AGENTS)}
        return journal.checksum(store, **ranges) == record.checksum

    unknown = [r for r in records if r.frames not in aside]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        verdicts = list(pool.map(whole, unknown))
    bad = [r for r, good in zip(unknown, verdicts, strict=True) if not good]
    for record in [*bad, *_gaps(records)]:
        ranges = {name: list(getattr(record, name)) for name in ('frames', *AGENTS)}
        aside.setdefault(record.frames, ranges)
    found = list(aside.values())
    if len(found) > len(known):
        write_whole(store.folder / ASIDE, json.dumps(found).encode())
    return found


def _gaps(records: Sequence[Record]) -> list[Record]:
    """Return what lies between records, where the line that named it is gone."""
    gaps, before = [], Counts()
    for record in records:
        if record.frames[0] > before.frames:
            ranges = {a: (before.of(a), getattr(record, a)[0]) for a in AGENTS}
            gaps.append(Record((before.frames, record.frames[0]), **ranges, checksum=0))
        before = record.end
    return gaps


def _read_aside(folder: Path) -> Stretches:
    try:
        return json.loads((folder / ASIDE).read_text())
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        raise UserError(
            f'{folder / ASIDE} is damaged: remove it, and all is verified anew'
        ) from None


def stand_ins(store: FrameStore, counts: Counts) -> dict[str, np.ndarray]:
    """Return, for each agent, which of its steps is sampled in the place of each of them.

    A step is set aside with the stretch that lists it, and with one that holds its frame or
    the next: then the nearest whole step of the agent stands in. Empty where all is whole.

    Raises:
        UserError: No step of an agent is whole.
    """
    aside = _read_aside(store.folder) if store.folder else []
    if not aside:
        return {}
    lost = np.zeros(store.capacity + 1, bool)
    for stretch in aside:
        lost[slice(*stretch['frames'])] = True
    chosen = {}
    for agent in AGENTS:
        steps = np.asarray(store.steps[agent][: counts.of(agent)])
        listed = np.ones(len(steps), bool)
        for stretch in aside:
            listed[slice(*stretch[agent])] = False
        first = np.clip(steps, 0, store.capacity - 1)
        whole = np.flatnonzero(listed & ~lost[first] & ~lost[first + 1])
        if not len(whole):
            if len(steps):
                raise UserError(f'no step of the {agent} agent in {store.folder} is whole')
            continue
        after = np.searchsorted(whole, np.arange(len(steps)), 'right') - 1
        chosen[agent] = whole[np.maximum(after, 0)]
    return chosen
