"""Cube grasp: a Panda lifts a cube out of a shallow tray, and puts it down somewhere else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np

from medal_ros.sim.hand import Hand
from medal_ros.sim.panda import HOME, Panda
from medal_ros.sim.scene import camera
from medal_ros.sim.task import Observation, Snapshot, TaskEnv
from medal_ros.spaces import Spaces

LOW = np.array([0.42, -0.16, 0.015])  # where the tool may be commanded, metres, base frame
HIGH = np.array([0.64, 0.16, 0.26])
REST = np.array([0.53, 0.0, 0.22])  # the tool after an arm reset to the fixed pose
MAX_STEP = 0.02  # metres that one action moves the tool at most
HALF = 0.02  # half the cube's edge
GRASP = 0.02  # tool height at which the cube is grasped and let go
ABOVE = 0.10  # tool height at which nothing on the tray is in the way
LIFTED = 0.10  # the cube's centre is above this when the task is done
CLEAR = 0.06  # the tool is at least this far from a cube that was let go
MARGIN = 0.04  # the cube starts this far inside the tray's edge
SLOPE = math.radians(30)  # of the walls: a cube slides back to where the gripper reaches it
WALL = 0.12  # length of a wall's slope
SINK = 0.02  # how much of that length lies below the table
THICK = 0.01  # half the thickness of a wall


def _wall(axis: int, sign: int) -> str:
    """Return one sloped, slippery wall whose foot is an edge of the tool's box."""
    outward = np.zeros(3)
    outward[axis] = sign
    up = np.array([0.0, 0.0, 1.0])
    normal = math.cos(SLOPE) * up - math.sin(SLOPE) * outward
    uphill = math.sin(SLOPE) * up + math.cos(SLOPE) * outward
    centre = (LOW + HIGH) / 2 * [1, 1, 0]
    centre[axis] = (HIGH if sign > 0 else LOW)[axis]
    centre += (WALL / 2 - SINK) * uphill - THICK * normal
    size = np.full(3, THICK)
    size[axis], size[1 - axis] = WALL / 2, (HIGH - LOW)[1 - axis] / 2 + 0.8 * WALL
    place, tilt, box = (' '.join(f'{v:.6g}' for v in vector) for vector in (centre, normal, size))
    return (
        f'<geom type="box" pos="{place}" zaxis="{tilt}" size="{box}" rgba=".45 .5 .55 1" '
        'priority="1" friction=".1 .005 .0001" solref=".004 1"/>'
    )


def _world() -> str:
    walls = ''.join(_wall(axis, sign) for axis in (0, 1) for sign in (-1, 1))
    eye = camera('third', (1.30, 0, 0.52), (0.52, 0, 0.115), up=(0, 0, 1), fovy=31)
    return f'''{walls}{eye}
      <body name="cube" pos=".5 0 {HALF}">
        <freejoint name="cube"/>
        <geom name="cube" type="box" size="{HALF} {HALF} {HALF}" mass=".05" rgba=".85 .12 .1 1"
              condim="4" friction="1.2 .05 .001" solref=".004 1"/>
      </body>'''


