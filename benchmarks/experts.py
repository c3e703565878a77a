"""How well the scripted experts do, and what random saturated actions break.

python benchmarks/experts.py --tasks cube_grasp peg_insert --trials 20 --turns 40 --random 25000

Prints per task: successes of both directions from starts of their own, then in turn without any
reset, with an arm reset before every second pair. Then, for the Panda's tasks, random saturated
steps, half of them pushed down, and the experts in turn again from what these left.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from medal_ros.sim import TASKS, make
from medal_ros.sim.panda_task import PandaTask
from medal_ros.sim.task import TaskEnv
from medal_ros.spaces import AGENTS

FINGERTIP = 0.010  # metres that a fingertip reaches below the tool
HOLD = 5  # steps for which a random action is held


def attempt(environment: TaskEnv, direction: str, rng: np.random.Generator) -> tuple[bool, int]:
    """Execute one demonstration; return whether its task is done, and its length."""
    steps = 0
    for action in environment.expert(direction, rng):
        environment.step(action)
        steps += 1
    return (environment.succeeded() if direction == AGENTS[0] else environment.undone()), steps


def from_starts(environment: TaskEnv, direction: str, trials: int) -> str:
    """Return successes and mean length from as many starts, all sets in turn."""
    done, lengths = 0, []
    for trial in range(trials):
        options = {
            'start': 'initial' if direction == AGENTS[0] else 'done',
            'set': environment.start_sets[trial % len(environment.start_sets)],
        }
        environment.reset(seed=trial, options=options)
        good, steps = attempt(environment, direction, np.random.default_rng(trial))
        done += good
        lengths.append(steps)
    return f'{direction} {done}/{trials}, {np.mean(lengths):.0f} steps'


def in_turn(environment: TaskEnv, turns: int, seed: int) -> str:
    """Return successes and the longest row of them, doing and undoing without a reset."""
    rng = np.random.default_rng(seed)
    done = row = longest = 0
    for turn in range(turns):
        if turn % 4 == 0:
            environment.reset_arm('random')
        good, _ = attempt(environment, AGENTS[turn % 2], rng)
        done += good
        row = row + 1 if good else 0
        longest = max(longest, row)
    return f'in turn {done}/{turns}, {longest} in a row'


def shake(environment: PandaTask, steps: int) -> str:
    """Return what random saturated steps did."""
    rng, low, high = np.random.default_rng(0), environment.low, environment.high
    lowest, outside, began = np.inf, 0.0, time.process_time()
    for step in range(steps):
        if step % HOLD == 0:
            action = np.sign(rng.uniform(-1.0, 1.0, environment.spaces.action))
            if step < steps // 2 and rng.random() < 0.6:
                action[2] = -1.0
        environment.step(action)
        place = environment.object_position()
        if not (np.isfinite(environment.arm.data.qpos).all() and np.isfinite(place).all()):
            return f'{step} random steps, then a number that is not finite'
        lowest = min(lowest, environment.arm.position[2] - FINGERTIP)
        outside = max(outside, *(low - place)[:2], *(place - high)[:2])
    warnings = sum(warning.number for warning in environment.arm.data.warning)
    rate = steps / (time.process_time() - began)
    return (
        f'{steps} random steps ({rate:.0f}/s): {warnings} warnings, '
        f'lowest fingertip {1e3 * lowest:+.1f} mm, object at most {1e3 * outside:.0f} mm '
        "outside the tool's box"
    )


def main() -> None:
    """Print a few lines per task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=list(TASKS), metavar='TASK',
                        help=f'any of {", ".join(TASKS)}')  # fmt: skip
    parser.add_argument('--trials', type=int, default=20, help='starts of each direction')
    parser.add_argument('--turns', type=int, default=40, help='attempts without a reset')
    parser.add_argument('--random', type=int, default=25_000, help='random saturated steps')
    parser.add_argument('--repeat', type=int, default=1, help='control steps of an action')
    options = parser.parse_args()
    if min(options.trials, options.turns, options.repeat) < 1 or options.random < 0:
        parser.error('--trials, --turns and --repeat must be 1 or more, --random 0 or more')
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for task in options.tasks:
        environment = make(task, seed=0, repeat=options.repeat)
        environment.observe = dict  # nobody looks
        print(
            f'{task}:', *(from_starts(environment, d, options.trials) for d in AGENTS), sep='\n  '
        )
        environment.reset(seed=0)
        print(' ', in_turn(environment, options.turns, seed=0), flush=True)
        if options.random and isinstance(environment, PandaTask):
            environment.reset(seed=1)
            print(' ', shake(environment, options.random))
            print('  afterwards', in_turn(environment, options.turns, seed=1), flush=True)
        environment.close()


if __name__ == '__main__':
    main()
