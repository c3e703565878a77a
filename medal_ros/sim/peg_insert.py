"""Peg insertion: a Panda that turns its tool puts a square peg into a socket, and takes it out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar

import numpy as np

from medal_ros.sim.hand import Hand
from medal_ros.sim.panda_task import WALL, PandaTask, fence, tray
from medal_ros.sim.scene import camera
from medal_ros.spaces import Spaces

LOW = np.array([0.42, -0.17, 0.015])  # where the tool may be commanded, metres, base frame
HIGH = np.array([0.64, 0.17, 0.26])
REST = np.array([0.53, -0.02, 0.22])
MOST_YAW = 0.9  # radians; a square peg needs pi/4 either way
ABOVE = 0.15  # tool height at which nothing, in the jaw or not, touches what stands on the tray
HALF = 0.015  # half the peg's width
LENGTH = 0.08  # of the peg without its knob
FOOT = 0.008  # half the width of the peg's foot
STEP = 0.015  # height of that foot
WEIGHT = 0.003  # height of the peg's centre of mass: whatever way it falls, it gets up
GRASP = 0.055  # height of the tool above the foot of a peg that it grasps
SOCKET = np.array([0.53, 0.075])  # middle of the hole
SOCKET_YAW = 0.35
HOLE = 0.018  # half its width: 6 mm of play
RIM = 0.008  # thickness of the socket
DEPTH = 0.04  # height of the socket
INSIDE = 0.010  # the peg's foot is nearer than this to the hole's middle, and to its bottom
OUTSIDE = 0.06  # a peg that was taken out is farther than this from the hole's middle
CLEAR = 0.05  # the tool is at least this far above the grasp of a peg that was let go
UPRIGHT = math.cos(math.radians(10))
SPOTS = np.array([[0.46, -0.13], [0.60, -0.02]])  # the peg starts between these
QUARTER = math.pi / 2
SOFT = 'solref=".01 1"'  # twice as soft, and the arm presses the peg in at any yaw


def fold(yaw: float) -> float:
    """Return the yaw in [-pi/4, pi/4) at which a square looks the same."""
    return (yaw + QUARTER / 2) % QUARTER - QUARTER / 2


def _socket() -> str:
    rim = ''
    for turn in range(4):
        yaw = turn * QUARTER
        along = HOLE + RIM / 2
        rim += (
            f'<geom type="box" size="{RIM / 2} {HOLE + RIM} {DEPTH / 2}" euler="0 0 {yaw:.6g}" '
            f'pos="{along * math.cos(yaw):.6g} {along * math.sin(yaw):.6g} {DEPTH / 2}" '
            f'rgba=".2 .6 .3 1" friction=".4 .005 .0001" {SOFT}/>'
        )
    return f"""
      <body name="socket" pos="{SOCKET[0]} {SOCKET[1]} 0" euler="0 0 {SOCKET_YAW}">{rim}
        <geom class="arm" type="box" size="{HOLE} {HOLE} .0005" rgba=".05 .15 .08 1"/>
      </body>"""


def _peg() -> str:
    """Return the peg: soft, with a narrow heavy foot and a round knob on which it cannot stand."""
    soft = f'condim="4" friction="1 .05 .001" {SOFT}'
    half = (LENGTH - STEP) / 2
    return f"""
      <body name="peg" pos=".5 -.08 0">
        <freejoint name="peg"/>
        <inertial pos="0 0 {WEIGHT}" mass=".06" diaginertia="4e-5 4e-5 1e-5"/>
        <geom name="peg" type="box" size="{HALF} {HALF} {half}" pos="0 0 {STEP + half}"
              rgba=".95 .55 .1 1" {soft}/>
        <geom type="box" size="{FOOT} {FOOT} {STEP / 2}" pos="0 0 {STEP / 2}"
              rgba=".5 .25 .05 1" {soft}/>
        <geom type="ellipsoid" size=".013 .013 .011" pos="0 0 {LENGTH}"
              rgba=".95 .85 .2 1" {soft}/>
      </body>"""


class PegInsert(PandaTask):
    """Put a square peg of 3 cm into a socket; the backward task takes it out and puts it down.

    Actions have five numbers, `(dx, dy, dz, dyaw, grip)`. The peg is soft and gets up by itself
    whatever way it falls, so that it can always be grasped from above.

    Starts: `'initial'` has the peg standing on the tray at any yaw and the arm at a wide random
    pose above it, open. `'done'` has the peg in its socket and the arm at such a pose.
    """

    spaces = Spaces(cameras=('wrist', 'third'), height=100, width=100, proprio=5, action=5)
    control_steps = 150
    demonstration_counts: ClassVar[dict[str, int]] = {'forward': 50, 'backward': 50}
    low, high, rest, above, most_yaw = LOW, HIGH, REST, ABOVE, MOST_YAW

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        self._body = self.arm.model.body('peg').id
        self._geoms = np.flatnonzero(self.arm.model.geom_bodyid == self._body)
        self._joint = self.arm.model.joint('peg').qposadr[0]

    # -- the world ---------------------------------------------------------------------------

    def _world(self) -> str:
        eye = camera('third', (1.30, 0, 0.52), (0.52, 0, 0.115), up=(0, 0, 1), fovy=31)
        return tray(LOW, HIGH, WALL) + fence(LOW, HIGH) + _socket() + _peg() + eye

    def _place(self, done: bool) -> None:
        self.arm.restart()
        rng = self.np_random
        if done:
            self._put_peg(SOCKET, SOCKET_YAW + rng.integers(4) * QUARTER)
        else:
            self._put_peg(self._spot(rng), rng.uniform(-math.pi, math.pi))
        self.arm.put(self._pose(rng), opening=1.0, yaw=self._yaw(rng))

    def _put_peg(self, spot: np.ndarray, yaw: float) -> None:
        pose = [*spot, 0.0, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]
        self.arm.data.qpos[self._joint : self._joint + 7] = pose

    def _spot(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a place on the tray for the peg, `(2,)`."""
        return rng.uniform(*SPOTS)

    def succeeded(self) -> bool:
        """Whether the peg stands in the socket."""
        foot = self.object_position()
        middle = np.linalg.norm(foot[:2] - SOCKET) < INSIDE
        return bool(middle and foot[2] < INSIDE and self._upright() > UPRIGHT)

    def undone(self) -> bool:
        """Whether the peg stands on the tray, out of the socket, and was let go."""
        foot = self.object_position()
        out = np.linalg.norm(foot[:2] - SOCKET) > OUTSIDE
        standing = foot[2] < INSIDE and self._upright() > UPRIGHT
        away = np.linalg.norm(self.arm.position - foot - [0.0, 0.0, GRASP]) > CLEAR
        return bool(out and standing and away and not self._touching())

    def object_position(self) -> np.ndarray:
        """Position of the peg's foot, metres `(3,)`, in the frame of the robot's base."""
        return self.arm.data.xpos[self._body].copy()

    def peg_yaw(self) -> float:
        """Yaw of the peg, folded to the quarter turn after which a square looks the same."""
        turned = self.arm.data.xmat[self._body]
        return fold(math.atan2(turned[3], turned[0]))

    def _upright(self) -> float:
        """Return the cosine of the peg's tilt."""
        return float(self.arm.data.xmat[self._body][8])

    def _touching(self) -> int:
        return max(self.arm.fingers_on(geom) for geom in self._geoms)

    def _held(self) -> bool:
        return self._touching() == 2

    # -- the demonstrator --------------------------------------------------------------------

    def expert(self, direction: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield actions that insert the peg, or that put it down at random, and back off."""
        hand = self._demonstrator(rng)
        for self.attempts in range(1, 5):  # the peg may slip, or miss the hole
            yield from self._insert(hand) if direction == 'forward' else self._take_out(hand)
            yield from hand.wait(4, closed=False)
            yield from self._rise(hand)
            if self.succeeded() if direction == 'forward' else self.undone():
                break
        yield from hand.wait(5 * self.repeat, closed=False)

    def _grasp(self, hand: Hand) -> Iterator[np.ndarray]:
        """Yield actions that grasp the peg and lift it until it is above everything."""
        for _ in range(5):
            if not self._held():
                yield from self._rise(hand)
                yield from self._follow(hand, lambda: self._at_peg(ABOVE), 0.010, yaw=self.peg_yaw)
                yield from self._follow(
                    hand, lambda: self._at_peg(GRASP), 0.006, steps=20, yaw=self.peg_yaw
                )
                yield from hand.wait(5, closed=True)
            goal = np.array([*self.arm.position[:2], ABOVE])
            yield from self._follow(hand, lambda goal=goal: goal, 0.012, closed=True)
            if self._held():
                return

    def _insert(self, hand: Hand) -> Iterator[np.ndarray]:
        yield from self._grasp(hand)
        yaw = partial(self._carrying_yaw, SOCKET_YAW)
        over = np.array([*SOCKET, DEPTH + 0.02])
        yield from self._carry(hand, np.array([*SOCKET, ABOVE - GRASP]), 0.008, yaw)
        yield from self._carry(hand, over, 0.004, yaw, steps=25)
        yield from self._carry(hand, np.array([*SOCKET, 0.004]), 0.005, yaw, steps=20)

    def _take_out(self, hand: Hand) -> Iterator[np.ndarray]:
        spot, target = self._spot(hand.rng), hand.rng.uniform(-QUARTER / 2, QUARTER / 2)
        yield from self._grasp(hand)
        yaw = partial(self._carrying_yaw, target)
        yield from self._carry(hand, np.array([*spot, ABOVE - GRASP]), 0.015, yaw)
        yield from self._carry(hand, np.array([*spot, 0.002]), 0.006, yaw, steps=25)

    def _at_peg(self, height: float) -> np.ndarray:
        return self.object_position() + [0.0, 0.0, height]

    def _carrying_yaw(self, target: float) -> float:
        """Return the tool's yaw at which the peg in it has the target's, the nearest in reach."""
        return fold(target - self.peg_yaw() + self.arm.yaw)

    def _carry(
        self,
        hand: Hand,
        goal: np.ndarray,
        tolerance: float,
        yaw: Callable[[], float],
        steps: int = 60,
    ) -> Iterator[np.ndarray]:
        """Bring the foot of the peg in the jaw to a place."""
        return self._follow(
            hand,
            lambda: goal + self.arm.position - self.object_position(),
            tolerance,
            closed=True,
            steps=steps,
            yaw=yaw,
        )
