"""Replay: bytes on disk over those of its frames and numbers; times to append and to sample.

A sample comes from memory, from a mapped file that is in memory, and from one that is not.

python benchmarks/replay.py --sizes quickstart robot --steps 5000 --batch 256
"""

from __future__ import annotations

import argparse
import os
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
        replay.add_step(agent, numbers[1][i])
        replay.add_frame(frames[i], numbers[0][i])
        times.append(1e3 * (time.perf_counter() - start))
    return times


def in_memory(replay: Replay, spaces: Spaces) -> Replay:
    """Return a copy of a store that lies in memory."""
    copy = Replay(FrameStore(spaces, replay.counts.frames))
    copy.counts, count = replay.counts, replay.counts.frames
    for name in ('frames', 'proprio', 'actions', 'task_rewards'):
        getattr(copy.store, name)[:] = getattr(replay.store, name)[:count]
    for name in AGENTS:
        copy.store.steps[name] = np.array(replay.store.steps[name])
    return copy


def opened_cold(replay: Replay, spaces: Spaces) -> Replay:
    """Return a store of which nothing is in memory; the given one must not be used again."""
    counts, capacity, folder = replay.counts, replay.store.capacity, replay.store.folder
    for array in replay.store._mapped():  # mapped pages cannot be evicted
        array.base.close()
    with (folder / 'frames.bin').open('rb') as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    again = Replay(FrameStore(spaces, capacity, folder, mode='r+'))
    again.counts = counts
    return again


def measure(name: str, options: argparse.Namespace, folder: Path) -> None:
    """Fill one store and print its figures."""
    spaces, steps = SIZES[name], options.steps
    replay = Replay(FrameStore(spaces, 2 * steps + 2, folder))
    appended = fill(replay, spaces, steps, options.segment)
    flushed = milliseconds(replay.store.flush, 1)[0]
    frame = int(np.prod(spaces.frame_shape)) + 4 * spaces.proprio
    needed = replay.counts.frames * frame + steps * 4 * spaces.action
    rng, batch = np.random.default_rng(0), options.batch

    def sampled(source: Replay, repeats: int) -> list[float]:
        return milliseconds(lambda: source.batch(source.choose(AGENTS, batch, rng)), repeats)

    samples = {
        'memory': sampled(in_memory(replay, spaces), options.repeats),
        'mapped file': sampled(replay, options.repeats),
    }
    frames = replay.batch(replay.choose(AGENTS, batch, rng)).frames
    shifted = milliseconds(lambda: random_shift(frames, 4, rng), options.repeats)
    samples['the disk'] = []
    for _ in range(5):
        replay = opened_cold(replay, spaces)
        samples['the disk'] += sampled(replay, 1)
    replay.store.trim(replay.counts)  # what a run does when it ends
    on_disk = sum(512 * path.stat().st_blocks for path in folder.iterdir())
    print(f'\n{name}: {spaces.height}x{spaces.width}x{spaces.channels}, {steps} steps')
    print(f'  frames and numbers      {needed / 1e6:9.2f} MB in {replay.counts.frames} frames')
    print(
        f'  stored                  {replay.bytes / 1e6:9.2f} MB ({replay.bytes / needed - 1:+.2%})'
    )
    print(f'  on disk, when ended     {on_disk / 1e6:9.2f} MB ({on_disk / needed - 1:+.2%})')
    p99 = np.quantile(appended, 0.99)
    print(f'  append a step           {statistics.median(appended):9.3f} ms (p99 {p99:.3f})')
    print(f'  wait for the disk       {flushed:9.1f} ms for all of it')
    for source, times in samples.items():
        median, least = statistics.median(times), min(times)
        print(f'  {batch} with next, {source:12}{median:8.2f} ms (least {least:.2f})')
    print(f'  shift {batch:4} frames       {statistics.median(shifted):9.2f} ms')


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
