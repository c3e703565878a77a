"""Which node of a graph is started again, when, and when that is given up. No ROS, no process here.

A node that ended, or that said nothing on `/diagnostics` for too long, is started again after a
delay that doubles while it ends soon after each start. More restarts than are allowed end the run.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RestartLimits:
    """How patient to be.

    Attributes:
        most: Restarts of one node within the window.
        window: Seconds.
        silent: Seconds without a word after which a node counts as hung; 0: it never does.
        starting: The same from its start to its first word: importing torch takes a while.
        first: Seconds from its end to its start.
        longest: Seconds that this may grow to.
        busy: So many times longer may be silent who waits for a processor, or uses one.
        settled: Seconds after which a node counts as well again, and the delay as at first.
        asleep: Seconds between two looks after which it was us who hung: nobody is blamed.
    """

    most: int = 5
    window: float = 600.0
    silent: float = 10.0
    starting: float = 120.0
    first: float = 0.5
    longest: float = 8.0
    busy: float = 3.0
    settled: float = 30.0
    asleep: float = 3.0


class TooManyRestarts(Exception):
    """A node keeps ending."""


@dataclass
class _Life:
    began: float
    heard: float | None = None  # None: not yet
    blamed: bool = False  # for hanging


class Restarts:
    """Keeps the lives of the nodes of one graph.

    Args:
        limits: How patient to be.
        clock: Seconds that never go back.

    Attributes:
        counts: How often each node was restarted.
    """

    def __init__(
        self, limits: RestartLimits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits, self.clock = limits or RestartLimits(), clock
        self.counts: Counter[str] = Counter()
        self._lives: dict[str, _Life] = {}
        self._due: dict[str, float] = {}
        self._delays: dict[str, float] = {}
        self._recent: dict[str, deque[float]] = {}
        self._looked = clock()

    def started(self, name: str) -> None:
        """Note that a node's process was started."""
        self._due.pop(name, None)
        self._lives[name] = _Life(self.clock())

    def heard(self, name: str) -> None:
        """Note a word of a node."""
        if name in self._lives:
            self._lives[name].heard = self.clock()

    def ended(self, name: str) -> float:
        """Note that a node's process is no more; return in how many seconds it is started again.

        Raises:
            TooManyRestarts: It was restarted too often.
        """
        now, limits = self.clock(), self.limits
        life, recent = self._lives.pop(name), self._recent.setdefault(name, deque())
        while recent and recent[0] < now - limits.window:
            recent.popleft()
        if len(recent) >= limits.most:
            raise TooManyRestarts(
                f'it was started again {len(recent)} times within {limits.window / 60:g} minutes'
            )
        well = now - life.began >= limits.settled
        doubled = 2 * self._delays.get(name, limits.first / 2)
        self._delays[name] = limits.first if well else min(doubled, limits.longest)
        recent.append(now)
        self.counts[name] += 1
        self._due[name] = now + self._delays[name]
        return self._delays[name]

    def due(self) -> list[str]:
        """Return the nodes that are to be started now."""
        return [name for name, at in self._due.items() if at <= self.clock()]

    def hung(self, busy: Callable[[str], bool] = lambda name: False) -> dict[str, float]:
        """Return, once each, the nodes that were silent for too long, and for how many seconds.

        Args:
            busy: Tells whether a node's process runs, or could if a processor were free.
        """
        now, limits = self.clock(), self.limits
        if now - self._looked > limits.asleep:  # we could not listen: all begin anew
            for life in self._lives.values():
                life.began += now - self._looked
                life.heard = now if life.heard is not None else None
        self._looked = now
        silences = {}
        for name, life in self._lives.items():
            since, patience = life.heard, limits.silent
            if since is None:
                since, patience = life.began, max(limits.starting, limits.silent)
            silence = now - since
            if limits.silent <= 0 or life.blamed or silence <= patience:
                continue
            if silence > limits.busy * patience or not busy(name):
                silences[name], life.blamed = silence, True
        return silences

    @property
    def away(self) -> list[str]:
        """Nodes that are not there now: no process, or nothing heard of it since its start."""
        silent = [name for name, life in self._lives.items() if life.heard is None]
        return sorted([*self._due, *silent])
