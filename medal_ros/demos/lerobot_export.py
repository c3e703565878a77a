"""Write demonstrations as a LeRobotDataset (v3)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medal_ros.demos.lerobot import (
    ACTION,
    IMAGE,
    INFO,
    REWARDS,
    STATE,
    STATISTICS,
    TASKS,
    library,
    whole,
)
from medal_ros.demos.look import RATE, listed
from medal_ros.demos.statistics import statistics_of
from medal_ros.learning.demonstrations import Demonstration, DemonstrationError
from medal_ros.spaces import AGENTS

VERSION = 'v3.0'
FILE = 'chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
DATA, EPISODES = f'data/{FILE}', f'meta/episodes/{FILE}'
MEGABYTES, FILES = 100, 1000  # of a data file, and data files of a chunk, at most
COUNTERS = ('timestamp', 'frame_index', 'episode_index', 'index', 'task_index')


def export_dataset(folder: Path, out: Path) -> tuple[int, int]:
    """Write all demonstrations of a folder as a dataset; return its episodes and rows.

    The dataset appears whole or not at all.

    Raises:
        UserError: `datasets` is missing, `out` exists, or the demonstrations cannot go together.
    """
    library()
    with whole(out) as place:
        demonstrations = _usable(folder)
        rows = _write(demonstrations, place)
    return len(demonstrations), rows


def _usable(folder: Path) -> list[Demonstration]:
    found = listed(folder)
    for each in found:
        if each.demonstration is None:
            raise DemonstrationError(each.refusal)
    shapes = {str(_features(each.demonstration)): each.path for each in found}
    if len(shapes) > 1:
        one, other = list(shapes.values())[:2]
        raise DemonstrationError(f'{one} and {other} differ in shape: export them one by one')
    return [each.demonstration for each in found]


def _features(d: Demonstration) -> dict[str, dict[str, Any]]:
    """Return the dataset's description of its columns."""
    height, width = d.frames.shape[1:3]
    image = {
        'dtype': 'image',
        'shape': [height, width, 3],
        'names': ['height', 'width', 'channels'],
    }
    features = {f'{IMAGE}{name}': dict(image) for name in d.cameras}
    vectors = {STATE: d.proprio.shape[1], ACTION: d.actions.shape[1]}
    if d.task_rewards is not None:
        vectors[REWARDS] = len(AGENTS)
    for name, size in vectors.items():
        features[name] = {'dtype': 'float32', 'shape': [size], 'names': None}
    features['next.done'] = {'dtype': 'bool', 'shape': [1], 'names': None}
    for name in COUNTERS:
        kind = 'float32' if name == 'timestamp' else 'int64'
        features[name] = {'dtype': kind, 'shape': [1], 'names': None}
    return features


def _columns(d: Demonstration, episode: int, first: int, task: int) -> dict[str, np.ndarray]:
    """Return the columns of one episode; images as `(rows, height, width, 3)` uint8."""
    rows = len(d) + 1
    images = np.split(d.frames, len(d.cameras), axis=3)
    still = np.zeros((1, d.actions.shape[1]), np.float32)
    still[0, -1] = d.actions[-1, -1]
    columns = {f'{IMAGE}{name}': image for name, image in zip(d.cameras, images, strict=True)}
    columns |= {STATE: d.proprio, ACTION: np.concatenate([d.actions, still])}
    if d.task_rewards is not None:
        columns[REWARDS] = np.concatenate([d.task_rewards, d.task_rewards[-1:]])
    steps = np.arange(rows)
    return columns | {
        'next.done': steps == rows - 1,
        'timestamp': (steps / RATE).astype(np.float32),
        'frame_index': steps,
        'episode_index': np.full(rows, episode),
        'index': first + steps,
        'task_index': np.full(rows, task),
    }


def _write(demonstrations: Sequence[Demonstration], place: Path) -> int:
    features = _features(demonstrations[0])
    words = sorted({f'{d.task}, {d.direction}' for d in demonstrations})
    episodes: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    everything: list[dict[str, np.ndarray]] = []
    rows = size = file = 0
    for number, d in enumerate(demonstrations):
        task = f'{d.task}, {d.direction}'
        columns = _columns(d, number, rows, words.index(task))
        everything.append(columns)
        waiting.append(_stored(columns))
        size += sum(len(v['bytes']) for c in waiting[-1].values() for v in c if isinstance(v, dict))
        episodes.append(_episode(number, task, rows, len(d) + 1, file))
        rows += len(d) + 1
        if size >= MEGABYTES * 10**6 or d is demonstrations[-1]:
            _write_data(waiting, features, place / DATA.format(**_place(file)))
            waiting, size, file = [], 0, file + 1
    _write_meta(place, features, words, episodes, rows)
    found = json.dumps(statistics_of(everything), indent=4)
    (place / STATISTICS).write_text(found)
    return rows


def _place(file: int) -> dict[str, int]:
    return {'chunk_index': file // FILES, 'file_index': file % FILES}


def _episode(number: int, task: str, first: int, rows: int, file: int) -> dict[str, Any]:
    place = _place(file)
    return {
        'episode_index': number,
        'tasks': [task],
        'length': rows,
        'data/chunk_index': place['chunk_index'],
        'data/file_index': place['file_index'],
        'dataset_from_index': first,
        'dataset_to_index': first + rows,
        'meta/episodes/chunk_index': 0,
        'meta/episodes/file_index': 0,
    }


def _stored(columns: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """Return columns as they go into a file: images as PNG, numbers as Python's."""
    return {
        name: [_png(image) for image in values] if name.startswith(IMAGE) else values.tolist()
        for name, values in columns.items()
    }


def _png(image: np.ndarray) -> dict[str, Any]:
    _, data = cv2.imencode('.png', image[..., ::-1])
    return {'bytes': data.tobytes(), 'path': None}


def _write_data(waiting: Sequence[Mapping[str, list]], features: Mapping, path: Path) -> None:
    datasets = library()
    kinds = datasets.Features({name: _kind(about) for name, about in features.items()})
    columns = {name: [v for columns in waiting for v in columns[name]] for name in features}
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(columns, features=kinds).to_parquet(str(path))


def _kind(about: Mapping[str, Any]) -> Any:
    datasets = library()
    if about['dtype'] == 'image':
        return datasets.Image()
    one = datasets.Value(about['dtype'])
    size = about['shape'][0]
    return one if size == 1 else datasets.Sequence(one, length=size)


def _write_meta(
    place: Path, features: Mapping, words: list[str], episodes: list[dict[str, Any]], rows: int
) -> None:
    import pandas

    datasets = library()
    path = place / EPISODES.format(**_place(0))
    path.parent.mkdir(parents=True)
    datasets.Dataset.from_list(episodes).to_parquet(str(path))
    # LeRobot looks a task up by its words, which are the index of this table.
    pandas.DataFrame({'task_index': range(len(words))}, index=words).to_parquet(place / TASKS)
    info = {
        'codebase_version': VERSION,
        'robot_type': None,
        'total_episodes': len(episodes),
        'total_frames': rows,
        'total_tasks': len(words),
        'chunks_size': FILES,
        'data_files_size_in_mb': MEGABYTES,
        'video_files_size_in_mb': 200,
        'fps': int(RATE),
        'splits': {'train': f'0:{len(episodes)}'},
        'data_path': DATA,
        'video_path': None,
        'features': features,
    }
    (place / INFO).write_text(json.dumps(info, indent=4))
