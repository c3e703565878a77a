"""Tabletop organisation: a gripper seen from above carries a mug to a coaster.

Kinematic, as in the EARL benchmark: an action moves the gripper, and a positive last number
attaches the mug where it is within reach. Task definitions are EARL's, pictures are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import cv2
import numpy as np

from medal_ros.sim.task import Observation, Snapshot, TaskEnv
from medal_ros.spaces import Spaces

TABLE = 3.1  # half the width of what the camera sees
REACH = 2.8  # half the width of what the gripper and the mug can reach
MUG = 0.42  # radii of what is drawn, in table units
COASTER = 0.58
FINGER = 0.2
COASTER_COLOURS = ((190, 60, 50), (60, 150, 70), (40, 90, 190), (70, 70, 70))
SUBPIXEL = 5  # bits of a pixel's fraction, so that small motions show


class Tabletop(TaskEnv):
    """EARL's tabletop: four goals, wide starts, 84x84, the goal as an image beside the view.

    The state is the gripper's position, the mug's position (table units) and whether they are
    attached. Actions are `(dx, dy, grip)`: +-1 moves `action_scale` units, `grip > 0` closes.
    Proprioception is `(x, y, closed)`, each in [-1, 1].

    Args:
        starts: `'wide'`: gripper and mug anywhere, the mug at least 1 from gripper and goals;
            success looks at the mug alone. `'narrow'`: gripper at the centre, mug at (2.5, 0);
            success asks both to be where they belong.
        render_mode: `'rgb_array'` or None.
        pixels: Rows and columns of both images; 0: 84.
        repeat: Control steps for which one `step` executes its action.

    Raises:
        ValueError: `starts` is something else, or a number is out of range.
    """

    spaces = Spaces(cameras=('third', 'goal'), height=84, width=84, proprio=3, action=3)
    control_steps = 200
    demonstration_counts: ClassVar[dict[str, int]] = {'forward': 12, 'backward': 12}
    goals: ClassVar[tuple[tuple[float, float], ...]] = ((-2.5, -1), (-2.5, 1), (0, 2), (0, -2))
    action_scale: ClassVar[float] = 0.2
    attach_radius: ClassVar[float] = 0.4
    success_radius: ClassVar[float] = 0.2

    def __init__(
        self,
        starts: str = 'wide',
        render_mode: str | None = 'rgb_array',
        pixels: int = 0,
        repeat: int = 1,
    ) -> None:
        if starts not in ('wide', 'narrow'):
            raise ValueError(f"starts must be 'wide' or 'narrow', not {starts!r}")
        super().__init__(render_mode, pixels, repeat)
        self.starts = starts
        self.gripper = np.zeros(2)
        self.mug = np.zeros(2)
        self.goal = np.array(self.goals[0], float)
        self.closed = False
        self.attached = False
        self._table = self._draw_table()
        self._goal_image = self._table

    # -- the world ---------------------------------------------------------------------------

    def _place(self, done: bool) -> None:
        self.draw_goal()
        self.closed = self.attached = False
        if self.starts == 'narrow':
            self.gripper = np.zeros(2)
            self.mug = self.goal.copy() if done else np.array([2.5, 0.0])
            return
        self.mug = self._goal_spot() if done else self.start_spot()
        self.gripper = self._free_spot(self.mug)

    def _move(self, action: np.ndarray) -> None:
        self.closed = bool(action[2] > 0)
        near = np.linalg.norm(self.gripper - self.mug) < self.attach_radius
        self.attached = self.closed and bool(self.attached or near)
        target = np.clip(self.gripper + self.action_scale * action[:2], -REACH, REACH)
        if self.attached:
            self.mug = np.clip(self.mug + target - self.gripper, -REACH, REACH)
        self.gripper = target

    def reset_arm(self, pose: str) -> None:
        if pose not in ('fixed', 'random'):
            raise ValueError(f"an arm reset goes to a 'fixed' or 'random' pose, not {pose!r}")
        self.closed = self.attached = False
        random = self.np_random.uniform(-2.5, 2.5, 2)
        self.gripper = random if pose == 'random' else np.zeros(2)

    def draw_goal(self) -> None:
        """Choose the coaster that the mug belongs on, and show it in the goal image."""
        self.goal = np.array(self.goals[self.np_random.integers(len(self.goals))], float)
        self._show_goal()

    def begin_segment(self, direction: str) -> None:
        """Choose a new goal when forward starts; backward starts with the mug on the old one."""
        if direction == 'forward' and len(self.goals) > 1:
            self.draw_goal()

    def _show_goal(self) -> None:
        if 'goal' in self.spaces.cameras:
            self._goal_image = self._table.copy()
            self._draw_mug(self._goal_image, self.goal)

    def _save(self) -> Snapshot:
        grip = np.array([self.closed, self.attached])
        places = {'gripper': self.gripper, 'mug': self.mug, 'goal': self.goal}
        return {'grip': grip} | {name: place.copy() for name, place in places.items()}

    def _load(self, snapshot: Snapshot) -> None:
        self.gripper, self.mug, self.goal = (
            snapshot[name].copy() for name in ('gripper', 'mug', 'goal')
        )
        self.closed, self.attached = (bool(held) for held in snapshot['grip'])
        self._show_goal()

    def succeeded(self) -> bool:
        error = self.mug - self.goal
        if self.starts == 'narrow':
            error = np.concatenate([error, self.gripper])  # EARL's gripper belongs at (0, 0)
        return bool(np.linalg.norm(error) <= self.success_radius)

    def undone(self) -> bool:
        far = min(np.linalg.norm(self.mug - g) for g in np.array(self.goals)) >= 1.0
        return bool(far and not self.attached)

    def object_position(self) -> np.ndarray:
        return self.mug.copy()

    def start_spot(self) -> np.ndarray:
        """Draw a place where the mug may start: at least 1 from every goal."""
        if self.starts == 'narrow':
            return np.array([2.5, 0.0])
        while True:
            spot = self.np_random.uniform(-2.5, 2.5, 2)
            if min(np.linalg.norm(spot - goal) for goal in np.array(self.goals)) >= 1.0:
                return spot

    def _goal_spot(self) -> np.ndarray:
        return self.goal + self.np_random.uniform(-0.5, 0.5, 2) * self.success_radius

    def _free_spot(self, mug: np.ndarray) -> np.ndarray:
        while True:
            spot = self.np_random.uniform(-2.5, 2.5, 2)
            if np.linalg.norm(spot - mug) >= 1.0:
                return spot

    # -- the picture -------------------------------------------------------------------------

    def observe(self) -> Observation:
        image = self._table.copy()
        self._draw_mug(image, self.mug)
        self._draw_gripper(image)
        proprio = [*(self.gripper / REACH), 1.0 if self.closed else -1.0]
        seen = {'third': image, 'proprio': np.array(proprio, np.float32)}
        if 'goal' in self.spaces.cameras:
            seen['goal'] = self._goal_image.copy()
        return seen

    def _draw_table(self) -> np.ndarray:
        size = self.spaces.height
        rows, columns = np.mgrid[:size, :size]
        grain = 3.0 * np.sin(columns * 0.9) + 2.0 * np.sin(rows * 0.35)
        image = np.clip(np.array([205, 188, 158]) + grain[..., None], 0, 255).astype(np.uint8)
        for goal, colour in zip(self.goals, self._coaster_colours(), strict=True):
            self._disc(image, np.array(goal), COASTER, colour)
            self._disc(
                image, np.array(goal), 0.6 * COASTER, tuple(min(c + 50, 255) for c in colour)
            )
        return image

    def _coaster_colours(self) -> tuple[tuple[int, int, int], ...]:
        return COASTER_COLOURS

    def _draw_mug(self, image: np.ndarray, place: np.ndarray) -> None:
        self._disc(image, place + [MUG, 0.0], 0.35 * MUG, (200, 40, 35))  # the handle
        self._disc(image, place, MUG, (200, 40, 35))
        self._disc(image, place, 0.5 * MUG, (240, 215, 205))

    def _draw_gripper(self, image: np.ndarray) -> None:
        gap = 0.3 if self.closed else 0.56
        colour = (20, 20, 20) if not self.closed else (25, 85, 35)
        for side in (-gap, gap):
            self._disc(image, self.gripper + [side, 0.0], FINGER, colour)

    def _disc(self, image: np.ndarray, place: np.ndarray, radius: float, colour: tuple) -> None:
        """Draw a filled, anti-aliased disc at a place on the table; y points up."""
        scale = (image.shape[0] - 1) / (2 * TABLE) * (1 << SUBPIXEL)
        centre = round((place[0] + TABLE) * scale), round((TABLE - place[1]) * scale)
        cv2.circle(image, centre, round(radius * scale), colour, -1, cv2.LINE_AA, SUBPIXEL)

    # -- the demonstrator --------------------------------------------------------------------

    def expert(self, direction: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
        target = self._goal_spot() if direction == 'forward' else self.start_spot()
        tolerance = 0.4 * self.success_radius
        scale = self.action_scale * self.repeat  # what an action of 1 moves
        idle = 0
        while idle < 10:
            reached = np.linalg.norm(self.mug - target) < tolerance
            if reached:  # let go, and linger beside it
                idle += 1
                yield np.array([*rng.normal(0.0, 0.1, 2), -0.8])
                continue
            idle = 0
            way = (target - self.mug) if self.attached else (self.mug - self.gripper)
            close_by = np.linalg.norm(way) < 0.6 * self.attach_radius
            speed = 0.6 * way / scale
            speed *= min(1.0, 0.9 / max(np.abs(speed).max(), 1e-6))
            if not close_by:  # a hand is steadier near the mug than on the way there
                speed = speed + rng.normal(0.0, 0.15, 2)
            grip = 0.8 if self.attached or close_by else -0.8
            yield np.clip([*speed, grip], -1.0, 1.0)


class TabletopQuick(Tabletop):
    """The tabletop at a size that a laptop learns in minutes.

    One coaster, one 48x48 view, and everything coarser than EARL's: eleven actions cross the
    table instead of twenty-eight, the mug starts in the quarter opposite the coaster and belongs
    within 0.42 of its centre. Dynamics and pictures are the same code.
    """

    spaces = Spaces(cameras=('third',), height=48, width=48, proprio=3, action=3)
    control_steps = 60
    demonstration_counts: ClassVar[dict[str, int]] = {'forward': 10, 'backward': 10}
    goals = ((1.54, 1.54),)
    action_scale = 0.56
    attach_radius = 0.45
    success_radius = 0.42

    def start_spot(self) -> np.ndarray:
        """Draw a place where the mug may start: the quarter opposite the coaster."""
        return self.np_random.uniform(-2.24, 0.0, 2)

    def undone(self) -> bool:
        return bool(np.linalg.norm(self.mug - self.goal) >= 1.4 and not self.attached)

    def _coaster_colours(self) -> tuple[tuple[int, int, int], ...]:
        return (COASTER_COLOURS[2],)
