"""A replay store that a run left behind: what is whole is there again, what is not is set aside."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small import SPACES

from medal_ros.errors import UserError
from medal_ros.learning import journal
from medal_ros.learning.recovery import ASIDE, last_record, open_reader, open_store
from medal_ros.learning.replay import Counts, Replay

ROW = int(np.prod(SPACES.frame_shape))
CAPACITY, STRETCH = 1000, 10


def frame(number):
    return np.random.default_rng(number).integers(0, 256, SPACES.frame_shape, np.uint8)


def practise(opened, first, last):
    """Store steps `first` to `last` without a break, five of each agent in turn."""
    replay = Replay(opened.store)
    opened.give(replay)
    if first == 0:
        replay.add_frame(frame(0), np.zeros(2))
    for n in range(first, last):
        replay.add_step(('forward', 'backward')[n // 5 % 2], np.array([n, -n]) / 1000)
        replay.add_frame(frame(n + 1), np.full(2, n + 1))
        if (n + 1) % STRETCH == 0:
            opened.journal.record(opened.store, replay.counts, {'n': n + 1})
    return replay


def opened(folder, resume=True, capacity=CAPACITY):
    return open_store(SPACES, capacity, folder, resume)


@pytest.fixture
def left(tmp_path):
    """A store of 50 steps in five recorded stretches, which nobody holds any more."""
    store = opened(tmp_path, resume=False)
    practise(store, 0, 50)
    store.journal.close()
    return tmp_path


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_a_store_goes_on_behind_its_last_record(left):
    store = opened(left)
    assert (store.counts, store.about, store.complaints) == (Counts(51, 25, 25), {'n': 50}, [])
    replay = practise(store, 50, 60)
    store.journal.close()
    again = opened(left)
    assert again.counts == replay.counts == Counts(61, 30, 30)
    for n in range(61):
        assert (again.store.frames[n] == frame(n)).all()
    assert again.store.actions[:60, 0].tolist() == pytest.approx([n / 1000 for n in range(60)])
    both = np.concatenate([again.store.steps[a][:30] for a in ('forward', 'backward')])
    assert sorted(both.tolist()) == list(range(60))


def test_what_no_record_names_never_happened(left):
    store = opened(left)
    practise(store, 50, 57)  # fewer than a stretch: nothing records them
    store.journal.close()
    assert opened(left).counts == Counts(51, 25, 25)


def test_only_one_process_writes(left):
    first = opened(left)
    with pytest.raises(UserError, match='another process writes the replay store'):
        opened(left)
    first.journal.close()
    opened(left)


def test_a_trimmed_store_grows_again(left):
    store = opened(left)
    store.store.trim(store.counts)
    store.journal.close()
    assert (left / 'frames.bin').stat().st_size == 51 * ROW
    again = opened(left, capacity=2 * CAPACITY)
    assert again.counts.frames == 51 and again.complaints == []
    practise(again, 50, 60)
    assert open_reader(SPACES, 2 * CAPACITY, left).store.frames[60].any()


@pytest.mark.parametrize(
    ('name', 'at'), [('frames.bin', 15 * ROW), ('proprio.bin', 15 * 8), ('actions.bin', 15 * 8)]
)
def test_a_flipped_bit_sets_its_stretch_aside_for_writer_and_reader(left, name, at):
    flip(left / name, at)
    before = (left / name).read_bytes()
    store = opened(left)
    assert len(store.complaints) == 1
    assert f'1 damaged stretches of {left} are set aside' in store.complaints[0]
    (listed,) = json.loads((left / ASIDE).read_text())
    assert listed == {'frames': [11, 21], 'forward': [5, 10], 'backward': [5, 10]}
    replay = Replay(store.store)
    store.give(replay)
    reader = open_reader(SPACES, CAPACITY, left)
    reader.counts = replay.counts
    for it in (replay, reader):
        for agent, others in (('forward', range(5, 10)), ('backward', range(15, 20))):
            frames = it.own(agent, np.arange(25))
            # Frames 11 to 20 are not whole: no step begins there, and none ends there.
            assert not set(frames.tolist()) & {*range(10, 21), *others}
        drawn = it.choose(('forward', 'backward'), 500, np.random.default_rng(0))
        assert not set(drawn.tolist()) & set(range(10, 21))
        assert set(drawn.tolist()) == set(range(50)) - set(range(10, 21))
    assert replay.own('forward', np.array([4, 9, 12])).tolist() == [4, 4, 22]
    store.journal.close()
    kept = (left / name).read_bytes()[: len(before)]
    assert kept == before  # set aside is not deleted
    again = opened(left)  # and it is not complained of as something new
    assert json.loads((left / ASIDE).read_text()) == [listed]
    practise(again, 50, 60)


def test_a_damaged_list_leads_nowhere(left):
    flip(left / 'forward.bin', 7 * 8 + 6)  # frame 12 becomes one that no store has
    store = opened(left)
    replay = Replay(store.store)
    store.give(replay)
    assert replay.choose(('forward',), 500, np.random.default_rng(0)).max() < 50


def test_a_truncated_column_loses_what_was_cut(left):
    with open(left / 'frames.bin', 'rb+') as file:
        file.truncate(35 * ROW)
    store = opened(left)
    (listed, other) = json.loads((left / ASIDE).read_text())
    assert (listed['frames'], other['frames']) == ([31, 41], [41, 51])
    replay = practise(store, 50, 60)  # what follows lies behind all of it
    assert replay.own('forward', np.arange(30)).max() == 54


def test_a_torn_last_line_is_as_if_it_had_never_been(left):
    path = left / journal.NAME
    with open(path, 'rb+') as file:
        file.truncate(path.stat().st_size - 9)
    store = opened(left)
    assert store.counts == Counts(41, 20, 20)
    practise(store, 40, 60)
    store.journal.close()
    again = opened(left)
    assert again.counts == Counts(61, 30, 30) and again.complaints == []


def test_a_damaged_line_sets_aside_what_it_named(left):
    flip(left / journal.NAME, len((left / journal.NAME).read_bytes()) // 2)
    store = opened(left)
    assert store.counts == Counts(51, 25, 25)
    assert [c for c in store.complaints if c.startswith('1 lines of')]
    (listed,) = json.loads((left / ASIDE).read_text())
    assert listed['frames'] == [21, 31]


def test_nothing_whole_is_said(left):
    (left / 'frames.bin').unlink()
    store = opened(left)
    with pytest.raises(UserError, match=r'no step of the forward agent in .* is whole'):
        store.give(Replay(store.store))


def test_a_store_larger_than_the_run_is_refused(left):
    with pytest.raises(UserError, match='holds 51 frames, more than the 50'):
        opened(left, capacity=50)


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'replay store .* cannot be opened: Not a directory'):
        opened(tmp_path / 'file' / 'replay')


def _practise_for_ever(folder, started):
    store = opened(folder, resume=False)
    started.set()
    practise(store, 0, 10**9)


@pytest.mark.parametrize('seconds', [0.05, 0.2])
def test_a_kill_loses_at_most_one_stretch(tmp_path, seconds):
    context = multiprocessing.get_context('fork')
    started = context.Event()
    writer = context.Process(target=_practise_for_ever, args=(tmp_path, started))
    writer.start()
    assert started.wait(20)
    time.sleep(seconds)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(10)
    written = np.fromfile(tmp_path / 'frames.bin', np.uint8).reshape(-1, ROW).any(1).sum()
    record = last_record(tmp_path)
    if record is None:
        assert written <= STRETCH + 1
        return
    store = opened(tmp_path)
    assert store.complaints == [] and store.counts == record.end
    assert 0 <= written - record.end.frames <= STRETCH
    for n in range(record.end.frames):
        assert (store.store.frames[n] == frame(n)).all()


FULL = """
import sys
from pathlib import Path
sys.path.insert(0, 'test')
from test_recovery import opened, practise
store = opened(Path('{place}'), resume=False, capacity=100_000)
practise(store, 0, 99_000)
"""


def test_a_full_disk_is_one_sentence_and_what_was_recorded_stays(tmp_path):
    """Writing to a mapped file on a full disk would kill the process instead."""
    if not shutil.which('unshare'):
        pytest.skip('there is no unshare to make a small disk with')
    place = tmp_path / 'disk'
    place.mkdir()
    script = (
        f'mount -t tmpfs -o size=21M tmpfs {place} || exit 77\n'
        f'{sys.executable} -c "$1" 2>&1 | tail -n 1; df --output=avail {place} | tail -n 1\n'
        f'cp --sparse=always {place}/* {tmp_path} && ls {place}'
    )
    done = subprocess.run(
        ['unshare', '-rm', 'sh', '-c', script, 'sh', FULL.format(place=place)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode in (1, 77) and 'Operation not permitted' in done.stderr:
        pytest.skip(f'no small disk can be made here: {done.stderr.strip()}')
    assert done.returncode == 0, done.stderr
    assert 'the replay store cannot grow beyond' in done.stdout
    assert 'No space left on device' in done.stdout
    store = opened(tmp_path, capacity=100_000)
    assert store.counts.frames > STRETCH and store.complaints == []
    for n in range(0, store.counts.frames, 97):
        assert (store.store.frames[n] == frame(n)).all()
