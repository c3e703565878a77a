"""The methods and sizes of the benchmark: each a small file in `config/bench`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medal_ros.config import RunConfig, expand, make_config, read_yaml
from medal_ros.errors import UserError
from medal_ros.resources import share

SIZES = ('laptop', 'paper')
TASKS = ('tabletop', 'sawyer_door', 'sawyer_peg')


@dataclass(frozen=True)
class Method:
    """What a method is called, and what it is in one line."""

    title: str
    summary: str


METHODS = {
    'medalpp': Method('MEDAL++', 'both rewards learned from demonstrations'),
    'medalpp_true': Method('MEDAL++ (true reward)', "forward on the task's own reward"),
    'workshop': Method('workshop pipeline', "MEDAL++'s predecessor"),
    'medal': Method('MEDAL', 'SAC from pixels; backward towards all demonstrated states'),
    'r3l': Method('R3L', 'novelty as the backward reward, over a frozen VAE'),
    'fbrl': Method('FBRL', "the task's own reward forward, and for undoing it backward"),
    'oracle': Method('oracle RL', 'forward alone, the world reset after every segment'),
    'naive': Method('naive RL', 'forward alone, the world reset as rarely as for the others'),
    'bc': Method('BC', 'cloning the forward demonstrations; best of several checkpoints'),
    'no_ensemble': Method('no ensemble (SAC)', 'MEDAL++ (true reward) with two critics'),
    'no_demonstrations': Method(
        'no BC, no oversampling', 'MEDAL++ (true reward) without demonstrations in its agents'
    ),
    'shared_encoder': Method('shared encoder', 'MEDAL++ with one encoder for both agents'),
    'shared_transitions': Method('shared transitions', 'MEDAL++, both agents learn from all steps'),
}


@dataclass(frozen=True)
class Job:
    """One cell of the grid."""

    size: str
    task: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        return f'{self.size}/{self.task}/{self.method}/seed_{self.seed}'

    def folder(self, root: Path) -> Path:
        """Return where below the root of all results this job keeps what it leaves."""
        return root / self.name

    def config(self, changes: Mapping[str, Any] | None = None) -> RunConfig:
        """Return the run: what the size says for all and for its task, the method, and changes.

        Raises:
            UserError: An unknown size, task or method, a key or value that is not allowed.
        """
        require('size', [self.size], SIZES)
        require('task', [self.task], TASKS)
        require('method', [self.method], METHODS)
        size = read_yaml(share('config', 'bench', 'sizes', f'{self.size}.yaml'))
        method = read_yaml(share('config', 'bench', 'methods', f'{self.method}.yaml'))
        preset = size.pop('preset')
        values: dict[str, Any] = {}
        sizes, methods = layers(size, 'tasks', self.task), layers(method, 'sizes', self.size)
        for layer in (*sizes, *methods, changes or {}):
            values |= expand(layer)
        values |= {'task': self.task, 'seed': self.seed}
        return make_config(preset, values)


def layers(values: Mapping[str, Any], group: str, name: str) -> tuple[dict[str, Any], ...]:
    """Return what a file says for all, and what it says for one name of a group of its own."""
    prefix = f'{group}.{name}.'
    common = {k: v for k, v in values.items() if not k.startswith(f'{group}.')}
    return common, {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def require(what: str, given: list[str], allowed: Any) -> None:
    """Raise a UserError that names what is not among what is allowed."""
    for name in given:
        if name not in allowed:
            raise UserError(f'there is no {what} {name!r}; there are {", ".join(allowed)}')


def grid(size: str, tasks: list[str], methods: list[str], seeds: list[int]) -> list[Job]:
    """Return the jobs of a grid: every seed of everything first, so that partial grids are even.

    Raises:
        UserError: An unknown name, or a seed that is not allowed.
    """
    require('size', [size], SIZES)
    require('task', tasks, TASKS)
    require('method', methods, METHODS)
    for seed in seeds:
        if not 0 <= seed < 2**31:
            raise UserError(f'a seed is from 0 to {2**31 - 1}, not {seed}')
    return [Job(size, t, m, s) for s in seeds for t in tasks for m in methods]
