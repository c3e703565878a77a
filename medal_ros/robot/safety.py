"""The last thing between an action and a real arm: where it may go, how far in one step.

The stand-in's worlds keep their own boxes; this one is for an arm that can break something.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medal_ros.options import OptionError, option
from medal_ros.robot.gripper import CLOSED, OPEN, GripperFilter
from medal_ros.robot.pose import Pose


@dataclass(frozen=True)
class SafetyConfig:
    """Where the tool may be commanded, and how far in one step."""

    low: tuple[float, ...] = option(
        (0.40, -0.20, 0.02), "smallest x, y, z of the tool, metres in the base's frame"
    )
    high: tuple[float, ...] = option((0.65, 0.20, 0.30), 'largest x, y, z of the tool')
    step: float = option(
        0.02,
        'what an action of 1 moves, and the most that a step moves, metres',
        low=1e-3,
        high=0.02,
    )
    turn: float = option(
        0.2,
        'what an action of 1 turns, and the most that a step turns, radians',
        low=1e-2,
        high=0.2,
    )
    yaw_low: float = option(-1.2, 'smallest yaw of the tool, radians', low=-math.pi, high=math.pi)
    yaw_high: float = option(
        1.2, 'largest yaw, at most pi above the smallest', low=-math.pi, high=math.pi
    )
    yaw: float = option(0.0, 'yaw that is kept where actions have none', low=-math.pi, high=math.pi)
    gripper_hysteresis: float = option(
        0.2, "size of an action's last number below which the gripper stays", low=0, high=0.95
    )
    gripper_dwell: float = option(
        0.5, 'least time between two changes of the gripper, seconds', low=0, high=10
    )


class Refused(ValueError):
    """Nothing may be commanded, in one sentence: hold."""


@dataclass(frozen=True)
class Move:
    """What is commanded in one step.

    Attributes:
        target: Where the tool goes, inside the box.
        closed: Whether the gripper is closed.
        action: `(n,)` float32 in [-1, 1]: the action that this is, for the Step message. Its
            gripper number is 1 or -1.
    """

    target: Pose
    closed: bool
    action: np.ndarray


class SafetyBox:
    """Turns normalised actions into targets that never leave the box nor jump.

    Every target is inside the limits and at most a step from the measured pose, whatever the
    actions and measurements are. Where both cannot be had, because the tool is measured further
    outside than a step, nothing is commanded.

    Args:
        config: The limits.
        action_size: 4, `(dx, dy, dz, grip)`, or 5, `(dx, dy, dz, dyaw, grip)`, in the frame of
            the robot's base.

    Attributes:
        gripper: Decides whether the gripper is closed; tell it of what resets do.

    Raises:
        OptionError: The limits are no box.
    """

    def __init__(self, config: SafetyConfig, action_size: int) -> None:
        self.config, self.action_size = config, action_size
        self.low, self.high = np.array(config.low, float), np.array(config.high, float)
        if action_size not in (4, 5):
            raise OptionError(f'a safety box is for actions of 4 or 5 numbers, not {action_size}')
        if not (self.low.shape == self.high.shape == (3,) and (self.low < self.high).all()):
            raise OptionError(
                'the safety box needs three numbers low and three higher ones high, '
                f'not {list(config.low)} and {list(config.high)}'
            )
        if not 0 < config.yaw_high - config.yaw_low <= math.pi:
            raise OptionError(
                f'yaw_high must be above yaw_low by at most pi: they are {config.yaw_high:g} '
                f'and {config.yaw_low:g}'
            )
        if not config.yaw_low <= config.yaw <= config.yaw_high:
            raise OptionError(
                f'yaw must be from {config.yaw_low:g} to {config.yaw_high:g}, not {config.yaw:g}'
            )
        self.gripper = GripperFilter(config.gripper_hysteresis, config.gripper_dwell)

    def step(self, now: float, measured: Pose, action: Sequence[float]) -> Move:
        """Return what one action commands, from where the tool is measured.

        Args:
            now: Seconds of any clock that never goes back.
            measured: The tool's pose.
            action: `(action_size,)` numbers, clipped to [-1, 1]; 1 is `step` or `turn`. The norm
                of the translation is clipped, its direction kept. The last closes above 0.

        Raises:
            Refused: The action is not that many finite numbers, the pose is not finite, or the
                tool is outside the box by more than a step.
        """
        values = np.asarray(action, float)
        if values.shape != (self.action_size,) or not np.isfinite(values).all():
            raise Refused(
                f'an action must be {self.action_size} finite numbers, not {values.tolist()}'
            )
        values = np.clip(values, -1.0, 1.0)
        start = self._start(measured)
        position = self._translated(start.position, values[:3])
        target = Pose(position, self._turned(start.yaw, values))
        closed = self.gripper.update(now, float(values[-1]))
        return Move(target, closed, self._executed(start, target, closed))

    def hold(self, measured: Pose, target: Pose | None = None) -> Pose:
        """Return where to stay: at the target so far, or where the tool is if that is far off.

        To stay at what is measured, step after step, would follow an arm that sags.

        Args:
            measured: The tool's pose.
            target: The one commanded so far, if any.

        Raises:
            Refused: The pose is not finite, or outside the box by more than a step.
        """
        start = self._start(measured)
        if target is not None and self._near(start, target):
            return target
        position = np.clip(start.position, self.low, self.high)
        return Pose(position, self._within(start.yaw))

    def _start(self, measured: Pose) -> Pose:
        """Return the measured pose with its yaw as near the allowed range as turns allow."""
        if not measured.finite:
            raise Refused(f'the measured pose is not four finite numbers but {measured}')
        c, position = self.config, np.array(measured.position, float)
        middle = (c.yaw_low + c.yaw_high) / 2
        yaw = middle + math.remainder(measured.yaw - middle, 2 * math.pi)
        with np.errstate(over='ignore'):
            outside = np.linalg.norm(np.clip(position, self.low, self.high) - position)
        if outside > c.step:
            raise Refused(
                f'the tool is {outside:.3g} m outside the workspace, at {position.tolist()}: '
                'move it back by hand or home it'
            )
        if abs(self._within(yaw) - yaw) > c.turn:
            raise Refused(
                f'the tool is turned to {yaw:.3g} rad, outside {c.yaw_low:g} to {c.yaw_high:g}: '
                'turn it back by hand or home it'
            )
        return Pose(position, yaw)

    def _translated(self, start: np.ndarray, motion: np.ndarray) -> np.ndarray:
        step = self.config.step
        delta = step * motion / max(1.0, float(np.linalg.norm(motion)))
        target = np.clip(start + delta, self.low, self.high)
        if np.linalg.norm(target - start) <= step:
            return target
        # Only from outside: clipping moved it further than a step. Both the nearest point of
        # the box and the target are in the box, so all between them is: go as far as a step.
        nearest = np.clip(start, self.low, self.high)
        way, gap = target - nearest, nearest - start
        a, b, c = way @ way, way @ gap, gap @ gap - step**2
        share = (math.sqrt(max(b * b - a * c, 0.0)) - b) / a if a > 0 else 0.0
        return np.clip(nearest + min(max(share, 0.0), 1.0) * way, self.low, self.high)

    def _turned(self, yaw: float, values: np.ndarray) -> float:
        c = self.config
        asked = c.turn * float(values[3]) if self.action_size == 5 else c.yaw - yaw
        return self._within(yaw + min(max(asked, -c.turn), c.turn))

    def _within(self, yaw: float) -> float:
        return min(max(yaw, self.config.yaw_low), self.config.yaw_high)

    def _near(self, start: Pose, target: Pose) -> bool:
        c = self.config
        moved = float(np.linalg.norm(target.position - start.position))
        return moved <= c.step and abs(target.yaw - start.yaw) <= c.turn

    def _executed(self, start: Pose, target: Pose, closed: bool) -> np.ndarray:
        motion = (target.position - start.position) / self.config.step
        turn = [(target.yaw - start.yaw) / self.config.turn] if self.action_size == 5 else []
        action = np.array([*motion, *turn, CLOSED if closed else OPEN], np.float32)
        return np.clip(action, -1.0, 1.0)
