"""What an examination consists of: candidates, starts, and a trial for each pair of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medal_ros.bounded import MAX_RECORD, MAX_TEXT, parse_json, parse_yaml, read_bytes
from medal_ros.config import RunConfig
from medal_ros.evaluation import FINAL, choose, direction_of, open_run
from medal_ros.evaluation import starts as drawn
from medal_ros.options import OptionError
from medal_ros.run_folder import RunFolder
from medal_ros.sim import task_class
from medal_ros.spaces import AGENTS

FORMAT = 'medal_ros examination 1'
JUDGES = ('truth', 'person')
MOST_WORDS = 200  # characters that describe one start


@dataclass(frozen=True)
class Candidate:
    """One saved policy.

    Attributes:
        run: Folder of its run.
        policy: `'forward'`, `'backward'` or `'cloning'`, the baseline.
        steps: Its checkpoint.
        digest: SHA-256 of its file, so that a trial is of these very weights.
    """

    run: str
    policy: str
    steps: int
    digest: str

    @property
    def path(self) -> Path:
        return RunFolder(Path(self.run)).policy(self.policy, self.steps)

    @property
    def direction(self) -> str:
        """What it is to do: the cloning baseline does what forward does."""
        return direction_of(self.policy)


@dataclass(frozen=True)
class Start:
    """One start: drawn by a seed in the stand-in, put there by a person on a robot.

    Attributes:
        set: Start set of the task that it belongs to.
        seed: Draws it in the stand-in.
        words: Tell a person what to put where; empty: he chooses.
    """

    set: str
    seed: int
    words: str = ''


@dataclass(frozen=True)
class Trial:
    """One attempt: this candidate from this start."""

    number: int
    candidate: int
    start: int


@dataclass(frozen=True)
class Plan:
    """An examination, decided before its first trial.

    Attributes:
        task: Name of the task.
        pixels: Rows and columns of an image; 0: the task's own.
        repeat: Control steps of the stand-in for each policy step.
        horizon: Policy steps of a trial.
        judge: `'truth'`, the stand-in's own, or `'person'`.
        seed: Of the order of the trials.
        candidates: The policies.
        starts: The same ones for every candidate of a direction.
    """

    task: str
    pixels: int
    repeat: int
    horizon: int
    judge: str
    seed: int
    candidates: tuple[Candidate, ...]
    starts: tuple[Start, ...]

    @property
    def trials(self) -> list[Trial]:
        """All trials, in an order that tells nobody whose turn it is."""
        pairs = [(c, s) for c in range(len(self.candidates)) for s in range(len(self.starts))]
        order = np.random.default_rng([self.seed, 5]).permutation(len(pairs))
        return [Trial(number, *pairs[i]) for number, i in enumerate(order.tolist())]

    @property
    def digest(self) -> str:
        """A short name: the same examination always has the same."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:8]

    @property
    def text(self) -> str:
        """The plan as JSON."""
        return json.dumps({'format': FORMAT, **dataclasses.asdict(self)}, indent=1) + '\n'


