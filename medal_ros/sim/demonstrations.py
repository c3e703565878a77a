"""Record demonstrations of a stand-in task by its scripted expert."""

from __future__ import annotations

import numpy as np

from medal_ros.learning.demonstrations import Demonstration
from medal_ros.sim.task import TaskEnv
from medal_ros.spaces import AGENTS

ATTEMPTS = 20


def record(environment: TaskEnv, task: str, count: int, seed: int) -> list[Demonstration]:
    """Record `count` forward and as many backward demonstrations, in turn.

    As a person would, the world is set up once and then the task is done and undone in turn; the
    arm starts each demonstration from a wide random pose, so that either policy learns to
    approach. An attempt that fails is not kept.

    Raises:
        RuntimeError: The expert failed too often.
    """
    rng = np.random.default_rng([seed, 1])
    environment.reset(seed=seed)
    kept: list[Demonstration] = []
    failures = 0
    while len(kept) < 2 * count:
        direction = AGENTS[len(kept) % 2]
        environment.reset_arm('random')
        demonstration = _attempt(environment, task, direction, rng)
        done = environment.succeeded() if direction == 'forward' else environment.undone()
        if done:
            kept.append(demonstration)
            continue
        failures += 1
        if failures > ATTEMPTS:
            raise RuntimeError(f'the scripted expert of {task} failed {failures} times')
        environment.reset(options={'start': 'initial' if direction == 'forward' else 'done'})
    return kept


def _attempt(
    environment: TaskEnv, task: str, direction: str, rng: np.random.Generator
) -> Demonstration:
    observation = environment.observe()
    frames, proprio, actions = [environment.frame(observation)], [observation['proprio']], []
    for action in environment.expert(direction, rng):
        observation, *_ = environment.step(action)
        actions.append(np.asarray(action, np.float32))
        frames.append(environment.frame(observation))
        proprio.append(observation['proprio'])
    cameras = environment.spaces.cameras
    arrays = np.stack(frames), np.stack(proprio), np.stack(actions)
    return Demonstration(task, direction, cameras, *arrays)