class CubeGrasp(TaskEnv):
    """Grasp a 4 cm cube and lift it above 10 cm; the backward task puts it down and backs off.

    Actions are `(dx, dy, dz, grip)` at 10 Hz in the frame of the robot's base: 1 is 2 cm, the
    norm of the three is clipped to 2 cm, `grip > 0` closes the jaw and anything else opens it.
    Proprioception is the tool's position, scaled to [-1, 1] over its box, and the jaw's opening,
    -1 shut to 1 open.

    Starts: `'initial'` has the cube anywhere on the tray at any yaw and the arm at a wide random
    pose above it, open. `'done'` has the cube in the closed gripper and lifted: holding it, not
    letting go, is this task's done state. For the same reason a forward demonstration ends
    with the cube held, and `reset_arm` after it drops the cube.
    """

    spaces = Spaces(cameras=('wrist', 'third'), height=100, width=100, proprio=4, action=4)
    control_steps = 100
    demonstration_counts: ClassVar[dict[str, int]] = {'forward': 50, 'backward': 50}

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        self.arm = Panda(_world(), LOW, HIGH, offscreen=self.spaces.height)
        self._cube = self.arm.model.geom('cube').id
        self._cube_joint = self.arm.model.joint('cube').qposadr[0]
        self._rest = self.arm.inverse(REST, HOME, iterations=100)
        self.arm.put(REST, opening=1.0)

    # -- the world ---------------------------------------------------------------------------

    def _place(self, done: bool) -> None:
        for _ in range(10):
            self.arm.restart()
            spot = self._spot(self.np_random)
            self._put_cube(spot, self.np_random.uniform(-math.pi, math.pi))
            if not done:
                self.arm.put(self._pose(self.np_random), opening=1.0)
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
        """Draw a place on the tray for the cube, `(2,)`."""
        return rng.uniform(LOW[:2] + MARGIN, HIGH[:2] - MARGIN)

    def _pose(self, rng: np.random.Generator, low: float = ABOVE) -> np.ndarray:
        """Draw a tool position above everything on the tray, `(3,)`."""
        return rng.uniform([*LOW[:2], low], HIGH)

    def _move(self, action: np.ndarray) -> None:
        delta = action[:3] / max(1.0, np.linalg.norm(action[:3]))
        self.arm.move(MAX_STEP * delta.astype(float), closed=bool(action[3] > 0))

    def _stay(self, steps: int, closed: bool) -> None:
        for _ in range(steps):
            self.arm.move_joints(self.arm.data.ctrl[:7].copy(), closed)

    def _go(self, target: np.ndarray, closed: bool) -> None:
        """Bring the tool straight to a position, as fast as actions could."""
        for _ in range(60):
            way = np.subtract(target, self.arm.position)
            distance = np.linalg.norm(way)
            if distance < 0.005:
                return
            self.arm.move(way * min(1.0, MAX_STEP / distance), closed)

    def reset_arm(self, pose: str) -> None:
        """Open the gripper, go up, then to `REST` or a random position above the tray.

        Raises:
            ValueError: `pose` is neither `'fixed'` nor `'random'`.
        """
        if pose not in ('fixed', 'random'):
            raise ValueError(f"an arm reset goes to a 'fixed' or 'random' pose, not {pose!r}")
        self._stay(8, closed=False)
        self._go([*self.arm.position[:2], max(ABOVE, self.arm.position[2])], closed=False)
        if pose == 'random':
            self._go(self._pose(self.np_random), closed=False)
            return
        way = self._rest - self.arm.data.ctrl[:7]
        steps = 1 + int(np.abs(way).max() / 0.1)
        for _ in range(steps):
            self.arm.move_joints(self.arm.data.ctrl[:7] + way / steps, closed=False)
        self._stay(3, closed=False)

    def _save(self) -> Snapshot:
        return {'physics': self.arm.state}

    def _load(self, snapshot: Snapshot) -> None:
        self.arm.state = snapshot['physics']

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

    # -- what it shows -----------------------------------------------------------------------

    def observe(self) -> Observation:
        """Render both cameras; the thread that does so first has to do it ever after."""
        shape = self.spaces.height, self.spaces.width
        seen = {name: self.arm.image(name, *shape) for name in self.spaces.cameras}
        tool = 2 * (self.arm.position - LOW) / (HIGH - LOW) - 1
        proprio = np.array([*tool, 2 * self.arm.opening - 1], np.float32)
        return seen | {'proprio': np.clip(proprio, -1.0, 1.0)}

    def close(self) -> None:
        """Release the renderer; call it from the thread that observed."""
        self.arm.close()
        super().close()

    # -- the demonstrator --------------------------------------------------------------------

    def expert(self, direction: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield actions that lift the cube, or that put it down at random and back off.

        Backward picks the cube up first where it is not held, as after an arm reset.
        """
        hand = Hand(rng, MAX_STEP, self.repeat)
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
        spot = self._spot(hand.rng)
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

    def _rise(self, hand: Hand) -> Iterator[np.ndarray]:
        goal = np.array([*self.arm.position[:2], max(ABOVE, self.arm.position[2])])
        return self._follow(hand, lambda: goal, 0.015)

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

    def _follow(
        self,
        hand: Hand,
        goal: Callable[[], np.ndarray],
        tolerance: float,
        closed: bool = False,
        steps: int = 60,
    ) -> Iterator[np.ndarray]:
        """Yield actions until the tool is at a goal that may move, or time is up."""
        return hand.follow(lambda: goal() - self.arm.position, tolerance, closed, steps)