def load_plan(path: Path) -> Plan:
    """Read a plan that an earlier examination has left.

    Raises:
        OptionError: There is none, or it is not one.
    """
    try:
        values = parse_json(read_bytes(path, MAX_RECORD))
        if values.pop('format') != FORMAT:
            raise OptionError(f'{path} is a plan of another version')
        values['candidates'] = tuple(Candidate(**c) for c in values['candidates'])
        values['starts'] = tuple(Start(**s) for s in values['starts'])
        return Plan(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise OptionError(f'{path} is not the plan of an examination') from None


def make_plan(
    runs: Sequence[Path],
    checkpoints: Sequence[str] = ('last',),
    policies: Sequence[str] = AGENTS,
    episodes: int = 50,
    sets: Sequence[str] = (),
    listed: Sequence[Start] = (),
    judge: str = 'truth',
    seed: int | None = None,
) -> Plan:
    """Return the examination of some policies.

    Args:
        runs: Folders of runs, of one task and one size of images.
        checkpoints: Of each: `last`, `best`, `all` or a number of steps.
        policies: Of each: `forward`, `backward`, `cloning`.
        episodes: Starts drawn from each set, where none are listed.
        sets: Start sets; none: the task's first.
        listed: These starts instead of drawn ones.
        judge: One of `JUDGES`.
        seed: Draws starts and order; None: the first run's.

    Raises:
        OptionError: Something of this does not exist or does not fit together.
    """
    opened = [open_run(path) for path in runs]
    if not opened:
        raise OptionError('name at least one run to evaluate')
    if judge not in JUDGES:
        raise OptionError(f'judge must be one of {", ".join(JUDGES)}, not {judge!r}')
    if episodes < 1:
        raise OptionError(f'episodes must be at least 1, not {episodes}')
    first, _ = opened[0]
    for config, folder in opened[1:]:
        if _world(config) != _world(first):
            raise OptionError(
                f'{folder.path} has the world {_world(config)}, not {_world(first)}: runs are '
                'compared in one world'
            )
    seed = first.seed if seed is None else seed
    if not 0 <= seed < 2**31:
        raise OptionError(f'seed must be from 0 to {2**31 - 1}, not {seed}')
    starts = tuple(listed) or _draw(first.task, sets, seed, episodes)
    _check_sets(first.task, {start.set for start in starts})
    return Plan(
        task=first.task,
        pixels=first.pixels,
        repeat=first.repeat,
        horizon=horizon(first),
        judge=judge,
        seed=seed,
        candidates=tuple(
            c for _, folder in opened for c in _candidates(folder, checkpoints, policies)
        ),
        starts=starts,
    )


def horizon(config: RunConfig) -> int:
    """Return the policy steps of one trial: the task's evaluation episode."""
    return -(-task_class(config.task).control_steps // config.repeat)


def _world(config: RunConfig) -> str:
    return f'{config.task} {config.pixels} px, repeat {config.repeat}'


def _candidates(
    folder: RunFolder, checkpoints: Sequence[str], policies: Sequence[str]
) -> list[Candidate]:
    found = []
    for policy in policies:
        # `last` and `best` may be the same one.
        steps = {s for name in checkpoints for s in choose(folder, name, policy)}
        for step in sorted(steps):
            path = folder.policy(policy, step)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found.append(Candidate(str(folder.path.resolve()), policy, step, digest))
    return found


def _draw(task: str, sets: Sequence[str], seed: int, episodes: int) -> tuple[Start, ...]:
    names = list(sets) or [task_class(task).start_sets[0]]
    _check_sets(task, names)
    return tuple(Start(name, s) for name in names for s in drawn(seed, FINAL, episodes))


def _check_sets(task: str, names: Any) -> None:
    known = task_class(task).start_sets
    for name in names:
        if name not in known:
            raise OptionError(f'{task} has no start set {name!r}; it has {", ".join(known)}')


def read_starts(path: Path, task: str) -> tuple[Start, ...]:
    """Read a list of starts: YAML, each item `{set, seed}` or `{set, words}` or words alone.

    Raises:
        OptionError: It cannot be read, is empty, or an item is of another form.
    """
    try:
        items = parse_yaml(read_bytes(path, MAX_TEXT))
    except (OSError, ValueError):
        raise OptionError(f'{path} cannot be read as YAML') from None
    if not isinstance(items, list) or not items:
        raise OptionError(f'{path} must be a list of starts')
    first = task_class(task).start_sets[0]
    found = []
    for number, item in enumerate(items):
        values = {'words': item} if isinstance(item, str) else item
        known = {'set': str, 'seed': int, 'words': str}
        if not isinstance(values, dict) or not all(
            type(value) is known.get(key) for key, value in values.items()
        ):
            raise OptionError(
                f'{path}: start {number + 1} must be words, or have set, seed or words: not '
                f'{str(item)[:60]}'
            )
        seed = values.get('seed', number)
        if not 0 <= seed < 2**32:
            raise OptionError(f'{path}: start {number + 1}: seed must be from 0 to {2**32 - 1}')
        found.append(Start(values.get('set', first), seed, values.get('words', '')[:MOST_WORDS]))
    return tuple(found)
