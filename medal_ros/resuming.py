"""Go on with a run that was stopped: whether that can be, and with which configuration."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from medal_ros import disk
from medal_ros.bringup import changes_from_texts
from medal_ros.config import RunConfig, load_config, save_config
from medal_ros.evaluation import open_run
from medal_ros.learning.demonstrations import load_demonstrations
from medal_ros.learning.journal import NAME as JOURNAL
from medal_ros.learning.note import forget
from medal_ros.learning.recovery import last_record
from medal_ros.options import OptionError, flatten
from medal_ros.preparing import check_machine
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of
from medal_ros.spaces import AGENTS

# What may differ from how the run began: the saved networks and steps fit all the same.
CHANGEABLE = (
    'steps',
    'segment_steps',
    'world_reset_every',
    'arm_reset.',
    'resets.',
    'ask_for_help.',
    'evaluation.',
    'health.',
    'graph.',
    'storage.',
    'record.',
)
_held: list[TextIOWrapper] = []


def reopen(path: Path, changes: Mapping[str, Any]) -> tuple[RunConfig, RunFolder]:
    """Return a stopped run and its configuration, some keys of which may be changed.

    Raises:
        UserError: The folder is not a run's, the run is finished or running, its
            demonstrations are damaged, a change does not fit what is saved, or the rest of it does
            not fit on the disk; or as `check_machine`.
    """
    before, folder = open_run(path)
    if finished(folder):
        raise OptionError(f'{path} is finished, all {before.steps} steps of it: begin a new run')
    _take(folder).close()
    config = load_config(folder.config, changes)
    old, new = flatten(before), flatten(config)
    for key in new:
        if new[key] != old[key] and not key.startswith(CHANGEABLE):
            raise OptionError(
                f'{path} was begun with {key} {old[key]}, not {new[key]}: a run that goes on may '
                f'change {", ".join(k.rstrip(".") for k in CHANGEABLE)}, and nothing else'
            )
    check_machine(config)
    spaces = spaces_of(config.task, config.pixels)
    least = max(getattr(config, a).classifier.goal_states for a in AGENTS)
    load_demonstrations(folder.demonstrations, config.task, spaces, least)
    taken = last_record(folder.replay)
    taken = taken.end.forward + taken.end.backward if taken else 0
    if config.steps and config.steps < taken:
        raise OptionError(f'{path} has taken {taken} steps already, more than {config.steps}')
    disk.fits(config, spaces, folder.path, disk.used(folder.path))
    if config != before:
        save_config(config, folder.config)
    return config, folder


def reopen_from_texts(given: Mapping[str, str]) -> tuple[RunConfig, RunFolder]:
    """Return the run that launch arguments ask to go on with, as `reopen`.

    Raises:
        UserError: As `reopen`; or an argument is given that only begins a run.
    """
    for name in ('name', 'preset'):
        if given[name]:
            raise OptionError(f'resume goes on with a run as it is: leave out {name}')
    changes = changes_from_texts(given)
    return reopen(
        Path(given['resume']), changes | ({'task': given['task']} if given['task'] else {})
    )


def hold_for_good(folder: RunFolder) -> None:
    """Hold a run until this process ends.

    Raises:
        OptionError: Another process holds it.
    """
    _held.append(hold(folder))


def hold(folder: RunFolder) -> TextIOWrapper:
    """Hold a run as long as the returned file is open: only one process can.

    What nodes have noted down for each other is of this session, and goes when this process ends.

    Raises:
        OptionError: Another one does, or its nodes are still saving.
        OSError: The folder cannot be written to.
    """
    file = _take(folder)
    atexit.register(forget, folder)
    return file


def _take(folder: RunFolder) -> TextIOWrapper:
    file = open(folder.lock, 'a+')  # noqa: SIM115  the lock is as long as the file
    journal = folder.replay / JOURNAL
    if not _lock(file) or (journal.is_file() and not _free(journal)):
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise OptionError(f'{folder.path} is running now (process {holder}): stop it first')
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _lock(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _free(path: Path) -> bool:
    with open(path, 'rb') as file:
        return _lock(file)


def finished(folder: RunFolder) -> bool:
    """Return whether a run came to its regular end."""
    try:
        return bool(json.loads(folder.summary.read_text())['finished'])
    except (OSError, ValueError, KeyError, TypeError):
        return False
