"""What both cloth tasks share: a tray with a platform, the cloth, its demonstrator's grasp."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np

from medal_ros.sim.cloth import Cloth, cloth, crumpled, turned
from medal_ros.sim.gripper import OPEN, RADIUS
from medal_ros.sim.hand import Hand
from medal_ros.sim.panda_task import SLOPE, WALL, PandaTask, fence, tray
from medal_ros.sim.scene import camera
from medal_ros.spaces import Spaces

LOW = np.array([0.36, -0.22, 0.010])  # where the tool may be commanded, metres, base frame
WIDTH = np.array([0.26, 0.46])  # of that box; its height is the task's
PLATFORM = np.array([0.49, 0.11])  # middle of the platform on which the cloth starts
SPREAD = np.array([0.03, 0.02])  # a start has the cloth's middle so near to that
NEAR = np.array([0.08, 0.09])  # undone has it so near
FLAT = 0.09  # nothing of a cloth that was put down is higher
MOST_TURN = 0.4  # radians; a start has the cloth turned so far at most, or a quarter more
SETTLE = 12  # control steps in which a cloth that was placed comes to rest
CLEAR = 0.04  # the tool is at least this far from a cloth that was let go
JAW = OPEN + RADIUS  # from the tool to the middle of an open finger
PRESS = 0.011  # the tool above what the open fingers press the cloth on when they close
DEEP = 0.010  # the tool below the top of a fold that it grasps
NARROW = 0.015  # metres about the spot of a grasp in which the height of the cloth counts
LOOSE = 0.02  # metres that the spot of a grasp varies by
INSIDE = 0.03  # the cloth reaches so far beyond that spot, where it can be chosen
TRIES = 6  # attempts of a demonstration
TABLE = 0.5  # its friction: little enough for the open jaw to gather a fold of what lies flat
RUBBER = 3.0  # friction of the fingertips; the servo squeezes what is thin with 3 N only
HARD = (0.98, 0.99)  # its impedance; at this time step contacts are soft, and so
MARGIN = 0.0015  # metres above the table at which it pushes back: fingertips stay above it
MAT = """
      <geom class="arm" type="box" size=".13 .23 .0003" pos=".49 .01 0" rgba=".4 .4 .42 1"/>
      <geom class="arm" type="box" size=".12 .12 .0006" pos=".49 .11 0" rgba=".62 .6 .55 1"/>"""


class ClothTask(PandaTask):
    """A task with a cloth of 24 cm that lies on a platform, on the left of a tray.

    Class attributes:
        calm: Control steps in which a cloth that was let go slides to where it stays.
        view: Where the third camera is, and what it looks at, metres, base frame.
    """

    spaces = Spaces(cameras=('wrist', 'third'), height=100, width=100, proprio=4, action=4)
    demonstration_counts: ClassVar[dict[str, int]] = {'forward': 50, 'backward': 50}
    timestep = 0.01
    integrator = 'discrete'
    low = LOW
    calm: ClassVar[int] = 5
    view: ClassVar[tuple[tuple, tuple]] = ((1.25, 0.01, 0.62), (0.47, 0.01, 0.10))

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        table = self.arm.model.geom('table')
        table.friction[0], table.priority[0] = TABLE, 2
        table.solref[0], table.solimp[:2], table.margin[0] = 0.004, HARD, MARGIN
        self.cloth = Cloth(self.arm)
        sides = ('left', 'right')
        self._fingers = [self.arm.model.geom(f'{side}_finger').id for side in sides]
        self.arm.model.geom_friction[self._fingers, 0] = RUBBER

    # -- the world ---------------------------------------------------------------------------

    def _world(self) -> str:
        eye = camera('third', *self.view, up=(0, 0, 1), fovy=34)
        walls = tray(self.low, self.high, WALL) + fence(self.low, self.high)
        return walls + MAT + self._goal() + cloth([*PLATFORM, 0.01]) + eye

    @abstractmethod
    def _goal(self) -> str:
        """Return the MJCF of what the cloth is brought to."""

    @abstractmethod
    def _done_cloth(self, rng: np.random.Generator) -> np.ndarray:
        """Draw where the cloth is dropped to end up where the forward task brings it."""

    def _start_cloth(self, rng: np.random.Generator) -> np.ndarray:
        spot = PLATFORM + rng.uniform(-SPREAD, SPREAD)
        return turned(crumpled(rng), rng.uniform(-MOST_TURN, MOST_TURN)) + [*spot, 0.0]

    def _place(self, done: bool) -> None:
        rng = self.np_random
        for _ in range(20):
            self.arm.restart()
            self.cloth.put(self._done_cloth(rng) if done else self._start_cloth(rng))
            self.arm.put(self._pose(rng), opening=1.0)
            self._stay(SETTLE, closed=False)
            if self.succeeded() if done else self.undone():
                return
        raise RuntimeError('the cloth fell from where it was put twenty times in a row')

    def let_go(self) -> bool:
        """Whether the gripper is off the cloth and away from it."""
        way = np.linalg.norm(self.cloth.vertices - self.arm.position, axis=1)
        return bool(way.min() > CLEAR and not self.cloth.touched_by(self._fingers))

    def on_platform(self) -> bool:
        """Whether the cloth lies where starts are drawn."""
        near = np.abs(self.cloth.centre[:2] - PLATFORM) < NEAR
        return bool(near.all() and self.cloth.vertices[:, 2].max() < FLAT)

    def object_position(self) -> np.ndarray:
        """Mean of the cloth's vertices, metres `(3,)`, in the frame of the robot's base."""
        return self.cloth.centre

    # -- the demonstrator --------------------------------------------------------------------

    def expert(self, direction: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield actions that bring the cloth to its goal, or back to the platform.

        An attempt that fails is followed by another one.
        """
        hand, forward = self._demonstrator(rng), direction == 'forward'
        self.attempts = 0
        while self.attempts < TRIES and not self._content(forward):
            self.attempts += 1
            yield from self._attempt(hand, forward)
            yield from self._rise(hand)
            yield from hand.wait(self.calm, closed=False)
        yield from hand.wait(5 * self.repeat, closed=False)

    def _content(self, forward: bool) -> bool:
        """Whether the demonstrator sees no need for another attempt."""
        return self.succeeded() if forward else self.undone()

    def _attempt(self, hand: Hand, forward: bool) -> Iterator[np.ndarray]:
        """Yield actions that bring the cloth to its goal or back, and let go of it."""
        yield from self._fetch(hand)
        if self._held():
            yield from self._bring(hand) if forward else self._return(hand)
            yield from hand.wait(4, closed=False)

    @abstractmethod
    def _bring(self, hand: Hand) -> Iterator[np.ndarray]:
        """Yield actions that bring the cloth in the jaw to the goal."""

    @abstractmethod
    def _return(self, hand: Hand) -> Iterator[np.ndarray]:
        """Yield actions that bring the cloth in the jaw back to the platform."""

    def _spot(self, rng: np.random.Generator) -> np.ndarray:
        """Draw where the cloth is grasped, `(2,)`: about its middle, or as near as one can."""
        spots = self.cloth.vertices[:, :2]
        away = np.linalg.norm(spots - spots.mean(axis=0), axis=1)
        away += rng.uniform(0.0, LOOSE, len(spots))
        margin = [[0.0, INSIDE], [0.0, -INSIDE]]
        thin = np.array([self.cloth.covered(spot + margin) < 1.0 for spot in spots])
        blocked = self._blocked(spots)
        return spots[np.argmin(away + 1.0 * (thin | blocked) + 10.0 * self._outside(spots))]

    def _outside(self, spots: np.ndarray) -> np.ndarray:
        """Return which of some `(n, 2)` the tool cannot reach, `(n,)` bool."""
        return ((spots < self.low[:2] + 0.01) | (spots > self.high[:2] - 0.01)).any(axis=1)

    @abstractmethod
    def _blocked(self, spots: np.ndarray) -> np.ndarray:
        """Return at which of some `(n, 2)` the gripper had better not go down, `(n,)` bool."""

    def _held(self) -> bool:
        return self.arm.opening < 0.5 and self.cloth.touched_by(self._fingers) == 2

    def _fetch(
        self, hand: Hand, spot: Callable[[np.random.Generator], np.ndarray] | None = None
    ) -> Iterator[np.ndarray]:
        """Yield actions that grasp the cloth and lift it to the top of the box.

        Args:
            hand: Whose actions they are.
            spot: Draws where the cloth is grasped when the hand has risen; None: `_spot`.
        """
        if not self._held():
            yield from self._rise(hand)
            spot = (spot or self._spot)(hand.rng)
            over = np.array([*spot, max(self.above, self._height(spot) + 0.06)])
            yield from self._follow(hand, lambda: over, 0.012)
            down = np.array([*spot, self._height(spot)])
            yield from self._follow(hand, lambda: down, 0.004)
            yield from hand.wait(6, closed=True)
        yield from self._lift(hand)

    def _lift(self, hand: Hand) -> Iterator[np.ndarray]:
        up = np.array([*self.arm.position[:2], self.high[2] - 0.01])
        return self._follow(hand, lambda: up, 0.02, closed=True)

    def _height(self, spot: np.ndarray) -> float:
        """Return the tool's height for a grasp at `spot`: low, but on nothing too hard."""
        under = max(self._ground(finger) for finger in self._fingers_at(spot))
        return max(self.low[2], under + PRESS, self.cloth.top(spot, NARROW) - DEEP)

    def _fingers_at(self, spots: np.ndarray) -> np.ndarray:
        """Return where the fingers of an open jaw are, the tool at `(..., 2)`: `(2, ..., 2)`."""
        across = JAW * np.array([-math.sin(self.facing), math.cos(self.facing)])
        return np.stack([spots + across, spots - across])

    def _ground(self, spot: np.ndarray) -> float:
        """Return the height of what is below the cloth at `spot`."""
        beyond = np.maximum(self.low[:2] - spot, spot - self.high[:2]).max()
        return float(np.tan(SLOPE) * max(0.0, beyond))

    def _carrying(self, goal: np.ndarray, height: float) -> np.ndarray:
        """Return where the tool has to be for the cloth in it to be above `goal`, `(2,)`."""
        tool = goal + (self.arm.position - self.cloth.centre)[:2]
        return np.clip([*tool, height], self.low, self.high)

    def _carry(
        self, hand: Hand, goal: Callable[[], np.ndarray], tolerance: float
    ) -> Iterator[np.ndarray]:
        """Yield actions that bring the closed jaw to a goal, until the cloth slips out of it."""
        for action in self._follow(hand, goal, tolerance, closed=True):
            if not self._held():
                return
            yield action

    def _put_down(self, hand: Hand) -> Iterator[np.ndarray]:
        """Yield actions that carry the cloth in the jaw to the platform and lower it there."""
        yield from self._lay(hand, PLATFORM + hand.rng.uniform(-SPREAD, SPREAD))

    def _lay(self, hand: Hand, spot: np.ndarray, height: float = 0.05) -> Iterator[np.ndarray]:
        """Yield actions that carry the cloth in the jaw over `spot`, `(2,)`, and lower it."""
        for z, tolerance in ((self.high[2] - 0.01, 0.02), (height, 0.012)):
            yield from self._carry(hand, lambda z=z: self._carrying(spot, z), tolerance)
