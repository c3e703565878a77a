"""Demonstrations on disk: what is refused, in one sentence that names the file."""

import dataclasses
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from small import SPACES, demonstration

from medal_ros.learning.demonstrations import (
    FORMAT,
    DemonstrationError,
    as_replay,
    check,
    load_demonstration,
    load_demonstrations,
    save_demonstration,
)
from medal_ros.spaces import Spaces


@pytest.fixture
def folder(tmp_path):
    for number in range(2):
        for direction in ('forward', 'backward'):
            save_demonstration(demonstration(5 + number, direction), tmp_path, number)
    return tmp_path


def load(folder, task='toy', spaces=SPACES, least=3):
    return load_demonstrations(folder, task, spaces, least)


def refusal(folder, **arguments):
    with pytest.raises(DemonstrationError) as error:
        load(folder, **arguments)
    assert '\n' not in str(error.value)
    return str(error.value)


def replace(folder, **changes):
    """Save forward demonstration 0 with some of it changed."""
    changed = dataclasses.replace(demonstration(5, 'forward'), **changes)
    save_demonstration(changed, folder, 0).rename(folder / 'forward_000.safetensors')
    return folder / 'forward_000.safetensors'


def test_round_trip(folder):
    loaded = load(folder)
    for direction in ('forward', 'backward'):
        assert [len(d) for d in loaded[direction]] == [5, 6]  # in the order of their names
        for number, shown in enumerate(loaded[direction]):
            original = demonstration(5 + number, direction)
            assert (shown.task, shown.direction, shown.cameras) == ('toy', direction, ('third',))
            for key in ('frames', 'proprio', 'actions'):
                assert (getattr(shown, key) == getattr(original, key)).all()
                assert getattr(shown, key).dtype == getattr(original, key).dtype
    assert not list(folder.glob('*.partial'))


def test_file_names(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        'backward_000.safetensors',
        'backward_001.safetensors',
        'forward_000.safetensors',
        'forward_001.safetensors',
    ]


def test_a_slice_of_memory_is_saved_right(tmp_path):
    """A view with gaps in memory must not be written as its neighbours."""
    whole = demonstration(5)
    view = dataclasses.replace(whole, proprio=np.repeat(whole.proprio, 2, 1)[:, ::2])
    loaded = load_demonstration(save_demonstration(view, tmp_path, 0))
    assert (loaded.proprio == whole.proprio).all()


def test_missing(folder, tmp_path):
    with pytest.raises(DemonstrationError, match=r'^there is no demonstration .*none.safetensors$'):
        load_demonstration(tmp_path / 'none.safetensors')
    assert refusal(tmp_path / 'none').endswith('none holds no forward demonstrations')
    for path in folder.glob('backward*'):
        path.unlink()
    assert refusal(folder).endswith('holds no backward demonstrations')


