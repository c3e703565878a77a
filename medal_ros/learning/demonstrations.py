"""Demonstrations on disk: one safetensors file each, readable without executing anything.

A file holds `frames` `(steps + 1, height, width, channels)` uint8, `proprio` `(steps + 1, n)`
float32 and `actions` `(steps, m)` float32; from a stand-in also `task_rewards` `(steps, 2)`
float32, its own for doing and for undoing the task, and `start.*`, a snapshot of the world at the
first frame. Where a person drove, `held` `(steps + 1,)` int32 counts the steps before each frame
in which the arm was held still, and which are left out. As text it holds `format`, `task`,
`direction`, `cameras` (comma-separated, in channel order), `source` (expert, teleop, or a name)
and `checksum`. Files are named `<direction>_<number>.safetensors`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from medal_ros.errors import UserError
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.spaces import AGENTS, Spaces

FORMAT = 'medal_ros demonstration 1'
REQUIRED, OPTIONAL = ('frames', 'proprio', 'actions'), ('task_rewards', 'held')
FORM = {  # type and number of dimensions of each
    'frames': (np.uint8, 4),
    'proprio': (np.float32, 2),
    'actions': (np.float32, 2),
    'task_rewards': (np.float32, 2),
    'held': (np.int32, 1),
}
START = 'start.'  # what the names of a snapshot's arrays begin with
MAX_BYTES = 2 << 30


class DemonstrationError(UserError):
    """A demonstration that cannot be used, and why, in one sentence."""


@dataclass(frozen=True)
class Demonstration:
    """One recorded attempt: what was seen at each of `steps + 1` moments, what was done between."""

    task: str
    direction: str
    cameras: tuple[str, ...]
    frames: np.ndarray
    proprio: np.ndarray
    actions: np.ndarray
    task_rewards: np.ndarray | None = None
    held: np.ndarray | None = None
    start: Mapping[str, np.ndarray] | None = None
    source: str = ''

    def __len__(self) -> int:
        return len(self.actions)


def save_demonstration(demonstration: Demonstration, folder: Path, number: int) -> Path:
    """Write one demonstration; the file appears whole or not at all, whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{demonstration.direction}_{number:03d}.safetensors'
    partial = path.with_suffix('.partial')
    arrays = arrays_of(demonstration)
    text = {
        'format': FORMAT,
        'task': demonstration.task,
        'direction': demonstration.direction,
        'cameras': ','.join(demonstration.cameras),
        'source': demonstration.source,
        'checksum': str(checksum(arrays)),
    }
    save_file(arrays, partial, text)
    for place in (partial, folder):  # on the disk before it has its name, so that power may fail
        handle = os.open(place, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    partial.replace(path)
    return path


def arrays_of(demonstration: Demonstration) -> dict[str, np.ndarray]:
    """Return the arrays of a demonstration as they lie in its file."""
    arrays = {name: getattr(demonstration, name) for name in (*REQUIRED, *OPTIONAL)}
    arrays |= {f'{START}{name}': array for name, array in (demonstration.start or {}).items()}
    return {k: np.ascontiguousarray(v) for k, v in arrays.items() if v is not None}


def checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """Return the CRC-32 of all arrays, in the order of their names."""
    sum_ = 0
    for name in sorted(arrays):
        sum_ = zlib.crc32(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8), sum_)
    return sum_


def load_demonstration(path: Path) -> Demonstration:
    """Read one demonstration.

    Raises:
        DemonstrationError: The file is missing, truncated, damaged, too large or of another
            format.
    """
    if not path.is_file():
        raise DemonstrationError(f'there is no demonstration {path}')
    if path.stat().st_size > MAX_BYTES:
        raise DemonstrationError(f'{path} is larger than the {MAX_BYTES >> 30} GiB allowed')
    try:
        with safe_open(path, 'numpy') as file:
            text = file.metadata() or {}
            names = set(file.keys())
            rest = {n for n in names - set(OPTIONAL) if not n.startswith(START)}
            if text.get('format') != FORMAT or rest != set(REQUIRED):
                raise DemonstrationError(f'{path} is not a demonstration ({FORMAT!r})')
            arrays = {name: file.get_tensor(name) for name in names}
    except (TypeError, AttributeError):
        raise DemonstrationError(f'{path} holds numbers of a type that numpy lacks') from None
    except (SafetensorError, OSError):
        raise DemonstrationError(f'{path} is damaged or truncated') from None
    if text.get('checksum', '') not in ('', str(checksum(arrays))):
        raise DemonstrationError(f'{path} is damaged: its checksum is not what it was')
    _check_form(arrays, path)
    start = {k.removeprefix(START): arrays.pop(k) for k in names if k.startswith(START)}
    cameras = tuple(text.get('cameras', '').split(','))
    about = {'start': start or None, 'source': text.get('source', '')}
    return Demonstration(
        text.get('task', ''), text.get('direction', ''), cameras, **arrays, **about
    )


