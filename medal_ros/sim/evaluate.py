"""Measure a policy on starts of a stand-in task, with environments of its own. No ROS import."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medal_ros.sim import task_class
from medal_ros.sim.task import Observation, TaskEnv
from medal_ros.spaces import AGENTS
from medal_ros.statistics import Evaluation


class Acts(Protocol):
    """Whatever chooses deterministic actions for a batch of observations."""

    def act(self, frames: np.ndarray, proprio: np.ndarray) -> np.ndarray:
        """Return `(n, actions)` for frames `(n, height, width, channels)`, proprio `(n, p)`."""


@dataclass(frozen=True)
class Rollout:
    """One episode to look at.

    Attributes:
        images: `(steps + 1, cameras, height, width, 3)` uint8 rgb, from the start to what the
            last action led to.
        succeeded: For each image, whether the direction's task was done in it.
    """

    images: np.ndarray
    succeeded: tuple[bool, ...]


def evaluate(
    policy: Acts,
    task: str,
    direction: str,
    seeds: Sequence[int],
    batch: int = 10,
    pixels: int = 0,
    repeat: int = 1,
    start_set: str = '',
) -> Evaluation:
    """Run one episode per seed and count the successes.

    Every episode starts from a reset with its own seed, where its direction starts: with the
    task to do (forward) or done (backward), and lasts the task's horizon.

    Args:
        policy: What is measured.
        task: Name of a stand-in task.
        direction: `'forward'` or `'backward'`.
        seeds: One start each.
        batch: Environments that exist at once; their observations share one inference. Those
            that render with MuJoCo take 90 MB each.
        pixels: Rows and columns of every image; 0: the task's own.
        repeat: Control steps for which each action is executed.
        start_set: Which of the task's `start_sets` the starts are drawn from; empty: the first.

    Raises:
        ValueError: There is no such task, direction or set, no seed, or a size out of range.
    """
    _check(direction)
    if not seeds:
        raise ValueError('an evaluation needs at least one seed')
    cls = task_class(task)
    last = np.zeros(len(seeds), bool)
    ever = np.zeros(len(seeds), bool)
    with ExitStack() as stack:
        size = min(batch, len(seeds))
        environments = [
            stack.enter_context(closing(cls(pixels=pixels, repeat=repeat))) for _ in range(size)
        ]
        for first in range(0, len(seeds), size):
            part = slice(first, first + size)
            last[part], ever[part] = _episodes(
                policy, environments, direction, seeds[part], start_set
            )
    return Evaluation(int(last.sum()), int(ever.sum()), len(seeds))


def rollout(
    policy: Acts, task: str, direction: str, seed: int, pixels: int = 0, repeat: int = 1
) -> Rollout:
    """Run one episode as `evaluate` does and keep what the cameras saw.

    Raises:
        ValueError: There is no such task or direction, or a size is out of range.
    """
    _check(direction)
    with closing(task_class(task)(pixels=pixels, repeat=repeat)) as environment:
        observation = _start(environment, direction, seed)
        images, done = [_images(environment, observation)], [_done(environment, direction)]
        for _ in range(environment.horizon):
            action = _act(policy, [environment], [observation])[0]
            observation, *_ = environment.step(action)
            images.append(_images(environment, observation))
            done.append(_done(environment, direction))
    return Rollout(np.stack(images), tuple(done))


def _check(direction: str) -> None:
    if direction not in AGENTS:
        raise ValueError(f'a direction is one of {", ".join(AGENTS)}, not {direction!r}')


def _episodes(
    policy: Acts,
    environments: list[TaskEnv],
    direction: str,
    seeds: Sequence[int],
    start_set: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Step one episode per seed together; return whether each succeeded at the end, and ever."""
    environments = environments[: len(seeds)]
    starts = zip(environments, seeds, strict=True)
    observations = [_start(environment, direction, seed, start_set) for environment, seed in starts]
    done = ever = np.zeros(len(seeds), bool)
    for _ in range(environments[0].horizon):
        actions = _act(policy, environments, observations)
        pairs = zip(environments, actions, strict=True)
        observations = [environment.step(action)[0] for environment, action in pairs]
        done = np.array([_done(environment, direction) for environment in environments])
        ever = ever | done
    return done, ever


def _start(environment: TaskEnv, direction: str, seed: int, start_set: str = '') -> Observation:
    start = 'initial' if direction == 'forward' else 'done'
    options = {'start': start, 'set': start_set or environment.start_sets[0]}
    observation, _ = environment.reset(seed=int(seed), options=options)
    return observation


def _act(policy: Acts, environments: list[TaskEnv], observations: list[Observation]) -> np.ndarray:
    pairs = zip(environments, observations, strict=True)
    frames = np.stack([environment.frame(seen) for environment, seen in pairs])
    return policy.act(frames, np.stack([seen['proprio'] for seen in observations]))


def _done(environment: TaskEnv, direction: str) -> bool:
    return environment.succeeded() if direction == 'forward' else environment.undone()


def _images(environment: TaskEnv, observation: Observation) -> np.ndarray:
    return np.stack([observation[name] for name in environment.spaces.cameras])
