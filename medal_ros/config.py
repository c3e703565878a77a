"""A whole run in one configuration: presets, `--set`, and the file that repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from medal_ros.bags.record import RecordConfig
from medal_ros.bounded import MAX_TEXT, TooLarge, parse_yaml, read_bytes
from medal_ros.learning.config import HealthConfig, SideConfig
from medal_ros.options import OptionError, build, flatten, group, nest, option, unnest
from medal_ros.resources import share
from medal_ros.robot.supervisor import SupervisorConfig
from medal_ros.scheduling import LoopConfig
from medal_ros.spaces import AGENTS, Spaces

SHARED = ('agent', 'classifier', 'novelty')


@dataclass(frozen=True)
class DemonstrationsConfig:
    """Where demonstrations come from."""

    count: int = option(
        50,
        'of each direction, recorded by the scripted expert; 0: as many as the task comes with',
        source='paper A.2',
        low=0,
    )
    times: int = option(
        1, 'so many times as many as the task comes with, where count is 0', source='ours', low=1
    )
    folder: str = option('', 'recorded demonstrations to use instead')


@dataclass(frozen=True)
class EvaluationConfig:
    """Success on starts that are never trained on."""

    every: int = option(10_000, 'policy steps between evaluations', source='paper A.3', low=1)
    episodes: int = option(10, 'episodes of a periodic evaluation', source='paper A.3', low=1)
    final_episodes: int = option(100, 'episodes of the final figures', source='ours', low=1)
    cloning_steps: int = option(
        5000, 'gradient steps of the cloning baseline', source='ours', low=0
    )
    cloning_checkpoints: int = option(
        10, 'checkpoints of the baseline; the best one counts', source='ours; paper: several', low=1
    )


@dataclass(frozen=True)
class GraphConfig:
    """How the nodes work together on one machine."""

    rate: float = option(
        0.0,
        'control steps per second; 0: lockstep, as fast as it goes',
        source='ours',
        low=0,
        high=1000,
    )
    lag: int = option(
        50, 'steps from learning of a step to acting on it (lockstep)', source='ours', low=1
    )
    publish_every: int = option(
        10, 'steps between two sets of policy weights', source='ours', low=1
    )
    threads: int = option(1, "the learner's threads", source='ours', low=1)
    stale_after: float = option(
        0.2,
        "seconds without a new command after which the stand-in's arm holds, by the clock",
        source='ours',
        low=0.02,
        high=2,
    )
    act_at: float = option(
        0.25,
        'by the clock, the share of a period at which an action is published: one that is ready '
        'sooner waits, so that they come evenly; 0: at once',
        source='ours',
        low=0,
        high=0.5,
    )
    restarts: int = option(
        5,
        'restarts of one node within ten minutes, after which the run ends; 0: none at all',
        source='ours',
        low=0,
    )
    silent_after: float = option(
        10.0,
        'seconds without a word after which a node counts as hung and is restarted; 0: never',
        source='ours',
        low=0,
    )
    nursery: bool = option(
        True,
        'import once what all nodes need, and fork them; by the clock, keep that process: a node '
        'that is started again is there seconds sooner than a new one would be',
        source='ours',
    )
    idle: bool = option(
        True,
        'by the clock, learn only where no other program of the machine wants to run; false: '
        'with a low priority',
        source='ours',
    )
    learning_cores: tuple[int, ...] = option(
        (), 'processors on which is learned; empty: all', source='ours', low=0
    )
    device: str = option(
        'auto', 'where networks are trained: auto, cpu, cuda, cuda:1 ...', source='ours'
    )
    loop: LoopConfig = group(LoopConfig)


def idles(graph: GraphConfig) -> bool:
    """Return whether learning gives way to every other program of the machine."""
    return graph.rate > 0 and graph.idle


@dataclass(frozen=True)
class StorageConfig:
    """What a run keeps on the disk, how often, and how much of it (docs/reliability.md)."""

    record_every: int = option(
        100,
        'stored steps, at most, that are recorded and checksummed together: what a crash can cost',
        source='ours',
        low=1,
    )
    checkpoint_every: int = option(
        5000, 'policy steps between whole checkpoints; 0: only at the end', source='ours', low=0
    )
    checkpoints: int = option(2, 'whole checkpoints that are kept', source='ours', low=1)
    policies: int = option(
        0, 'evaluated policies of each direction that are kept; 0: all', source='ours', low=0
    )
    limit_gib: float = option(
        0.0,
        'size that the replay store may grow to, GiB; 0: as the disk allows',
        source='ours',
        low=0,
    )


@dataclass(frozen=True)
class RunConfig(SupervisorConfig):
    """Everything that is needed to repeat a run."""

    task: str = option('tabletop_quick', 'what is practised')
    preset: str = option('quickstart', 'where the other values come from')
    seed: int = option(0, 'seeds everything that is drawn', low=0, high=2**31 - 1)
    pixels: int = option(
        0, "rows and columns of every image of the stand-in; 0: the task's own", low=0, high=1024
    )
    repeat: int = option(
        1, 'control steps of the stand-in for each policy step', source='ours', low=1
    )
    demonstrations: DemonstrationsConfig = group(DemonstrationsConfig)
    forward: SideConfig = group(SideConfig)
    backward: SideConfig = group(SideConfig)
    evaluation: EvaluationConfig = group(EvaluationConfig)
    health: HealthConfig = group(HealthConfig)
    graph: GraphConfig = group(GraphConfig)
    storage: StorageConfig = group(StorageConfig)
    record: RecordConfig = group(RecordConfig)


def presets() -> list[str]:
    """Return the names of the presets that exist."""
    return sorted(path.stem for path in share('config', 'presets').glob('*.yaml'))


def load_preset(name: str) -> dict[str, Any]:
    """Return a preset's dotted keys, laid over those of the preset that it says it is `like`.

    Raises:
        OptionError: There is no such preset.
    """
    if name not in presets():
        raise OptionError(f'there is no preset {name!r}; there are {", ".join(presets())}')
    values = read_yaml(share('config', 'presets', f'{name}.yaml'))
    like = values.pop('like', None)
    return {**load_preset(like), **values} if like else values


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the dotted keys of a YAML file.

    Raises:
        OptionError: The file is missing or is not a YAML mapping.
    """
    try:
        content = parse_yaml(read_bytes(path, MAX_TEXT).decode())
    except TooLarge as error:
        raise OptionError(str(error)) from None
    except (OSError, ValueError):
        raise OptionError(f'{path} cannot be read as YAML') from None
    if not isinstance(content, Mapping):
        raise OptionError(f'{path} is not a YAML mapping of keys to values')
    return unnest(content)


