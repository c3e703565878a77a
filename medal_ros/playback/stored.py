"""The steps that a run stored, in the order in which they were taken. Only reads. No ROS import.

A store holds no segments. What is called one here is an unbroken stretch of one policy's steps:
the supervisor's segment, cut where an arm reset, a person or a lost step lies in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from medal_ros.evaluation import open_run
from medal_ros.learning.recovery import last_record, stand_ins
from medal_ros.options import OptionError
from medal_ros.sim import spaces_of
from medal_ros.spaces import AGENTS

NO_STEPS = 'holds no stored steps'


@dataclass(frozen=True)
class Segment:
    """An unbroken stretch of one policy's steps.

    Attributes:
        number: Counts from 0.
        agent: Whose steps they are.
        first: Its first step, counted over both policies since the start of the run.
        row: The frame before that; the steps lie at this and the next rows.
        steps: How many there are; one frame more was seen.
        index: Of its first step; not 0 where this is a part of a segment.
    """

    number: int
    agent: str
    first: int
    row: int
    steps: int
    index: int = 0

    @property
    def last(self) -> int:
        return self.first + self.steps - 1


class StoredRun:
    """A run's replay store, finished or still growing, as it is when this is made.

    Args:
        path: The run's folder.

    Raises:
        UserError: It is no run's, or holds no steps, or less than it says.
    """

    def __init__(self, path: Path) -> None:
        self.config, self.folder = open_run(path)
        self.spaces = spaces_of(self.config.task, self.config.pixels)
        record = last_record(self.folder.replay)
        if record is None or not record.end.frames:
            raise OptionError(f'{path} {NO_STEPS} yet')
        self.counts = record.end
        rows, s = self.counts.frames, self.spaces
        self.frames = self._column('frames', np.uint8, rows, *s.frame_shape)
        self.proprio = self._column('proprio', np.float32, rows, s.proprio)
        self.actions = self._column('actions', np.float32, rows - 1, s.action)
        self.task_rewards = self._column('task_rewards', np.float32, rows - 1, len(AGENTS))
        self.segments = self._segments()
        if not self.segments:
            raise OptionError(f'{path} {NO_STEPS}')

    @property
    def steps(self) -> int:
        """Steps of both policies that can be looked at."""
        return sum(segment.steps for segment in self.segments)

    def segment(self, number: int) -> Segment:
        """Return a segment by its number; -1 is the last one.

        Raises:
            OptionError: There is none.
        """
        count = len(self.segments)
        if not -count <= number < count:
            raise OptionError(f'{self.folder.path} has segments 0 to {count - 1}, not {number}')
        return self.segments[number]

    def between(self, first: int, end: int) -> list[Segment]:
        """Return the parts of segments that hold the steps from `first` to the one before `end`.

        Raises:
            OptionError: There are none.
        """
        found = [cut for s in self.segments if (cut := _cut(s, first, end)).steps > 0]
        if not found:
            raise OptionError(
                f'{self.folder.path} has steps 0 to {self.steps - 1}, none from {first} to '
                f'{end - 1}'
            )
        return found

    def succeeded(self, segment: Segment) -> bool | None:
        """Return whether the stand-in's own reward called the end done; None: nobody knows."""
        reward = self.task_rewards[segment.row + segment.steps - 1, AGENTS.index(segment.agent)]
        return None if np.isnan(reward) else bool(reward > 0.5)

    def _column(self, name: str, dtype: type, rows: int, *shape: int) -> np.ndarray:
        path = self.folder.replay / f'{name}.bin'
        wanted = int(np.prod((rows, *shape))) * np.dtype(dtype).itemsize
        if not wanted:
            return np.empty((rows, *shape), dtype)
        if not path.is_file() or path.stat().st_size < wanted:
            raise OptionError(f'{path} is missing, or holds less than its journal says')
        return np.memmap(path, dtype, 'r', shape=(rows, *shape))

    def _segments(self) -> list[Segment]:
        rows, agents = self._taken()
        if not len(rows):
            return []
        cuts = np.flatnonzero((np.diff(rows) != 1) | (np.diff(agents) != 0)) + 1
        edges = [0, *cuts.tolist(), len(rows)]
        return [
            Segment(number, AGENTS[agents[first]], first, int(rows[first]), end - first)
            for number, (first, end) in enumerate(pairwise(edges))
        ]

    def _taken(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the row and the agent of each step, in the order of time, without damaged ones."""
        lists = {a: self._column(a, np.int64, self.counts.of(a)) for a in AGENTS}
        store = SimpleNamespace(folder=self.folder.replay, capacity=self.counts.frames, steps=lists)
        instead = stand_ins(store, self.counts)  # of a whole step: itself
        for agent, chosen in instead.items():
            lists[agent] = lists[agent][chosen == np.arange(len(chosen))]
        rows = np.concatenate([lists[a] for a in AGENTS])
        agents = np.repeat(np.arange(len(AGENTS)), [len(lists[a]) for a in AGENTS])
        order = np.argsort(rows, kind='stable')
        order = order[(rows[order] >= 0) & (rows[order] < self.counts.frames - 1)]
        return rows[order], agents[order]


def _cut(segment: Segment, first: int, end: int) -> Segment:
    """Return the part of a segment that lies between two steps; it may have none."""
    begin = max(first, segment.first)
    steps = min(end, segment.first + segment.steps) - begin
    skipped = begin - segment.first
    return replace(segment, first=begin, row=segment.row + skipped, steps=steps, index=skipped)
