"""Read a LeRobotDataset (v3) into demonstrations."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medal_ros.bounded import MAX_RECORD, parse_json, read_bytes
from medal_ros.demos.lerobot import ACTION, IMAGE, INFO, REWARDS, STATE, TASKS, library, whole
from medal_ros.learning.demonstrations import (
    Demonstration,
    DemonstrationError,
    save_demonstration,
)
from medal_ros.spaces import AGENTS


def import_dataset(
    dataset: Path, out: Path, task: str | None = None, direction: str | None = None
) -> list[Path]:
    """Write each episode of a dataset as a demonstration and return the files.

    Args:
        dataset: Its folder, as LeRobot downloads it.
        out: Where the demonstrations go; they appear all together or not at all.
        task: What they are of; None: the words of each episode say it.
        direction: Forward or backward; None: likewise.

    Raises:
        UserError: `datasets` is missing, the folder holds no such dataset, or its columns are
            none that a demonstration can be made of.
    """
    library()
    if direction not in (None, *AGENTS):
        raise DemonstrationError(f'--direction must be {" or ".join(AGENTS)}, not {direction!r}')
    numbers, names = dict.fromkeys(AGENTS, 0), []
    with whole(out) as place:
        for d in _episodes(dataset, _described(dataset), task, direction):
            names.append(save_demonstration(d, place, numbers[d.direction]).name)
            numbers[d.direction] += 1
    return [out / name for name in names]


def _described(dataset: Path) -> dict[str, Any]:
    """Return the description of a dataset's columns, checked."""
    try:
        info = parse_json(read_bytes(dataset / INFO, MAX_RECORD))
        version, features = info['codebase_version'], info['features']
        kinds = {name: about['dtype'] for name, about in features.items()}
    except OSError:
        raise DemonstrationError(f'{dataset} is no LeRobotDataset: it has no {INFO}') from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DemonstrationError(f'{dataset}/{INFO} is damaged') from None
    if not str(version).startswith('v3.'):
        raise DemonstrationError(
            f'{dataset} is a LeRobotDataset {version}, not v3: lerobot can convert it'
        )
    for name in (STATE, ACTION):
        if name not in kinds:
            raise DemonstrationError(f'{dataset} has no column {name}')
    if videos := [name for name, kind in kinds.items() if kind == 'video']:
        raise DemonstrationError(
            f'{dataset}: {videos[0]} is a video, and only images are read: lerobot can convert it'
        )
    if not [name for name in kinds if name.startswith(IMAGE)]:
        raise DemonstrationError(f'{dataset} has no images ({IMAGE}NAME)')
    return features


def _episodes(
    dataset: Path, features: Mapping[str, Any], task: str | None, direction: str | None
) -> Iterator[Demonstration]:
    import pandas

    datasets = library()
    cameras = [name for name in features if name.startswith(IMAGE)]
    wanted = [*cameras, STATE, ACTION, 'episode_index', 'frame_index', 'task_index']
    wanted += [name for name in (REWARDS,) if name in features]
    files = [str(path) for path in sorted(dataset.glob('data/*/*.parquet'))]
    try:
        words = list(pandas.read_parquet(dataset / TASKS).sort_values('task_index').index)
        with tempfile.TemporaryDirectory() as cache:
            # Else a copy of everything would stay in the home folder.
            table = datasets.Dataset.from_parquet(files, cache_dir=cache).select_columns(wanted)
            for name in cameras:
                table = table.cast_column(name, datasets.Image(decode=False))
            table = table.with_format('arrow')[:].to_pandas()
    except (OSError, ValueError, KeyError, TypeError, datasets.exceptions.DatasetsError):
        raise DemonstrationError(f'{dataset} cannot be read: a file is damaged') from None
    for number, rows in table.groupby('episode_index', sort=True):
        rows, name = rows.sort_values('frame_index'), f'{dataset}: episode {number}'
        told = str(words[int(rows['task_index'].iloc[0])])
        yield _demonstration(rows, cameras, name, _meaning(told, task, direction, name))


def _meaning(words: str, task: str | None, direction: str | None, name: str) -> tuple[str, str]:
    """Return the task and the direction of an episode from its words, or from a person."""
    first, _, last = words.rpartition(', ')
    task = task or (first if last in AGENTS else None)
    direction = direction or (last if last in AGENTS else None)
    if not task or not direction:
        raise DemonstrationError(
            f'{name}: its words {words!r} name no task and direction: give --task and --direction'
        )
    return task, direction


def _demonstration(
    rows: Any, cameras: Sequence[str], name: str, meaning: tuple[str, str]
) -> Demonstration:
    if len(rows) < 2:
        raise DemonstrationError(f'{name} has {len(rows)} rows, and a demonstration has two')
    try:
        images = [np.stack([_pixels(image) for image in rows[camera]]) for camera in cameras]
        frames = np.concatenate(images, axis=3)
        proprio, actions = (np.stack(rows[n]).astype(np.float32) for n in (STATE, ACTION))
        rewards = np.stack(rows[REWARDS]).astype(np.float32)[:-1] if REWARDS in rows else None
    except (ValueError, TypeError, KeyError, cv2.error):
        raise DemonstrationError(f'{name}: its images or numbers are not of one shape') from None
    if not np.isfinite(actions).all() or np.abs(actions).max() > 1.0:
        raise DemonstrationError(f'{name} holds an action outside [-1, 1]: scale it first')
    names = tuple(camera.removeprefix(IMAGE) for camera in cameras)
    return Demonstration(*meaning, names, frames, proprio, actions[:-1], rewards, source='lerobot')


def _pixels(image: Mapping[str, Any]) -> np.ndarray:
    data = np.frombuffer(image['bytes'], np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
