"""The one interface of every stand-in task: a world that never resets itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from medal_ros.spaces import Spaces

Observation = dict[str, np.ndarray]


class TaskEnv(gym.Env):
    """A manipulation task in which `step` never ends an episode and never resets.

    Observations are a dict: one `(height, width, 3)` uint8 image per camera, and `proprio`,
    float32 in [-1, 1]. Actions are float32 in [-1, 1]; the last one commands the gripper.
    `step` returns the task's own sparse reward, 1.0 while the task is done, which training
    with a learned reward never sees.

    Class attributes:
        spaces: Shapes of what the task shows and takes.
        horizon: Steps of one evaluation episode.
    """

    metadata: ClassVar[dict[str, Any]] = {'render_modes': ['rgb_array'], 'render_fps': 10}
    spaces: ClassVar[Spaces]
    horizon: ClassVar[int]

    def __init__(self, render_mode: str | None = 'rgb_array') -> None:
        self.render_mode = render_mode
        shape = (self.spaces.height, self.spaces.width, 3)
        images = {name: gym.spaces.Box(0, 255, shape, np.uint8) for name in self.spaces.cameras}
        proprio = gym.spaces.Box(-1.0, 1.0, (self.spaces.proprio,), np.float32)
        self.observation_space = gym.spaces.Dict({**images, 'proprio': proprio})
        self.action_space = gym.spaces.Box(-1.0, 1.0, (self.spaces.action,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Put everything back, as a person would.

        Args:
            seed: Seeds the task's own random generator; None continues it.
            options: `{'start': 'initial'}` (default) draws a start of the forward task,
                `{'start': 'done'}` a start of the backward one: the task is done, the
                gripper is open and away from the object.

        Raises:
            ValueError: An option or start that does not exist.
        """
        super().reset(seed=seed)
        start = (options or {}).get('start', 'initial')
        if start not in ('initial', 'done') or set(options or {}) - {'start'}:
            raise ValueError(f"options must be {{'start': 'initial' or 'done'}}, not {options}")
        self._place(done=start == 'done')
        return self.observe(), self.info()

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Execute one action, clipped to [-1, 1].

        Raises:
            ValueError: The action has a wrong shape or is not finite.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(
                f'an action is {self.action_space.shape[0]} finite numbers, not {action}'
            )
        self._move(np.clip(action, -1.0, 1.0))
        return self.observe(), float(self.succeeded()), False, False, self.info()

    def info(self) -> dict[str, Any]:
        return {'success': self.succeeded()}

    @abstractmethod
    def _place(self, done: bool) -> None:
        """Draw a start: of the forward task, or of the backward one when `done`."""

    @abstractmethod
    def _move(self, action: np.ndarray) -> None:
        """Advance the world by one control step."""

    @abstractmethod
    def observe(self) -> Observation:
        """Render and return the present observation; changes nothing."""

    @abstractmethod
    def reset_arm(self, pose: str) -> None:
        """Open the gripper and move the arm alone to a `'fixed'` or `'random'` pose.

        The object stays where it is, or falls where it was held. No person is involved.
        """

    @abstractmethod
    def succeeded(self) -> bool:
        """Whether the forward task is done now."""

    @abstractmethod
    def undone(self) -> bool:
        """Whether the backward task is done now: the object is back where starts are drawn."""

    @abstractmethod
    def object_position(self) -> np.ndarray:
        """Position of the object: the simulator's truth, which no robot has."""

    @abstractmethod
    def expert(self, direction: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the actions of a scripted demonstration of one direction, from the present state.

        The generator reads the world between the steps that its caller takes, adds the noise
        of a human hand, and ends when the task is done and the gripper has let go for a while.
        """

    def frame(self, observation: Observation) -> np.ndarray:
        """Return the images of an observation as one `(height, width, channels)` frame."""
        return np.concatenate([observation[name] for name in self.spaces.cameras], axis=-1)

    def render(self) -> np.ndarray:
        """Return the last camera's image."""
        return self.observe()[self.spaces.cameras[-1]]
