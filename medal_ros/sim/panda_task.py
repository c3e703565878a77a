"""What every task of the Panda shares: a tray, actions, arm resets, observations."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np

from medal_ros.sim.hand import Hand
from medal_ros.sim.panda import HOME, INTEGRATOR, JOINT_NAMES, TIMESTEP, Panda
from medal_ros.sim.task import Observation, Snapshot, TaskEnv

MAX_STEP = 0.02  # metres that one action moves the tool at most
MAX_TURN = 0.2  # radians that one action turns it at most
SLOPE = math.radians(30)  # of the walls: what lies on one slides back to the gripper's reach
WALL = 0.15  # length of a slope below a fence: a cube has room between that and a finger
SINK = 0.02  # how much of that length lies below the table
THICK = 0.01  # half the thickness of a wall
REACH = (WALL - SINK) * math.cos(SLOPE)  # of such a wall beyond the tool's box
RIM = (WALL - SINK) * math.sin(SLOPE)  # its height
SLIPPERY = 'priority="1" friction=".1 .005 .0001" solref=".004 1"'
ROOM = 0.1  # metres around the tool's box in which an object is not lost: on a wall, it slides back


def tray(low: np.ndarray, high: np.ndarray, wall: float = 0.12) -> str:
    """Return a tray's sloped, slippery walls, whose feet are the edges of the tool's box."""
    return ''.join(_wall(low, high, wall, axis, sign) for axis in (0, 1) for sign in (-1, 1))


def _wall(low: np.ndarray, high: np.ndarray, wall: float, axis: int, sign: int) -> str:
    outward = np.zeros(3)
    outward[axis] = sign
    up = np.array([0.0, 0.0, 1.0])
    normal = math.cos(SLOPE) * up - math.sin(SLOPE) * outward
    uphill = math.sin(SLOPE) * up + math.cos(SLOPE) * outward
    centre = (low + high) / 2 * [1, 1, 0]
    centre[axis] = (high if sign > 0 else low)[axis]
    centre += (wall / 2 - SINK) * uphill - THICK * normal
    size = np.full(3, THICK)
    size[axis], size[1 - axis] = wall / 2, (high - low)[1 - axis] / 2 + 0.8 * wall
    place, tilt, box = (' '.join(f'{v:.6g}' for v in vector) for vector in (centre, normal, size))
    shape = f'type="box" pos="{place}" zaxis="{tilt}" size="{box}"'
    return f'<geom {shape} rgba=".45 .5 .55 1" {SLIPPERY}/>'


def fence(low: np.ndarray, high: np.ndarray) -> str:
    """Return what nobody sees: upright walls on the rim, for what the arm throws or pushes out."""
    walls = ''
    for axis in (0, 1):
        for sign in (-1, 1):
            centre = [*((low + high) / 2)[:2], RIM + 0.27]
            centre[axis] = (high if sign > 0 else low)[axis] + sign * (REACH + 2 * THICK)
            size = [0.5, 0.5, 0.3]
            size[axis] = 2 * THICK
            place, box = (' '.join(f'{v:.6g}' for v in vector) for vector in (centre, size))
            walls += f'<geom type="box" pos="{place}" size="{box}" rgba="0 0 0 0" {SLIPPERY}/>'
    return walls


class PandaTask(TaskEnv):
    """A task of the Panda above a tray.

    Actions are `(dx, dy, dz, grip)` at 10 Hz in the frame of the robot's base, or
    `(dx, dy, dz, dyaw, grip)` where the tool turns: 1 is 2 cm or 0.2 rad, the norm of the first
    three is clipped to 2 cm, `grip > 0` closes the jaw and anything else opens it.
    Proprioception is the tool's position, scaled to [-1, 1] over its box, its yaw, scaled by
    `most_yaw`, where it turns, and the jaw's opening, -1 shut to 1 open.

    Class attributes:
        low: Smallest tool position that is commanded, `(3,)` metres, base frame.
        high: Largest one.
        rest: The tool after an arm reset to the fixed pose, `(3,)`; its yaw is then 0.
        above: Height of the tool at which nothing on the tray is in its way, metres.
        most_yaw: The tool turns so far either way, radians; 0: never.
        facing: How it is turned at yaw 0, radians; 0: its jaw opens along y.
        timestep: Of the physics, seconds.
        integrator: Of the physics, as for `medal_ros.sim.panda.scene`.
    """

    low: ClassVar[np.ndarray]
    high: ClassVar[np.ndarray]
    rest: ClassVar[np.ndarray]
    above: ClassVar[float]
    most_yaw: ClassVar[float] = 0.0
    facing: ClassVar[float] = 0.0
    timestep: ClassVar[float] = TIMESTEP
    integrator: ClassVar[str] = INTEGRATOR
    joint_names = JOINT_NAMES

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        self.arm = Panda(
            self._world(),
            self.low,
            self.high,
            offscreen=self.spaces.height,
            yaw=self.most_yaw,
            timestep=self.timestep,
            integrator=self.integrator,
            facing=self.facing,
        )
        self._rest = self.arm.inverse(self.rest, HOME, iterations=100)
        self.arm.put(self.rest, opening=1.0)

    @classmethod
    def workspace(cls) -> tuple[list[float], list[float]]:
        """Return the tool's box, with room for what leans over the tray's walls."""
        return (cls.low - ROOM).tolist(), (cls.high + ROOM).tolist()

    @abstractmethod
    def _world(self) -> str:
        """Return the MJCF of what is beside the arm: the tray, objects, the third camera."""

    # -- the arm -----------------------------------------------------------------------------

    def _move(self, action: np.ndarray) -> None:
        delta = action[:3] / max(1.0, np.linalg.norm(action[:3]))
        turn = MAX_TURN * float(action[3]) if self.most_yaw else 0.0
        self.arm.move(MAX_STEP * delta.astype(float), closed=bool(action[-1] > 0), turn=turn)

    def _stay(self, steps: int, closed: bool) -> None:
        for _ in range(steps):
            self.arm.move_joints(self.arm.data.ctrl[:7].copy(), closed)

    def _go(self, target: np.ndarray, closed: bool, yaw: float | None = None) -> None:
        """Bring the tool straight to a pose, as fast as actions could; None keeps its yaw."""
        for _ in range(60):
            way = np.subtract(target, self.arm.position)
            turn = 0.0 if yaw is None else yaw - self.arm.yaw
            distance = np.linalg.norm(way)
            if distance < 0.005 and abs(turn) < 0.02:
                return
            step = way * min(1.0, MAX_STEP / max(distance, 1e-9))
            self.arm.move(step, closed, turn=min(max(turn, -MAX_TURN), MAX_TURN))

    def _pose(self, rng: np.random.Generator, low: float = 0.0) -> np.ndarray:
        """Draw a tool position above everything on the tray, and above `low`, `(3,)`."""
        return rng.uniform([*self.low[:2], max(low, self.above)], self.high)

    def _yaw(self, rng: np.random.Generator) -> float | None:
        """Draw a yaw for the tool; None where it never turns."""
        return rng.uniform(-self.most_yaw, self.most_yaw) if self.most_yaw else None

    def reset_arm(self, pose: str) -> None:
        """Open the gripper, go up, then to `rest` or a random pose above the tray.

        Raises:
            ValueError: `pose` is neither `'fixed'` nor `'random'`.
        """
        if pose not in ('fixed', 'random'):
            raise ValueError(f"an arm reset goes to a 'fixed' or 'random' pose, not {pose!r}")
        self._stay(8, closed=False)
        self._go([*self.arm.position[:2], max(self.above, self.arm.position[2])], closed=False)
        if pose == 'random':
            self._go(self._pose(self.np_random), closed=False, yaw=self._yaw(self.np_random))
            return
        way = self._rest - self.arm.data.ctrl[:7]
        steps = 1 + int(np.abs(way).max() / 0.1)
        for _ in range(steps):
            self.arm.move_joints(self.arm.data.ctrl[:7] + way / steps, closed=False)
        self._stay(3, closed=False)

    def _save(self) -> Snapshot:
        start_set = np.array([self.start_sets.index(self.start_set)])  # the expert goes by it
        return {'physics': self.arm.state, 'start_set': start_set}

    def _load(self, snapshot: Snapshot) -> None:
        self.arm.state = snapshot['physics']
        self.start_set = self.start_sets[snapshot['start_set'][0]]

    # -- what it shows -----------------------------------------------------------------------

    def joints(self) -> np.ndarray:
        """Return the angles of the seven joints, then what each finger is away from shut."""
        return self.arm.joints

    def observe(self) -> Observation:
        """Render both cameras; the thread that does so first has to do it ever after."""
        shape = self.spaces.height, self.spaces.width
        seen = {name: self.arm.image(name, *shape) for name in self.spaces.cameras}
        tool = 2 * (self.arm.position - self.low) / (self.high - self.low) - 1
        yaw = [self.arm.yaw / self.most_yaw] if self.most_yaw else []
        proprio = np.array([*tool, *yaw, 2 * self.arm.opening - 1], np.float32)
        return seen | {'proprio': np.clip(proprio, -1.0, 1.0)}

    def close(self) -> None:
        """Release the renderer; call it from the thread that observed."""
        self.arm.close()
        super().close()

    # -- what its experts share --------------------------------------------------------------

    def _demonstrator(self, rng: np.random.Generator) -> Hand:
        return Hand(rng, MAX_STEP, self.repeat, turn_scale=MAX_TURN if self.most_yaw else 0.0)

    def _follow(
        self,
        hand: Hand,
        goal: Callable[[], np.ndarray],
        tolerance: float,
        closed: bool = False,
        steps: int = 60,
        yaw: Callable[[], float] | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield actions until the tool is at a goal that may move, or time is up."""
        turn = None if yaw is None else lambda: yaw() - self.arm.yaw
        return hand.follow(lambda: goal() - self.arm.position, tolerance, closed, steps, turn)

    def _rise(self, hand: Hand, closed: bool = False) -> Iterator[np.ndarray]:
        goal = np.array([*self.arm.position[:2], max(self.above, self.arm.position[2])])
        return self._follow(hand, lambda: goal, 0.015, closed)
