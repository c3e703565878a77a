"""How the last segments ended: by the task's own reward, the classifier's belief, or a person."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from medal_ros.spaces import AGENTS

KEPT = 24  # segments that are shown
BELIEF = 0.5  # score of a classifier from which on the end of a segment looks like success
POLICY = 'policy'


@dataclass(frozen=True)
class Segment:
    """A segment that a policy acted in.

    Attributes:
        number: As the supervisor counts.
        agent: Whose it was.
        outcome: `'success'`, `'failure'`, `'invalid'`, or `''` where nothing is known.
        judge: Who says so: `'task'` (the stand-in's own reward), `'classifier'` or `'person'`.
    """

    number: int
    agent: str
    outcome: str = ''
    judge: str = ''


class Segments:
    """Follows the steps of the arm and keeps how each segment ended."""

    def __init__(self) -> None:
        self.ended: deque[Segment] = deque(maxlen=KEPT)
        self._current: Segment | None = None
        self._labels: dict[int, str] = {}

    def step(
        self,
        number: int,
        agent: str,
        source: str,
        task_rewards: Sequence[float],
        scores: Sequence[float],
    ) -> None:
        """Take in a step that was executed.

        Args:
            number: Of its segment.
            agent: Whose segment it is.
            source: Who acted.
            task_rewards: Of doing and of undoing the task; empty on a robot.
            scores: Of the forward and the backward classifier, newest; empty: not known.
        """
        if self._current is not None and number != self._current.number:
            self.ended.append(self._current)
            self._current = None
        if source != POLICY or agent not in AGENTS:
            return
        side = AGENTS.index(agent)
        segment = Segment(number, agent)
        if len(task_rewards) == len(AGENTS):
            segment = replace(segment, outcome=_word(task_rewards[side] > 0.5), judge='task')
        elif len(scores) == len(AGENTS):
            segment = replace(segment, outcome=_word(scores[side] >= BELIEF), judge='classifier')
        self._current = self._labelled(segment)

    def label(self, number: int, label: str) -> None:
        """Take in a person's judgement, which goes before any other."""
        self._labels[number] = label
        while len(self._labels) > KEPT:
            del self._labels[next(iter(self._labels))]
        self.ended = deque(map(self._labelled, self.ended), maxlen=KEPT)
        if self._current is not None:
            self._current = self._labelled(self._current)

    def _labelled(self, segment: Segment) -> Segment:
        label = self._labels.get(segment.number)
        return replace(segment, outcome=label, judge='person') if label else segment


def _word(success: bool) -> str:
    return 'success' if success else 'failure'
