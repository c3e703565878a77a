"""Replay: every frame once, as bytes, and for each agent a list of the steps it took.

A step lies between two neighbouring frames of one store, so nothing is kept twice. Where the
stream of frames breaks (a gap, a reset, a human hand) the frame that ends the last step stays
without a step of its own: a break costs one frame.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medal_ros.spaces import AGENTS, Spaces

NO_REWARDS = (np.nan, np.nan)  # on a robot, nobody but the classifiers judges


class Batch(NamedTuple):
    """Transitions. Frames `(batch, height, width, channels)` uint8; the rest float32.

    `task_rewards` are `(batch, 2)`: the stand-in's own, for doing and for undoing the task.
    """

    frames: np.ndarray
    proprio: np.ndarray
    actions: np.ndarray
    next_frames: np.ndarray
    next_proprio: np.ndarray
    task_rewards: np.ndarray


class FrameStore:
    """Frames and what was measured and done at each of them, in memory or in mapped files.

    Args:
        spaces: Shapes of observations and actions.
        capacity: Frames that fit.
        folder: Where the files lie; None keeps everything in memory.
        mode: Of the files: `'w+'` makes them anew, `'r'` reads and `'r+'` goes on with those there.

    Raises:
        ValueError: The files are not there or do not have the size of this store.
    """

    def __init__(
        self, spaces: Spaces, capacity: int, folder: Path | None = None, mode: str = 'w+'
    ) -> None:
        self.capacity, self.folder, self.mode = capacity, folder, mode
        if folder is not None and mode == 'w+':
            folder.mkdir(parents=True, exist_ok=True)
        self.frames = self._array('frames', (capacity, *spaces.frame_shape), np.uint8)
        self.proprio = self._array('proprio', (capacity, spaces.proprio), np.float32)
        self.actions = self._array('actions', (capacity, spaces.action), np.float32)
        self.task_rewards = self._array('task_rewards', (capacity, len(AGENTS)), np.float32)
        self.steps = {name: self._array(name, (capacity,), np.int64) for name in AGENTS}

    def _array(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        if self.folder is None:
            return np.zeros(shape, dtype)
        path = self.folder / f'{name}.bin'
        if self.mode == 'w+':
            return np.memmap(path, dtype, 'w+', shape=shape)  # sparse: costs what is written
        wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if not path.is_file() or path.stat().st_size != wanted:
            raise ValueError(f'{path} is not a replay store of {self.capacity} frames')
        return np.memmap(path, dtype, self.mode, shape=shape)

    def grow(self, capacity: int) -> None:
        """Make room for more frames in a store that is kept in memory."""

        def grown(array: np.ndarray) -> np.ndarray:
            larger = np.zeros((capacity, *array.shape[1:]), array.dtype)
            larger[: len(array)] = array
            return larger

        for column in ('frames', 'proprio', 'actions', 'task_rewards'):
            setattr(self, column, grown(getattr(self, column)))
        self.steps = {name: grown(array) for name, array in self.steps.items()}
        self.capacity = capacity

    def expect(self, indices: np.ndarray) -> None:
        """Tell the system that the transitions that begin at these frames are read next.

        What is not in memory then comes from the disk side by side instead of page by page.
        """
        pages = self.frames.base
        if not isinstance(pages, mmap.mmap):
            return
        row = self.frames[:1].nbytes
        for first in (indices * row).tolist():
            start = first // mmap.PAGESIZE * mmap.PAGESIZE
            pages.madvise(mmap.MADV_WILLNEED, start, first + 2 * row - start)

    def flush(self) -> None:
        """Wait until everything written so far is on the disk."""
        for array in self._mapped():
            array.flush()

    def trim(self, counts: Counts) -> None:
        """Cut the files to what holds data: nothing may be added afterwards.

        A file of this many frames reserves more of the disk than it holds; and from now on the
        sizes of the files tell the counts.
        """
        self.flush()
        lists = {str(array.filename): name for name, array in self.steps.items() if self.folder}
        for array in self._mapped():
            name = lists.get(str(array.filename))
            rows = counts.of(name) if name else counts.frames
            os.truncate(array.filename, rows * array[:1].nbytes)

    def _mapped(self) -> list[np.memmap]:
        columns = (self.frames, self.proprio, self.actions, self.task_rewards)
        return [a for a in (*columns, *self.steps.values()) if isinstance(a, np.memmap)]


@dataclass
class Counts:
    """How much of a store holds data."""

    frames: int = 0
    forward: int = 0
    backward: int = 0

    def of(self, agent: str) -> int:
        return getattr(self, agent)


class Replay:
    """The steps of both agents over one frame store."""

    def __init__(self, store: FrameStore) -> None:
        self.store = store
        self.counts = Counts()

    def add_frame(self, frame: np.ndarray, proprio: np.ndarray) -> None:
        """Append a frame.

        Raises:
            ValueError: The store is full.
        """
        self._require_room()
        index = self.counts.frames
        self.store.frames[index] = frame
        self.store.proprio[index] = proprio
        self.counts.frames += 1

    def add_step(
        self, agent: str, action: np.ndarray, task_rewards: tuple[float, float] = NO_REWARDS
    ) -> None:
        """Record that an agent acted at the newest frame; the next frame must be its result.

        Raises:
            ValueError: The store has no room for that result.
        """
        self._require_room()
        index = self.counts.frames - 1
        self.store.actions[index] = action
        self.store.task_rewards[index] = task_rewards
        count = self.counts.of(agent)
        self.store.steps[agent][count] = index
        setattr(self.counts, agent, count + 1)

    def _require_room(self) -> None:
        if self.counts.frames >= self.store.capacity:
            raise ValueError(f'the replay store is full: it holds {self.store.capacity} frames')

    def choose(self, agents: tuple[str, ...], size: int, rng: np.random.Generator) -> np.ndarray:
        """Draw frame indices of steps uniformly over what the agents did together."""
        draws = rng.integers(0, sum(self.counts.of(a) for a in agents), size)
        indices = np.empty(size, np.int64)
        for agent in agents:
            count = self.counts.of(agent)
            mine = (draws >= 0) & (draws < count)
            indices[mine] = self.store.steps[agent][draws[mine]]
            draws = draws - count
        return indices

    def batch(self, indices: np.ndarray) -> Batch:
        """Return the transitions that begin at these frames."""
        return draw([(self, indices)])

    @property
    def bytes(self) -> int:
        """Bytes of everything stored so far."""
        s = self.store
        row = sum(a[:1].nbytes for a in (s.frames, s.proprio, s.actions, s.task_rewards))
        lists = 8 * (self.counts.forward + self.counts.backward)
        return self.counts.frames * row + lists


def draw(parts: Sequence[tuple[Replay, np.ndarray]]) -> Batch:
    """Return the transitions that begin at these frames of several replays, in one batch."""
    for replay, indices in parts:
        replay.store.expect(indices)

    def gather(column: str, after: int = 0) -> np.ndarray:
        arrays = [getattr(replay.store, column) for replay, _ in parts]
        rows = sum(len(indices) for _, indices in parts)
        out = np.empty((rows, *arrays[0].shape[1:]), arrays[0].dtype)
        first = 0
        for array, (_, indices) in zip(arrays, parts, strict=True):
            # `raise`, the default, would write into a buffer first.
            np.take(array, indices + after, 0, out[first : first + len(indices)], 'clip')
            first += len(indices)
        return out

    return Batch(
        gather('frames'),
        gather('proprio'),
        gather('actions'),
        gather('frames', 1),
        gather('proprio', 1),
        gather('task_rewards'),
    )
