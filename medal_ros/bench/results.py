"""What a job of the benchmark leaves: result.json, written whole, read with suspicion. No ROS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medal_ros.bench.fields import Fields, count, number, pair, shown, text
from medal_ros.bounded import MAX_RECORD, TooLarge, parse_json, read_bytes
from medal_ros.errors import UserError
from medal_ros.statistics import Evaluation

FORMAT = 'medal_ros benchmark 1'
FAMILY = 'medal_ros benchmark '  # what the format of every version begins with
NAME = 'result.json'
LAYOUT = 'SIZE/TASK/METHOD/seed_N'

Points = list[tuple[int, Evaluation]]


@dataclass
class Result:
    """What is known of one job, filled in while it runs.

    Attributes:
        size: Name of the benchmark's size.
        task: Name of the task.
        method: Name of the method.
        seed: The job's seed.
        preset: What the job's configuration is called.
        steps_planned: Policy steps after which it is finished; 0 where a method does not practise.
        repeat: Control steps of the robot for one policy step.
        commit: Commit of the code; None where it is not known.
        finished: Whether the job came to its regular end.
        steps: Policy steps so far.
        minutes: Wall time so far, stops left out, evaluations included.
        cpu_minutes: The processor's time for the same.
        updates: Critic updates of all agents so far.
        reset_steps: Policy steps at which the world was put back, the first time left out.
        curve: Periodic evaluations of the forward policy, `(steps, evaluation)`.
        backward_curve: The same of the backward policy; empty where there is none.
        final: The policy that is deployed, the last one, on the final starts.
        best: The best of the checkpoints on those same starts, where a method is granted that.
        lifetime: `(steps, mean)`: the mean task reward of all policy steps up to there.
        segments: Of each agent, how many of its segments ended in success, and how many it had.
        machine: Where it ran.
        versions: Of what the figures depend on; None where it is not installed.
    """

    size: str
    task: str
    method: str
    seed: int
    preset: str
    steps_planned: int
    repeat: int = 1
    commit: str | None = None
    finished: bool = False
    steps: int = 0
    minutes: float = 0.0
    cpu_minutes: float = 0.0
    updates: int = 0
    reset_steps: list[int] = field(default_factory=list)
    curve: Points = field(default_factory=list)
    backward_curve: Points = field(default_factory=list)
    final: Evaluation | None = None
    best: Evaluation | None = None
    lifetime: list[tuple[int, float]] = field(default_factory=list)
    segments: dict[str, tuple[int, int]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str | None] = field(default_factory=dict)

    @property
    def job(self) -> str:
        """The job's folder below the root of the results, and its name for people."""
        return f'{self.size}/{self.task}/{self.method}/seed_{self.seed}'

    @property
    def resets(self) -> int:
        return len(self.reset_steps)

    def save(self, folder: Path) -> Path:
        """Write result.json into a folder, whole or not at all, and return its path.

        Raises:
            OSError: The folder cannot be written to.
            ValueError: A number is not finite, which JSON does not have.
        """
        path = folder / NAME
        document = json.dumps(_document(self), indent=1, allow_nan=False)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix('.partial')
        partial.write_text(document + '\n')
        partial.replace(path)
        return path


