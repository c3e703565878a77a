"""LeRobotDataset (v3): what is written, what comes back, and what the libraries make of it."""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import pytest
from small import demonstration

from medal_ros.demos.lerobot_export import export_dataset
from medal_ros.demos.lerobot_import import import_dataset
from medal_ros.demos.statistics import statistics_of
from medal_ros.errors import UserError
from medal_ros.learning.demonstrations import (
    DemonstrationError,
    load_demonstration,
    save_demonstration,
)
from medal_ros.spaces import Spaces

TWO = Spaces(cameras=('wrist', 'third'), height=12, width=14, proprio=4, action=3)


@pytest.fixture
def demos(tmp_path):
    """Two forward demonstrations and a backward one, with 5, 6 and 7 steps."""
    for length, direction, number in ((5, 'forward', 0), (6, 'forward', 1), (7, 'backward', 0)):
        made = demonstration(length, direction, TWO)
        rewards = np.zeros((length, 2), np.float32)
        rewards[-1, 0] = 1.0
        save_demonstration(dataclasses.replace(made, task_rewards=rewards), tmp_path / 'd', number)
    return tmp_path / 'd'


@pytest.fixture
def datasets():
    return pytest.importorskip('datasets', reason='pip install "medal_ros[lerobot]"')


def test_statistics_by_hand():
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[0, 0, 0] = [255, 51, 0]
    numbers = np.array([[1.0, -1.0], [3.0, -1.0]], np.float32)
    found = statistics_of(
        [{'a': images[:1], 'b': numbers[:1]}, {'a': images[1:], 'b': numbers[1:]}]
    )
    assert found['b']['mean'] == [2.0, -1.0] and found['b']['std'] == [1.0, 0.0]
    assert found['b']['min'] == [1.0, -1.0] and found['b']['max'] == [3.0, -1.0]
    assert found['b']['count'] == found['a']['count'] == [2]
    assert np.array(found['a']['mean']).shape == (3, 1, 1)
    np.testing.assert_allclose(np.ravel(found['a']['mean']), [0.25, 0.05, 0.0])
    np.testing.assert_allclose(np.ravel(found['a']['max']), [1.0, 0.2, 0.0])
    np.testing.assert_allclose(np.ravel(found['a']['std']), [np.sqrt(3) / 4, np.sqrt(3) / 20, 0.0])
    np.testing.assert_allclose(np.ravel(found['a']['q50']), 0.0)
    np.testing.assert_allclose(np.ravel(found['a']['q99']), [1.0, 0.2, 0.0])


def test_without_the_library_it_says_what_to_install(tmp_path, demos, monkeypatch):
    monkeypatch.setitem(sys.modules, 'datasets', None)
    for command in (export_dataset, import_dataset):
        with pytest.raises(UserError, match=r'pip install "medal_ros\[lerobot\]"'):
            command(demos, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_what_is_written(datasets, demos, tmp_path):
    assert export_dataset(demos, tmp_path / 'out') == (3, 21)
    info = json.loads((tmp_path / 'out/meta/info.json').read_text())
    assert info['codebase_version'] == 'v3.0' and info['fps'] == 10
    assert (info['total_episodes'], info['total_frames'], info['total_tasks']) == (3, 21, 2)
    assert info['features']['observation.images.wrist'] == {
        'dtype': 'image', 'shape': [12, 14, 3], 'names': ['height', 'width', 'channels'],
    }  # fmt: skip
    assert info['features']['action']['shape'] == [3]
    table = datasets.Dataset.from_parquet(
        str(tmp_path / 'out/data/chunk-000/file-000.parquet'), cache_dir=str(tmp_path / 'cache')
    )
    assert table['episode_index'][:] == [0] * 8 + [1] * 6 + [2] * 7
    assert table['index'][:] == list(range(21))
    assert table['timestamp'][:8] == pytest.approx(np.arange(8) / 10)
    assert [i for i, done in enumerate(table['next.done'][:]) if done] == [7, 13, 20]
    first = load_demonstration(demos / 'backward_000.safetensors')
    np.testing.assert_array_equal(np.array(table[3]['observation.images.third']),
                                  first.frames[3, ..., 3:])  # fmt: skip
    assert table[3]['action'] == pytest.approx(first.actions[3])
    assert table[7]['action'] == pytest.approx([0.0, 0.0, first.actions[-1, -1]]), 'moves nothing'
    episodes = datasets.Dataset.from_parquet(
        str(tmp_path / 'out/meta/episodes/chunk-000/file-000.parquet'),
        cache_dir=str(tmp_path / 'cache'),
    )
    assert episodes['dataset_from_index'][:] == [0, 8, 14]
    assert episodes['dataset_to_index'][:] == [8, 14, 21]
    assert episodes['tasks'][:] == [['toy, backward'], ['toy, forward'], ['toy, forward']]


def test_nothing_is_lost_on_the_way_there_and_back(datasets, demos, tmp_path):
    export_dataset(demos, tmp_path / 'out')
    paths = import_dataset(tmp_path / 'out', tmp_path / 'back')
    assert sorted(p.name for p in paths) == sorted(p.name for p in demos.iterdir())
    for path in paths:
        one, other = load_demonstration(demos / path.name), load_demonstration(path)
        for name in ('frames', 'proprio', 'actions', 'task_rewards'):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert (other.task, other.direction, other.cameras) == (
            one.task,
            one.direction,
            one.cameras,
        )
        assert other.source == 'lerobot'


def test_many_files(datasets, demos, tmp_path, monkeypatch):
    monkeypatch.setattr('medal_ros.demos.lerobot_export.MEGABYTES', 0)
    export_dataset(demos, tmp_path / 'out')
    assert len(list((tmp_path / 'out/data').rglob('*.parquet'))) == 3
    assert len(import_dataset(tmp_path / 'out', tmp_path / 'back')) == 3


def break_(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


def edit(**changes):
    def apply(folder):
        path = folder / 'meta/info.json'
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return apply


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (lambda f: (f / 'meta/info.json').unlink(), 'is no LeRobotDataset: it has no meta/info'),
        (break_('meta/info.json', '{'), 'meta/info.json is damaged'),
        (break_('meta/info.json', '[]'), 'meta/info.json is damaged'),
        (edit(codebase_version='v2.1'), 'is a LeRobotDataset v2.1, not v3'),
        (edit(features={'action': {'dtype': 'float32'}}), 'has no column observation.state'),
        (
            edit(features={n: {'dtype': 'video'} for n in ('observation.state', 'action')}),
            'observation.state is a video, and only images are read',
        ),
        (break_('data/chunk-000/file-000.parquet', 'no'), 'a file is damaged'),
        (break_('meta/tasks.parquet', 'no'), 'a file is damaged'),
    ],
)
def test_a_dataset_that_cannot_be_used_is_one_sentence(datasets, demos, tmp_path, spoil, sentence):
    export_dataset(demos, tmp_path / 'out')
    spoil(tmp_path / 'out')
    with pytest.raises(DemonstrationError) as error:
        import_dataset(tmp_path / 'out', tmp_path / 'back')
    assert sentence in str(error.value) and '\n' not in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['d', 'out'], 'nothing half done is left'