def _check_form(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Raise a DemonstrationError unless the arrays are as every demonstration has them."""
    length = arrays['actions'].shape[0] if arrays['actions'].ndim else 0
    rows = dict.fromkeys(arrays, length + 1) | {'actions': length, 'task_rewards': length}
    for key, (type_, ndim) in FORM.items():
        array = arrays.get(key)
        if array is None:
            continue
        if (array.dtype, array.ndim) != (type_, ndim) or len(array) != rows[key]:
            wanted = [rows[key], *array.shape[1:ndim]]
            shape = ', '.join(map(str, wanted)) + ', ?' * (ndim - len(wanted))
            raise DemonstrationError(
                f'{path.name}: {key} are {array.dtype}{list(array.shape)}, '
                f'not {np.dtype(type_)}[{shape}]'
            )


def check(demonstration: Demonstration, task: str, spaces: Spaces, least: int, name: str) -> None:
    """Raise a DemonstrationError unless the demonstration fits the task.

    Args:
        demonstration: What was loaded.
        task: The task it must be of.
        spaces: The shapes it must have.
        least: Steps it must have at least: K, so that goal states do not reach its start.
        name: What to call it in a sentence.
    """
    d = demonstration
    length = len(d.actions) if d.actions.ndim else 0
    if d.task != task:
        raise DemonstrationError(f'{name} is of task {d.task!r}, not {task!r}')
    if d.direction not in AGENTS:
        raise DemonstrationError(f'{name} has direction {d.direction!r}, not {" or ".join(AGENTS)}')
    expected = {
        'frames': ((length + 1, *spaces.frame_shape), np.uint8),
        'proprio': ((length + 1, spaces.proprio), np.float32),
        'actions': ((length, spaces.action), np.float32),
    }
    if d.task_rewards is not None:
        expected['task_rewards'] = (length, len(AGENTS)), np.float32
    if d.held is not None:
        expected['held'] = (length + 1,), np.int32
    for key, (shape, dtype) in expected.items():
        array = getattr(d, key)
        if array.shape != shape or array.dtype != dtype:
            raise DemonstrationError(
                f'{name}: {key} are {array.dtype}{list(array.shape)}, '
                f'not {np.dtype(dtype)}{list(shape)}'
            )
    if d.cameras != spaces.cameras:
        raise DemonstrationError(f'{name} has cameras {d.cameras}, not {spaces.cameras}')
    if not (np.isfinite(d.proprio).all() and np.isfinite(d.actions).all()):
        raise DemonstrationError(f'{name} holds a number that is not finite')
    if np.abs(d.actions).max(initial=0.0) > 1.0:
        raise DemonstrationError(f'{name} holds an action outside [-1, 1]')
    if length < least:
        raise DemonstrationError(
            f'{name} has {length} steps, fewer than the {least} goal states taken from its end '
            f'(classifier.goal_states)'
        )


def load_demonstrations(
    folder: Path, task: str, spaces: Spaces, least: int
) -> dict[str, list[Demonstration]]:
    """Read all demonstrations of a folder, `{direction: [...]}` in the order of their names.

    Raises:
        DemonstrationError: One is unusable, or a direction has none.
    """
    found: dict[str, list[Demonstration]] = {agent: [] for agent in AGENTS}
    for path in sorted(folder.glob('*.safetensors')):
        demonstration = load_demonstration(path)
        check(demonstration, task, spaces, least, path.name)
        found[demonstration.direction].append(demonstration)
    for direction, demonstrations in found.items():
        if not demonstrations:
            raise DemonstrationError(f'{folder} holds no {direction} demonstrations')
    return found


def as_replay(demonstrations: list[Demonstration], agent: str, spaces: Spaces) -> Replay:
    """Return the demonstrations as steps of one agent, to sample batches from.

    Where the task's own rewards were not recorded, its last step has one: a demonstration was kept
    because it succeeded.
    """
    frames = sum(len(d.frames) for d in demonstrations)
    replay = Replay(FrameStore(spaces, frames))
    for d in demonstrations:
        rewards = d.task_rewards
        if rewards is None:
            rewards = np.zeros((len(d), len(AGENTS)), np.float32)
            rewards[-1, AGENTS.index(d.direction)] = 1.0
        add_steps(replay, agent, d.frames, d.proprio, d.actions, rewards)
    return replay


def add_steps(
    replay: Replay,
    agent: str,
    frames: np.ndarray,
    proprio: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
) -> None:
    """Append consecutive steps to a replay in memory, which grows where they do not fit.

    Args:
        replay: Where they go.
        agent: Whose steps they are.
        frames: `(steps + 1, height, width, channels)` uint8.
        proprio: `(steps + 1, n)`.
        actions: `(steps, m)`.
        rewards: `(steps, 2)`, the task's own.
    """
    needed = replay.counts.frames + len(frames)
    if needed > replay.store.capacity:
        replay.store.grow(max(needed, 2 * replay.store.capacity))
    for i, (frame, measured) in enumerate(zip(frames, proprio, strict=True)):
        replay.add_frame(frame, measured)
        if i < len(actions):
            replay.add_step(agent, actions[i], rewards[i])