def make_config(preset: str, changes: Mapping[str, Any]) -> RunConfig:
    """Return a preset with some keys changed.

    Keys of `agent` and `classifier` mean both directions; `backward.agent.discount` only one.

    Raises:
        OptionError: An unknown preset or key, or a value that is not allowed.
    """
    values = {**expand(load_preset(preset)), **expand(changes), 'preset': preset}
    return _build(values)


def _build(values: Mapping[str, Any]) -> RunConfig:
    config = build(RunConfig, values, 'key')
    for name in AGENTS:
        agent = getattr(config, name).agent
        for key, small, large in (
            ('demonstrations', agent.demonstrations, agent.batch - 1),
            ('subset', agent.subset, agent.critics),
        ):
            if small > large:
                raise OptionError(f'key {name}.agent.{key} must be at most {large}, not {small}')
        if agent.entropy.weight > 0 and agent.policy.form != 'gaussian':
            raise OptionError(
                f'key {name}.agent.entropy.weight needs {name}.agent.policy.form gaussian'
            )
        if agent.reward == 'novelty' and agent.encoder.form != 'vae':
            raise OptionError(
                f'key {name}.agent.reward novelty needs {name}.agent.encoder.form vae'
            )
    return config


def expand(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replace keys that mean both directions by one for each; what names a direction wins."""
    both = {k: v for k, v in values.items() if k.split('.')[0] in SHARED}
    expanded = {f'{agent}.{k}': v for agent in AGENTS for k, v in both.items()}
    return {**expanded, **{k: v for k, v in values.items() if k not in both}}


def compress(values: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `expand`: write what both directions share once."""
    compressed: dict[str, Any] = {}
    for key, value in values.items():
        side, _, rest = key.partition('.')
        other = {'forward': 'backward', 'backward': 'forward'}.get(side)
        shared = other is not None and values.get(f'{other}.{rest}') == value
        compressed[rest if shared else key] = value
    return compressed


def save_config(config: RunConfig, path: Path) -> None:
    """Write a configuration as YAML that `make_config` reads back to the same."""
    text = yaml.safe_dump(nest(compress(flatten(config))), sort_keys=False)
    path.write_text(f'# Repeat this run: medal train --config {path.name}\n{text}')


def load_config(path: Path, changes: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a configuration written by `save_config`, with some keys changed.

    Raises:
        OptionError: The file cannot be read or holds an unknown key or a bad value.
    """
    return _build({**expand(read_yaml(path)), **expand(changes or {})})


@dataclass(frozen=True)
class NodeConfig(RunConfig):
    """What every learning node is told: the run, where its files are, what the world looks like."""

    folder: str = option('', "the run's folder")
    resume: bool = option(False, "go on from what the run's folder holds")
    spaces: Spaces = group(Spaces)
