"""Replay: bytes on disk over those of its frames and numbers; times to append and to sample.

python benchmarks/replay.py --sizes quickstart robot --steps 5000 --batch 256
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import machine

from medal_ros.learning.augment import random_shift
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.spaces import AGENTS, Spaces

SIZES = {
    'quickstart': Spaces(cameras=('third',), height=48, width=48, proprio=3, action=3),
    'robot': Spaces(cameras=('wrist', 'third'), height=100, width=100, proprio=4, action=4),
}


def milliseconds(work: Callable[[], object], repeats: int) -> list[float]:
    """Return the time of each call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def fill(replay: Replay, spaces: Spaces, steps: int, segment: int) -> list[float]:
    """Store practice that breaks after each segment; return the time of each frame in ms."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (64, *spaces.frame_shape), np.uint8)
    numbers = rng.uniform(-1.0, 1.0, (64, spaces.proprio)), rng.uniform(-1, 1, (64, spaces.action))
    times = []
    for step in range(steps):
        agent, i = AGENTS[step // segment % 2], step % 64
        if step % segment == 0:
            replay.add_frame(frames[i], numbers[0][i])
        start = time.perf_counter()
        replay.add_step(agent, numbers[1][i], 0.0)
        replay.add_frame(frames[i], numbers[0][i])
        times.append(1e3 * (time.perf_counter() - start))
    return times


def measure(name: str, options: argparse.Namespace, folder: Path) -> None:
    """Fill one store and print its figures."""
    spaces, steps = SIZES[name], options.steps
    replay = Replay(FrameStore(spaces, 2 * steps + 2, folder))
    appended = fill(replay, spaces, steps, options.segment)
    flushed = milliseconds(replay.store.flush, 1)[0]
    frame = int(np.prod(spaces.frame_shape)) + 4 * spaces.proprio
    needed = replay.counts.frames * frame + steps * 4 * spaces.action
    rng = np.random.default_rng(0)

    def draw() -> np.ndarray:
        return replay.choose(AGENTS, options.batch, rng)

    sampled = milliseconds(lambda: replay.batch(draw()), options.repeats)
    batch = replay.batch(draw())
    shifted = milliseconds(lambda: random_shift(batch.frames, 4, rng), options.repeats)
    replay.store.trim(replay.counts)  # what a run does when it ends
    on_disk = sum(512 * path.stat().st_blocks for path in folder.iterdir())
    print(f'\n{name}: {spaces.height}x{spaces.width}x{spaces.channels}, {steps} steps')
    print(f'  frames and numbers   {needed / 1e6:9.2f} MB in {replay.counts.frames} frames')
    print(f'  stored               {replay.bytes / 1e6:9.2f} MB ({replay.bytes / needed - 1:+.2%})')
    print(f'  on disk, when ended  {on_disk / 1e6:9.2f} MB ({on_disk / needed - 1:+.2%})')
    p99 = np.quantile(appended, 0.99)
    print(f'  append a step        {statistics.median(appended):9.3f} ms (p99 {p99:.3f})')
    print(f'  wait for the disk    {flushed:9.1f} ms for all of it')
    print(f'  sample {options.batch:4} with next {statistics.median(sampled):9.2f} ms')
    print(f'  shift {options.batch:4} frames    {statistics.median(shifted):9.2f} ms')


def main() -> None:
    """Print the figures of each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', nargs='+', choices=SIZES, default=list(SIZES))
    parser.add_argument('--steps', type=int, default=5000, help='steps stored')
    parser.add_argument('--segment', type=int, default=200, help='steps between two breaks')
    parser.add_argument('--batch', type=int, default=256, help='transitions in a sample')
    parser.add_argument('--repeats', type=int, default=50, help='samples timed')
    parser.add_argument('--folder', type=Path, help='where the files go for the while')
    options = parser.parse_args()
    if min(options.steps, options.segment, options.batch, options.repeats) < 1:
        parser.error('every number must be 1 or more')
    print(machine())
    for name in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(name, options, Path(folder))


if __name__ == '__main__':
    main()