def test_truncated_anywhere(folder):
    path = folder / 'forward_000.safetensors'
    data = path.read_bytes()
    header = 8 + struct.unpack('<Q', data[:8])[0]
    for size in (0, 5, 8, header // 2, header, header + 9, len(data) - 1):
        path.write_bytes(data[:size])
        assert refusal(folder) == f'{path} is damaged or truncated'


def test_shorter_than_k(folder):
    replace(folder, **vars_of(demonstration(4)))
    assert refusal(folder, least=5) == (
        'forward_000.safetensors has 4 steps, fewer than the 5 goal states taken from its end '
        '(classifier.goal_states)'
    )
    assert len(load(folder, least=4)['forward'][0]) == 4


def vars_of(shown):
    return {key: getattr(shown, key) for key in ('frames', 'proprio', 'actions')}


@pytest.mark.parametrize('key', ['proprio', 'actions'])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_not_a_number(folder, key, value):
    array = getattr(demonstration(5), key).copy()
    array[2, 1] = value
    replace(folder, **{key: array})
    assert refusal(folder) == 'forward_000.safetensors holds a number that is not finite'


def test_action_out_of_bounds(folder):
    replace(folder, actions=np.full((5, 2), 1.01, np.float32))
    assert refusal(folder) == 'forward_000.safetensors holds an action outside [-1, 1]'
    replace(folder, actions=np.full((5, 2), -1.0, np.float32))
    assert (load(folder)['forward'][0].actions == -1).all()


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'task': 'other'}, "is of task 'other', not 'toy'"),
        ({'cameras': ('wrist',)}, "has cameras ('wrist',), not ('third',)"),
        (
            {'frames': np.zeros((6, 12, 12, 6), np.uint8)},
            ': frames are uint8[6, 12, 12, 6], not uint8[6, 12, 12, 3]',
        ),
        (
            {'frames': np.zeros((6, 24, 24, 3), np.uint8)},
            ': frames are uint8[6, 24, 24, 3], not uint8[6, 12, 12, 3]',
        ),
        (
            {'frames': np.zeros((5, 12, 12, 3), np.uint8)},
            ': frames are uint8[5, 12, 12, 3], not uint8[6, 12, 12, 3]',
        ),
        (
            {'frames': np.zeros((6, 12, 12, 3), np.float32)},
            ': frames are float32[6, 12, 12, 3], not uint8[6, 12, 12, 3]',
        ),
        (
            {'proprio': np.zeros((6, 3), np.float32)},
            ': proprio are float32[6, 3], not float32[6, 2]',
        ),
        (
            {'actions': np.zeros((5, 3), np.float32)},
            ': actions are float32[5, 3], not float32[5, 2]',
        ),
        ({'actions': np.zeros((5, 2))}, ': actions are float64[5, 2], not float32[5, 2]'),
    ],
)
def test_what_does_not_fit_the_task(folder, changes, sentence):
    replace(folder, **changes)
    told = refusal(folder)
    assert told.startswith('forward_000.safetensors')
    assert sentence in told


def test_unknown_direction(folder):
    save_demonstration(demonstration(5, 'sideways'), folder, 0)
    assert refusal(folder) == (
        "sideways_000.safetensors has direction 'sideways', not forward or backward"
    )


def test_a_second_camera_is_named(tmp_path):
    two = Spaces(cameras=('third', 'wrist'), height=12, width=12, proprio=2, action=2)
    for direction in ('forward', 'backward'):
        save_demonstration(demonstration(5, direction, two), tmp_path, 0)
    assert load(tmp_path, spaces=two)['forward'][0].cameras == ('third', 'wrist')
    swapped = dataclasses.replace(two, cameras=('wrist', 'third'))
    assert "not ('wrist', 'third')" in refusal(tmp_path, spaces=swapped)


