"""Steps per second of every stand-in task, with and without rendering, on one core.

python benchmarks/simulation.py --tasks cube_grasp --steps 500

The rate by the processor's time is what an idle machine would show; where others share the core,
the rate by the clock is lower.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from medal_ros.sim import TASKS, make
from medal_ros.sim.task import TaskEnv


def steps_per_second(environment: TaskEnv, steps: int, repeats: int) -> tuple[float, float]:
    """Return the best rates of several runs of random actions, by the clock and by CPU time."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (steps, environment.spaces.action)).astype(np.float32)
    clock = processor = float('inf')
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        for action in actions:
            environment.step(action)
        clock = min(clock, time.perf_counter() - start[0])
        processor = min(processor, time.process_time() - start[1])
    return steps / clock, steps / processor


def main() -> None:
    """Print one line per task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=list(TASKS), metavar='TASK',
                        help=f'any of {", ".join(TASKS)}')  # fmt: skip
    parser.add_argument('--steps', type=int, default=1000, help='steps of one run')
    parser.add_argument('--repeats', type=int, default=3, help='runs, of which the best counts')
    options = parser.parse_args()
    if min(options.steps, options.repeats) < 1:
        parser.error('--steps and --repeats must be 1 or more')
    # Rendering threads start with the first picture and inherit this.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    columns = ('rendered, clock', 'CPU', 'not rendered, clock', 'CPU')
    print(f'steps/s{"":9} {"images":>12} ' + ' '.join(f'{c:>{len(c) + 4}}' for c in columns))
    for task in options.tasks:
        environment = make(task, seed=0)
        spaces = environment.spaces
        seen = steps_per_second(environment, options.steps, options.repeats)
        environment.observe = dict  # the same step, but nobody looks
        unseen = steps_per_second(environment, options.steps, options.repeats)
        environment.close()
        images = f'{len(spaces.cameras)}x{spaces.height}x{spaces.width}'
        rates = ' '.join(
            f'{r:{len(c) + 4}.0f}' for c, r in zip(columns, seen + unseen, strict=True)
        )
        print(f'{task:16} {images:>12} {rates}')


if __name__ == '__main__':
    main()
