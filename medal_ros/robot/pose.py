"""Where the tool is, as far as a task moves it: a position and a turn about the vertical."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pose:
    """A pose of the tool, which always points down.

    Attributes:
        position: `(3,)` float64, metres, in the frame of the robot's base.
        yaw: Turn about the base's z axis, radians.
    """

    position: np.ndarray
    yaw: float

    @property
    def finite(self) -> bool:
        """Whether it is three finite numbers and a fourth."""
        position = np.asarray(self.position)
        return position.shape == (3,) and bool(np.isfinite([*position, self.yaw]).all())


def shortest_turn(start: float, end: float) -> float:
    """Return the turn in [-pi, pi] that leads from one angle to the other, radians."""
    return math.remainder(end - start, 2 * math.pi)
