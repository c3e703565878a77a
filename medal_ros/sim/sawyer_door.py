"""Sawyer door: the hand closes a door by its handle, and opens it again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from medal_ros.sim.hand import Hand
from medal_ros.sim.sawyer import SawyerTask
from medal_ros.sim.scene import camera

HINGE = np.array([-0.085, 0.85])
GOAL = np.array([0.29072163, 0.74286009, 0.10003595])  # the handle of the closed door
REACH = float(np.linalg.norm(GOAL[:2] - HINGE))  # from the hinge to the handle
CLOSED = math.atan2(*(GOAL[:2] - HINGE)[::-1])  # direction of the closed door
OPEN = -math.pi / 3  # joint angle; 0 is closed
SPREAD = math.pi / 20  # starts are up to this much less open
STOP = -1.4  # the door opens no further
TOLERANCE = 0.02  # the handle is this close to its goal when the task is done
PUSH = 0.12  # height of the hand while it pushes
SLIPPERY = 'solref=".005 1" priority="1" friction=".2 .005 .0001"'  # no finger jams on the door
BESIDE = 0.06  # distance from the handle at which the hand comes down


def _door() -> str:
    return f'''
      <geom class="seen" type="cylinder" size=".045 .0015" pos="{GOAL[0]} {GOAL[1]} .0015"
            rgba=".1 .65 .25 1"/>
      <geom class="seen" type="cylinder" size=".022 .09" pos="{HINGE[0]} {HINGE[1]} .09"
            rgba=".35 .35 .38 1"/>
      <body pos="{HINGE[0]} {HINGE[1]} 0" euler="0 0 {CLOSED}">
        <joint name="door" type="hinge" axis="0 0 1" range="{STOP} 0" damping="1"
               frictionloss="1.5" armature=".02"/>
        <geom type="box" size=".16 .012 .065" pos=".17 0 .075" mass="1"
              rgba=".92 .9 .84 1" {SLIPPERY}/>
        <geom type="box" size=".035 .01 .012" pos=".36 0 .04" mass=".1"
              rgba=".85 .12 .1 1" {SLIPPERY}/>
        <geom name="handle" type="capsule" size=".02" mass=".1" rgba=".85 .12 .1 1"
              fromto="{REACH} 0 .07 {REACH} 0 {2 * GOAL[2] - 0.07}" {SLIPPERY}/>
      </body>'''


class SawyerDoor(SawyerTask):
    """EARL's door: close it from 51 to 60 degrees open; the backward task opens it that far.

    The task is done while the handle is within 2 cm of where the closed door has it, and undone
    while the door is at least as open as the least open start.

    Starts: `'initial'` has the door at `-pi/3 + U(0, pi/20)` and the hand at (0, 0.4, 0.2).
    `'done'` has the door within the tolerance of closed, and the hand at the same place.
    """

    control_steps = 300
    demonstration_counts: ClassVar[dict[str, int]] = {'forward': 5, 'backward': 5}
    grasps = False
    rest = (0.0, 0.4, 0.2)

    def _world(self) -> str:
        eye = camera('third', (0.35, -0.1, 0.75), (0.09, 0.64, 0.11), up=(0, 0, 1), fovy=38)
        return _door() + eye

    @property
    def angle(self) -> float:
        """Joint angle of the door, radians: 0 is closed, negative is open."""
        return float(self.hand.data.joint('door').qpos[0])

    def _place(self, done: bool) -> None:
        self.hand.restart()
        ajar = 0.9 * TOLERANCE / REACH
        spread = (-ajar, 0.0) if done else (OPEN, OPEN + SPREAD)
        self.hand.data.joint('door').qpos[0] = self.np_random.uniform(*spread)
        self.hand.put(np.array(self.rest))

    def succeeded(self) -> bool:
        """Whether the handle is where the closed door has it."""
        return bool(np.linalg.norm(self.object_position() - GOAL) <= TOLERANCE)

    def undone(self) -> bool:
        """Whether the door is as open as where it starts."""
        return self.angle <= OPEN + SPREAD

    def object_position(self) -> np.ndarray:
        """Position of the handle's centre, metres `(3,)`."""
        return self.hand.data.geom('handle').xpos.copy()

    # -- the demonstrator --------------------------------------------------------------------

    def expert(self, direction: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield actions that push the handle from behind, and then keep the hand where it is."""
        hand = self._demonstrator(rng)
        closing = direction == 'forward'
        goal = 0.0 if closing else rng.uniform(OPEN, OPEN + 0.8 * SPREAD)
        for _ in range(5):  # the hand may slip off the handle
            yield from self._rise(hand, closed=True)
            yield from self._push(hand, goal, 1.0 if closing else -1.0)
            if self.succeeded() if closing else self.undone():
                break
        yield from hand.wait(10 * self.repeat, closed=True)

    def _push(self, hand: Hand, goal: float, sense: float) -> Iterator[np.ndarray]:
        """Go behind the handle and push it until the door is at `goal` or nothing moves."""
        yield from self._follow(hand, lambda: self._beside(-sense, 0.23), 0.02, closed=True)
        yield from self._follow(hand, lambda: self._beside(-sense, PUSH), 0.012, closed=True)
        for _ in range(150):
            left = sense * (goal - self.angle) * REACH
            if left < 0.2 * TOLERANCE:
                return
            # A hand that is not straight behind the handle would press it towards the hinge.
            behind = self.hand.position[:2] - self.object_position()[:2]
            direction = CLOSED + self.angle
            aside = abs(behind @ [math.cos(direction), math.sin(direction)])
            ahead = self._along(sense, min(0.02, left - 0.03) - 3 * aside)
            yield hand.towards([*ahead, PUSH] - self.hand.position, closed=True)

    def _beside(self, sense: float, height: float) -> np.ndarray:
        return np.array([*self._along(sense, BESIDE), height])

    def _along(self, sense: float, distance: float) -> np.ndarray:
        """Return the place beside the handle, in the sense in which the door turns, `(2,)`."""
        direction = CLOSED + self.angle
        ahead = sense * np.array([-math.sin(direction), math.cos(direction)])
        return self.object_position()[:2] + distance * ahead
