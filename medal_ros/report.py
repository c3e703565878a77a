"""What a run leaves for people: figures in summary.json and a few lines. No ROS import."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from medal_ros.statistics import Evaluation

# rclpy is ros-rclpy on PyPI; that wheel also carries metadata of the name it has in ROS.
DISTRIBUTIONS = ('medal_ros', 'torch', 'numpy', 'mujoco', 'gymnasium', 'ros-rclpy', 'rclpy')


@dataclass(frozen=True)
class Point:
    """A periodic evaluation.

    Attributes:
        steps: Policy steps of the run when the weights were saved.
        agent: `'forward'` or `'backward'`.
        evaluation: The outcome.
    """

    steps: int
    agent: str
    evaluation: Evaluation


@dataclass
class RunRecord:
    """What is known of a run, filled in while it goes.

    Attributes:
        task: Name of the task.
        preset: Name of the preset.
        seed: The run's seed.
        steps: Policy steps so far.
        minutes: Wall time so far, everything included.
        practice_minutes: Wall time from the first step to the last.
        updates: Critic updates of both agents so far.
        stored: Steps stored.
        refused: Steps not stored: no partner, two sources, not a number.
        dropped: Updates given up because the learner fell too far behind.
        interventions: At how many steps each one happened.
        points: Periodic evaluations of both agents, in any order.
        cloning: Each checkpoint of the cloning baseline on the final starts.
        final: The last forward checkpoint on the final starts.
        best: The forward checkpoint of `best_steps` on the same starts.
        backward_final: The last backward checkpoint on its final starts.
        finished: Whether the run came to its regular end.
    """

    task: str
    preset: str
    seed: int
    steps: int = 0
    minutes: float = 0.0
    practice_minutes: float = 0.0
    updates: int = 0
    stored: int = 0
    refused: int = 0
    dropped: int = 0
    interventions: list[int] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    cloning: list[Point] = field(default_factory=list)
    final: Evaluation | None = None
    best: Evaluation | None = None
    backward_final: Evaluation | None = None
    finished: bool = False

    def points_of(self, agent: str) -> list[Point]:
        """Return an agent's periodic evaluations in the order of their steps."""
        mine = [point for point in self.points if point.agent == agent]
        return sorted(mine, key=lambda point: point.steps)

    def snapshot(self) -> dict[str, Any]:
        """Return all that is known while a run goes on, as plain values."""
        return asdict(self)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what was known of a run that goes on."""
        kept = {k: v for k, v in snapshot.items() if k not in ('final', 'best', 'backward_final')}
        vars(self).update(kept)
        for name in ('points', 'cloning'):
            points = [
                Point(**{**p, 'evaluation': Evaluation(**p['evaluation'])}) for p in kept[name]
            ]
            setattr(self, name, points)

    @property
    def best_steps(self) -> int | None:
        """Steps of the forward checkpoint that evaluated best; the latest of equals."""
        points = self.points_of('forward')
        if not points:
            return None
        return max(points, key=lambda point: (point.evaluation.success, point.steps)).steps

    @property
    def best_cloning(self) -> Point | None:
        """The checkpoint of the cloning baseline that did best."""
        return max(self.cloning, key=lambda point: point.evaluation.success, default=None)

    @property
    def baseline(self) -> Evaluation | None:
        """The cloning baseline: the best of its checkpoints."""
        return self.best_cloning.evaluation if self.best_cloning else None


def summarise(record: RunRecord) -> dict[str, Any]:
    """Return the content of summary.json; what was not measured is None."""
    seconds = 60 * record.practice_minutes
    return {
        'task': record.task,
        'preset': record.preset,
        'seed': record.seed,
        'finished': record.finished,
        'steps': record.steps,
        'minutes': round(record.minutes, 2),
        'practice_minutes': round(record.practice_minutes, 2),
        'env_steps_per_second': round(record.steps / seconds, 2) if seconds else None,
        'updates_per_second': round(record.updates / seconds, 2) if seconds else None,
        'updates': record.updates,
        'interventions': len(record.interventions),
        'intervention_steps': sorted(record.interventions),
        **_figures('bc_success', record.baseline),
        'bc_best_steps': record.best_cloning.steps if record.best_cloning else None,
        **_figures('success', record.final),
        **_figures('best_success', record.best),
        'best_steps': record.best_steps,
        'success_ever': record.final.success_ever if record.final else None,
        **_figures('backward_success', record.backward_final),
        'eval_episodes': record.final.episodes if record.final else None,
        'curve': _curve(record, 'forward'),
        'backward_curve': _curve(record, 'backward'),
        'stored': record.stored,
        'refused': record.refused,
        'dropped': record.dropped,
        'machine': machine(),
        'versions': versions(),
    }


def write_summary(record: RunRecord, folder: Path) -> Path:
    """Write summary.json, whole or not at all, and return its path.

    It is strict JSON: a number that is not finite becomes null.

    Raises:
        OSError: The folder cannot be written to.
    """
    path = folder / 'summary.json'
    text = json.dumps(_strict(summarise(record)), indent=2, allow_nan=False)
    partial = path.with_suffix('.partial')
    partial.write_text(text + '\n')
    partial.replace(path)
    return path


def describe(summary: dict[str, Any]) -> str:
    """Return the few lines that a person reads at the end of a run."""
    how = 'finished' if summary['finished'] else 'stopped early'
    lines = [
        f'{summary["task"]} {how}: {summary["steps"]} steps in {summary["minutes"]:.1f} min, '
        f'seed {summary["seed"]}',
        f'{_rate(summary["env_steps_per_second"])} steps/s, '
        f'{_rate(summary["updates_per_second"])} updates/s, '
        f'{summary["interventions"]} interventions',
    ]
    for key, what in (
        ('bc_success', 'cloned demonstrations'),
        ('success', 'forward, last checkpoint'),
        ('best_success', 'forward, best checkpoint'),
        ('backward_success', 'backward, last checkpoint'),
    ):
        if summary[key] is not None:
            low, high = summary[f'{key}_interval']
            figure = f'success {summary[key]:.2f}  (95 % interval {low:.2f} to {high:.2f})'
            lines.append(f'  {what:<27}{figure}')
    if summary['success'] is not None:
        lines.append(f'judged at the last step of {summary["eval_episodes"]} unseen starts')
    elif summary['curve']:
        steps, success = summary['curve'][-1]
        lines.append(
            f'  forward after {steps} steps: success {success:.2f} in a periodic evaluation'
        )
    return '\n'.join(lines)


def machine() -> dict[str, Any]:
    """Return the processor's model, the cores that this process may use, and the system."""
    model = platform.processor() or platform.machine()
    information = Path('/proc/cpuinfo')
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith('model name'):
                model = line.partition(':')[2].strip()
                break
    cores = len(os.sched_getaffinity(0))
    return {'cpu': model, 'cores': cores, 'system': platform.platform()}


def versions() -> dict[str, str | None]:
    """Return the versions of what the figures depend on; None where it is not installed."""
    found: dict[str, str | None] = {'python': platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _figures(key: str, evaluation: Evaluation | None) -> dict[str, Any]:
    success = evaluation.success if evaluation else None
    return {key: success, f'{key}_interval': list(evaluation.interval) if evaluation else None}


def _curve(record: RunRecord, agent: str) -> list[list[float]]:
    return [[point.steps, point.evaluation.success] for point in record.points_of(agent)]


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rate(rate: float | None) -> str:
    return '-' if rate is None else f'{rate:.1f}'
