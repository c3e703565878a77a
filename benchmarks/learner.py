"""Updates per second against plain and public code of the same update, and the parts of an update.

python benchmarks/learner.py --size paper robot --threads 2
python benchmarks/learner.py --device cuda

An update is one critic step and one actor step on one batch, its reward included. `paper` sees
one camera of 84x84, `robot` two of 100x100. Each contender runs in a process of its own, in turn,
several rounds; its ratio is the median over the rounds, against `plain` in the same round:

ours-bf16, ours-fp32  the learner as it ships
plain, plain-tuned    eager fp32, with glibc's allocator as it comes, and tuned as ours
public                the style of DrQ-v2 and REDQ, eager fp32, the allocator as it comes
ours-eager            on a GPU: ours in bf16, but launched kernel by kernel
ours-pinned           on a GPU: ours in bf16, replay beside the GPU instead of on it
sb3-sac, torchrl-redq where installed: fp32, allocator tuned; they lack rewards and cloning
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from contenders import NAMES, ON_GPU, SIZES, side
from machine import machine
from peers import installed

DEADLINE = {'cpu': 900, 'gpu': 150}  # seconds that one contender may take
CPU = {'size': ['quickstart', 'paper'], 'rounds': 3, 'updates': 5, 'warm_up': 2}
GPU = {'size': list(SIZES), 'rounds': 1, 'updates': 200, 'warm_up': 20}
Results = dict[str, list[dict[str, Any]]]


def ask(name: str, size: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Run one contender once, in a process of its own; None and why on stderr where it fails."""
    numbers = {
        '--size': size,
        '--updates': options.updates,
        '--warm-up': options.warm_up,
        '--threads': options.threads,
        '--device': options.device,
        '--clock': options.clock,
    }
    flags = [str(part) for pair in numbers.items() for part in pair]
    command = [sys.executable, str(Path(__file__).with_name('contenders.py')), name, *flags]
    # A thread that spins while it waits for another would count as work on the processor's clock.
    env = os.environ | ({'OMP_WAIT_POLICY': 'PASSIVE'} if options.clock == 'cpu' else {})
    deadline = DEADLINE['cpu' if options.device == 'cpu' else 'gpu']
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=deadline, env=env)
    except subprocess.TimeoutExpired:
        print(f'{name} took more than {deadline} s and is left out', file=sys.stderr)
        return None
    if done.returncode:
        print(f'{name} failed and is left out:\n{done.stderr}', file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def over_rounds(rounds: list[dict[str, Any]], key: str) -> dict[str, float]:
    """Return the median over rounds of each number in a dictionary."""
    names = rounds[0][key]
    return {name: statistics.median(r[key][name] for r in rounds) for name in names}


def table(results: Results, peak: float, work: float) -> None:
    """Print a line for each contender."""
    medians = {n: [statistics.median(r['ms']) for r in rounds] for n, rounds in results.items()}
    base = medians.get('plain')
    columns = f'{"ms":>9}{"updates/s":>11}{"times plain":>13}{"of bf16 peak":>14}'
    print(f'  {"":14}{columns}' + (f'{"GiB":>8}' if with_memory(results) else ''))
    for name, times in medians.items():
        ms = statistics.median(times)
        ratio = statistics.median(b / t for b, t in zip(base, times, strict=True)) if base else None
        faster = f'{ratio:13.2f}' if ratio else f'{"":13}'
        memory = ''
        if with_memory(results):
            memory = f'{max(r["memory"] for r in results[name]) / 2**30:8.2f}'
        share = 1e3 * work / ms / peak
        print(f'  {name:14}{ms:9.2f}{1e3 / ms:11.2f}{faster}{share:14.1%}{memory}')


def with_memory(results: Results) -> bool:
    """Return whether a GPU's memory was measured."""
    return all('memory' in rounds[0] for rounds in results.values())


def shares(results: Results) -> None:
    """Print where the time of each contender goes, and what else was timed of ours."""
    timed = {name: over_rounds(r, 'parts') for name, r in results.items() if r[0]['parts']}
    print('\n  ' + ' ' * 20 + ''.join(f'{name:>18}' for name in timed))
    for part in next(iter(timed.values()), {}):
        cells = []
        for name, parts in timed.items():
            whole = statistics.median(statistics.median(r['ms']) for r in results[name])
            cells.append(f'{parts[part]:8.2f} ms {parts[part] / whole:6.1%}')
        print(f'  {part:20}' + ''.join(f'{cell:>18}' for cell in cells))
    for name, rounds in results.items():
        if 'classifier' in rounds[0]:
            step = statistics.median(r['classifier'] for r in rounds)
            p50, p99 = (statistics.median(r['inference'][i] for r in rounds) for i in (0, 1))
            print(
                f'  {name}: classifier step {step:.1f} ms; '
                f'policy, fp32, one thread {p50:.2f} ms (p99 {p99:.2f})'
            )


def compare(size: str, options: argparse.Namespace) -> None:
    """Let all contenders run in turn, and print what came out."""
    config, spaces = side(size, 'fp32')
    agent, images = config.agent, f'{spaces.height}x{spaces.width}x{spaces.channels}'
    print(
        f'\n{size}: {images}, batch {agent.batch}, {agent.critics} critics of '
        f'{agent.critic_layers}x{agent.hidden}, {options.threads} threads, {options.device}'
    )
    results: Results = {name: [] for name in options.contenders}
    limits = []
    for _ in range(options.rounds):
        limits.append(ask('machine', size, options))
        for name in list(results):
            results[name].append(ask(name, size, options))
            if results[name][-1] is None:
                del results[name]
    if None in limits or not results:
        sys.exit('there is nothing to compare')
    peak, work = statistics.median(m['peak'] for m in limits), limits[0]['work']
    print(f'  {work / 1e9:.1f} GFLOP an update; bf16 matrix peak {peak / 1e12:.2f} TFLOP/s')
    table(results, peak, work)
    shares(results)
    sys.stdout.flush()  # whatever comes next may take long


def main() -> None:
    """Print the figures of each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--size', nargs='+', choices=SIZES, help='default: quickstart and paper; on a GPU all'
    )
    parser.add_argument('--contenders', nargs='+', choices=NAMES, help='default: all there are')
    parser.add_argument('--rounds', type=int, help='turns of each contender: 3; on a GPU 1')
    parser.add_argument('--updates', type=int, help='updates timed in a turn: 5; on a GPU 200')
    parser.add_argument('--warm-up', type=int, help='updates before them: 2; on a GPU 20')
    parser.add_argument('--threads', type=int, default=1, help='threads of each contender')
    parser.add_argument('--device', default='cpu', help='where the learner runs, e.g. cuda')
    parser.add_argument(
        '--clock',
        choices=('wall', 'cpu'),
        default='wall',
        help="cpu: the processor's time for each thread, where others use the machine too",
    )
    options = parser.parse_args()
    defaults = CPU if options.device == 'cpu' else GPU
    for key, value in defaults.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    if min(options.updates, options.threads, options.rounds) < 1 or options.warm_up < 0:
        parser.error('every number must be positive')
    if options.device == 'cpu' and set(options.contenders or ()) & set(ON_GPU):
        parser.error(f'{" and ".join(ON_GPU)} need a GPU')
    missing = [name for name in options.contenders or () if not installed(name)]
    if missing:
        parser.error(f'not installed: {", ".join(missing)}; pip install medal_ros[peers]')
    out_of_place = ON_GPU if options.device == 'cpu' else ('plain-tuned',)  # nothing of their own
    if options.contenders is None:
        options.contenders = [n for n in NAMES if installed(n) and n not in out_of_place]
    print(machine(options.device), flush=True)
    for name in options.size:
        compare(name, options)


if __name__ == '__main__':
    main()
