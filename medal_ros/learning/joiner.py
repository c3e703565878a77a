"""Join observations and steps by sequence number into replay, whatever order they arrive in.

A step is stored when a policy alone made it and both frames around it are there. Everything
else (a lost message, two sources, a number that is not finite) is counted and left out, and a
stored step never spans it. What a person alone drove never enters replay: it is handed out in
stretches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from medal_ros.learning.interventions import Driven, Interventions, Stretch
from medal_ros.learning.replay import NO_REWARDS, Replay
from medal_ros.spaces import AGENTS

AHEAD = 10_000  # numbers by which a message may be ahead of the newest: each is settled in turn
PENDING = 4096  # observations, and steps, that may wait for their partners


@dataclass(frozen=True)
class StepRecord:
    """What was executed after one observation."""

    sequence: int
    source: str
    agent: str
    action: np.ndarray
    boundary: bool = False
    task_rewards: tuple[float, float] = NO_REWARDS  # of doing, of undoing the task


class Resolved(NamedTuple):
    """One sequence number that is settled."""

    sequence: int
    agent: str | None  # whose step was stored; None: no step to learn from
    driven: tuple[Stretch, ...] = ()  # what a person drove before, if that is final now


class StepJoiner:
    """Writes steps to replay in the order of their sequence numbers.

    Args:
        replay: Where they go; nothing else may write there.

    Attributes:
        interventions: Collects what a person drove; may be told of labels and calls for help.
    """

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.interventions = Interventions()
        self.next = 0  # the first sequence number not settled yet
        self.refused = 0  # policy steps not stored
        self._observations: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._steps: dict[int, StepRecord] = {}
        self._doubtful: set[int] = set()  # sequences with two different steps
        self._newest_observation = self._newest_step = -1
        self._tail = -1  # sequence of the last frame in replay
        self._refused_last = -1  # sequence of the policy step that was refused last

    def snapshot(self) -> dict[str, Any]:
        """Return, as plain values, where it is; what has arrived and is not settled is left out."""
        return {
            'next': self.next,
            'tail': self._tail,
            'refused': self.refused,
            'refused_last': self._refused_last,
            'interventions': self.interventions.snapshot(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot, over the replay of that moment."""
        self.next, self._tail = snapshot['next'], snapshot['tail']
        self.refused = snapshot['refused']
        self._refused_last = snapshot.get('refused_last', -1)  # runs of before did not note it
        self.interventions.restore(snapshot['interventions'])

    def add_observation(self, sequence: int, frame: np.ndarray, proprio: np.ndarray) -> None:
        """Take one observation; a repeated or settled one is ignored."""
        if self._plausible(sequence, begins=True):
            self._observations.setdefault(sequence, (frame, proprio))
            self._newest_observation = max(self._newest_observation, sequence)
            _forget(self._observations)

    def add_step(self, step: StepRecord) -> None:
        """Take one step; the same step again is ignored, a different one makes both doubtful."""
        if not self._plausible(step.sequence):
            return
        known = self._steps.setdefault(step.sequence, step)
        if not _same(known, step):
            self._doubtful.add(step.sequence)
        self._newest_step = max(self._newest_step, step.sequence)
        _forget(self._steps)

    def _plausible(self, sequence: int, begins: bool = False) -> bool:
        """Return whether a message can be of this practice: not settled, and not far ahead.

        Whoever joins late begins with the first observation: it was checked, unlike a step.
        """
        heard = max(self._newest_observation, self._newest_step)
        if begins and heard < 0 and sequence > self.next + AHEAD:
            self.next = sequence
        newest = max(self.next, heard)
        return self.next <= sequence <= newest + AHEAD

    def settle(self) -> Resolved | None:
        """Settle the next sequence number, or return None while something may still arrive.

        Each topic keeps its order: what is newer than a missing message proves it lost.
        """
        n = self.next
        if self._newest_step < n or self._newest_observation < n + 1:
            return None
        step, before = self._steps.pop(n, None), self._observations.pop(n, None)
        after = self._observations.get(n + 1)
        doubtful = n in self._doubtful
        agent = None
        usable = not doubtful and self._usable(step, before, after)
        if step is not None and (step.source == 'policy' or doubtful):
            if usable and step.agent in AGENTS:
                self._store(step, before, after)
                agent = step.agent
            else:
                self.refused += 1
                self._refused_last = n
        elif step is not None and step.source == 'restart' and self._refused_last == n - 1:
            self.refused -= 1  # the supervisor does not count it: nobody knows who heard of it
        driven = self._driven(step, before, after, usable)
        self._doubtful.discard(n)
        self.next = n + 1
        return Resolved(n, agent, driven)

    def _driven(
        self, step: StepRecord | None, before: tuple, after: tuple, usable: bool
    ) -> tuple[Stretch, ...]:
        """Tell what a person did from what a policy or a reset did."""
        person, source = self.interventions, step.source if step is not None else ''
        if source == 'policy' and step.agent in AGENTS:
            return person.acted(step.sequence, step.agent)
        if source == 'teleop' and usable:
            return person.drove(
                Driven(step.sequence, before, step.action, step.task_rewards, after)
            )
        if source == 'script':
            person.reset()
        else:
            person.broke()
        return ()

    def _usable(self, step: StepRecord | None, before: tuple | None, after: tuple | None) -> bool:
        if step is None or before is None or after is None or step.boundary:
            return False
        numbers = step.action, before[1], after[1]
        finite = all(np.isfinite(x).all() for x in numbers)
        return finite and step.action.shape == self.replay.store.actions.shape[1:]

    def _store(self, step: StepRecord, before: tuple, after: tuple) -> None:
        if self._tail != step.sequence or not self._shown_last(before):
            self.replay.add_frame(*before)
        self.replay.add_step(step.agent, step.action, step.task_rewards)
        self.replay.add_frame(*after)
        self._tail = step.sequence + 1

    def _shown_last(self, seen: tuple[np.ndarray, np.ndarray]) -> bool:
        """Whether replay ends with this; after a restart the same number may be another world."""
        store, last = self.replay.store, self.replay.counts.frames - 1
        return np.array_equal(store.frames[last], seen[0]) and np.array_equal(
            store.proprio[last], seen[1].astype(np.float32)
        )


def _forget(kept: dict) -> None:
    if len(kept) > PENDING:
        del kept[next(iter(kept))]


def _same(a: StepRecord, b: StepRecord) -> bool:
    fields = [(s.sequence, s.source, s.agent, s.boundary) for s in (a, b)]
    return fields[0] == fields[1] and np.array_equal(a.action, b.action)