def test_others_words_need_a_task_and_a_direction(datasets, demos, tmp_path):
    for path in demos.iterdir():
        d = load_demonstration(path)
        save_demonstration(dataclasses.replace(d, direction='sideways'), tmp_path / 'e', len(d))
    export_dataset(tmp_path / 'e', tmp_path / 'out')
    with pytest.raises(DemonstrationError, match='name no task and direction: give --task and'):
        import_dataset(tmp_path / 'out', tmp_path / 'back')
    with pytest.raises(DemonstrationError, match="must be forward or backward, not 'up'"):
        import_dataset(tmp_path / 'out', tmp_path / 'back', 'toy', 'up')
    paths = import_dataset(tmp_path / 'out', tmp_path / 'back', 'other', 'backward')
    assert {(d.task, d.direction) for d in map(load_demonstration, paths)} == {
        ('other', 'backward')
    }


def test_what_cannot_be_exported(datasets, demos, tmp_path):
    (tmp_path / 'out').mkdir()
    with pytest.raises(DemonstrationError, match='out exists: choose another name'):
        export_dataset(demos, tmp_path / 'out')
    save_demonstration(demonstration(9), demos, 9)
    with pytest.raises(DemonstrationError, match='differ in shape: export them one by one'):
        export_dataset(demos, tmp_path / 'new')
    (demos / 'forward_009.safetensors').write_bytes(b'no')
    with pytest.raises(DemonstrationError, match=r'009\.safetensors is damaged'):
        export_dataset(demos, tmp_path / 'new')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['d', 'out']


# -- the library lerobot itself --------------------------------------------------------------------


@pytest.fixture
def lerobot(monkeypatch, tmp_path):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'cache'))
    reason = 'lerobot needs an older torch than ours: an environment of its own has it'
    module = pytest.importorskip('lerobot.datasets.lerobot_dataset', reason=reason)
    return module.LeRobotDataset


def test_lerobot_reads_what_is_written(lerobot, demos, tmp_path):
    export_dataset(demos, tmp_path / 'out')
    found = lerobot('local/demos', root=tmp_path / 'out')
    assert (len(found), found.num_episodes, found.fps) == (21, 3, 10)
    assert found.meta.camera_keys == ['observation.images.wrist', 'observation.images.third']
    d = load_demonstration(demos / 'forward_001.safetensors')
    item = found[14 + 2]
    assert item['task'] == 'toy, forward' and int(item['episode_index']) == 2
    np.testing.assert_array_equal(item['action'].numpy(), d.actions[2])
    np.testing.assert_array_equal(item['observation.state'].numpy(), d.proprio[2])
    image = item['observation.images.third'].numpy().transpose(1, 2, 0) * 255
    np.testing.assert_allclose(image, d.frames[2, ..., 3:], atol=1e-3)


def test_what_lerobot_writes_is_read(lerobot, tmp_path):
    image = {'dtype': 'image', 'shape': (12, 14, 3), 'names': ['height', 'width', 'channels']}
    made = lerobot.create(
        'local/made', 10, root=tmp_path / 'made', use_videos=False,
        features={
            'observation.images.third': image,
            'observation.state': {'dtype': 'float32', 'shape': (4,), 'names': None},
            'action': {'dtype': 'float32', 'shape': (3,), 'names': None},
        },
    )  # fmt: skip
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 6, 12, 14, 3), np.uint8)
    actions = rng.uniform(-1, 1, (2, 6, 3)).astype(np.float32)
    for episode in range(2):
        for step in range(6):
            made.add_frame({
                'observation.images.third': frames[episode, step],
                'observation.state': np.full(4, step, np.float32),
                'action': actions[episode, step],
                'task': 'pick it up',
            })  # fmt: skip
        made.save_episode()
    made.finalize()
    paths = import_dataset(tmp_path / 'made', tmp_path / 'back', 'mine', 'forward')
    for number, path in enumerate(paths):
        d = load_demonstration(path)
        np.testing.assert_array_equal(d.frames, frames[number])
        np.testing.assert_array_equal(d.actions, actions[number, :-1])
        assert d.proprio[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and d.task_rewards is None
