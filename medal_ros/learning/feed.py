"""Where the batches of an update come from: memory, a GPU's memory, or pinned memory beside it.

Which transitions they are is always drawn on the processor, by the agent's own generator: one seed
draws the same ones on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from medal_ros.learning.batch import FIELDS, Batch, Parts, draw
from medal_ros.learning.replay import FrameStore, Replay

Choose = Callable[[], Parts]  # draws which transitions come next
Feed = Callable[[Choose], Batch[Tensor]]

SHARE = 0.5  # of a GPU's free memory: what a replay may take of it
CHUNK = 256 << 20  # bytes that are copied at once
PATIENCE = 60.0  # seconds that gathering a batch may take


def feeds(
    store: FrameStore, device: torch.device, names: Iterable[str], free: int | None = None
) -> tuple[dict[str, Feed], str]:
    """Return the feed of each agent and, with a GPU, a sentence about where they draw from.

    Args:
        store: Of the replay that they share.
        device: Where they are trained.
        names: The agents.
        free: Bytes of the device's memory that are free; None asks it.
    """
    if device.type == 'cpu':
        return dict.fromkeys(names, from_memory), ''
    needed = store.row_bytes * store.capacity
    free = torch.cuda.mem_get_info(device)[0] if free is None else free
    sizes = f'{needed / 2**30:.2f} GiB for {store.capacity} frames, {free / 2**30:.2f} GiB are free'
    if needed > SHARE * free:
        where = f'from memory, a batch ahead: {device} has no room for it'
        return {name: Pinned(device) for name in names}, f'replay is drawn {where} ({sizes})'
    resident = Resident(device)
    return dict.fromkeys(names, resident), f'replay is drawn on {device} ({sizes})'


def from_memory(choose: Choose) -> Batch[Tensor]:
    """Return the next batch, on the processor."""
    return Batch(*map(torch.from_numpy, draw(choose())))


def whole(device: torch.device) -> Feed:
    """Return a feed for what certainly fits: from memory, or on a GPU."""
    return from_memory if device.type == 'cpu' else Resident(device)


class Mirror:
    """A copy of a replay on a device, brought up to date before each use.

    A stored row never changes, but for the newest: what is done there comes later.
    """

    def __init__(self, replay: Replay, device: torch.device) -> None:
        self.replay, self.device = replay, device
        self.columns: dict[str, Tensor] = {}
        self.final = 0  # rows that are here for good

    def catch_up(self) -> None:
        """Copy what was stored since the last time."""
        store, count = self.replay.store, self.replay.counts.frames
        own = {name: torch.from_numpy(getattr(store, name)) for name, _ in FIELDS.values()}
        if not self.columns or len(self.columns['frames']) != store.capacity:  # it has grown
            self.columns = {k: torch.empty_like(v, device=self.device) for k, v in own.items()}
            self.final = 0
        rows = max(CHUNK // store.row_bytes, 1)
        for first in range(self.final, count, rows):
            last = min(first + rows, count)
            for name, column in self.columns.items():
                # The driver has a copy of its own when this returns.
                column[first:last].copy_(own[name][first:last], non_blocking=True)
        self.final = max(count - 1, 0)


class Resident:
    """Draws on the device, from mirrors that all of its users share: only indices move."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._mirrors: dict[Replay, Mirror] = {}

    def __call__(self, choose: Choose) -> Batch[Tensor]:
        parts = choose()
        mirrors = [self._mirror(replay) for replay, _ in parts]
        sizes = [len(indices) for _, indices in parts]
        indices = torch.from_numpy(np.concatenate([indices for _, indices in parts]))
        indices = indices.to(self.device, non_blocking=True)

        def gather(field: str) -> Tensor:
            column, after = FIELDS[field]
            shape, dtype = mirrors[0].columns[column].shape[1:], mirrors[0].columns[column].dtype
            out = torch.empty((len(indices), *shape), dtype=dtype, device=self.device)
            pieces = zip(mirrors, (indices + after).split(sizes), out.split(sizes), strict=True)
            for mirror, rows, piece in pieces:
                torch.index_select(mirror.columns[column], 0, rows, out=piece)
            return out

        return Batch(*map(gather, Batch._fields))

    def _mirror(self, replay: Replay) -> Mirror:
        mirror = self._mirrors.setdefault(replay, Mirror(replay, self.device))
        mirror.catch_up()
        return mirror


class Pinned:
    """Gathers the next batch, and copies it to the device, while the last one is learned from.

    A batch is thus chosen one update before it is used: its steps are that much older. There are
    two sets of memory: one is filled while the other is in use.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == 'cuda' else None
        self._thread = ThreadPoolExecutor(1, 'feed')
        self._used: list[_Slot] = []
        self._coming: Future[_Slot] | None = None

    def __call__(self, choose: Choose) -> Batch[Tensor]:
        slot = (self._coming or self._begin(choose())).result(PATIENCE)
        if self._stream is not None:
            torch.cuda.current_stream(self.device).wait_event(slot.copied)
        self._used.append(slot)
        self._coming = self._begin(choose())
        return slot.batch

    def _begin(self, parts: Parts) -> Future[_Slot]:
        slot = self._used.pop(0) if len(self._used) > 1 else _Slot(parts, self.device)
        if self._stream is not None:  # whatever reads its batch was launched before this moment
            slot.free.record(torch.cuda.current_stream(self.device))
        return self._thread.submit(self._fill, slot, parts)

    def _fill(self, slot: _Slot, parts: Parts) -> _Slot:
        if self._stream is None:
            slot.fill(parts)
            return slot
        slot.copied.synchronize()  # until then its host memory is read
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(slot.free)
            slot.fill(parts)
            slot.copied.record()
        return slot


class _Slot:
    """A batch on the device, and its pinned twin in memory."""

    def __init__(self, parts: Parts, device: torch.device) -> None:
        cuda, store = device.type == 'cuda', parts[0][0].store
        rows = sum(len(indices) for _, indices in parts)

        def room(field: str) -> Tensor:
            row = torch.from_numpy(getattr(store, FIELDS[field][0])[:1])
            return torch.empty(rows, *row.shape[1:], dtype=row.dtype, pin_memory=cuda)

        self.host: Batch[Tensor] = Batch(*map(room, Batch._fields))
        self.batch: Batch[Tensor] = Batch(*(torch.empty_like(t, device=device) for t in self.host))
        if cuda:
            self.copied, self.free = torch.cuda.Event(), torch.cuda.Event()

    def fill(self, parts: Parts) -> None:
        draw(parts, Batch(*(tensor.numpy() for tensor in self.host)))
        for mine, given in zip(self.batch, self.host, strict=True):
            mine.copy_(given, non_blocking=True)
