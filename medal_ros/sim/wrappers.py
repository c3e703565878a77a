"""What a person does for a world that never resets itself, counted."""

from __future__ import annotations

from typing import Any

import gymnasium as gym


class PersistentWorld(gym.Wrapper):
    """Counts human interventions and, rarely, forces one.

    Every `reset` after the first is an intervention: somebody walks up and puts things back.
    The environment's own `step` never does so.

    Args:
        env: A task whose `step` never resets.
        reset_every: After this many steps since the last reset, the next `step` is preceded by
            a reset; 0 means never.

    Attributes:
        interventions: Resets so far after the first, asked for or forced. `info` of every step
            carries the count as `interventions`, and as `forced_reset` whether this step was
            preceded by a reset.

    Raises:
        ValueError: `reset_every` is negative.
    """

    def __init__(self, env: gym.Env, reset_every: int = 0) -> None:
        super().__init__(env)
        if reset_every < 0:
            raise ValueError(f'reset_every must be 0 (never) or more steps, not {reset_every}')
        self.reset_every = reset_every
        self.interventions = 0
        self._started = False
        self._steps = 0

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset the world; all but the first time this is an intervention."""
        result = super().reset(**kwargs)
        self.interventions += self._started
        self._started = True
        self._steps = 0
        return result

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Execute an action, after a reset if one is due."""
        forced = 0 < self.reset_every <= self._steps
        if forced:
            self.reset()
        observation, reward, terminated, truncated, info = super().step(action)
        self._steps += 1
        info |= {'forced_reset': forced, 'interventions': self.interventions}
        return observation, reward, terminated, truncated, info