class Bomb:
    """Where it is unpickled, a file appears."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(folder, tmp_path):
    path, trace = folder / 'forward_000.safetensors', tmp_path / 'executed'
    path.write_bytes(pickle.dumps(Bomb(trace)))
    assert refusal(folder) == f'{path} is damaged or truncated'
    with path.open('wb') as file:
        np.save(file, np.array([Bomb(trace)], object), allow_pickle=True)
    assert refusal(folder) == f'{path} is damaged or truncated'
    assert not trace.exists()


@pytest.mark.parametrize('text', [None, {'format': 'another'}])
def test_another_kind_of_file(folder, text):
    save_file({'frames': np.zeros(3)}, folder / 'forward_000.safetensors', text)
    assert refusal(folder).endswith(f'forward_000.safetensors is not a demonstration ({FORMAT!r})')


def test_a_number_instead_of_a_list(folder):
    tensors = {**vars_of(demonstration(5)), 'actions': np.zeros((), np.float32)}
    text = {'format': FORMAT, 'task': 'toy', 'direction': 'forward', 'cameras': 'third'}
    save_file(tensors, folder / 'forward_000.safetensors', text)
    assert refusal(folder).startswith('forward_000.safetensors: frames are uint8[6, 12, 12, 3]')


def test_numbers_of_an_unknown_type(folder):
    path = folder / 'forward_000.safetensors'
    tensors = ','.join(
        f'"{key}":{{"dtype":"BF16","shape":[1],"data_offsets":[{2 * i},{2 * i + 2}]}}'
        for i, key in enumerate(('frames', 'proprio', 'actions'))
    )
    header = f'{{"__metadata__":{{"format":"{FORMAT}"}},{tensors}}}'.encode()
    path.write_bytes(struct.pack('<Q', len(header)) + header + bytes(6))
    assert refusal(folder) == f'{path} holds numbers of a type that numpy lacks'


def test_too_large_a_file_is_not_read(folder, monkeypatch):
    monkeypatch.setattr('medal_ros.learning.demonstrations.MAX_BYTES', 100)
    assert 'is larger than' in refusal(folder)


def test_a_flipped_bit_is_seen(folder):
    path = folder / 'forward_000.safetensors'
    data = bytearray(path.read_bytes())
    data[-50] ^= 4
    path.write_bytes(data)
    assert refusal(folder) == f'{path} is damaged: its checksum is not what it was'


def test_a_start_and_what_was_held_are_kept(tmp_path):
    start = {'random': np.array([2**63 + 1], np.uint64), 'joints': np.array([[0.5, -1.0]])}
    whole = dataclasses.replace(
        demonstration(3), start=start, held=np.array([0, 4, 0, 1], np.int32), source='teleop'
    )
    loaded = load_demonstration(save_demonstration(whole, tmp_path, 0))
    check(loaded, 'toy', SPACES, 2, 'it')
    assert loaded.source == 'teleop' and loaded.held.tolist() == [0, 4, 0, 1]
    assert {k: (v.dtype, v.tolist()) for k, v in loaded.start.items()} == {
        'random': (np.dtype(np.uint64), [2**63 + 1]),
        'joints': (np.dtype(np.float64), [[0.5, -1.0]]),
    }
    with pytest.raises(DemonstrationError, match=r'held are int32\[3\], not int32\[4\]'):
        check(dataclasses.replace(loaded, held=np.zeros(3, np.int32)), 'toy', SPACES, 2, 'it')


def test_a_file_without_a_checksum_is_as_good_as_ever(folder):
    tensors = vars_of(demonstration(5))
    text = {'format': FORMAT, 'task': 'toy', 'direction': 'forward', 'cameras': 'third'}
    save_file(tensors, folder / 'forward_000.safetensors', text)
    assert len(load(folder)['forward'][0]) == 5


def test_as_replay_never_bridges_two_demonstrations():
    shown = [demonstration(3), demonstration(4)]
    replay = as_replay(shown, 'forward', SPACES)
    assert (replay.counts.frames, replay.counts.forward, replay.counts.backward) == (9, 7, 0)
    assert replay.store.steps['forward'][:7].tolist() == [0, 1, 2, 4, 5, 6, 7]
    batch = replay.batch(np.array([2, 4]))
    assert (batch.frames == np.stack([shown[0].frames[2], shown[1].frames[0]])).all()
    assert (batch.next_frames == np.stack([shown[0].frames[3], shown[1].frames[1]])).all()
    assert (batch.actions == np.stack([shown[0].actions[2], shown[1].actions[0]])).all()
    rewards = replay.store.task_rewards[[0, 1, 2, 4, 5, 6, 7]]
    assert rewards[:, 0].tolist() == [0, 0, 1, 0, 0, 0, 1]
    assert not rewards[:, 1].any()


def test_task_rewards_are_kept_where_a_stand_in_gives_them(tmp_path):
    rewards = np.array([[0, 1], [1, 0], [0.5, 0.25]], np.float32)
    path = save_demonstration(
        dataclasses.replace(demonstration(3), task_rewards=rewards), tmp_path, 0
    )
    loaded = load_demonstration(path)
    assert (loaded.task_rewards == rewards).all()
    check(loaded, 'toy', SPACES, 2, 'it')
    replay = as_replay([loaded], 'forward', SPACES)
    assert (replay.store.task_rewards[:3] == rewards).all()
    with pytest.raises(DemonstrationError, match=r'task_rewards are float32\[3, 1\]'):
        check(dataclasses.replace(loaded, task_rewards=rewards[:, :1]), 'toy', SPACES, 2, 'it')
