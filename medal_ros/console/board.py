"""What is known of a running graph: fed by the node, read by every page. One lock guards it.

Messages are taken as they are (their fields are those of msg/*.msg); nothing of ROS is imported.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from medal_ros.console.health import Health, NodeHealth
from medal_ros.console.segments import Segment, Segments
from medal_ros.spaces import AGENTS

SHARED = 0.2  # seconds for which all pages are shown the same view
RATE_OVER = 5.0  # seconds that rates are averaged over
TRACE_OVER = 60.0  # seconds of reward that are shown
TRACE_PERIOD = 0.25  # seconds between two points of it
STALE = 2.0  # seconds after which the newest state is no longer what happens now


@dataclass(frozen=True)
class TracePoint:
    """The live reward at one moment.

    Attributes:
        at: Seconds, monotonic.
        rewards: -log(1 - C) of the forward and the backward classifier.
        scores: C of each; the forward one is the probability of success.
    """

    at: float
    rewards: tuple[float, float]
    scores: tuple[float, float]


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation."""

    steps: int
    success: float
    low: float
    high: float
    episodes: int


@dataclass(frozen=True)
class RunFacts:
    """What the nodes' parameters say of the run; zero or empty: not known."""

    segment_steps: int = 0
    alternate: bool = True
    task: str = ''
    seed: int = 0
    folder: str = ''


@dataclass(frozen=True)
class Learning:
    """How the learner is doing."""

    stored: int = 0
    refused: int = 0
    updates: int = 0
    updates_per_second: float = 0.0
    owed: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class View:
    """Everything that a page shows, at one moment.

    Attributes:
        state: Newest decision of the supervisor: mode, agent, segment, steps, total_steps,
            interventions, reason; None before the first.
        stale: Whether that is old, so that nobody knows what happens now.
        facts: What the run is.
        in_segment: Policy steps taken in this segment.
        until_switch: Seconds of practice until the segment ends; None: not known, or it waits.
        control_rate: Control steps per second.
        learning: The learner's figures; None: there is none.
        frames: Frames in the replay store.
        trace: Live rewards, oldest first.
        segments: How the last segments ended, oldest first.
        curves: Evaluations of `'forward'`, `'backward'` and `'cloning'`.
        interventions: Policy steps at which a person was needed, as far as it was seen.
        nodes: Health of each node.
        absent: Those of them that are missing or silent.
        now: Seconds, monotonic.
    """

    now: float
    state: Any = None
    stale: bool = True
    facts: RunFacts = field(default_factory=RunFacts)
    in_segment: int = 0
    until_switch: float | None = None
    control_rate: float = 0.0
    learning: Learning | None = None
    frames: int = 0
    trace: tuple[TracePoint, ...] = ()
    segments: tuple[Segment, ...] = ()
    curves: dict[str, tuple[CurvePoint, ...]] = field(default_factory=dict)
    interventions: tuple[int, ...] = ()
    nodes: tuple[NodeHealth, ...] = ()
    absent: tuple[NodeHealth, ...] = ()

    @property
    def following(self) -> str:
        """Whose turn it is after this segment."""
        agent = self.state.agent if self.state else AGENTS[0]
        other = AGENTS[1 - AGENTS.index(agent)] if agent in AGENTS else AGENTS[0]
        return other if self.facts.alternate else agent


