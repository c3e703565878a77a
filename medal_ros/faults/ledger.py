"""What a run showed and did, noted by somebody who only listens, to compare the replay store with.

A transition is a step of a policy between two observations that were both published. No ROS here.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medal_ros.learning.recovery import last_record
from medal_ros.spaces import AGENTS, Spaces

COLUMNS = ('frames', 'proprio', 'actions', *AGENTS)  # each file has its own length in the end


class Transition(NamedTuple):
    """A transition, but for its frames, of which only sums are kept."""

    agent: str
    action: bytes
    before: int
    after: int


@dataclass(frozen=True)
class Done:
    """A step, as far as it is compared, and when the arm executed it."""

    source: str
    agent: str
    segment: int
    action: bytes
    at: float


class Ledger:
    """Collects observations and steps by their sequence numbers."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.steps: dict[int, Done] = {}
        self.asked: dict[int, float] = {}  # when a policy answered an observation first
        self.outside = 0  # steps whose action was not finite or outside [-1, 1]

    def observed(self, sequence: int, frame: np.ndarray, proprio: np.ndarray) -> None:
        """Take one observation."""
        self.seen.setdefault(sequence, sum_of(frame, proprio))

    def acted(self, sequence: int, at: float) -> None:
        """Take an action for an observation, published at some second."""
        self.asked.setdefault(sequence, at)

    def stepped(
        self,
        sequence: int,
        source: str,
        agent: str,
        segment: int,
        action: np.ndarray,
        at: float = 0.0,
    ) -> None:
        """Take one step, executed at some second."""
        self.outside += not (np.isfinite(action).all() and np.abs(action).max(initial=0) <= 1)
        self.steps.setdefault(sequence, Done(source, agent, segment, action.tobytes(), at))

    @property
    def policy_steps(self) -> int:
        """Steps of a policy so far."""
        return sum(done.source == 'policy' for done in self.steps.values())

    def holds(self) -> dict[int, float]:
        """Return, for each hold that follows a policy's step, seconds since that one's action."""
        return {
            n + 1: self.steps[n + 1].at - self.asked[n]
            for n, done in self.steps.items()
            if done.source == 'policy' and n in self.asked
            if n + 1 in self.steps and self.steps[n + 1].source == 'hold'
        }

    def transitions(self) -> dict[int, Transition]:
        """Return every transition of a finished segment: one after which another began."""
        last = max((done.segment for done in self.steps.values()), default=0)
        return {
            n: Transition(done.agent, done.action, self.seen[n], self.seen[n + 1])
            for n, done in self.steps.items()
            if done.source == 'policy' and done.segment < last
            if n in self.seen and n + 1 in self.seen
        }

    def missing(self, folder: Path, spaces: Spaces) -> list[int]:
        """Return the sequence numbers of the transitions that a replay store does not hold.

        One that was damaged is not found, and so is missing, too.
        """
        there = stored(folder, spaces)
        lost = []
        for sequence, transition in self.transitions().items():
            if there[transition] > 0:
                there[transition] -= 1
            else:
                lost.append(sequence)
        return lost


def stored(folder: Path, spaces: Spaces) -> Counter[Transition]:
    """Return every transition of a store that its journal names."""
    record, found = last_record(folder), Counter()
    if record is None:
        return found
    rows = {name: np.memmap(folder / f'{name}.bin', np.uint8, 'r') for name in COLUMNS}
    frames = rows['frames'].reshape(-1, *spaces.frame_shape)
    proprio = rows['proprio'].view(np.float32).reshape(-1, spaces.proprio)
    actions = rows['actions'].view(np.float32).reshape(-1, spaces.action)
    for agent in AGENTS:
        for at in rows[agent].view(np.int64)[: record.end.of(agent)]:
            sums = [sum_of(frames[n], proprio[n]) for n in (at, at + 1)]
            found[Transition(agent, actions[at].tobytes(), *sums)] += 1
    return found


def sum_of(frame: np.ndarray, proprio: np.ndarray) -> int:
    """Return a checksum of what was seen at one moment."""
    numbers = np.ascontiguousarray(proprio, np.float32)
    return zlib.crc32(numbers.tobytes(), zlib.crc32(np.ascontiguousarray(frame)))
