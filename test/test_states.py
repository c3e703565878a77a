"""Whole states: the newest one that is whole, whatever was cut off, flipped or not written."""

import errno
import json

import pytest

from medal_ros.learning import states as module
from medal_ros.learning.states import VALUES, States


@pytest.fixture
def states(tmp_path):
    """Two states, of which the second is the newest."""
    states = States(tmp_path / 'trainer', keep=2)
    for number in range(2):
        states.save([('forward', b'f%d' % number), ('backward', b'b')], {'number': number})
    return states


def number(states):
    state = states.load()
    return None if state is None else (state.values['number'], state.part('forward'))


def test_the_newest_state_counts_and_only_some_are_kept(states):
    assert number(states) == (1, b'f1')
    states.save([('forward', b'f2')], {'number': 2})
    assert number(states) == (2, b'f2') and states.complaints == []
    assert [p.name for p in sorted(states.folder.iterdir())] == ['00000001', '00000002']


def test_there_is_none_before_the_first(tmp_path):
    assert States(tmp_path / 'none').load() is None


@pytest.mark.parametrize('name', ['forward.safetensors', VALUES])
@pytest.mark.parametrize('damage', ['flip', 'cut', 'remove'])
def test_of_a_damaged_state_the_one_before_is_used_and_that_is_said(states, name, damage):
    path = states.folder / '00000001' / name
    data = path.read_bytes()
    if damage == 'flip':
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif damage == 'cut':
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    assert number(states) == (0, b'f0')
    assert states.complaints == [
        f'{path} is damaged or missing: the state before it is used, if there is one'
    ]
    states.save([('forward', b'f2')], {'number': 2})  # the damaged one is kept, not overwritten
    assert [p.name for p in sorted(states.folder.iterdir())] == ['00000001', '00000002']


def test_a_changed_value_shows(states):
    path = states.folder / '00000001' / VALUES
    whole = json.loads(path.read_text())
    whole['values'] = whole['values'].replace('1', '7')
    path.write_text(json.dumps(whole))
    assert number(states) == (0, b'f0')


@pytest.mark.parametrize('left', [0, 1, 2])
def test_a_full_disk_leaves_what_there_was(states, monkeypatch, left):
    """Whichever file it is that does not fit any more."""
    write, written = module.write_whole, []

    def full(path, data):
        if len(written) == left:
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        written.append(path)
        write(path, data)

    monkeypatch.setattr(module, 'write_whole', full)
    with pytest.raises(OSError, match='No space left'):
        states.save([('forward', b'f2'), ('backward', b'b')], {'number': 2})
    assert number(states) == (1, b'f1')
    assert [p.name for p in sorted(states.folder.iterdir())] == ['00000000', '00000001']


def test_what_a_killed_process_left_half_written_is_no_state(states):
    partial = states.folder / '00000002.partial'
    partial.mkdir()
    (partial / 'forward.safetensors').write_bytes(b'f2')
    assert number(states) == (1, b'f1')
    states.save([('forward', b'f3')], {'number': 3})
    assert number(states) == (3, b'f3') and not partial.exists()
