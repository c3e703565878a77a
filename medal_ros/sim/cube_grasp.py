"""Cube grasp: a Panda lifts a cube out of a shallow tray, and puts it down somewhere else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from medal_ros.sim.hand import Hand
from medal_ros.sim.panda_task import WALL, PandaTask, fence, tray
from medal_ros.sim.scene import camera
from medal_ros.spaces import Spaces

LOW = np.array([0.42, -0.16, 0.015])  # where the tool may be commanded, metres, base frame
HIGH = np.array([0.64, 0.16, 0.26])
REST = np.array([0.53, 0.0, 0.22])
HALF = 0.02  # half the cube's edge
GRASP = 0.02  # tool height at which the cube is grasped and let go
ABOVE = 0.10  # tool height at which nothing on the tray is in the way
LIFTED = 0.10  # the cube's centre is above this when the task is done
CLEAR = 0.06  # the tool is at least this far from a cube that was let go
MARGIN = 0.04  # the cube starts this far inside the tray's edge
EDGE = 0.03  # least distance from the tray's edge at which a cube lies flat at any yaw
GAP = 0.02  # half the strip between the region of the demonstrations and the one opposite


class CubeGrasp(PandaTask):
    """Grasp a 4 cm cube and lift it above 10 cm; the backward task puts it down and backs off.

    Starts: `'initial'` has the cube on the tray at any yaw and the arm at a wide random pose above
    it, open. Where the cube lies is the set's: anywhere (`'default'`, as practice resets it), on
    the robot's right (`'id'`, where demonstrations are shown), on its left (`'ood'`), close to
    the walls all round (`'ood_edge'`), or on the right again but with the arm low on the left
    (`'ood_arm'`); the last two are not the paper's. `'done'` has the cube in the closed gripper
    and lifted: holding it, not letting go, is this task's done state. For the same reason a
    forward demonstration ends with the cube held, and `reset_arm` after it drops the cube.
    """

    spaces = Spaces(cameras=('wrist', 'third'), height=100, width=100, proprio=4, action=4)
    control_steps = 100
    demonstration_counts: ClassVar[dict[str, int]] = {'forward': 50, 'backward': 50}
    start_sets = ('default', 'id', 'ood', 'ood_edge', 'ood_arm')
    demonstration_set = 'id'
    held_when_done = True

    low, high, rest, above = LOW, HIGH, REST, ABOVE

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        self._cube = self.arm.model.geom('cube').id
        self._cube_joint = self.arm.model.joint('cube').qposadr[0]

    # -- the world ---------------------------------------------------------------------------

    def _world(self) -> str:
        eye = camera('third', (1.30, 0, 0.52), (0.52, 0, 0.115), up=(0, 0, 1), fovy=31)
        return f'''{tray(LOW, HIGH, WALL)}{fence(LOW, HIGH)}{eye}
      <body name="cube" pos=".5 0 {HALF}">
        <freejoint name="cube"/>
        <geom name="cube" type="box" size="{HALF} {HALF} {HALF}" mass=".05" rgba=".85 .12 .1 1"
              condim="4" friction="1.2 .05 .001" solref=".004 1"/>
      </body>'''

    def _place(self, done: bool) -> None:
        for _ in range(10):
            self.arm.restart()
            spot = self._spot(self.np_random)
            self._put_cube(spot, self.np_random.uniform(-math.pi, math.pi))
            if not done:
                self.arm.put(self._arm_start(), opening=1.0)
                return
            self.arm.put(np.array([*spot, GRASP]), opening=1.0)
            self._stay(5, closed=True)
            self._go([*spot, ABOVE], closed=True)
            self._go(self._pose(self.np_random, low=LIFTED + 0.03), closed=True)
            if self.succeeded():  # a grasp may slip, as a person's may: then again
                return
        raise RuntimeError('the cube slipped out of ten grasps in a row')

    def _put_cube(self, spot: np.ndarray, yaw: float) -> None:
        pose = [*spot, HALF, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]
        self.arm.data.qpos[self._cube_joint : self._cube_joint + 7] = pose

    def _spot(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a place on the tray for the cube from the newest reset's set, `(2,)`."""
        low, high = LOW[:2] + MARGIN, HIGH[:2] - MARGIN
        if self.start_set == 'ood_edge':
            return self._edge_spot(rng)
        if self.start_set in ('id', 'ood_arm'):
            high[1] = -GAP
        elif self.start_set == 'ood':
            low[1] = GAP
        return rng.uniform(low, high)

    def _edge_spot(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a place nearer to a wall than any other set has it."""
        spot = rng.uniform(LOW[:2] + EDGE, HIGH[:2] - EDGE)
        axis, wall = rng.integers(2), rng.integers(2)
        depth = rng.uniform(EDGE, MARGIN)
        spot[axis] = (LOW + depth, HIGH - depth)[wall][axis]
        return spot

    def _arm_start(self) -> np.ndarray:
        """Draw where the open tool starts, `(3,)`."""
        if self.start_set != 'ood_arm':
            return self._pose(self.np_random)
        return self.np_random.uniform([LOW[0], 0.05, 0.03], [HIGH[0], HIGH[1], 0.08])

    def succeeded(self) -> bool:
        """Whether the cube's centre is above `LIFTED` and both fingers touch it."""
        return bool(self.object_position()[2] > LIFTED and self._held())

    def undone(self) -> bool:
        """Whether the cube lies on the tray and the gripper is off it."""
        cube = self.object_position()
        away = np.linalg.norm(self.arm.position - cube) > CLEAR
        return bool(cube[2] < HALF + 0.005 and away and not self.arm.fingers_on(self._cube))

    def object_position(self) -> np.ndarray:
        """Position of the cube's centre, metres `(3,)`, in the frame of the robot's base."""
        return self.arm.data.geom_xpos[self._cube].copy()

    def _held(self) -> bool:
        return self.arm.fingers_on(self._cube) == 2

    # -- the demonstrator --------------------------------------------------------------------

    def expert(self, direction: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield actions that lift the cube, or that put it down at random and back off.

        Backward picks the cube up first where it is not held, as after an arm reset, and puts it
        down anywhere on the tray, whatever the set.
        """
        hand = self._demonstrator(rng)
        yield from self._lift(hand) if direction == 'forward' else self._put_back(hand)

    def _lift(self, hand: Hand) -> Iterator[np.ndarray]:
        yield from self._grasp(hand, height=hand.rng.uniform(LIFTED + 0.05, HIGH[2] - 0.04))
        yield from hand.wait(5 * self.repeat, closed=True)

    def _grasp(self, hand: Hand, height: float) -> Iterator[np.ndarray]:
        for _ in range(5):  # a grasp may slip
            if not self._held():
                yield from self._rise(hand)
                yield from self._follow(hand, lambda: self._over_cube(ABOVE), 0.012)
                yield from self._follow(hand, lambda: self._over_cube(GRASP), 0.006, steps=20)
                yield from hand.wait(5, closed=True)
            goal = np.array([*self.arm.position[:2], height])
            yield from self._follow(hand, lambda goal=goal: goal, 0.01, closed=True)
            if self._held():
                return

    def _put_back(self, hand: Hand) -> Iterator[np.ndarray]:
        if not self._held():
            yield from self._grasp(hand, height=ABOVE)
        spot = hand.rng.uniform(LOW[:2] + MARGIN, HIGH[:2] - MARGIN)
        for height, tolerance in ((ABOVE, 0.015), (HALF + 0.003, 0.006)):
            goal = np.array([*spot, height])
            yield from self._follow(
                hand, lambda goal=goal: self._carrying(goal), tolerance, closed=True
            )
        yield from hand.wait(4, closed=False)
        yield from self._rise(hand)
        goal = self._beside(hand.rng)
        yield from self._follow(hand, lambda: goal, 0.015)
        yield from hand.wait(5 * self.repeat, closed=False)

    def _over_cube(self, height: float) -> np.ndarray:
        return np.array([*self.object_position()[:2], height])

    def _carrying(self, goal: np.ndarray) -> np.ndarray:
        """Return where the tool has to be for the cube in it to be at `goal`."""
        return goal + self.arm.position - self.object_position()

    def _beside(self, rng: np.random.Generator) -> np.ndarray:
        while True:
            pose = self._pose(rng)
            if np.linalg.norm(pose - self.object_position()) > CLEAR + 0.04:
                return pose
