"""What the stamps of a stream tell: whose clock made them, and which messages never came.

No ROS here. Stamps and times are nanoseconds of the same epoch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from statistics import median

SECOND = 1_000_000_000
JUDGED = 10  # messages after which a clock is judged
REMEMBERED = 31  # intervals that the period of a stream is the median of
LOST_AFTER = 1.5  # periods without a message


class StampClock:
    """Judges once, from the first messages of a stream, whether this machine stamped them.

    A message that waited somewhere looks late, so the one that waited least is judged by.

    Args:
        within: Seconds by which a stamp may differ from the time of its arrival.

    Attributes:
        offset: Seconds that the stamps lie behind this machine's clock; None: not judged yet.
        foreign: Whether that is too much; None: not judged yet.
    """

    def __init__(self, within: float) -> None:
        self.within = within
        self.offset: float | None = None
        self.foreign: bool | None = None
        self._behind: list[int] = []

    def take(self, stamp: int, now: int) -> bool:
        """Look at one message; True when this one decides the judgement."""
        if self.foreign is not None:
            return False
        self._behind.append(now - stamp)
        if len(self._behind) < JUDGED:
            return False
        self.offset = min(self._behind, key=abs) / SECOND
        self.foreign = abs(self.offset) > self.within
        return True

    def words(self) -> str:
        """Return what is wrong, for people; empty: nothing, or not judged yet."""
        if not self.foreign:
            return ''
        side = 'behind' if self.offset > 0 else 'ahead of'
        return f"stamps are {abs(self.offset):.3f} s {side} this machine's clock"


class Pace:
    """Counts the messages that a stream lost, by the gaps between its stamps.

    Attributes:
        lost: Messages that never came.
        disordered: Messages that came after a newer one.
        repeated: Messages with the stamp of the newest one.
    """

    def __init__(self) -> None:
        self.lost = self.disordered = self.repeated = 0
        self._newest: int | None = None
        self._intervals: deque[int] = deque(maxlen=REMEMBERED)

    def take(self, stamp: int) -> None:
        """Look at one message."""
        if self._newest is None or stamp > self._newest:
            self._advance(stamp)
        elif stamp == self._newest:
            self.repeated += 1
        else:
            self.disordered += 1
            self.lost = max(0, self.lost - 1)  # it was taken for lost when the newer one came

    def _advance(self, stamp: int) -> None:
        if self._newest is not None:
            interval = stamp - self._newest
            if len(self._intervals) >= JUDGED:
                period = median(self._intervals)
                if interval > LOST_AFTER * period:
                    self.lost += round(interval / period) - 1
            self._intervals.append(interval)
        self._newest = stamp


class Standstill:
    """Notices when what should change all the time stays the same.

    Args:
        after: Seconds of sameness that are too many; 0: any number is allowed.

    Attributes:
        too_long: Seconds for which the content had been the same, if those were too many; else 0.
    """

    def __init__(self, after: float) -> None:
        self.after = after
        self.too_long = 0.0
        self._last: Hashable = None
        self._since = 0

    def take(self, content: Hashable, now: int) -> bool:
        """Return whether the content has been the same for too long."""
        if content != self._last:
            self._last, self._since = content, now
        same = (now - self._since) / SECOND
        self.too_long = same if 0 < self.after < same else 0.0
        return self.too_long > 0
