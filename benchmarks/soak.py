"""A long run in lockstep, and whether what its processes hold on to stays flat.

python benchmarks/soak.py --steps 200000 --runs runs --picture docs/soak.png

The networks are small, so that the graph is what works: every node, the replay store, checkpoints,
evaluations. Started again, it goes on with the run and with its samples.
"""

from __future__ import annotations

import argparse
import csv
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from machine import machine
from matplotlib.figure import Figure

from medal_ros.orphans import ENDS_WITH_PARENT

SMALL = {
    'agent.batch': 16,
    'agent.demonstrations': 4,
    'agent.hidden': 32,
    'agent.cloning.warm_up': 100,
    'agent.encoder.filters': 8,
    'agent.critics': 2,
    'agent.utd': 0.25,
    'classifier.positives': 16,
    'classifier.negatives': 16,
    'classifier.every': 100,
    'evaluation.every': 20_000,
    'evaluation.episodes': 4,
    'evaluation.final_episodes': 4,
    'evaluation.cloning_steps': 100,
    'storage.checkpoint_every': 5000,
}
# What is sampled of a process, by the heading of its picture.
KINDS = {
    'memory': 'memory of its own, MB',
    'files': 'open files',
    'threads': 'threads',
    'shared': 'shared memory of all, MB',
}
SETTLED = 0.1  # of the run, which is not compared: caches fill, and the first checkpoint is made


def main() -> int:
    o = parse()
    folder = o.runs / o.name
    o.runs.mkdir(parents=True, exist_ok=True)
    samples = o.runs / f'{o.name}.csv'
    with open(o.runs / f'{o.name}.out', 'ab') as out:
        process = subprocess.Popen(command(o, folder), stdout=out, stderr=subprocess.STDOUT)
    try:
        watch(process, samples, folder / 'replay', o.every)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait(300.0)
    print(machine())
    rows = read(samples)
    print(table(rows))
    if o.picture:
        picture(rows, o.picture)
    return process.wait()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=int, default=200_000)
    parser.add_argument('--runs', type=Path, default=Path('runs'))
    parser.add_argument('--name', default='soak')
    parser.add_argument('--every', type=float, default=20.0, help='seconds between samples')
    parser.add_argument('--picture', type=Path, help='a PNG of all samples')
    return parser.parse_args()


def command(o: argparse.Namespace, folder: Path) -> list[str]:
    words = [*ENDS_WITH_PARENT, sys.executable, '-m', 'medal_ros.cli', 'train']
    if folder.is_dir():
        return [*words, '--resume', str(folder), '--steps', str(o.steps)]
    words += ['--runs', str(o.runs), '--name', o.name, '--steps', str(o.steps)]
    for key, value in SMALL.items():
        words += ['--set', f'{key}={value}']
    return words


def watch(process: subprocess.Popen, samples: Path, replay: Path, every: float) -> None:
    """Add samples to a file until a run ends: name, seconds, steps and one number of each kind."""
    while process.poll() is None:
        with open(samples, 'a', newline='') as file:
            for name, numbers in sample(process.pid).items():
                row = [name, round(time.time(), 1), steps_in(replay), *numbers]
                csv.writer(file).writerow(row)
        with suppress(subprocess.TimeoutExpired):
            process.wait(every)


def sample(parent: int) -> dict[str, tuple[float, ...]]:
    pids = (parent, *children(parent))
    found, shared = {}, shared_by(pids)
    for pid in pids:
        with suppress(OSError):  # it ends
            place = Path(f'/proc/{pid}')
            name = 'medal' if pid == parent else (place / 'comm').read_text().strip()
            rollup = (place / 'smaps_rollup').read_text()
            anonymous = int(rollup.partition('Pss_Anon:')[2].split()[0]) / 1e3
            files = len(list((place / 'fd').iterdir()))
            threads = len(list((place / 'task').iterdir()))
            found[name] = (anonymous, files, threads, shared)
    return found


def shared_by(pids: Sequence[int]) -> float:
    """Return the size of all shared memory that processes have mapped, MB."""
    segments: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            maps = Path(f'/proc/{pid}/maps').read_text(errors='replace')
            segments |= set(re.findall(r'/dev/shm/fastrtps_\S+', maps))
    total = 0.0
    for segment in segments:
        with suppress(OSError):  # it is gone
            total += Path(segment).stat().st_size / 1e6
    return total


def children(parent: int) -> Iterator[int]:
    for task in Path(f'/proc/{parent}/task').iterdir():
        with suppress(OSError):
            yield from map(int, (task / 'children').read_text().split())


def steps_in(replay: Path) -> int:
    """Return how many steps are stored: 8 bytes each, behind which room is reserved."""
    total = 0
    for agent in ('forward', 'backward'):
        with suppress(OSError):
            total += int(np.count_nonzero(np.fromfile(replay / f'{agent}.bin', np.int64)))
    return total


def read(samples: Path) -> dict[str, np.ndarray]:
    """Return by process: rows of seconds, steps, and a number of each kind."""
    rows: dict[str, list[list[float]]] = {}
    with open(samples, newline='') as file:
        for name, *numbers in csv.reader(file):
            rows.setdefault(name, []).append([float(number) for number in numbers])
    return {name: np.array(numbers) for name, numbers in rows.items()}


def table(rows: dict[str, np.ndarray]) -> str:
    """Return what each process held after the first tenth and at the end: medians of a tenth."""
    last = max(numbers[-1, 1] for numbers in rows.values())
    lines = [f'| process | {" | ".join(KINDS.values())} |', '|---|' + '---|' * len(KINDS)]
    for name, numbers in sorted(rows.items()):
        steps = numbers[:, 1]
        early = numbers[(steps >= SETTLED * last) & (steps < 2 * SETTLED * last), 2:]
        late = numbers[steps >= (1 - SETTLED) * last, 2:]
        if len(early) and len(late):
            pairs = zip(np.median(early, axis=0), np.median(late, axis=0), strict=True)
            lines.append(f'| {name} | {" | ".join(f"{a:.0f} -> {b:.0f}" for a, b in pairs)} |')
    return '\n'.join(lines)


def picture(rows: dict[str, np.ndarray], path: Path) -> None:
    figure = Figure(figsize=(10, 6.5), layout='constrained')
    for i, (axes, title) in enumerate(
        zip(figure.subplots(2, 2).flat, KINDS.values(), strict=True), start=2
    ):
        for name, numbers in sorted(rows.items()):
            if i < 5 or name == 'medal':  # shared memory is not of one of them
                axes.plot(numbers[:, 1] / 1e3, numbers[:, i], label=name, linewidth=1.2)
        axes.set(title=title, xlabel='thousand steps', ylim=(0, None))
        axes.grid(alpha=0.3)
    handles: Sequence = figure.axes[0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc='outside right upper', frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == '__main__':
    sys.exit(main())
