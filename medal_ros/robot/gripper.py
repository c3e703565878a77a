"""Between a number that wants the gripper closed or open and a gripper that needs time to move."""

from __future__ import annotations

import math

OPEN = -1.0  # what commands the gripper to open
CLOSED = 1.0


class GripperFilter:
    """Decides whether the gripper is closed; a trembling number does not make it chatter.

    Above `hysteresis` it closes, below `-hysteresis` it opens, between them, or when it is no
    number, it stays as it is; and it stays for `dwell` seconds whatever is asked.

    Args:
        hysteresis: Half the width of the band in which nothing changes, in [0, 1).
        dwell: Least time between two changes, seconds.

    Attributes:
        closed: What the gripper is commanded now; open at first.
    """

    def __init__(self, hysteresis: float, dwell: float) -> None:
        self.hysteresis, self.dwell = hysteresis, dwell
        self.closed = False
        self._changed = -math.inf

    def update(self, now: float, value: float) -> bool:
        """Take the last number of an action, in [-1, 1], and return whether to be closed.

        Args:
            now: Monotonic time, seconds.
            value: Above 0 asks to close.
        """
        wanted = value < -self.hysteresis if self.closed else value > self.hysteresis
        if wanted and now - self._changed >= self.dwell:
            self.closed, self._changed = not self.closed, now
        return self.closed

    def moved(self, closed: bool) -> None:
        """Take note that something else, such as a reset, opened or closed it."""
        self.closed, self._changed = closed, -math.inf
