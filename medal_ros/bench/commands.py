"""`medal bench`: run the benchmark's grid, and make one page of what came out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medal_ros.errors import UserError

RESULTS = Path('results')


def add_commands(commands: Any) -> None:
    """Add `bench earl` and `bench report` to the command line's commands."""
    words = 'compare every method on the tasks of the EARL benchmark'
    bench = commands.add_parser('bench', help=words, description=words)
    kinds = bench.add_subparsers(required=True, metavar='WHAT')

    words = 'run the grid of tasks, methods and seeds; the same command goes on where it stopped'
    earl = kinds.add_parser('earl', help=words, description=words)
    earl.set_defaults(command=run)
    earl.add_argument('--size', default='laptop', help='laptop (default) or paper')
    earl.add_argument('--tasks', nargs='+', metavar='TASK', help='default: all')
    earl.add_argument('--methods', nargs='+', metavar='METHOD', help='default: all')
    earl.add_argument(
        '--seeds', default='3', metavar='N', help='how many (default: 3), or a list like 0,4,7'
    )
    earl.add_argument('--workers', type=int, help='jobs at a time (default: one for each core)')
    earl.add_argument('--ray', metavar='ADDRESS', help='send the jobs to a Ray cluster instead')
    earl.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='any other key; repeatable'
    )

    words = 'write one page and its pictures from what the grid has left so far'
    report = kinds.add_parser('report', help=words, description=words)
    report.set_defaults(command=write)
    report.add_argument('--size', help='only this size (default: all)')
    report.add_argument('--report', type=Path, help='where it goes (default: RESULTS/report)')
    for command in (earl, report):
        command.add_argument(
            '--results', type=Path, default=RESULTS, help=f'folder of all results: {RESULTS}'
        )


def run(options: argparse.Namespace) -> int:
    """Run the grid that the command line asks for."""
    from rich.console import Console

    from medal_ros.bench.grid import Grid, run_grid
    from medal_ros.bench.methods import METHODS, TASKS, grid
    from medal_ros.learning.device import choose_device
    from medal_ros.options import parse_assignment

    tasks, methods = options.tasks or list(TASKS), options.methods or list(METHODS)
    jobs = grid(options.size, tasks, methods, seeds(options.seeds))
    changes = dict(parse_assignment(text) for text in options.set)
    for job in jobs:
        job.config(changes)  # a wrong key is refused before anything starts
    if options.workers is not None and options.workers < 1:
        raise UserError(f'--workers must be at least 1, not {options.workers}')
    if options.ray:
        from medal_ros.bench.cluster import run_on_ray

        return run_on_ray(jobs, options.results, changes, options.ray, Console())
    choose_device(jobs[0].config(changes).graph.device)
    workers = options.workers or cores()
    return run_grid(Grid(jobs, options.results, changes), workers, Console())


def write(options: argparse.Namespace) -> int:
    """Write the report."""
    from medal_ros.bench.page import write_report

    out = options.report or options.results / 'report'
    for path in write_report(options.results, out, options.size):
        print(path)
    return 0


def seeds(text: str) -> list[int]:
    """Return the seeds that N, or a list with commas, means.

    Raises:
        UserError: It is neither.
    """
    parts = [part.strip() for part in text.split(',') if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        raise UserError(f'--seeds is a number of seeds or a list like 0,4,7, not {text!r}')
    given = [int(part) for part in parts]
    if ',' in text:
        return list(dict.fromkeys(given))
    if given[0] < 1:
        raise UserError('--seeds must be at least 1 seed')
    return list(range(given[0]))


def cores() -> int:
    import os

    return len(os.sched_getaffinity(0))
