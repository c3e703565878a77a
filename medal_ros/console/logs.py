"""What libraries complain of, as one sentence each, and never more often than anybody reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

NAMES = ('uvicorn', 'uvicorn.error', 'nicegui', 'engineio', 'socketio', 'asyncio', 'websockets')
PERIOD = 5.0  # seconds between two of the same


class OneSentence(logging.Handler):
    """Hands each warning on as one line, without a traceback.

    Args:
        say: Takes a line.
        clock: Seconds that never go back.
    """

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(logging.WARNING)
        self.say, self.clock = say, clock
        self._said: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Say what a record says, if that was not said just now."""
        lines = record.getMessage().strip().splitlines() or ['']
        words = lines[0][:200]
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            words += f' ({type(error).__name__}: {str(error)[:100]})'
        now = self.clock()
        kind = f'{record.name} {record.msg}'[:100]
        if now - self._said.get(kind, -PERIOD) < PERIOD:
            return
        if len(self._said) > 100:
            self._said.clear()
        self._said[kind] = now
        # What a stranger sent may hold anything, and terminals obey some of it.
        self.say(''.join(c if c.isprintable() else '?' for c in f'{record.name}: {words}'))


def listen(say: Callable[[str], None]) -> None:
    """Send what the web libraries complain of to `say`, and nowhere else."""
    handler = OneSentence(say)
    for name in NAMES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING)
    logging.getLogger('uvicorn.error').handlers = []  # it propagates to uvicorn
    logging.getLogger('uvicorn.error').propagate = True
