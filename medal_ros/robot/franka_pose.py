"""Between quaternions, which ROS sends, and the pose of a gripper that points down.

At yaw 0 the tool is the base turned half round its x axis: x forward, y to the right, z down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Quaternion = Sequence[float]  # x, y, z, w


def yaw_and_tilt(quaternion: Quaternion) -> tuple[float, float]:
    """Return the turn about the vertical and the angle between the tool and straight down, rad.

    Raises:
        ValueError: It is no rotation.
    """
    length = math.sqrt(sum(c * c for c in quaternion))
    if not 0.5 < length < 2.0:  # also what is not finite
        raise ValueError(f'{list(quaternion)} is not a unit quaternion')
    x, y, z, w = (c / length for c in quaternion)
    yaw = math.atan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z))
    down = 2 * (x * x + y * y) - 1  # minus the z component of the tool's z axis
    return yaw, math.acos(max(-1.0, min(1.0, down)))


def pointing_down(yaw: float) -> tuple[float, float, float, float]:
    """Return the quaternion `(x, y, z, w)` of a tool that points straight down."""
    return math.cos(yaw / 2), math.sin(yaw / 2), 0.0, 0.0


def quaternion_of(roll: float, pitch: float, yaw: float) -> tuple[float, float, float, float]:
    """Return `(x, y, z, w)` of turns about the fixed axes x, then y, then z, as in a URDF."""
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a / 2), math.cos(a / 2)) for a in (roll, pitch, yaw))
    return (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )


def gripper_opening(position: float, open_position: float, closed_position: float) -> float:
    """Return how far a gripper is open, from 0 to 1, by its joint's position."""
    opening = (position - closed_position) / (open_position - closed_position)
    return min(max(opening, 0.0), 1.0)
