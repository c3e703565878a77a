"""A sequence of requests to other programs, each with a deadline, that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        what: `clear` the robot's errors, make the `hardware` active, `switch` controllers,
            publish the present pose as the target (`hold`), `move` the joints, or `see` the
            robot speak again.
        seconds: How long the answer may take.
        activate: Controllers to start, for `switch`.
        deactivate: Controllers to stop.
    """

    what: str
    seconds: float
    activate: tuple[str, ...] = ()
    deactivate: tuple[str, ...] = ()


class Procedure:
    """Asks one thing after the other; the first that fails, or is too late, ends it.

    Args:
        name: What is attempted, for sentences about it.
        asks: What to ask for, in this order.

    Attributes:
        failure: Why it failed, in words; empty while it runs and when it is done.
    """

    def __init__(self, name: str, asks: Iterable[Ask]) -> None:
        self.name = name
        self.failure = ''
        self._left = list(asks)
        self._asked: Ask | None = None
        self._deadline = 0.0

    @property
    def ended(self) -> bool:
        return bool(self.failure) or not (self._left or self._asked)

    @property
    def waits_for(self) -> Ask | None:
        """The request that has no answer yet."""
        return self._asked

    def poll(self, now: float) -> Ask | None:
        """Return what to ask for now, if anything; each request is returned once."""
        if self._asked is not None and now > self._deadline:
            self._end(f'{self._asked.what} took longer than {self._asked.seconds:g} s')
        if self.ended or self._asked is not None:
            return None
        self._asked = self._left.pop(0)
        self._deadline = now + self._asked.seconds
        return self._asked

    def answer(self, ask: Ask, ok: bool, why: str = '') -> None:
        """Take the answer to a request; one that comes too late changes nothing."""
        if ask is not self._asked or self.failure:
            return
        if ok:
            self._asked = None
        else:
            self._end(f'{ask.what} was refused: {why}' if why else f'{ask.what} was refused')

    def _end(self, why: str) -> None:
        self.failure = f'{self.name}: {why}'
        self._asked = None
