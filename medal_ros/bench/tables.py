"""What a collection of results says, in words and in tables. No ROS import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from medal_ros.bench.aggregate import Estimate, iqm_success, mean_of, mean_success
from medal_ros.bench.collection import OURS, Collection, Verdict, collections, title
from medal_ros.bench.results import Result

NOTHING = '\u2013'
INCONCLUSIVE = 'inconclusive at this size'


class Table(NamedTuple):
    """Words in rows."""

    heads: list[str]
    rows: list[list[str]]


def table(results: Sequence[Result]) -> str:
    """Return every task and method of some results as Markdown, a table for each size."""
    several = collections(results)
    parts = []
    for collection in several:
        heads, rows = task_table(collection)
        lines = [heads, ['---'] * len(heads), *rows]
        text = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
        parts.append(text if len(several) == 1 else f'**{collection.size}**\n\n{text}')
    return '\n\n'.join(parts) + '\n'


def task_table(collection: Collection) -> Table:
    """Return what the finished jobs of each task and method came to, the best method first."""
    heads = [
        'task', 'method', 'seeds', 'success', 'ever', 'resets', 'minutes', 'CPU minutes',
        'lifetime reward', 'segments that succeeded: forward', 'backward',
    ]  # fmt: skip
    rows = []
    for task in collection.tasks:
        found = [(m, collection.of(m, task)) for m in collection.methods]
        lines = [(_success(results), method, results) for method, results in found if results]
        for success, method, results in sorted(lines, key=lambda line: -line[0].value):
            rows.append(
                [
                    task,
                    title(method),
                    str(len(results)),
                    words(success),
                    words(_success(results, ever=True)),
                    _mean(results, lambda one: one.resets),
                    _mean(results, lambda one: one.minutes),
                    _mean(results, lambda one: one.cpu_minutes),
                    _lifetime(results),
                    _segments(results, 'forward'),
                    _segments(results, 'backward'),
                ]
            )
    return Table(heads, rows)


def aggregate_table(collection: Collection) -> Table:
    """Return the figures over all tasks, of the methods that have finished seeds of each."""
    heads = ['method', 'runs', 'success, mean', 'success, interquartile mean', 'ever, mean']
    rows = []
    if len(collection.tasks) > 1:
        scores = [(mean_success(collection.runs(m)), m) for m in collection.complete()]
        for mean, method in sorted(scores, key=lambda score: -score[0].value):
            runs = collection.runs(method)
            ever = mean_success(collection.runs(method, ever=True))
            count = sum(len(task) for task in runs.values())
            figures = [words(mean), words(iqm_success(runs)), words(ever)]
            rows.append([title(method), str(count), *figures])
    return Table(heads, rows)


def unfinished_table(collection: Collection) -> Table:
    """Return the jobs that are not finished, which no figure above has in it."""
    rows = [
        [
            one.job,
            f'{one.steps} of {one.steps_planned} steps' if one.steps_planned else 'no practice',
            f'{one.curve[-1][1].success:.2f}' if one.curve else NOTHING,
        ]
        for one in collection.unfinished
    ]
    rows += [[job, 'nothing recorded yet', NOTHING] for job in collection.unrecorded]
    return Table(['job', 'how far', 'success in the last periodic evaluation'], rows)


def sentence(verdict: Verdict, all_tasks: int) -> str:
    """Return what may be said of our method and another one, and on what grounds."""
    ours, theirs = verdict.comparison.ours, verdict.comparison.theirs
    name, other = title(OURS), title(verdict.other)
    where = ', '.join(verdict.tasks)
    if len(verdict.tasks) > 1:
        every = 'all ' if len(verdict.tasks) == all_tasks else ''
        where = f'{every}{len(verdict.tasks)} tasks'
    return (
        f'{name} {words(ours)} against {other} {words(theirs)} on {where}: {_says(verdict)}. '
        f'Probability of improvement {words(verdict.comparison.improvement)}; '
        f'{verdict.seeds} or more seeds of each.'
    )


def _says(verdict: Verdict) -> str:
    comparison = verdict.comparison
    if comparison.separate:
        above = OURS if comparison.ours.value > comparison.theirs.value else verdict.other
        return f'separate, {title(above)} is above'
    if comparison.apart:
        seeds = 'one seed is' if verdict.seeds == 1 else f'{verdict.seeds} seeds are'
        return f'{INCONCLUSIVE} (the intervals lie apart, and {seeds} too few to rule out chance)'
    return INCONCLUSIVE


def commands(collection: Collection) -> list[str]:
    """Return the commands that run these jobs again, finished and unfinished ones.

    The first one goes to their commit, where it is one; `+` marks changes that it does not have.
    """
    commits = {result.commit for result in collection.results}
    commit = commits.pop() if len(commits) == 1 else None
    changed = '  # plus changes that were not committed' if commit and '+' in commit else ''
    checkout = [f'git checkout {commit.rstrip("+")}{changed}'] if commit else []
    plans: dict[tuple, list[str]] = {}  # (seeds, methods) -> tasks
    for task in collection.tasks:
        by_seeds: dict[tuple[int, ...], list[str]] = {}
        for method in collection.methods:
            found = collection.of(method, task) + collection.of(method, task, finished=False)
            if found:
                by_seeds.setdefault(tuple(sorted(one.seed for one in found)), []).append(method)
        for seeds, methods in by_seeds.items():
            plans.setdefault((seeds, tuple(methods)), []).append(task)
    return checkout + [
        f'medal bench earl --size {collection.size} --tasks {" ".join(tasks)} '
        f'--methods {" ".join(methods)} --seeds {_seeds(seeds)}'
        for (seeds, methods), tasks in plans.items()
    ]


def words(estimate: Estimate) -> str:
    """Return a figure with its interval."""
    return f'{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})'


def _seeds(seeds: tuple[int, ...]) -> str:
    if seeds == tuple(range(len(seeds))):
        return str(len(seeds))
    return ','.join(map(str, seeds)) + (',' if len(seeds) == 1 else '')


def _success(results: Sequence[Result], ever: bool = False) -> Estimate:
    one = Collection(results[0].size, results)
    return mean_success(one.runs(results[0].method, ever))


def _mean(results: Sequence[Result], figure_of: Callable[[Result], float]) -> str:
    mean = float(np.mean([figure_of(one) for one in results]))
    return f'{mean:.0f}' if mean == round(mean) else f'{mean:.1f}'


def _lifetime(results: Sequence[Result]) -> str:
    last = [one.lifetime[-1][1] for one in results if one.lifetime]
    if not last:
        return NOTHING
    value, low, high = mean_of(last)
    return f'{value:.3f}' + (f' ({low:.3f} to {high:.3f})' if len(last) > 1 else '')


def _segments(results: Sequence[Result], agent: str) -> str:
    found = [one.segments[agent] for one in results if one.segments.get(agent, (0, 0))[1]]
    if not found:
        return NOTHING
    successes, segments = np.sum(found, axis=0)
    return f'{successes / segments:.2f}'
