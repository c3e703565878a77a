"""Which node of a graph is started again, when, and when that is given up. No ROS, no process here.

A node that ended, that said nothing on `/diagnostics` for too long, or that does not hear another
one is started again after a delay that doubles while it ends soon after each start. More restarts
than are allowed end the run.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

FRESH = 3.0  # seconds for which a node that has spoken, as it does once a second, is there


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
        busy: So many times longer may be silent who waits for a processor, or uses one; and may
            not hear another one who speaks.
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
    speaks: float = 0.0  # since when it is heard without a break
    hears: dict[str, float] = field(default_factory=dict)  # when others were heard by it last
    listens: bool = False  # whether it says whom it hears
    blamed: bool = False  # for hanging

    def is_there(self, now: float) -> bool:
        """Whether it speaks, and nobody is about to kill it."""
        return self.heard is not None and now - self.heard < FRESH and not self.blamed


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

    def heard(self, name: str, hears: AbstractSet[str] | None = None) -> None:
        """Note a word of a node, and which others it hears; None: it does not say."""
        if (life := self._lives.get(name)) is None:
            return
        now = self.clock()
        if life.heard is None or now - life.heard > FRESH:
            life.speaks = now  # who was silent has not heard anybody meanwhile, nor been heard
        life.heard = now
        life.listens = hears is not None
        life.hears.update((other, now) for other in hears or () if other in self._lives)

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
                if life.heard is not None:
                    life.heard = life.speaks = now
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

    def deaf(self) -> dict[str, str]:
        """Return, once each, nodes that do not hear, or are not heard by, another one that speaks.

        Whoever began later is meant: it found the other one in its place. Both must have spoken for
        a while without a break.

        Returns:
            Which other one, by name.
        """
        now, found = self.clock(), {}
        patience = self.limits.busy * self.limits.silent
        for name, life in self._lives.items():
            for other, theirs in self._lives.items():
                there = life.is_there(now) and theirs.is_there(now)
                if other == name or patience <= 0 or not there or not life.listens:
                    continue
                if now - max(life.speaks, theirs.speaks, life.hears.get(other, 0.0)) <= patience:
                    continue
                younger, older = (name, other) if life.began >= theirs.began else (other, name)
                found[younger], self._lives[younger].blamed = older, True
        return found

    @property
    def away(self) -> list[str]:
        """Nodes that are not there now: no process, or nothing heard of it since its start."""
        silent = [name for name, life in self._lives.items() if life.heard is None]
        return sorted([*self._due, *silent])
