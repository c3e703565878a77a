"""Replay: every frame once, as bytes, and for each agent a list of the steps it took.

A step lies between two neighbouring frames of one store, so nothing is kept twice. Where the
stream of frames breaks (a gap, a reset, a human hand) the frame that ends the last step stays
without a step of its own: a break costs one frame.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medal_ros.errors import UserError
from medal_ros.learning.batch import Batch, draw
from medal_ros.spaces import AGENTS, Spaces

AHEAD = 16 << 20  # bytes of frames for which room on the disk is reserved at once
NO_REWARDS = (np.nan, np.nan)  # on a robot, nobody but the classifiers judges


class FrameStore:
    """Frames and what was measured and done at each of them, in memory or in mapped files.

    Args:
        spaces: Shapes of observations and actions.
        capacity: Frames that fit.
        folder: Where the files lie; None keeps everything in memory.
        mode: Of the files: `'w+'` makes them anew, `'r'` reads and `'r+'` goes on with those there;
            `'a'` goes on with what there is of them and makes room for the rest.

    Raises:
        UserError: The files are not there or do not have the size of this store.
    """

    def __init__(
        self, spaces: Spaces, capacity: int, folder: Path | None = None, mode: str = 'w+'
    ) -> None:
        self.capacity, self.folder, self.mode = capacity, folder, mode
        self._reserved = 0  # rows for which the disk has room for sure
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
        if self.mode == 'a':
            with open(path, 'ab') as file:
                file.truncate(wanted)
            return np.memmap(path, dtype, 'r+', shape=shape)
        if not path.is_file() or path.stat().st_size != wanted:
            raise UserError(f'{path} is not a replay store of {self.capacity} frames')
        return np.memmap(path, dtype, self.mode, shape=shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of a frame and of what was measured and done at it."""
        columns = (self.frames, self.proprio, self.actions, self.task_rewards)
        return sum(column[:1].nbytes for column in columns)

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

    def reserve(self, rows: int) -> None:
        """Make sure that the disk has room for this many rows, before anything is written there.

        A mapped file that finds the disk full ends the process without a word.

        Raises:
            UserError: The disk has no room.
        """
        if self.folder is None or rows <= self._reserved:
            return
        row = self.frames[:1].nbytes
        ahead = min(rows + max(AHEAD // row, 64), self.capacity)
        for array in self._mapped():
            first, last = ((n * array[:1].nbytes) for n in (rows - 1, ahead))
            try:
                with open(array.filename, 'rb+') as file:
                    os.posix_fallocate(file.fileno(), first, last - first)
            except OSError as error:
                raise UserError(
                    f'the replay store cannot grow beyond {rows - 1} frames: {error.strerror} '
                    f'({self.folder})'
                ) from None
        self._reserved = ahead

    def expect(self, indices: np.ndarray) -> None:
        """Tell the system that the transitions that begin at these frames are read next.

        What is not in memory then comes from the disk side by side instead of page by page.
        """
        pages = self.frames.base
        if not isinstance(pages, mmap.mmap):
            return
        row = self.frames[:1].nbytes
        for first in (indices.clip(0, max(self.capacity - 2, 0)) * row).tolist():
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

    def column(self, name: str) -> np.ndarray:
        """Return a column by its name, that of an agent's list included."""
        return self.steps[name] if name in self.steps else getattr(self, name)

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
        self.instead: dict[str, np.ndarray] = {}  # of an agent's steps, which one to sample

    def add_frame(self, frame: np.ndarray, proprio: np.ndarray) -> None:
        """Append a frame.

        Raises:
            ValueError: The store is full.
        """
        self._require_room()
        self.store.reserve(self.counts.frames + 1)
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
            raise UserError(f'the replay store is full: it holds {self.store.capacity} frames')

    def own(self, agent: str, numbers: np.ndarray) -> np.ndarray:
        """Return the frame indices of an agent's steps, by their numbers.

        In the place of a step that was set aside as damaged stands the nearest whole one.
        """
        instead = self.instead.get(agent)
        if instead is not None:
            known = numbers < len(instead)
            numbers = np.where(known, instead[np.minimum(numbers, len(instead) - 1)], numbers)
        return self.store.steps[agent][numbers]

    def choose(self, agents: tuple[str, ...], size: int, rng: np.random.Generator) -> np.ndarray:
        """Draw frame indices of steps uniformly over what the agents did together."""
        draws = rng.integers(0, sum(self.counts.of(a) for a in agents), size)
        indices = np.empty(size, np.int64)
        for agent in agents:
            count = self.counts.of(agent)
            mine = (draws >= 0) & (draws < count)
            indices[mine] = self.own(agent, draws[mine])
            draws = draws - count
        return indices

    def batch(self, indices: np.ndarray) -> Batch[np.ndarray]:
        """Return the transitions that begin at these frames."""
        return draw([(self, indices)])

    @property
    def bytes(self) -> int:
        """Bytes of everything stored so far."""
        lists = 8 * (self.counts.forward + self.counts.backward)
        return self.counts.frames * self.store.row_bytes + lists
