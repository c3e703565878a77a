"""Record demonstrations of a stand-in task by its scripted expert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from medal_ros.learning.demonstrations import Demonstration
from medal_ros.sim.task import TaskEnv
from medal_ros.spaces import AGENTS

ATTEMPTS = 20  # that may fail
TURNS = 20  # that may be needed for each demonstration that is kept


def record(
    environment: TaskEnv, task: str, count: int | Mapping[str, int], seed: int
) -> Iterator[Demonstration]:
    """Record forward and backward demonstrations, in turn, and yield each that is kept.

    As a person would, the world is set up once and then the task is done and undone in turn; where
    forward demonstrations keep to a set of starts (`demonstration_set`), it is set up again before
    each of them. The arm starts each demonstration from a wide random pose, so that either policy
    learns to approach, unless backward begins with what forward holds (`held_when_done`). One
    that fails is not kept, nor one that took a second attempt: it shows to go on with what does
    not work, and who clones it may do so for good.

    Args:
        environment: The world.
        task: Its name.
        count: Demonstrations of either direction, or of each, `{direction: n}`. Where one
            direction needs more, the other goes on to be done and is not kept.
        seed: Seeds the world and the expert.

    Raises:
        RuntimeError: The expert failed too often, or hardly ever succeeded at once.
    """
    wanted = count if isinstance(count, Mapping) else dict.fromkeys(AGENTS, count)
    rng = np.random.default_rng([seed, 1])
    drawn = {'set': environment.demonstration_set or environment.start_sets[0]}
    environment.reset(seed=seed, options=drawn)
    got = dict.fromkeys(AGENTS, 0)
    turns = failures = 0
    most = TURNS * sum(wanted.values())
    while any(got[direction] < wanted[direction] for direction in AGENTS):
        direction = AGENTS[turns % 2]
        if direction == 'forward' and environment.demonstration_set:
            environment.reset(options=drawn)
        environment.begin_segment(direction)
        if direction == 'forward' or not environment.held_when_done:
            environment.reset_arm('random')
        demonstration = _attempt(environment, task, direction, rng)
        done = environment.succeeded() if direction == 'forward' else environment.undone()
        if done:
            turns += 1
            if got[direction] < wanted[direction] and environment.attempts <= 1:
                got[direction] += 1
                yield demonstration
            elif turns > most:
                raise RuntimeError(f'the scripted expert of {task} hardly ever succeeds at once')
            continue
        failures += 1
        if failures > ATTEMPTS:
            raise RuntimeError(f'the scripted expert of {task} failed {failures} times')
        start = 'initial' if direction == 'forward' else 'done'
        environment.reset(options={**drawn, 'start': start})


def _attempt(
    environment: TaskEnv, task: str, direction: str, rng: np.random.Generator
) -> Demonstration:
    start, observation = environment.snapshot(), environment.observe()
    frames, proprio = [environment.frame(observation)], [observation['proprio']]
    actions: list[np.ndarray] = []
    rewards: list[tuple[bool, bool]] = []
    for action in environment.expert(direction, rng):
        observation, *_, info = environment.step(action)
        actions.append(np.asarray(action, np.float32))
        rewards.append((info['success'], info['undone']))
        frames.append(environment.frame(observation))
        proprio.append(observation['proprio'])
    return Demonstration(
        task,
        direction,
        environment.spaces.cameras,
        np.stack(frames),
        np.stack(proprio),
        np.stack(actions),
        task_rewards=np.array(rewards, np.float32),
        start=start,
        source='expert',
    )
