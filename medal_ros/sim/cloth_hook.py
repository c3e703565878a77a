"""Cloth on a hook: a Panda hangs a cloth on a hook, takes it off and drops it on the platform."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from medal_ros.sim.cloth import COUNT, rolled
from medal_ros.sim.cloth_task import LOW, WIDTH, ClothTask
from medal_ros.sim.hand import Hand

HIGH = np.array([*(LOW[:2] + WIDTH), 0.39])
REST = np.array([0.49, 0.05, 0.30])  # the tool after an arm reset to the fixed pose
ABOVE = 0.30  # tool height at which nothing on the tray is in the way
TIP = 0.455  # where the hook's arm ends, along x; it points at the robot
POST = 0.545  # where it is fixed to its post
HOOK_Y = -0.11
HOOK_Z = 0.19  # the arm's height
THICK = 0.010  # its radius
HANGING = 0.012  # nothing of a cloth that hangs is lower
KNOB = 0.012  # height by which the tip is bent up
MIDDLE = (TIP + POST) / 2
BESIDE = 0.085  # the gripper does not fit on the tray so near to the hook's arm, across
BEFORE = 0.04  # and along it
ASKEW = 0.035  # a cloth that was grasped so far from its middle would slide off the hook
INSIDE = 0.03  # the cloth is grasped so far beside the hook's arm, where it has no support
RIDGE = 0.03  # and the tool so far below its ridge there
LOWERED = 0.04  # the tool so far above the hook's arm when it lets go
STEEP = math.radians(70)  # slope of the cloth's halves before they fall beside the hook


class ClothHook(ClothTask):
    """Hang a cloth on a hook; the backward task takes it off and drops it on the platform.

    Starts: `'initial'` has the cloth on the platform, from flat to scrunched, and the arm at a
    wide random pose above it, open. `'done'` has the cloth on the hook and the arm at such a
    pose.
    """

    control_steps = 200
    high, rest, above = HIGH, REST, ABOVE

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        self._hook = [self.arm.model.geom(name).id for name in ('hook', 'hook_tip')]

    def _goal(self) -> str:
        look = 'type="capsule" rgba=".85 .2 .15 1" friction=".8 .005 .0001"'
        return f"""
      <body name="hook" pos="0 {HOOK_Y} 0">
        <geom {look} size="{THICK}" fromto="{POST} 0 0 {POST} 0 {HOOK_Z}"/>
        <geom name="hook" {look} size="{THICK}" fromto="{POST} 0 {HOOK_Z} {TIP} 0 {HOOK_Z}"/>
        <geom name="hook_tip" {look} size="{THICK}"
              fromto="{TIP} 0 {HOOK_Z} {TIP - KNOB} 0 {HOOK_Z + KNOB}"/>
      </body>"""

    def _done_cloth(self, rng: np.random.Generator) -> np.ndarray:
        slopes = np.where(np.arange(COUNT - 1) < COUNT // 2, STEEP, -STEEP)
        roof = rolled(slopes)[:, [1, 0, 2]]
        aside = rng.uniform(-0.015, 0.015)
        return roof + [MIDDLE + aside, HOOK_Y, HOOK_Z + 2 * THICK + 0.01]

    def hangs(self) -> bool:
        """Whether the cloth touches the hook and no part of it the tray, held by a hand or not."""
        return bool(self.cloth.vertices[:, 2].min() > HANGING and self.cloth.touched_by(self._hook))

    def succeeded(self) -> bool:
        """Whether the cloth hangs on the hook and the gripper has let go."""
        return self.hangs() and self.let_go()

    def undone(self) -> bool:
        """Whether the cloth lies on the platform, off the hook, and was let go."""
        off = not self.cloth.touched_by(self._hook)
        return off and self.on_platform() and self.let_go()

    def _bring(self, hand: Hand) -> Iterator[np.ndarray]:
        """Yield actions that lower the cloth onto the hook, which the jaw's fold is along."""
        if np.linalg.norm((self.arm.position - self.cloth.centre)[:2]) > ASKEW:
            yield from self._put_down(hand)  # where its middle can be reached
            return
        for height, tolerance in ((HIGH[2] - 0.01, 0.008), (HOOK_Z + LOWERED, 0.004)):
            yield from self._carry(hand, lambda h=height: self._astride(h), tolerance)
            yield from hand.wait(3, closed=True)

    def _astride(self, height: float) -> np.ndarray:
        along = MIDDLE + (self.arm.position - self.cloth.centre)[0]
        return np.array([min(max(along, TIP), POST), HOOK_Y, height])

    def _return(self, hand: Hand) -> Iterator[np.ndarray]:
        return self._put_down(hand)

    def _spot(self, rng: np.random.Generator) -> np.ndarray:
        """Return where the cloth is grasped: at its ridge beside the hook where it hangs."""
        vertices = self.cloth.vertices
        ridge = vertices[vertices[:, 2] > HOOK_Z - 0.02]
        if not (len(ridge) and self.cloth.touched_by(self._hook)):
            return super()._spot(rng)
        near, far = TIP - ridge[:, 0].min(), ridge[:, 0].max() - POST
        x = TIP - KNOB - INSIDE if near > far else POST + INSIDE
        beside = np.abs(ridge[:, 0] - x)
        return np.array([x, ridge[np.argmin(beside), 1]])

    def _height(self, spot: np.ndarray) -> float:
        top = self.cloth.top(spot, 0.03)
        return top - RIDGE if top > HOOK_Z - 0.02 else super()._height(spot)

    def _blocked(self, spots: np.ndarray) -> np.ndarray:
        return (np.abs(spots[:, 1] - HOOK_Y) < BESIDE) & (spots[:, 0] > TIP - KNOB - BEFORE)
