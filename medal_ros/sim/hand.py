"""The hand of a scripted demonstrator: actions that are as uneven as a person's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

TURNED = 0.04  # radians from the goal at which a turn is done


class Hand:
    """Actions as a person's hand makes them: its own pace, a wander that fades near the goal.

    Args:
        rng: Draws the pace and the wander.
        scale: What an action of 1 moves in a control step, metres.
        repeat: Control steps for which an action is executed.
        gain: Share of a short way that one action covers; below 1 where the arm lags.
        turn_scale: Radians that an action of 1 turns in a control step; 0: actions do not turn.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        scale: float,
        repeat: int,
        gain: float = 1.0,
        turn_scale: float = 0.0,
    ) -> None:
        self.rng = rng
        self.reach = scale * repeat
        self.repeat = repeat
        self.gain = gain
        self.turn_reach = turn_scale * repeat
        self.pace = rng.uniform(0.7, 1.0)
        self.wander = np.zeros(3)

    def towards(self, way: np.ndarray, closed: bool, turn: float = 0.0) -> np.ndarray:
        """Return an action along `way`, metres `(3,)`, and about the vertical, radians."""
        distance = np.linalg.norm(way)
        self.wander = 0.7 * self.wander + self.rng.normal(0.0, 0.15, 3)
        speed = way / self.reach * min(self.gain, self.pace * self.reach / max(distance, 1e-6))
        motion = speed + self.wander * min(1.0, distance / (3 * self.reach))
        return self._action(motion, closed, turn)

    def follow(
        self,
        way: Callable[[], np.ndarray],
        tolerance: float,
        closed: bool,
        steps: int,
        turn: Callable[[], float] | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield actions until the way and the turn that are left are short, or for some steps."""
        for _ in range(steps):
            left, about = way(), turn() if turn else 0.0
            if np.linalg.norm(left) < tolerance and abs(about) < TURNED:
                return
            yield self.towards(left, closed, about)

    def wait(self, control_steps: int, closed: bool) -> Iterator[np.ndarray]:
        """Yield actions that stay, apart from a tremor, and hold the jaw open or closed."""
        for _ in range(-(-control_steps // self.repeat)):
            yield self._action(self.rng.normal(0.0, 0.03, 3), closed)

    def _action(self, motion: np.ndarray, closed: bool, turn: float = 0.0) -> np.ndarray:
        grip = self.rng.uniform(0.7, 1.0) * (1 if closed else -1)
        turns = []
        if self.turn_reach:
            about = np.clip(turn / self.turn_reach, -self.pace, self.pace)
            turns = [about + self.rng.normal(0.0, 0.03)]
        return np.clip([*motion, *turns, grip], -1.0, 1.0).astype(np.float32)
