"""Who may come in: browsers that were given a session, for a token where one is asked for."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable

AT_MOST = 1000  # sessions; the one that was silent longest makes room
IDLE = 12 * 3600.0  # seconds of silence after which a session is forgotten


class Sessions:
    """Hands out session names that nobody can guess, and knows them again.

    Args:
        token: What a person must say to be given one; empty: nothing.
        clock: Seconds that never go back.
    """

    def __init__(self, token: str = '', clock: Callable[[], float] = time.monotonic) -> None:
        self.token, self.clock = token, clock
        self._heard: dict[str, float] = {}  # when each was heard of last, the oldest first

    def open(self, token: str = '') -> str | None:
        """Return the name of a new session; None where the token is wrong."""
        if self.token and not hmac.compare_digest(
            token.encode(errors='replace'), self.token.encode()
        ):
            return None
        session = secrets.token_urlsafe(32)
        self._heard[session] = self.clock()
        if len(self._heard) > AT_MOST:
            del self._heard[next(iter(self._heard))]
        return session

    def knows(self, session: str) -> bool:
        """Return whether this is the name of a session, and keep that alive."""
        heard, now = self._heard.pop(session, None), self.clock()
        if heard is None or now - heard > IDLE:
            return False
        self._heard[session] = now
        return True


def new_token() -> str:
    """Return a token that a person can type and nobody can guess: 80 random bits."""
    words = secrets.token_hex(10)
    return '-'.join(words[i : i + 5] for i in range(0, len(words), 5))
