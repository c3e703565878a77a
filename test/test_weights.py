"""Weights on disk: whole or not at all, and a module keeps its own when a file is unusable."""

import pickle
import struct
import zlib
from pathlib import Path

import pytest
import torch
from small import SPACES, agent_config, flat
from torch import nn

from medal_ros.learning.policy import Policy
from medal_ros.learning.weights import (
    WeightsError,
    load_into,
    load_tensors,
    save_tensors,
)


def module(seed=0, hidden=16):
    torch.manual_seed(seed)
    return Policy(agent_config(hidden=hidden), SPACES)


@pytest.fixture
def written(tmp_path):
    return save_tensors(module().state_dict(), tmp_path / 'policy.safetensors')


def refusal(path, checksum=None):
    """Return why a file is refused; the module must be as it was."""
    mine = module(seed=1)
    before = flat(mine)
    with pytest.raises(WeightsError) as error:
        load_into(mine, path, checksum)
    assert torch.equal(flat(mine), before)
    sentence = str(error.value)
    assert '\n' not in sentence and str(path) in sentence
    return sentence


def test_round_trip(written):
    data = written.path.read_bytes()
    assert (written.size, written.checksum) == (len(data), zlib.crc32(data))
    mine = module(seed=1)
    load_into(mine, written.path, written.checksum)
    assert torch.equal(flat(mine), flat(module()))
    assert [p.stride() for p in mine.parameters()] == [p.stride() for p in module().parameters()]


def test_text_travels_beside_the_numbers(tmp_path):
    written = save_tensors({'a': torch.arange(3)}, tmp_path / 'a.safetensors', {'who': 'me'})
    assert load_tensors(written.path)['a'].tolist() == [0, 1, 2]
    assert b'"who":"me"' in written.path.read_bytes()


def test_truncated_anywhere(written):
    data = written.path.read_bytes()
    header = 8 + struct.unpack('<Q', data[:8])[0]
    for size in (0, 4, 8, 9, header // 2, header - 1, header, header + 1, len(data) - 1):
        written.path.write_bytes(data[:size])
        assert 'is damaged or truncated' in refusal(written.path)
        assert 'its checksum differs' in refusal(written.path, written.checksum)


def test_another_file_than_announced(written, tmp_path):
    other = save_tensors(module(seed=2).state_dict(), tmp_path / 'policy.safetensors')
    assert other.checksum != written.checksum
    assert 'not the file that was announced' in refusal(written.path, written.checksum)


def test_one_flipped_bit_is_noticed(written):
    data = bytearray(written.path.read_bytes())
    data[-1] ^= 1
    written.path.write_bytes(data)
    assert 'its checksum differs' in refusal(written.path, written.checksum)


@pytest.mark.parametrize(
    'tensors',
    [
        module(hidden=17).state_dict(),
        {k: v for k, v in module().state_dict().items() if k != 'encoder.norm.bias'},
        {**module().state_dict(), 'extra': torch.zeros(1)},
        {k: v.double() for k, v in module().state_dict().items()},
        {'a': torch.zeros(3)},
    ],
    ids=['size', 'missing', 'extra', 'type', 'foreign'],
)
def test_weights_of_other_networks(tensors, tmp_path):
    written = save_tensors(tensors, tmp_path / 'policy.safetensors')
    assert 'holds weights of other networks' in refusal(written.path, written.checksum)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_what_is_not_finite_is_neither_read_nor_written(written, tmp_path, value):
    state = module(seed=3).state_dict()
    state['actor.network.0.bias'][2] = value
    before = written.path.read_bytes()
    with pytest.raises(WeightsError, match=r'actor.network.0.bias of policy.* not finite'):
        save_tensors(state, written.path)
    assert written.path.read_bytes() == before
    path = tmp_path / 'foreign.safetensors'
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in state.items()}, path)
    assert 'not finite' in refusal(path)


class Bomb:
    """Where it is unpickled, a file appears."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_executed(tmp_path):
    path, trace = tmp_path / 'policy.safetensors', tmp_path / 'executed'
    path.write_bytes(pickle.dumps(Bomb(trace)))
    assert 'is damaged or truncated' in refusal(path)
    torch.save({'a': Bomb(trace)}, path)
    assert 'is damaged or truncated' in refusal(path)
    assert not trace.exists()


@pytest.mark.parametrize('kind', ['missing', 'folder'])
def test_no_file(tmp_path, kind):
    path = tmp_path / 'policy.safetensors'
    if kind == 'folder':
        path.mkdir()
    assert 'there is no weights file' in refusal(path)


def test_a_number_type_that_torch_lacks(tmp_path):
    path = tmp_path / 'policy.safetensors'
    header = b'{"a":{"dtype":"F8_E8M0","shape":[2],"data_offsets":[0,2]}}'
    path.write_bytes(struct.pack('<Q', len(header)) + header + b'\0\0')
    assert 'is damaged' in refusal(path)


def test_too_large_a_file_is_not_read(written, monkeypatch):
    monkeypatch.setattr('medal_ros.learning.weights.MAX_BYTES', 100)
    assert 'larger than' in refusal(written.path)


def test_an_interrupted_write_leaves_the_old_file(written, monkeypatch):
    before = written.path.read_bytes()

    def fail_half_way(path, data):
        with path.open('wb') as file:
            file.write(data[: len(data) // 2])
        raise OSError('no space left on device')

    monkeypatch.setattr(Path, 'write_bytes', fail_half_way)
    with pytest.raises(OSError, match='no space'):
        save_tensors(module(seed=2).state_dict(), written.path)
    assert written.path.read_bytes() == before
    load_into(module(), written.path, written.checksum)


def test_a_reader_keeps_what_it_opened_while_the_file_is_replaced(written):
    with written.path.open('rb') as reader:
        head = reader.read(10)
        save_tensors(module(seed=2).state_dict(), written.path)
        assert zlib.crc32(head + reader.read()) == written.checksum
    assert not list(written.path.parent.glob('*.partial'))


def test_views_into_larger_memory_are_written_alone(tmp_path):
    large = torch.arange(1000.0).view(10, 100)
    written = save_tensors({'a': large[:, 3], 'b': nn.Parameter(large[1])}, tmp_path / 'x')
    assert written.size < 1000
    loaded = load_tensors(written.path)
    assert loaded['a'].tolist() == [100.0 * i + 3 for i in range(10)]
