"""The results of one size, in the order in which people read them. No ROS import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from medal_ros.bench.aggregate import Comparison, Runs, compare, counts
from medal_ros.bench.methods import METHODS, TASKS
from medal_ros.bench.results import Result

OURS = 'medalpp'
MAIN = (OURS, 'medalpp_true', 'workshop', 'medal', 'r3l', 'fbrl', 'oracle', 'naive', 'bc')
ABLATION = (OURS, 'medalpp_true', 'no_ensemble', 'no_demonstrations')  # Figure 5 of the paper
OPTIONS = (OURS, 'shared_encoder', 'shared_transitions')


class Verdict(NamedTuple):
    """What the results say about our method and another one.

    Attributes:
        other: Name of the other method.
        tasks: The tasks that were compared, those both have finished seeds of.
        seeds: The fewest seeds of either method on any of these tasks.
        comparison: The figures.
    """

    other: str
    tasks: list[str]
    seeds: int
    comparison: Comparison


@dataclass(frozen=True)
class Collection:
    """The results of one size.

    Attributes:
        size: Name of the size.
        results: All of them, finished or not; at least one.
        unrecorded: Jobs that were started and have no result yet.
    """

    size: str
    results: Sequence[Result]
    unrecorded: Sequence[str] = ()

    @property
    def tasks(self) -> list[str]:
        """All tasks: those that are known in their order, then the others by name."""
        return _ordered({result.task for result in self.results}, TASKS)

    @property
    def methods(self) -> list[str]:
        """All methods: those that are known in their order, then the others by name."""
        return _ordered({result.method for result in self.results}, list(METHODS))

    @property
    def finished(self) -> list[Result]:
        return [result for result in self.results if result.finished]

    @property
    def unfinished(self) -> list[Result]:
        return [result for result in self.results if not result.finished]

    def of(self, method: str, task: str, finished: bool = True) -> list[Result]:
        """Return a method's finished, or unfinished, results on a task."""
        results = self.finished if finished else self.unfinished
        return [one for one in results if (one.method, one.task) == (method, task)]

    def runs(self, method: str, ever: bool = False) -> Runs:
        """Return the final evaluations of a method's finished jobs, by task."""
        found = {task: self.of(method, task) for task in self.tasks}
        return {
            task: counts([one.final for one in results if one.final], ever)
            for task, results in found.items()
            if results
        }

    def complete(self) -> list[str]:
        """Return the methods that have finished seeds of every task."""
        return [method for method in self.methods if len(self.runs(method)) == len(self.tasks)]

    def verdicts(self) -> list[Verdict]:
        """Compare our method with every other one: over all common tasks, then on each one."""
        ours = self.runs(OURS)
        verdicts = []
        for method in self.methods:
            theirs = self.runs(method)
            common = [task for task in ours if task in theirs]
            groups = [common] if len(common) < 2 else [common, *([task] for task in common)]
            for tasks in groups:
                if method != OURS and tasks:
                    verdicts.append(_verdict(method, tasks, ours, theirs))
        return verdicts


def title(method: str) -> str:
    """Return what people call a method; an unknown one stays as it is."""
    return METHODS[method].title if method in METHODS else method


def collections(results: Sequence[Result], unrecorded: Sequence[str] = ()) -> list[Collection]:
    """Return a collection for each size, which are never mixed."""
    return [
        Collection(
            size,
            [result for result in results if result.size == size],
            [job for job in unrecorded if job.startswith(f'{size}/')],
        )
        for size in sorted({result.size for result in results})
    ]


def _ordered(names: set[str], known: Sequence[str]) -> list[str]:
    return [name for name in known if name in names] + sorted(names - set(known))


def _verdict(other: str, tasks: list[str], ours: Runs, theirs: Runs) -> Verdict:
    pair = [{task: runs[task] for task in tasks} for runs in (ours, theirs)]
    seeds = min(len(task) for runs in pair for task in runs.values())
    return Verdict(other, tasks, seeds, compare(*pair))
