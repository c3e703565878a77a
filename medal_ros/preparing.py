"""A run's folder before it begins: its configuration and its demonstrations."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from medal_ros import disk
from medal_ros.config import RunConfig, save_config
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.demonstrations import load_demonstrations, save_demonstration
from medal_ros.learning.device import choose_device
from medal_ros.learning.policy import Policy
from medal_ros.options import OptionError
from medal_ros.run_folder import RunFolder
from medal_ros.scheduling import check_cores
from medal_ros.sim import make, spaces_of, task_class
from medal_ros.sim.demonstrations import record
from medal_ros.sim.task import TaskEnv
from medal_ros.spaces import AGENTS

SAY_EVERY = 30.0  # seconds between words about a recording


def check_machine(config: RunConfig) -> None:
    """Refuse what this machine does not have.

    Raises:
        OptionError: A device, or processors, that are not there.
    """
    choose_device(config.graph.device)
    check_cores('graph.loop.cores', config.graph.loop.cores)
    check_cores('graph.learning_cores', config.graph.learning_cores)


def prepare(
    config: RunConfig, runs: Path, name: str, say: Callable[[str], object] = print
) -> RunFolder:
    """Make a run's folder: its configuration and its demonstrations.

    Raises:
        OptionError: The name is taken, or cannot be a folder's; or as `check_machine`.
        UserError: The demonstrations cannot be used, or the networks cannot be made.
    """
    if not name or name != Path(name).name or name.startswith('.'):
        raise OptionError(f'{name!r} cannot be the name of a run: use letters, digits, - and _')
    folder = RunFolder(runs / name)
    if folder.path.exists():
        raise OptionError(f'there is already a run {folder.path}: choose another name')
    check_machine(config)
    for agent in AGENTS:
        if getattr(config, agent).agent.encoder.form == 'vae':
            raise OptionError(
                f'{agent}.agent.encoder.form vae is for medal bench: no node trains an autoencoder'
            )
    spaces = spaces_of(config.task, config.pixels)
    least = max(getattr(config, a).classifier.goal_states for a in AGENTS)
    for name in AGENTS:
        Policy(getattr(config, name).agent, spaces)
        Classifier(getattr(config, name).classifier, spaces, name)
    say(disk.fits(config, spaces, runs))
    given = config.demonstrations.folder
    if given:
        load_demonstrations(Path(given), config.task, spaces, least)
    folder.path.mkdir(parents=True)
    try:
        save_config(config, folder.config)
        if given:
            copy_demonstrations(Path(given), folder.demonstrations)
        else:
            d = config.demonstrations
            counts = demonstration_counts(config.task, d.count, d.times)
            wanted = ' and '.join(f'{count} {direction}' for direction, count in counts.items())
            say(f'recording {wanted} demonstrations of {config.task}')
            environment = make(config.task, None, config.pixels, config.repeat)
            record_demonstrations(
                environment, config.task, counts, config.seed, folder.demonstrations, say
            )
        load_demonstrations(folder.demonstrations, config.task, spaces, least)
    except BaseException:  # Ctrl-C too: what never began leaves nothing behind
        shutil.rmtree(folder.path)
        raise
    return folder


def copy_demonstrations(source: Path, target: Path) -> None:
    """Copy the demonstrations of a folder, and nothing else that lies there."""
    target.mkdir()
    for path in source.glob('*.safetensors'):
        shutil.copy(path, target)


def demonstration_counts(task: str, count: int, times: int = 1) -> dict[str, int]:
    """Return how many of each direction are recorded: `count`, or the task's own several times."""
    own = task_class(task).demonstration_counts
    return {name: count or times * own[name] for name in AGENTS}


def record_demonstrations(
    environment: TaskEnv,
    task: str,
    counts: Mapping[str, int],
    seed: int,
    folder: Path,
    say: Callable[[str], object] = lambda words: None,
) -> list[Path]:
    """Record demonstrations by the task's scripted expert and return their files.

    It says how far it is where that takes long: a cloth's hundred take minutes.
    """
    numbers = {name: itertools.count() for name in AGENTS}
    paths: list[Path] = []
    said = time.monotonic()
    with closing(environment):
        for demonstration in record(environment, task, counts, seed):
            number = next(numbers[demonstration.direction])
            paths.append(save_demonstration(demonstration, folder, number))
            if time.monotonic() - said > SAY_EVERY:
                say(f'{len(paths)} of {sum(counts.values())} demonstrations are recorded')
                said = time.monotonic()
    return paths
