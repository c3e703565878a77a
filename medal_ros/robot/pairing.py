"""Which images a control step sees, where cameras run faster than the control loop. No ROS here.

A tick of the arm gets the newest complete set of images. One that is nearly a frame old is not
taken at once: the next set is on its way and shows the world better, so the tick waits for it,
but never longer than `patience` says.

Without that wait an image would be anything up to a frame old (33 ms at 30 fps) when the policy
gets it; with `fresh` 0.02 it is at most 20 ms old, and the tick waits at most 13 ms for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from medal_ros.robot.stamps import SECOND


class Pair(NamedTuple):
    """One control step's images and what the arm measured."""

    images: Any
    state: Any


class Pairing:
    """Takes ticks and sets of images as they come and says which belong together.

    A set is used once: what a policy has seen already is no news, and the arm rather holds.
    Stamps are nanoseconds of one clock.

    Args:
        fresh: Seconds; a set that is not older than this at the tick is used at once.
        oldest: Seconds; a set further than this from the tick, before or after it, is never used.

    Attributes:
        waiting: Whether a tick waits for its images; `expire` ends that.
        starved: Ticks that got no images.
        surplus: Sets that a newer one replaced: two of three at 30 fps and 10 ticks a second.
        late: Sets that were complete after a newer one, and not used.
    """

    def __init__(self, fresh: float, oldest: float) -> None:
        self.fresh, self.oldest = round(fresh * SECOND), round(oldest * SECOND)
        self.starved = self.surplus = self.late = 0
        self._tick: tuple[int, Any] | None = None
        self._set: tuple[int, Any] | None = None
        self._newest: int | None = None

    @property
    def waiting(self) -> bool:
        return self._tick is not None

    def tick(self, stamp: int, state: Any) -> Pair | None:
        """Take what the arm measured at a tick; a tick that still waits gets nothing."""
        self.starved += self.waiting
        self._tick = stamp, state
        return self._match(self.fresh)

    def complete(self, stamp: int, images: Any) -> Pair | None:
        """Take a complete set of images."""
        # A set from long ago is no straggler: the clock was set back, or a recording began anew.
        if self._newest is not None and self._newest - self.oldest <= stamp <= self._newest:
            self.late += 1
            return None
        self.surplus += self._set is not None
        self._newest, self._set = stamp, (stamp, images)
        return self._match(self.fresh)

    def expire(self) -> Pair | None:
        """End the wait: the tick gets the newest set if that is not too old, or nothing."""
        if not self.waiting:
            return None
        pair = self._match(self.oldest)
        if pair is None:
            self._tick = None
            self.starved += 1
        return pair

    def _match(self, limit: int) -> Pair | None:
        if self._tick is None or self._set is None:
            return None
        age = self._tick[0] - self._set[0]
        if not -self.oldest <= age <= limit:
            return None
        pair = Pair(self._set[1], self._tick[1])
        self._tick = self._set = None
        return pair
