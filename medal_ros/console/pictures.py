"""Live camera images: encoded once for everybody who looks, and only while somebody does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

PERIOD = 0.1  # seconds between two pictures at least
LOOKING = 2.0  # seconds that a visitor counts as looking after he asked for a picture
ROWS = 240  # pixels that small images are enlarged to, at least
QUALITY = 85


class Pictures:
    """Holds the newest picture; one thread adds, any number of coroutines wait for the next.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.number, self.jpeg = 0, b''
        self.names: tuple[str, ...] = ()
        self.shape = (1, 1)  # rows and columns of one camera's image
        self.added = -PERIOD  # when the newest one was made
        self._asked = -LOOKING
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def wanted(self) -> bool:
        """Return whether anybody looks."""
        return self.clock() - self._asked < LOOKING

    def due(self) -> bool:
        """Return whether anybody looks and the newest picture is old enough."""
        return self.wanted() and self.clock() - self.added >= PERIOD

    def add(self, names: Sequence[str], images: Sequence[np.ndarray]) -> None:
        """Encode the images of one moment, side by side, and wake those who wait.

        Args:
            names: The cameras.
            images: `(height, width, 3)` uint8 rgb of each, all of one size.

        Raises:
            ValueError: There are none, or they are not of one size.
        """
        strip = np.concatenate(images, axis=1)
        factor = -(-ROWS // strip.shape[0])
        if factor > 1:
            strip = cv2.resize(strip, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        _, data = cv2.imencode('.jpg', strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        self.names, self.shape = tuple(names), images[0].shape[:2]
        self.jpeg, self.number, self.added = data.tobytes(), self.number + 1, self.clock()
        for loop, event in list(self._waiting):
            loop.call_soon_threadsafe(event.set)

    async def next(self, after: int, seconds: float) -> tuple[int, bytes] | None:
        """Return the newest picture, once there is another one than number `after`.

        Args:
            after: Number of the picture that the visitor has; the count starts anew with the
                console, so a higher one than there is counts as none.
            seconds: How long to wait; then None is returned.
        """
        self._asked = self.clock()
        if self.number and self.number != after:
            return self.number, self.jpeg
        waiter = asyncio.get_running_loop(), asyncio.Event()
        self._waiting.add(waiter)
        try:
            await asyncio.wait_for(waiter[1].wait(), seconds)
        except TimeoutError:
            return None
        finally:
            self._waiting.discard(waiter)
        return self.number, self.jpeg
