"""What a few seeds of a few tasks say about a method, and about two. No ROS import.

A score is the share of episodes that succeeded; a run is one seed of one method on one task. The
intervals are 95 % percentile intervals of a bootstrap in two levels. Tasks are strata and stay
(Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice"):
within each one the seeds are drawn anew with replacement, as many as there are; then each drawn
seed's episodes are drawn anew, from a binomial of its own share, which counts half a success and
half a failure more so that a run without a failure is not taken for one that cannot fail. Without
the second level three seeds that happen to agree would have an interval of no width, however few
episodes each one had.

A bootstrap cannot see beyond its worst and its best seed, so with two or three of them intervals
are too short and lie apart by chance. Simulated on one task with 50 episodes and seeds that spread
by 0.3, two methods that are in truth the same lie apart in 21 of 100 pairs with two seeds each and
in 9 with three. A claim therefore asks for more, see `compare`: 6 and 5 of 100 are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medal_ros.statistics import Evaluation

DRAWS = 4000
LEVEL = (0.025, 0.975)
# Student's t, 0.975 quantile, for 1 to 30 degrees of freedom.
STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip

Runs = Mapping[str, np.ndarray]  # task -> (seeds, 2): successes and episodes of each seed


class Estimate(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two methods on the tasks that both have runs of.

    Attributes:
        ours: Mean success of the first, every task counting the same.
        theirs: The same of the second.
        improvement: Probability that a run of the first beats one of the second.
        apart: Whether the two intervals do not overlap.
        certain: Whether the difference is also more than the seeds' spread explains.
    """

    ours: Estimate
    theirs: Estimate
    improvement: Estimate
    apart: bool
    certain: bool

    @property
    def separate(self) -> bool:
        """Whether one of the two may be said to be above the other."""
        return self.apart and self.certain


def counts(evaluations: Sequence[Evaluation], ever: bool = False) -> np.ndarray:
    """Return `(seeds, 2)`: successes, at the last step or at any, and episodes."""
    return np.array([(e.ever if ever else e.successes, e.episodes) for e in evaluations])


