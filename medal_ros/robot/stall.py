"""Whether anything but the arm has moved lately, judged from images and proprioception.

A stand-in may judge by the truth instead, which also says whether the object is lost.

The arm itself moves all the time, so only moments at which it was in nearly the same place are
compared, long enough apart: what differs then, beyond camera noise and what little the arm is
off its place, is something that it moved. Where no such moments exist nothing is claimed. An
object held through a whole window looks like a part of the arm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medal_ros.options import option

FRAMES = 300  # kept at most; a longer window is looked at every few steps


@dataclass(frozen=True)
class StallConfig:
    """When to ask a person for help because nothing moves, or the object is lost."""

    after_steps: int = option(
        300, 'policy steps without any motion of an object before help; 0: never', low=0
    )
    privileged: bool = option(False, "judge by the simulator's truth instead of the images")
    camera: str = option('third', 'image to judge by: of a camera that does not move')
    tolerance: float = option(
        0.1, 'distance in scaled proprioception at which the arm is in the same place', low=0
    )
    grey_levels: int = option(
        40, 'change of a colour channel that is more than noise', low=1, high=255
    )
    fraction: float = option(
        0.023,
        'of the pixels that may change although nothing moved: more than an arm slightly off its '
        'place, less than an object here and gone there',
        low=0,
        high=1,
    )
    quantile: float = option(
        0.98, 'of the comparisons that must show no more change than that', low=0, high=1
    )
    min_pairs: int = option(8, 'comparisons that a judgement needs', low=1)
    min_motion: float = option(
        0.02, "range of the object's position that is motion (privileged)", low=0
    )
    workspace_low: tuple[float, ...] = option(
        (), "least coordinates of an object that is not lost (privileged); empty: the task's own"
    )
    workspace_high: tuple[float, ...] = option(
        (), "greatest coordinates of an object that is not lost (privileged); empty: the task's own"
    )
    lost_after: int = option(
        10, 'policy steps in a row outside those after which the object is lost', low=1
    )

    def outside(self, place: np.ndarray) -> bool:
        """Return whether an object at this place is outside the workspace, where that is known."""
        low, high = np.array(self.workspace_low), np.array(self.workspace_high)
        return bool((place[: len(low)] < low).any() or (place[: len(high)] > high).any())


class StallDetector:
    """Looks back over a window of policy steps.

    Args:
        config: What counts as motion.
    """

    def __init__(self, config: StallConfig) -> None:
        self.config = config
        self.stride = max(1, -(-config.after_steps // FRAMES))
        kept = -(-config.after_steps // self.stride)
        self.images: deque[np.ndarray] = deque(maxlen=kept)
        self.proprio: deque[np.ndarray] = deque(maxlen=kept)
        self.truth: deque[np.ndarray] = deque(maxlen=kept)
        self.steps = 0

    def add(
        self, image: np.ndarray | None, proprio: np.ndarray, truth: np.ndarray | None = None
    ) -> None:
        """Take in one policy step; the arrays are kept as they are, not copied.

        Args:
            image: `(height, width, 3)` uint8 of the watched camera.
            proprio: `(p,)` float32, scaled to [-1, 1].
            truth: Position of the object, where a simulator tells it.
        """
        if self._differs(image, proprio, truth):  # nothing to compare with what came before
            self.clear()
        if self.steps % self.stride == 0:
            if self.config.privileged and truth is not None:
                self.truth.append(truth)
            elif not self.config.privileged and image is not None:
                self.images.append(image)
                self.proprio.append(proprio)
        self.steps += 1

    def _differs(
        self, image: np.ndarray | None, proprio: np.ndarray, truth: np.ndarray | None
    ) -> bool:
        pairs = (image, self.images), (proprio, self.proprio), (truth, self.truth)
        return any(new is not None and kept and new.shape != kept[-1].shape for new, kept in pairs)

    def clear(self) -> None:
        """Forget everything: the world was changed by a person."""
        self.images.clear()
        self.proprio.clear()
        self.truth.clear()
        self.steps = 0

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return the window as arrays, one row for each step that is kept."""
        kept = {'images': self.images, 'proprio': self.proprio, 'truth': self.truth}
        return {k: np.stack(v) for k, v in kept.items() if v} | {'steps': np.array([self.steps])}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go on from a snapshot."""
        self.clear()
        for name in ('images', 'proprio', 'truth'):
            getattr(self, name).extend(snapshot.get(name, ()))
        self.steps = int(snapshot['steps'].item())

    def still(self) -> bool:
        """Return whether nothing but the arm moved during a full window."""
        if not self.config.after_steps or self.steps < self.config.after_steps:
            return False
        if self.config.privileged:
            full = len(self.truth) == self.truth.maxlen
            return full and bool(np.ptp(np.array(self.truth), 0).max() < self.config.min_motion)
        if len(self.images) < self.images.maxlen:
            return False
        changed = self.changes()
        if len(changed) < self.config.min_pairs:
            return False
        return bool(np.quantile(changed, self.config.quantile) < self.config.fraction)

    def changes(self) -> np.ndarray:
        """Return the changed fraction of the pixels of every comparison, `(pairs,)`.

        Each frame is compared with the one, at least a third of the window before, at which
        the arm was nearest.
        """
        third = len(self.images) // 3
        if third == 0:
            return np.zeros(0)
        proprio = np.array(self.proprio, np.float64)
        late, early = proprio[third:], proprio[:-third]
        squares = (late**2).sum(1)[:, None] + (early**2).sum(1) - 2 * late @ early.T
        squares[np.triu_indices(len(late), 1)] = np.inf  # less than a third before
        nearest = squares.argmin(1)
        images = list(self.images)
        rows = np.flatnonzero(squares.min(1) <= self.config.tolerance**2)
        return np.array([self._change(images[nearest[r]], images[third + r]) for r in rows])

    def _change(self, one: np.ndarray, other: np.ndarray) -> float:
        # Bytes stay bytes and channels are joined by hand: several times as fast as any(-1).
        changed = np.maximum(one, other) - np.minimum(one, other) > self.config.grey_levels
        pixels = changed[..., 0] | changed[..., 1] | changed[..., 2]
        return np.count_nonzero(pixels) / pixels.size
