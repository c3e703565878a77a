"""Who holds the controls: one visitor at a time, until he lets go or is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 10.0  # seconds of silence after which the controls are free again

Answer = tuple[bool, str]


class OperatorLock:
    """Lets one session at a time steer; all others watch.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._holder = self._name = ''
        self._heard = 0.0

    def holder(self) -> str:
        """Return the session that holds the controls; empty: nobody does."""
        if self._holder and self.clock() - self._heard > PATIENCE:
            self._holder = ''
        return self._holder

    def name(self) -> str:
        """Return who holds the controls, for others to read; empty: nobody does."""
        return self._name if self.holder() else ''

    def take(self, session: str, name: str) -> Answer:
        """Give the controls to a session, unless another one holds them."""
        holder = self.holder()
        if holder and holder != session:
            return False, f'{self._name} holds the controls'
        self._holder, self._name, self._heard = session, name, self.clock()
        return True, 'you hold the controls'

    def release(self, session: str) -> Answer:
        """Free the controls, if this session holds them."""
        if self.holder() != session:
            return False, 'you do not hold the controls'
        self._holder = ''
        return True, 'the controls are free'

    def heard(self, session: str) -> None:
        """Take note that a session is still there."""
        if self.holder() == session:
            self._heard = self.clock()

    def refusal(self, session: str) -> str:
        """Return why a session may not steer now; empty: it may."""
        holder = self.holder()
        if holder == session and session:
            return ''
        return f'{self._name} holds the controls' if holder else 'take the controls first'
