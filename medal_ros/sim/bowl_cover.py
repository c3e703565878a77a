"""Bowl cover: a Panda covers a bowl with a cloth, and takes the cloth off again."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from medal_ros.sim.cloth import COUNT, disc, rolled, turned
from medal_ros.sim.cloth_task import (
    JAW,
    LOOSE,
    LOW,
    MOST_TURN,
    PLATFORM,
    SPREAD,
    WIDTH,
    ClothTask,
)
from medal_ros.sim.hand import Hand

HIGH = np.array([*(LOW[:2] + WIDTH), 0.27])
REST = np.array([0.49, 0.0, 0.24])  # the tool after an arm reset to the fixed pose
ABOVE = 0.18  # tool height at which nothing on the tray is in the way
BOWL = np.array([0.49, -0.13])  # its middle
RADIUS = 0.05  # to the middle of its wall
RIM = 0.045  # its height
WALL = 0.004  # half the thickness of its wall
LIP = 0.008  # and of its rim, which is round: cloth would catch on the edge of the wall
DOUGH = 0.036  # height of what is in it; round an empty bowl's thin wall, cloth gets caught
SIDES = 12  # of the polygon that it is
GLAZE = 0.15  # friction of the bowl: a cloth that is pulled by its edge slides off it
ENOUGH = 0.85  # share of the opening that is covered when the task is done
MORE = 0.05  # and what a demonstrator wants beyond that, for cloth goes on sliding a little
SAG = 0.003  # cloth so far below the rim lies in the bowl
HALFWAY = (BOWL[1] + PLATFORM[1]) / 2  # from the platform to the bowl
BESIDE = 0.045  # a finger comes down at least so far from the middle of the bowl's wall
ALONG = 0.025  # metres that the cloth reaches beyond a grasp, along the way it is pulled
SHORT = 0.03  # metres from its goal at which a cloth may be pulled either way
FEEL = (
    f'priority="3" friction="{GLAZE} .005 .0001" '
    'solref=".004 1" solimp=".98 .99"'  # softer walls cut through the cloth
)
LOOK = f'{FEEL} rgba=".95 .75 .1 1"'


def _bowl() -> str:
    half = math.pi / SIDES
    height, corner = RIM - LIP, RADIUS / math.cos(half)
    parts = ''
    for side in range(SIDES):
        yaw = 2 * half * side
        x, y = RADIUS * math.cos(yaw), RADIUS * math.sin(yaw)
        ends = (
            f'{corner * math.cos(end):.6g} {corner * math.sin(end):.6g} {height}'
            for end in (yaw - half, yaw + half)
        )
        length = 1.05 * RADIUS * math.tan(half)
        parts += f'''
        <geom type="box" {LOOK} size="{WALL} {length:.6g} {height / 2}" euler="0 0 {yaw:.6g}"
              pos="{x:.6g} {y:.6g} {height / 2}"/>
        <geom type="capsule" {LOOK} size="{LIP}" fromto="{' '.join(ends)}"/>'''
    return f"""
      <body name="bowl" pos="{BOWL[0]} {BOWL[1]} 0">{parts}
        <geom type="cylinder" size="{RADIUS} {DOUGH / 2}" pos="0 0 {DOUGH / 2}" {FEEL}
              rgba=".85 .65 .4 1"/>
      </body>"""


class BowlCover(ClothTask):
    """Cover a bowl with a cloth; the backward task lays the cloth beside it, on the platform.

    The jaw opens across the way from platform to bowl, so that the fold by which the cloth is
    pulled runs along it.

    Starts: `'initial'` has the cloth on the platform, from flat to scrunched, and the arm at a
    wide random pose above it, open. `'done'` has the cloth over the bowl and the arm at such a
    pose.
    """

    control_steps = 300
    high, rest, above = HIGH, REST, ABOVE
    facing = math.pi / 2
    calm = 12

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        self._opening = disc(BOWL, RADIUS)

    def _goal(self) -> str:
        return _bowl()

    def _done_cloth(self, rng: np.random.Generator) -> np.ndarray:
        spot = BOWL + rng.uniform(-0.02, 0.02, 2)
        flat = turned(rolled(np.zeros(COUNT - 1)), rng.uniform(-MOST_TURN, MOST_TURN))
        return flat + [*spot, RIM + 0.015]

    def coverage(self) -> float:
        """Return the share of the bowl's opening over which there is cloth, on its rim or above."""
        return self.cloth.covered(self._opening, above=RIM - SAG)

    def succeeded(self) -> bool:
        """Whether the bowl is covered, all but 15 %, and the gripper has let go."""
        return self.coverage() >= ENOUGH and self.let_go()

    def undone(self) -> bool:
        """Whether the bowl is uncovered, the cloth lies on the platform and was let go."""
        bare = self.cloth.covered(self._opening) == 0.0
        return bare and self.on_platform() and self.let_go()

    # -- the demonstrator --------------------------------------------------------------------

    def _content(self, forward: bool) -> bool:
        if forward:
            return self.coverage() >= ENOUGH + MORE and self.let_go()
        return self.undone()

    def _attempt(self, hand: Hand, forward: bool) -> Iterator[np.ndarray]:
        """Yield actions that pull the cloth over the bowl, or onto the platform, and let go.

        The cloth is lifted by the edge that goes first, which shakes its folds out, and laid
        down with the rest trailing behind. A cloth that lies about the bowl and does not cover it
        goes back to the platform first.
        """
        cover = forward and self.cloth.centre[1] > HALFWAY
        goal = BOWL if cover else PLATFORM + hand.rng.uniform(-SPREAD, SPREAD)
        yield from self._fetch(hand, lambda rng: self._edge(goal, rng))
        if self._held():
            yield from self._lay(hand, goal)
            yield from hand.wait(5, closed=False)

    def _edge(self, goal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw where the cloth is grasped to be pulled to `goal`: inside the edge that goes first.

        Both fingers come down on the cloth where they can: beside it they would close on nothing.
        """
        spots = self.cloth.vertices[:, :2]
        along, aside = goal - self.cloth.centre[:2]
        way = math.copysign(1.0, aside)
        if max(abs(along), abs(aside)) < SHORT:
            way = rng.choice([-1.0, 1.0])
        margin = [[JAW, 0.0], [-JAW, 0.0], [0.0, ALONG], [0.0, -ALONG]]
        bare = np.array([1.0 - self.cloth.covered(spot + margin) for spot in spots])
        cost = 0.5 * np.abs(spots[:, 0] - spots[:, 0].mean()) - way * spots[:, 1]
        cost += rng.uniform(0.0, LOOSE, len(spots)) + 0.3 * bare
        left, right = (self._outside(fingers) for fingers in self._fingers_at(spots))
        cost += 0.5 * (left | right)  # on a wall the jaw slides off the cloth
        cost += 1.0 * self._blocked(spots) + 10.0 * self._outside(spots)
        return spots[np.argmin(cost)]

    def _blocked(self, spots: np.ndarray) -> np.ndarray:
        """Return where the bowl is in the way of a finger, or of the fold between them."""
        fingers = np.linalg.norm(self._fingers_at(spots) - BOWL, axis=2).min(axis=0)
        fold = np.linalg.norm(spots - BOWL, axis=1)
        return (fingers < RADIUS + BESIDE) | (fold < RADIUS + 0.02)

    def _ground(self, spot: np.ndarray) -> float:
        inside = np.linalg.norm(spot - BOWL) < RADIUS + 0.015
        return RIM if inside else super()._ground(spot)