def interquartile_mean(scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the mean of the middle half of scores.

    Sorted, the lowest quarter and the highest quarter of the weight are left out, and what is
    left is averaged by its weight. A score on the edge counts with the part of its weight that is
    inside. With equal weights and a number of scores that four divides, this is the trimmed mean
    with a quarter cut at each end; that one, for other numbers, cuts fewer and whole scores.

    Args:
        scores: `(..., runs)`.
        weights: `(runs,)`; None weighs all the same.

    Returns:
        `(...)`.
    """
    scores = np.asarray(scores, float)
    weights = np.ones(scores.shape[-1]) if weights is None else np.asarray(weights, float)
    order = np.argsort(scores, axis=-1)
    upper = np.cumsum((weights / weights.sum())[order], axis=-1)
    lower = np.concatenate([np.zeros_like(upper[..., :1]), upper[..., :-1]], axis=-1)
    kept = np.clip(np.minimum(upper, 0.75) - np.maximum(lower, 0.25), 0, None)
    return (kept * np.take_along_axis(scores, order, axis=-1)).sum(-1) / kept.sum(-1)


def mean_success(runs: Runs, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Return the mean success over seeds and then over tasks, every task counting the same."""
    return _bootstrap(runs, _mean, draws, seed)


def iqm_success(runs: Runs, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Return the interquartile mean of all runs, every task weighing the same."""
    return _bootstrap(runs, _interquartile, draws, seed)


def mean_of(values: Sequence[float], draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Return the mean of one figure per seed; only the seeds are drawn anew."""
    array = np.asarray(values, float)
    low, high = band(array[:, None], draws, seed)
    return Estimate(float(array.mean()), float(low[0]), float(high[0]))


def band(curves: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % interval of the mean curve, from drawing whole curves anew.

    Args:
        curves: `(seeds, points)`.
        draws: How often.
        seed: Of the draws.

    Returns:
        `(low, high)`, each `(points,)`.
    """
    chosen = np.random.default_rng(seed).integers(0, len(curves), (draws, len(curves)))
    share = np.stack([(chosen == i).mean(1) for i in range(len(curves))], axis=1)
    low, high = np.quantile(share @ curves, LEVEL, axis=0)
    return low, high


def probability_of_improvement(
    ours: Runs, theirs: Runs, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """Return how probable it is that a run of ours beats one of theirs on the same task.

    It is the share of pairs of runs that ours wins, half a pair where both are the same (Mann and
    Whitney's U over its greatest value), averaged over the tasks of `ours`.
    """
    generator = np.random.default_rng(seed)
    drawn = []
    for task in ours:
        first, second = (_resample(runs[task], draws, generator) for runs in (ours, theirs))
        drawn.append(_wins(first, second))
    value = np.mean([_wins(_shares(ours[task]), _shares(theirs[task])) for task in ours])
    return _estimate(float(value), np.mean(drawn, axis=0))


def compare(ours: Runs, theirs: Runs, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compare the mean success of two methods on the tasks that both have runs of.

    They are separate where the two bootstrap intervals do not overlap and, in each task, there
    are at least two seeds of each, and the interval of the difference from Student's t leaves out
    zero. That interval has one variance of the seeds for each task, pooled over the two methods
    and no smaller than their episodes alone would give.

    Raises:
        ValueError: They have no task in common.
    """
    tasks = [task for task in ours if task in theirs]
    if not tasks:
        raise ValueError('the methods have no task in common')
    ours, theirs = ({task: runs[task] for task in tasks} for runs in (ours, theirs))
    first, second = (mean_success(runs, draws, seed) for runs in (ours, theirs))
    return Comparison(
        first,
        second,
        probability_of_improvement(ours, theirs, draws, seed),
        apart=first.low > second.high or second.low > first.high,
        certain=_certain(ours, theirs),
    )


def _certain(ours: Runs, theirs: Runs) -> bool:
    """Return whether Student's interval of the difference leaves out zero."""
    difference, variance, freedom = 0.0, 0.0, 0
    for task in ours:
        pair = ours[task], theirs[task]
        sizes = [len(runs) for runs in pair]
        if min(sizes) < 2:
            return False
        spread = sum(_spread(runs) for runs in pair) / (sum(sizes) - 2)
        difference += _shares(pair[0]).mean() - _shares(pair[1]).mean()
        variance += spread * (1 / sizes[0] + 1 / sizes[1])
        freedom += sum(sizes) - 2
    return bool(abs(difference) > STUDENT[min(freedom, len(STUDENT)) - 1] * math.sqrt(variance))


def _spread(runs: np.ndarray) -> float:
    """Return the sum of squares about the mean, no smaller than the episodes alone would give."""
    shares, likely = _shares(runs), _likely(runs)
    least = (likely * (1 - likely) / runs[:, 1]).mean() * (len(runs) - 1)
    return max(float(((shares - shares.mean()) ** 2).sum()), float(least))


def _bootstrap(
    runs: Runs, statistic: Callable[[list[np.ndarray]], np.ndarray], draws: int, seed: int
) -> Estimate:
    generator = np.random.default_rng(seed)
    drawn = statistic([_resample(task, draws, generator) for task in runs.values()])
    return _estimate(float(statistic([_shares(task) for task in runs.values()])), drawn)


def _estimate(value: float, drawn: np.ndarray) -> Estimate:
    low, high = np.quantile(drawn, LEVEL)
    # The half success and half failure draw towards the middle; what was measured stays inside.
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def _resample(runs: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Return `(draws, seeds)` shares of success: seeds drawn anew, then their episodes."""
    chosen = generator.integers(0, len(runs), (draws, len(runs)))
    episodes = runs[chosen, 1]
    return generator.binomial(episodes, _likely(runs)[chosen]) / episodes


def _shares(runs: np.ndarray) -> np.ndarray:
    return runs[:, 0] / runs[:, 1]


def _likely(runs: np.ndarray) -> np.ndarray:
    return (runs[:, 0] + 0.5) / (runs[:, 1] + 1)


def _mean(tasks: list[np.ndarray]) -> np.ndarray:
    return np.mean([task.mean(-1) for task in tasks], axis=0)


def _interquartile(tasks: list[np.ndarray]) -> np.ndarray:
    weights = np.concatenate([np.full(task.shape[-1], 1 / task.shape[-1]) for task in tasks])
    return interquartile_mean(np.concatenate(tasks, axis=-1), weights)


def _wins(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    difference = ours[..., :, None] - theirs[..., None, :]
    return ((difference > 0) + 0.5 * (difference == 0)).mean((-2, -1))
