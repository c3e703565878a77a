"""Bowl cover: a Panda covers a bowl with a cloth, and takes the cloth off again."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from medal_ros.sim.cloth import COUNT, disc, rolled, turned
from medal_ros.sim.cloth_task import JAW, LOW, MOST_TURN, WIDTH, ClothTask
from medal_ros.sim.hand import Hand

HIGH = np.array([*(LOW[:2] + WIDTH), 0.30])
REST = np.array([0.49, 0.0, 0.24])  # the tool after an arm reset to the fixed pose
ABOVE = 0.18  # tool height at which nothing on the tray is in the way
BOWL = np.array([0.49, -0.13])  # its middle
RADIUS = 0.05  # to the middle of its wall
WALL = 0.004  # half the thickness of that
RIM = 0.045  # its height
SIDES = 12  # of the polygon that it is
GLAZE = 0.15  # friction of the bowl: a cloth that is pulled by its edge slides off it
ENOUGH = 0.85  # share of the opening that is covered when the task is done
BESIDE = 0.045  # a finger comes down at least so far from the middle of the bowl's wall


def _bowl() -> str:
    length = RADIUS * math.tan(math.pi / SIDES) * 1.05
    sides = ''
    for side in range(SIDES):
        yaw = 2 * math.pi * side / SIDES
        sides += (
            f'<geom class="bowl" size="{WALL} {length:.6g} {RIM / 2}" euler="0 0 {yaw:.6g}" '
            f'pos="{RADIUS * math.cos(yaw):.6g} {RADIUS * math.sin(yaw):.6g} {RIM / 2}"/>'
        )
    look = (
        f'type="box" rgba=".95 .75 .1 1" priority="3" friction="{GLAZE} .005 .0001" '
        'solref=".004 1" solimp=".98 .99"'  # softer walls cut through the cloth
    )
    sides = sides.replace('class="bowl"', look)
    return f"""
      <body name="bowl" pos="{BOWL[0]} {BOWL[1]} 0">{sides}
        <geom class="arm" type="cylinder" size="{RADIUS} .002" pos="0 0 .002"
              rgba=".55 .3 .05 1"/>
      </body>"""


class BowlCover(ClothTask):
    """Cover a bowl with a cloth; the backward task lays the cloth beside it, on the platform.

    Starts: `'initial'` has the cloth on the platform, from flat to scrunched, and the arm at a
    wide random pose above it, open. `'done'` has the cloth over the bowl and the arm at such a
    pose.
    """

    control_steps = 300
    high, rest, above = HIGH, REST, ABOVE

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        self._opening = disc(BOWL, RADIUS - WALL)

    def _goal(self) -> str:
        return _bowl()

    def _done_cloth(self, rng: np.random.Generator) -> np.ndarray:
        spot = BOWL + rng.uniform(-0.02, 0.02, 2)
        flat = turned(rolled(np.zeros(COUNT - 1)), rng.uniform(-MOST_TURN, MOST_TURN))
        return flat + [*spot, RIM + 0.015]

    def coverage(self) -> float:
        """Return the share of the bowl's opening that the cloth covers, seen from above."""
        return self.cloth.covered(self._opening)

    def succeeded(self) -> bool:
        """Whether the bowl is covered, all but 15 %, and the gripper has let go."""
        return self.coverage() >= ENOUGH and self.let_go()

    def undone(self) -> bool:
        """Whether the bowl is uncovered, the cloth lies on the platform and was let go."""
        return self.coverage() == 0.0 and self.on_platform() and self.let_go()

    def _bring(self, hand: Hand) -> Iterator[np.ndarray]:
        for height, tolerance in ((HIGH[2] - 0.05, 0.02), (RIM + 0.05, 0.012)):
            yield from self._carry(hand, lambda h=height: self._carrying(BOWL, h), tolerance)

    def _return(self, hand: Hand) -> Iterator[np.ndarray]:
        return self._put_down(hand)

    def _blocked(self, spots: np.ndarray) -> np.ndarray:
        """Return where a finger would come down on the bowl or on the cloth's slope beside it."""
        jaw = spots[:, None] + [[0.0, JAW], [0.0, -JAW]]
        return np.linalg.norm(jaw - BOWL, axis=2).min(axis=1) < RADIUS + BESIDE

    def _ground(self, spot: np.ndarray) -> float:
        inside = np.linalg.norm(spot - BOWL) < RADIUS + 0.015
        return RIM if inside else super()._ground(spot)