class Board:
    """Collects messages, and gives views of them.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._view: View | None = None
        self.facts = RunFacts()
        self._health = Health()
        self._restart()

    def _restart(self) -> None:
        """Forget what belongs to one run."""
        self._state: Any = None
        self._learner: Any = None
        self._frames = 0
        self._heard = -math.inf  # when the newest state came
        self._segment_began = 0  # policy steps at the beginning of the segment
        self._paces: dict[str, deque[tuple[float, int]]] = {'control': deque(), 'steps': deque()}
        self._trace: deque[TracePoint] = deque()
        self._segments = Segments()
        self._curves: dict[str, dict[int, CurvePoint]] = {}
        self._interventions: list[int] = []

    def take_state(self, message: Any) -> None:
        """Take in a State; a count that goes back means that another run began."""
        with self._lock:
            now, before = self.clock(), self._state
            if before is not None and message.steps < before.steps:
                self._restart()
                before = None
            if before is None or message.segment != before.segment:
                known = before is not None and message.segment == before.segment + 1
                self._segment_began = message.steps - (0 if known else message.index)
            if before is not None and message.interventions > before.interventions:
                times = message.interventions - before.interventions
                self._interventions += [message.steps] * times
            self._state, self._heard = message, now
            _pace(self._paces['control'], now, message.sequence)
            _pace(self._paces['steps'], now, message.steps)

    def take_step(self, message: Any) -> None:
        """Take in a Step."""
        with self._lock:
            scores = self._trace[-1].scores if self._trace else ()
            self._segments.step(
                message.segment, message.agent, message.source, message.task_rewards, scores
            )

    def take_label(self, message: Any) -> None:
        """Take in a Label."""
        with self._lock:
            if message.mode != 'intervention':
                self._segments.label(message.segment, message.label)

    def take_reward(self, message: Any) -> None:
        """Take in a Reward."""
        with self._lock:
            now = self.clock()
            if self._trace and now - self._trace[-1].at < TRACE_PERIOD:
                return
            rewards = message.forward, message.backward
            if not all(math.isfinite(r) for r in rewards):
                return
            scores = message.success_probability, -math.expm1(-max(message.backward, 0.0))
            self._trace.append(TracePoint(now, rewards, scores))
            while self._trace[0].at < now - TRACE_OVER:
                self._trace.popleft()

    def take_learner(self, message: Any) -> None:
        """Take in a Learner."""
        with self._lock:
            self._learner = message

    def take_stored(self, message: Any) -> None:
        """Take in a Stored."""
        with self._lock:
            self._frames = message.frames

    def take_evaluation(self, message: Any) -> None:
        """Take in an Evaluation."""
        m = message
        with self._lock:
            point = CurvePoint(m.steps, m.success, m.low, m.high, m.episodes)
            self._curves.setdefault(m.agent, {})[m.steps] = point

    def take_health(self, name: str, status: Any) -> None:
        """Take in a DiagnosticStatus of a node of the graph."""
        level = status.level[0] if isinstance(status.level, bytes) else status.level
        values = [(pair.key, pair.value) for pair in status.values]
        with self._lock:
            self._health.take(name, level, status.message, values, self.clock())

    def take_facts(self, **facts: Any) -> None:
        """Take in what parameters say; a run in another folder is another run."""
        with self._lock:
            before, self.facts = self.facts, replace(self.facts, **facts)
            if before.folder and self.facts.folder != before.folder:
                self._restart()

    def view(self) -> View:
        """Return what is known now; the same to all who ask at about the same time."""
        with self._lock:
            now = self.clock()
            if self._view is None or now - self._view.now >= SHARED:
                self._view = self._make_view(now)
            return self._view

    def _make_view(self, now: float) -> View:
        stale = now - self._heard > STALE
        in_segment = self._state.steps - self._segment_began if self._state else 0
        names = Learning.__dataclass_fields__
        learner = self._learner
        return View(
            now=now,
            state=self._state,
            stale=stale,
            facts=self.facts,
            in_segment=in_segment,
            until_switch=None if stale else self._until_switch(now, in_segment),
            control_rate=_rate(self._paces['control'], now),
            learning=learner and Learning(**{name: getattr(learner, name) for name in names}),
            frames=self._frames,
            trace=tuple(self._trace),
            segments=tuple(self._segments.ended),
            curves={a: tuple(p for _, p in sorted(c.items())) for a, c in self._curves.items()},
            interventions=tuple(self._interventions),
            nodes=tuple(self._health.rows(now)),
            absent=tuple(self._health.absent(now)),
        )

    def _until_switch(self, now: float, in_segment: int) -> float | None:
        rate = _rate(self._paces['steps'], now)
        if not self.facts.segment_steps or self._state.mode != 'practice' or rate <= 0:
            return None
        return max(self.facts.segment_steps - in_segment, 0) / rate


def _pace(seen: deque[tuple[float, int]], now: float, count: int) -> None:
    if seen and count < seen[-1][1]:  # it began anew
        seen.clear()
    seen.append((now, count))
    while len(seen) > 2 and seen[1][0] < now - RATE_OVER:
        seen.popleft()


def _rate(seen: deque[tuple[float, int]], now: float) -> float:
    """Return counts per second; silence counts as no progress."""
    if len(seen) < 2 or now - seen[-1][0] > STALE:
        return 0.0
    (begin, first), (_, last) = seen[0], seen[-1]
    return (last - first) / (now - begin) if now > begin else 0.0
