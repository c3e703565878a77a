"""Cloth on a hook: a Panda hangs a cloth on a hook, takes it off and drops it on the platform."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from medal_ros.sim.cloth import COUNT, rolled
from medal_ros.sim.cloth_task import HARD, LOOSE, LOW, WIDTH, ClothTask
from medal_ros.sim.hand import Hand

HIGH = np.array([*(LOW[:2] + WIDTH), 0.49])
REST = np.array([0.49, 0.05, 0.34])  # the tool after an arm reset to the fixed pose
ABOVE = 0.34  # tool height at which nothing on the tray is in the way
TIP = 0.455  # where the hook's arm ends, along x; it points at the robot
POST = 0.545  # where it is fixed to its post
HOOK_Y = -0.09
HOOK_Z = 0.23  # the arm's height
ROD = 0.010  # its radius
HANGING = 0.012  # nothing of a cloth that hangs is lower
GRIP = 2.0  # friction of its rubber coat
KNOB = 0.012  # height by which the tip is bent up
MIDDLE = (TIP + POST) / 2
BESIDE = 0.085  # the gripper does not fit on the tray so near to the hook's arm, across
BEFORE = 0.04  # and along it
INSIDE = 0.03  # the cloth is grasped so far beside the hook's arm, where it has no support
RIDGE = 0.03  # and the tool so far below its ridge there
SWING = 0.10  # the tool goes over the hook's arm from so far beside it
OVER = 0.13  # so far above it
LOWERED = 0.03  # the tool so far above it when it lets go beyond it
CENTRE = 0.03  # y of the tray's middle
DRAG = 0.07  # height at which the cloth is drawn out from under the arm
EDGE = 0.058  # the cloth is grasped so far from its edge
STEEP = math.radians(70)  # slope of the cloth's halves before they fall beside the hook


class ClothHook(ClothTask):
    """Hang a cloth on a hook; the backward task takes it off and drops it on the platform.

    Starts: `'initial'` has the cloth on the platform, from flat to scrunched, and the arm at a
    wide random pose above it, open. `'done'` has the cloth on the hook and the arm at such a
    pose.
    """

    control_steps = 300  # two attempts of the expert
    high, rest, above = HIGH, REST, ABOVE
    view = ((1.35, 0.01, 0.55), (0.47, 0.01, 0.17))

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        model = self.arm.model
        model.geom_solimp[self._fingers, :2] = HARD  # a fingertip that gives way pierces the cloth
        model.geom_priority[self._fingers] = 1
        self._hook = [model.geom(name).id for name in ('hook', 'hook_tip')]

    def _goal(self) -> str:
        look = f'type="capsule" rgba=".85 .2 .15 1" friction="{GRIP} .005 .0001" '
        look += f'solref=".004 1" solimp="{HARD[0]} {HARD[1]}" priority="1"'
        return f"""
      <body name="hook" pos="0 {HOOK_Y} 0">
        <geom {look} size="{ROD}" fromto="{POST} 0 0 {POST} 0 {HOOK_Z}"/>
        <geom name="hook" {look} size="{ROD}" fromto="{POST} 0 {HOOK_Z} {TIP} 0 {HOOK_Z}"/>
        <geom name="hook_tip" {look} size="{ROD}"
              fromto="{TIP} 0 {HOOK_Z} {TIP - KNOB} 0 {HOOK_Z + KNOB}"/>
      </body>"""

    def _done_cloth(self, rng: np.random.Generator) -> np.ndarray:
        slopes = np.where(np.arange(COUNT - 1) < COUNT // 2, STEEP, -STEEP)
        roof = rolled(slopes)[:, [1, 0, 2]]
        aside = rng.uniform(-0.015, 0.015)
        return roof + [MIDDLE + aside, HOOK_Y, HOOK_Z + 2 * ROD + 0.01]

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
        """Yield actions that draw the cloth over the hook's arm, until its middle is over it."""
        high = HIGH[2] - 0.01
        for aside, height, tolerance in ((SWING, high, 0.03), (0.0, HOOK_Z + OVER, 0.02)):
            goal = np.array([HOOK_Y + aside, height])
            yield from self._carry(hand, lambda goal=goal: self._along(*goal), tolerance)
        yield from self._carry(hand, self._across, 0.008)
        yield from hand.wait(2, closed=True)

    def _along(self, y: float, z: float) -> np.ndarray:
        """Return the tool's place at some y and z for the cloth's middle to be along the arm."""
        along = MIDDLE + (self.arm.position - self.cloth.centre)[0]
        return np.clip([along, y, z], self.low, self.high)

    def _across(self) -> np.ndarray:
        """Return the tool's place for the cloth's middle to be over the hook."""
        aside = (self.arm.position - self.cloth.centre)[1]
        return self._along(HOOK_Y + aside, HOOK_Z + LOWERED)

    def _return(self, hand: Hand) -> Iterator[np.ndarray]:
        """Yield actions that pull the cloth off the hook and carry it to the platform."""
        if self.cloth.touched_by(self._hook):
            x = self.low[0] if self.arm.position[0] < MIDDLE else self.high[0]
            away = np.array([x, self.arm.position[1], HIGH[2] - 0.01])
            yield from self._carry(hand, lambda: away, 0.02)
        yield from self._put_down(hand)

    def _spot(self, rng: np.random.Generator) -> np.ndarray:
        """Return where the cloth is grasped: at its ridge beside the hook where it hangs."""
        vertices = self.cloth.vertices
        ridge = vertices[vertices[:, 2] > HOOK_Z - 0.02]
        if not (len(ridge) and self.cloth.touched_by(self._hook)):
            return self._edge(rng)
        near, far = TIP - ridge[:, 0].min(), ridge[:, 0].max() - POST
        x = TIP - KNOB - INSIDE if near > far else POST + INSIDE
        beside = np.abs(ridge[:, 0] - x)
        return np.array([x, ridge[np.argmin(beside), 1]])

    def _edge(self, rng: np.random.Generator) -> np.ndarray:
        """Draw where a cloth that lies is grasped: near the middle of its edge towards CENTRE."""
        spots = self.cloth.vertices[:, :2]
        way = spots - spots.mean(axis=0)
        inwards = math.copysign(1.0, CENTRE - spots[:, 1].mean())
        cost = np.abs(way[:, 0]) - inwards * way[:, 1] + rng.uniform(0.0, LOOSE, len(spots))
        margin = [[0.0, EDGE], [0.0, -EDGE]]
        thin = np.array([self.cloth.covered(spot + margin) < 1.0 for spot in spots])
        bad = 1.0 * thin + 3.0 * self._blocked(spots) + 10.0 * self._outside(spots)
        return spots[np.argmin(cost + bad)]

    def _lift(self, hand: Hand) -> Iterator[np.ndarray]:
        """Yield actions that lift the cloth, out from under the hook's arm first."""
        x, y, z = self.arm.position
        if y < CENTRE and z < HOOK_Z / 2:
            for goal in ([x, y, DRAG], [x, CENTRE + SWING, DRAG]):
                yield from self._carry(hand, lambda goal=goal: np.array(goal), 0.02)
        yield from super()._lift(hand)

    def _height(self, spot: np.ndarray) -> float:
        top = self.cloth.top(spot, 0.03)
        return top - RIDGE if top > HOOK_Z - 0.02 else super()._height(spot)

    def _blocked(self, spots: np.ndarray) -> np.ndarray:
        return (np.abs(spots[:, 1] - HOOK_Y) < BESIDE) & (spots[:, 0] > TIP - KNOB - BEFORE)
