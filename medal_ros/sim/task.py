"""The one interface of every stand-in task: a world that never resets itself."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from medal_ros.spaces import Spaces

Observation = dict[str, np.ndarray]
Snapshot = dict[str, np.ndarray]
MOST_PIXELS = 1024
HALF_WORD = (1 << 64) - 1


class TaskEnv(gym.Env):
    """A manipulation task in which `step` never ends an episode and never resets.

    Observations are a dict: one `(height, width, 3)` uint8 image per camera, and `proprio`,
    float32 in [-1, 1]. Actions are float32 in [-1, 1]; the last one commands the gripper.
    `step` returns the task's own sparse reward, 1.0 while the task is done, which training
    with a learned reward never sees.

    Args:
        render_mode: `'rgb_array'` or None.
        pixels: Rows and columns of every image; 0: the task's own.
        repeat: Control steps for which one `step` executes its action.

    Class attributes:
        spaces: Shapes of what the task shows and takes; an environment's own say what it shows.
        control_steps: Length of one evaluation episode, in control steps.
        demonstration_counts: How many demonstrations of each direction the task comes with.
        start_sets: Names of the sets that forward starts can be drawn from; practice and
            evaluation use the first one unless told otherwise.
        demonstration_set: The one in which all forward demonstrations start; empty: the first, and
            then wherever backward left things.
        held_when_done: Whether the done state has something in the gripper, which backward begins
            with: an arm reset in between would undo the task.
        joint_names: The arm's joints as `urdf/` calls them; empty: it has no such description.

    Attributes:
        start_set: The set of the newest reset; the scripted expert puts things back into it.
        attempts: Those of the scripted expert's newest demonstration; 1 where it counts none.

    Raises:
        ValueError: `pixels` or `repeat` is out of range.
    """

    metadata: ClassVar[dict[str, Any]] = {'render_modes': ['rgb_array'], 'render_fps': 10}
    spaces: Spaces
    control_steps: ClassVar[int]
    demonstration_counts: ClassVar[Mapping[str, int]]
    start_sets: ClassVar[tuple[str, ...]] = ('default',)
    demonstration_set: ClassVar[str] = ''
    held_when_done: ClassVar[bool] = False
    joint_names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        if not (isinstance(pixels, int) and 0 <= pixels <= MOST_PIXELS):
            raise ValueError(
                f"pixels must be 0 (the task's own) or 1 to {MOST_PIXELS}, not {pixels!r}"
            )
        if not (isinstance(repeat, int) and repeat >= 1):
            raise ValueError(f'repeat must be 1 or more control steps, not {repeat!r}')
        self.render_mode = render_mode
        self.repeat = repeat
        self.start_set = self.start_sets[0]
        self.attempts = 1
        if pixels:
            self.spaces = dataclasses.replace(self.spaces, height=pixels, width=pixels)
        shape = (self.spaces.height, self.spaces.width, 3)
        images = {name: gym.spaces.Box(0, 255, shape, np.uint8) for name in self.spaces.cameras}
        proprio = gym.spaces.Box(-1.0, 1.0, (self.spaces.proprio,), np.float32)
        self.observation_space = gym.spaces.Dict({**images, 'proprio': proprio})
        self.action_space = gym.spaces.Box(-1.0, 1.0, (self.spaces.action,), np.float32)

    @classmethod
    def workspace(cls) -> tuple[list[float], list[float]]:
        """Return the least and the greatest coordinates of an object that is not lost.

        Empty lists, unless a task says otherwise: the object cannot leave.
        """
        return [], []

    @property
    def horizon(self) -> int:
        """Calls of `step` in one evaluation episode."""
        return -(-self.control_steps // self.repeat)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Put everything back, as a person would.

        Args:
            seed: Seeds the task's own random generator; None continues it.
            options: `{'start': 'initial'}` (default) draws a start of the forward task,
                `{'start': 'done'}` a start of the backward one: the task is done, the
                gripper is open and away from the object. `{'set': name}` is one of `start_sets`
                (default: the first).

        Raises:
            ValueError: An option, start or set that does not exist.
        """
        super().reset(seed=seed)
        options = options or {}
        start = options.get('start', 'initial')
        if start not in ('initial', 'done') or set(options) - {'start', 'set'}:
            raise ValueError(
                f"options must be {{'start': 'initial' or 'done', 'set': a name}}, not {options}"
            )
        name = options.get('set', self.start_sets[0])
        if name not in self.start_sets:
            raise ValueError(f'a start set is one of {", ".join(self.start_sets)}, not {name!r}')
        self.start_set = name
        self._place(done=start == 'done')
        return self.observe(), self.info()

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Execute one action and show the world after it.

        The info says of that world whether the task is done, `'success'`, and whether it is
        undone, `'undone'`.

        Raises:
            ValueError: The action has a wrong shape or is not finite.
        """
        self.execute(action)
        return self.observe(), float(self.succeeded()), False, False, self.info()

    def execute(self, action: np.ndarray) -> None:
        """Execute one action, clipped to [-1, 1], for `repeat` control steps; draw nothing.

        Raises:
            ValueError: The action has a wrong shape or is not finite.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(
                f'an action is {self.action_space.shape[0]} finite numbers, not {action}'
            )
        action = np.clip(action, -1.0, 1.0)
        for _ in range(self.repeat):
            self._move(action)

    def info(self) -> dict[str, Any]:
        return {'success': self.succeeded(), 'undone': self.undone()}

    def joints(self) -> np.ndarray:
        """Return where the joints are, `(len(joint_names),)` radians or metres."""
        return np.empty(0)

    def begin_segment(self, direction: str) -> None:
        """Take note that a segment of practice starts in which `direction`'s policy acts."""

    def snapshot(self) -> Snapshot:
        """Return all that the future depends on, so that a restored world goes on bit for bit."""
        state = self.np_random.bit_generator.state
        words = [state['state'][name] >> shift for name in ('state', 'inc') for shift in (64, 0)]
        rest = [state['has_uint32'], state['uinteger']]
        random = np.array([word & HALF_WORD for word in words + rest], np.uint64)
        return {'random': random, **self._save()}

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, of this environment or of another one of the same task.

        Raises:
            ValueError: The snapshot is of another task.
        """
        own = self.snapshot()
        if snapshot.keys() != own.keys() or any(snapshot[k].shape != own[k].shape for k in own):
            raise ValueError(f'the snapshot is not one of {type(self).__name__}')
        high, low, step_high, step_low, cached, word = (int(v) for v in snapshot['random'])
        generator = self.np_random.bit_generator
        generator.state = {
            'bit_generator': type(generator).__name__,
            'state': {'state': high << 64 | low, 'inc': step_high << 64 | step_low},
            'has_uint32': cached,
            'uinteger': word,
        }
        self._load(snapshot)

    @abstractmethod
    def _place(self, done: bool) -> None:
        """Draw a start: of the forward task, or of the backward one when `done`."""

    @abstractmethod
    def _move(self, action: np.ndarray) -> None:
        """Advance the world by one control step."""

    @abstractmethod
    def _save(self) -> Snapshot:
        """Return copies of the task's own part of a snapshot."""

    @abstractmethod
    def _load(self, snapshot: Snapshot) -> None:
        """Take over what `_save` returned."""

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
