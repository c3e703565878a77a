"""What is wrong with what the cameras and the clock tell, by a robot's clock. No ROS here.

In lockstep the same observation is shown again with the same stamp, and nothing here applies.
Each detector takes one observation at a time and returns what is wrong with it; empty: nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping

import cv2
import numpy as np

SECOND = 1_000_000_000
MOVING = ('wrist',)  # cameras that see anything in time
ALIKE = 15.0  # levels of 255 between two pictures that cannot be told apart for sure
SMALL = (8, 8)  # a picture's mean needs no more


class FrozenCamera:
    """A camera whose picture stays the same to the bit although the arm moves.

    It stays frozen until the picture changes: once the arm holds, nothing else would show.

    Args:
        after: Observations in a row with the same picture.
        moved: How far proprioception, in [-1, 1], goes meanwhile.
    """

    def __init__(self, after: int = 10, moved: float = 0.05) -> None:
        self.after, self.moved = after, moved
        self._picture: Hashable = None
        self._from: np.ndarray = np.zeros(0)
        self._count, self._way, self._frozen = 0, 0.0, False

    def take(self, picture: Hashable, proprio: np.ndarray) -> str:
        """Look at a picture, or what stands for it, and where the arm is."""
        if picture != self._picture:
            self._picture, self._from = picture, proprio.copy()
            self._count, self._way, self._frozen = 0, 0.0, False
        self._count += 1
        self._way = max(self._way, float(np.abs(proprio - self._from).max(initial=0)))
        if self._count >= self.after and self._way >= self.moved:
            self._frozen = True
        return 'has shown the same picture while the arm moved' if self._frozen else ''


class SwappedCameras:
    """Cameras that show what others showed when the run began, or something else altogether.

    What a camera shows is the mean of some small pictures. Two cameras are swapped when both fit
    each other's beginning better than their own, unless those look alike; a camera that does not
    move and is too far from its own beginning shows something else.

    Args:
        reference: Observations that make the beginning.
        window: Observations that make the present.
        ratio: How much better the other way round must fit.
        beyond: Levels, of 255, by which the present may differ from the beginning on average.
    """

    def __init__(
        self, reference: int = 50, window: int = 10, ratio: float = 1.3, beyond: float = 60.0
    ) -> None:
        self.size, self.ratio, self.beyond = reference, ratio, beyond
        self.reference: dict[str, np.ndarray] = {}
        self._first: dict[str, list[np.ndarray]] = {}
        self._last: deque[dict[str, np.ndarray]] = deque(maxlen=window)

    def take(self, pictures: Mapping[str, np.ndarray]) -> str:
        """Look at a `(height, width, 3)` uint8 picture of each camera."""
        small = {name: small_of(picture) for name, picture in pictures.items()}
        if not self.reference:
            for name, picture in small.items():
                self._first.setdefault(name, []).append(picture)
            if min(map(len, self._first.values())) >= self.size:
                self.reference = {n: np.mean(p, 0) for n, p in self._first.items()}
            return ''
        self._last.append(small)
        if len(self._last) < self._last.maxlen:
            return ''
        present = {name: np.mean([s[name] for s in self._last], 0) for name in small}
        return self._swapped(present) or self._strange(present)

    def _swapped(self, present: Mapping[str, np.ndarray]) -> str:
        alike = {(a, b) for a in present for b in present if self._alike(a, b)}
        far = {(a, b): apart(present[a], self.reference[b]) for a in present for b in present}
        for a in present:
            for b in present:
                as_they_are, swapped = far[a, a] + far[b, b], far[a, b] + far[b, a]
                if a < b and (a, b) not in alike and as_they_are > self.ratio * swapped:
                    return f'{a} and {b} show what the other one showed when the run began'
        return ''

    def _alike(self, a: str, b: str) -> bool:
        return apart(self.reference[a], self.reference[b]) < ALIKE

    def _strange(self, present: Mapping[str, np.ndarray]) -> str:
        for name, picture in present.items():
            levels = apart(picture, self.reference[name])
            if levels > self.beyond and name not in MOVING:
                return f'{name} shows something else than when the run began ({levels:.0f} levels)'
        return ''


def small_of(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


class TimeJump:
    """Stamps that go back, or that leap ahead of the clock by which they come.

    A message that waited is late, which is no jump: only one that is early shows that its clock
    was set, and then its new time counts.

    Args:
        beyond: Seconds.
    """

    def __init__(self, beyond: float = 1.0) -> None:
        self.beyond = beyond
        self._newest: int | None = None
        self._behind = 0  # least nanoseconds from a stamp to its arrival

    def take(self, stamp: int, now: int) -> str:
        """Look at a stamp and when it came, in nanoseconds."""
        before, behind = self._newest, now - stamp
        self._newest = stamp
        if before is None:
            self._behind = behind
            return ''
        back = (before - stamp) / SECOND
        ahead = (self._behind - behind) / SECOND
        if back > 0 or ahead > self.beyond:
            self._behind = behind
            return f'stamps went back by {back:.1f} s' if back > 0 else f'leapt by {ahead:.1f} s'
        self._behind = min(self._behind, behind)
        return ''


class Alarm:
    """What is wrong until it has been right for some observations.

    Args:
        steady: So many.
        changed: Called with the words whenever they begin or end.

    Attributes:
        words: What is wrong; empty: nothing.
    """

    def __init__(self, steady: int, changed: Callable[[str], None]) -> None:
        self.steady, self.changed = steady, changed
        self.words = ''
        self._good = 0

    def take(self, words: str) -> bool:
        """Take what the detectors say of an observation; return whether it may be used."""
        self._good = 0 if words else self._good + 1
        before = self.words
        if words:
            self.words = self.words or words
        elif self._good >= self.steady:
            self.words = ''
        if self.words != before:
            self.changed(self.words)
        return not self.words