def load_result(path: Path) -> Result:
    """Read a result.json.

    Raises:
        UserError: It is missing, half written, of another version, or says what cannot be.
    """
    try:
        data = read_bytes(path, MAX_RECORD)
        document = parse_json(data, parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise UserError(f'{path} does not exist: {path.parent} is no result of a job') from None
    except TooLarge as error:
        raise UserError(str(error)) from None
    except ValueError as error:  # UnicodeDecodeError among them
        raise UserError(f'{path} is half written or not JSON ({error})') from None
    found = document.get('format') if isinstance(document, dict) else None
    if not isinstance(found, str) or not found.startswith(FAMILY):
        raise UserError(f'{path} is not a result of this benchmark: its format is not {FORMAT!r}')
    if found != FORMAT:
        raise UserError(f'{path.parent} is of another version: {found!r}, not {FORMAT!r}')
    try:
        return _parse(document)
    except ValueError as error:
        raise UserError(f'{path} cannot be used: {error}') from None


def load_results(root: Path, size: str | None = None) -> list[Result]:
    """Read every result below a folder, in the order of size, task, method and seed.

    Args:
        root: The folder that holds `SIZE/TASK/METHOD/seed_N`.
        size: Only this size; None takes all.

    Raises:
        UserError: There are none, one cannot be read, or one lies where another belongs.
    """
    if not root.is_dir():
        raise UserError(f'{root} is not a folder with results')
    results = []
    for folder in job_folders(root, size):
        if not (folder / NAME).exists():
            continue  # started, and stopped before it had anything to say: `unrecorded`
        result = load_result(folder / NAME)
        if folder != root / result.job:
            raise UserError(f'{folder} holds the result of another job, {result.job}')
        results.append(result)
    if not results:
        wanted = LAYOUT if size is None else LAYOUT.replace('SIZE', size)
        raise UserError(f'{root} has no results: there is no {wanted}/{NAME} in it')
    return sorted(results, key=lambda one: (one.size, one.task, one.method, one.seed))


def unrecorded(root: Path, size: str | None = None) -> list[str]:
    """Return the jobs that have a folder and no result yet."""
    folders = job_folders(root, size)
    return [str(folder.relative_to(root)) for folder in folders if not (folder / NAME).exists()]


def job_folders(root: Path, size: str | None = None) -> list[Path]:
    """Return the folders of all jobs of a size, or of all sizes, that were ever started."""
    folders = root.glob('*/*/*/seed_*')
    return sorted(f for f in folders if f.is_dir() and size in (None, f.relative_to(root).parts[0]))


def _document(result: Result) -> dict[str, Any]:
    return {
        'format': FORMAT,
        **vars(result),
        'resets': result.resets,
        'curve': _points(result.curve),
        'backward_curve': _points(result.backward_curve),
        'final': _counts(result.final),
        'best': _counts(result.best),
    }


def _points(points: Points) -> list[dict[str, int]]:
    return [{'steps': steps, **(_counts(evaluation) or {})} for steps, evaluation in points]


def _counts(evaluation: Evaluation | None) -> dict[str, int] | None:
    if evaluation is None:
        return None
    successes, ever = evaluation.successes, evaluation.ever
    return {'last': successes, 'ever': ever, 'episodes': evaluation.episodes}


def _parse(document: Mapping[str, Any]) -> Result:
    fields = Fields(document)
    result = Result(
        size=fields.text('size'),
        task=fields.text('task'),
        method=fields.text('method'),
        seed=fields.count('seed'),
        preset=fields.text('preset'),
        steps_planned=fields.count('steps_planned'),
        repeat=fields.count('repeat', 1),
        commit=fields.optional('commit', text),
        finished=fields.truth('finished'),
        steps=fields.count('steps'),
        minutes=fields.number('minutes'),
        cpu_minutes=fields.number('cpu_minutes'),
        updates=fields.count('updates'),
        reset_steps=fields.items('reset_steps', count),
        curve=fields.items('curve', _point),
        backward_curve=fields.items('backward_curve', _point),
        final=fields.optional('final', _evaluation),
        best=fields.optional('best', _evaluation),
        lifetime=fields.items('lifetime', _mean),
        segments=fields.named('segments', _segments),
        machine=fields.named('machine', lambda value, _name: value),
        versions=fields.named('versions', lambda value, _name: value),
    )
    if fields.count('resets') != result.resets:
        raise ValueError(f'resets must be the length of reset_steps, {result.resets}')
    _check(result)
    return result


def _check(result: Result) -> None:
    if result.finished and result.final is None:
        raise ValueError('finished is true and final is null')
    if result.reset_steps != sorted(result.reset_steps):
        raise ValueError('reset_steps do not increase')
    for name in ('curve', 'backward_curve', 'lifetime'):
        steps = [point[0] for point in getattr(result, name)]
        if steps != sorted(set(steps)):
            raise ValueError(f'the steps of {name} do not increase')


def _point(value: Any, name: str) -> tuple[int, Evaluation]:
    return Fields(value, name).count('steps'), _evaluation(value, name)


def _evaluation(value: Any, name: str) -> Evaluation:
    fields = Fields(value, name)
    counts = fields.count('last'), fields.count('ever'), fields.count('episodes', 1)
    try:
        return Evaluation(*counts)
    except ValueError:
        raise ValueError(f'{name} must have last <= ever <= episodes, not {counts}') from None


def _mean(value: Any, name: str) -> tuple[int, float]:
    steps, mean = pair(value, name)
    return count(steps, name), number(mean, name)


def _segments(value: Any, name: str) -> tuple[int, int]:
    successes, segments = (count(item, name) for item in pair(value, name))
    if successes > segments:
        raise ValueError(f'{name} must have no more successes than segments, not {shown(value)}')
    return successes, segments


def _refuse_constant(name: str) -> None:
    raise ValueError(f'{name} is not JSON')
