"""Do what a demonstration did once more, in the stand-in, from the world that it began in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from medal_ros.learning.demonstrations import Demonstration, DemonstrationError
from medal_ros.sim import make, task_class
from medal_ros.sim.task import TaskEnv

OPEN = -1.0


@dataclass(frozen=True)
class Replayed:
    """What came of it.

    Attributes:
        succeeded: Whether the task is done (undone, for a backward demonstration) at the end.
        apart: Largest difference of any number of the proprioception from the recorded one.
        frames: `(steps + 1, height, width, channels)` uint8, what was seen this time.
    """

    succeeded: bool
    apart: float
    frames: np.ndarray


def replay(demonstration: Demonstration, name: str) -> Replayed:
    """Execute the recorded actions, pauses included, from the recorded start.

    Args:
        demonstration: What was recorded.
        name: What to call it in a sentence.

    Raises:
        UserError: It has no start, or is not one of the task's as it is now.
    """
    d = demonstration
    if d.start is None:
        raise DemonstrationError(f'{name} does not hold the world that it began in: no replay')
    spaces = task_class(d.task).spaces
    if d.actions.shape[1:] != (spaces.action,) or d.proprio.shape[1:] != (spaces.proprio,):
        raise DemonstrationError(f'{name} is not one of {d.task} as it is now')
    environment = make(d.task, 0, d.frames.shape[1])
    try:
        environment.restore(dict(d.start))
        seen = list(_moments(environment, d))
        done = environment.succeeded() if d.direction == 'forward' else environment.undone()
    except (ValueError, KeyError):
        raise DemonstrationError(f'{name} began in another world than {d.task} is now') from None
    finally:
        environment.close()
    proprio = np.stack([o['proprio'] for o in seen])
    frames = np.stack([environment.frame(o) for o in seen])
    return Replayed(bool(done), float(np.abs(proprio - d.proprio).max()), frames)


def _moments(environment: TaskEnv, d: Demonstration) -> Iterator[dict[str, Any]]:
    """Yield the observation at each of the demonstration's moments."""
    held = np.zeros(len(d) + 1, int) if d.held is None else d.held
    still = np.zeros(d.actions.shape[1], np.float32)
    still[-1] = OPEN
    for i in range(len(d) + 1):
        for _ in range(held[i]):
            environment.step(still)
        yield environment.observe()
        if i < len(d):
            environment.step(d.actions[i])
            still[-1] = d.actions[i, -1]
