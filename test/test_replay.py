"""Replay: every frame once, nothing bridged, and readable while it is written."""

import mmap

import numpy as np
import pytest
from small import SPACES

from medal_ros.learning.replay import Counts, FrameStore, Replay, draw
from medal_ros.spaces import Spaces


def frame(number, spaces=SPACES):
    return np.full(spaces.frame_shape, number % 256, np.uint8)


def add(replay, number):
    replay.add_frame(frame(number), np.full(2, number, np.float32))


@pytest.fixture
def practice():
    """Frames 0 1 2 | 3 4 5: forward acts at 0 and 1, then a gap, backward at 3, forward at 4."""
    replay = Replay(FrameStore(SPACES, 10))
    for number, agent in enumerate(['forward', 'forward', None, 'backward', 'forward', None]):
        add(replay, number)
        if agent:
            replay.add_step(agent, np.array([number, -number]), (number / 10, 1.0))
    return replay


def test_a_batch_by_hand(practice):
    batch = practice.batch(np.array([4, 0]))
    assert (batch.frames == np.stack([frame(4), frame(0)])).all()
    assert (batch.next_frames == np.stack([frame(5), frame(1)])).all()
    assert batch.proprio.tolist() == [[4, 4], [0, 0]]
    assert batch.next_proprio.tolist() == [[5, 5], [1, 1]]
    assert batch.actions.tolist() == [[4, -4], [0, 0]]
    assert batch.task_rewards == pytest.approx(np.array([[0.4, 1.0], [0.0, 1.0]]))
    assert batch.frames.dtype == batch.next_frames.dtype == np.uint8


def test_a_batch_of_several_replays_keeps_their_order(practice):
    other = Replay(FrameStore(SPACES, 2))
    add(other, 8)
    other.add_step('forward', np.ones(2))
    add(other, 9)
    batch = draw([(practice, np.array([3, 1])), (other, np.array([0]))])
    assert batch.frames[:, 0, 0, 0].tolist() == [3, 1, 8]
    assert batch.next_frames[:, 0, 0, 0].tolist() == [4, 2, 9]
    assert batch.actions.tolist() == [[3, -3], [1, -1], [1, 1]]
    assert batch.proprio.dtype == batch.task_rewards.dtype == np.float32


def test_a_mapped_file_is_read_like_memory_to_its_very_end(tmp_path, practice):
    mapped = Replay(FrameStore(SPACES, 6, tmp_path))
    for number in range(6):
        add(mapped, number)
        if number < 5:
            mapped.add_step('forward', np.array([number, -number]), (number / 10, 1.0))
    asked = np.array([4, 0])
    for ours, theirs in zip(mapped.batch(asked), practice.batch(asked), strict=True):
        assert (ours == theirs).all()
    advised = []
    mapped.store.frames = Advised(mapped.store.frames, advised.append)
    mapped.store.expect(asked)
    size = int(np.prod(SPACES.frame_shape))
    assert all(start % mmap.PAGESIZE == 0 for start, _ in advised)
    for (start, length), first in zip(advised, asked * size, strict=True):
        assert start <= first and start + length == first + 2 * size


class Advised:
    """Frames whose file takes note of what it is told."""

    def __init__(self, frames, note):
        self.frames = frames

        class File(mmap.mmap):
            def madvise(self, _, start, length):
                note((start, length))

        self.base = File(-1, 1)

    def __getitem__(self, key):
        return self.frames[key]


def test_a_step_without_a_task_reward_has_none():
    replay = Replay(FrameStore(SPACES, 2))
    add(replay, 0)
    replay.add_step('forward', np.zeros(2))
    add(replay, 1)
    assert np.isnan(replay.batch(np.array([0])).task_rewards).all()


def test_steps_belong_to_their_agent_and_never_bridge_a_gap(practice):
    rng = np.random.default_rng(0)
    forward = practice.choose(('forward',), 200, rng)
    backward = practice.choose(('backward',), 200, rng)
    assert set(forward.tolist()) == {0, 1, 4}
    assert set(backward.tolist()) == {3}  # 2 and 5 end something: no step begins there


def test_shared_steps_are_drawn_evenly_over_both_agents(practice):
    drawn = practice.choose(('forward', 'backward'), 4000, np.random.default_rng(0))
    sources, counts = np.unique(drawn, return_counts=True)
    assert sources.tolist() == [0, 1, 3, 4]
    assert (abs(counts - 1000) < 120).all()  # deviation 27


def test_a_gap_costs_one_frame(practice):
    assert practice.counts == Counts(frames=6, forward=3, backward=1)
    unbroken = Replay(FrameStore(SPACES, 10))
    for number in range(5):
        add(unbroken, number)
        if number < 4:
            unbroken.add_step('forward', np.zeros(2))
    assert unbroken.counts.frames == 5  # as many steps


def test_at_most_one_percent_over_frames_and_numbers():
    spaces = Spaces(cameras=('third',), height=48, width=48, proprio=3, action=3)
    replay = Replay(FrameStore(spaces, 1001))
    for number in range(1001):
        replay.add_frame(frame(number, spaces), np.zeros(3))
        if number < 1000:
            replay.add_step('forward', np.zeros(3))
    needed = 1001 * (48 * 48 * 3 + 4 * 3) + 1000 * 4 * 3
    assert replay.bytes == 1001 * (48 * 48 * 3 + 4 * (3 + 3 + 2)) + 1000 * 8
    assert needed < replay.bytes < 1.01 * needed


def test_full_store_says_so_and_stays_consistent():
    replay = Replay(FrameStore(SPACES, 2))
    add(replay, 0)
    replay.add_step('forward', np.zeros(2))
    add(replay, 1)
    with pytest.raises(ValueError, match='full: it holds 2 frames'):
        replay.add_step('forward', np.zeros(2))  # its result would not fit
    with pytest.raises(ValueError, match='full: it holds 2 frames'):
        add(replay, 2)
    assert replay.counts == Counts(frames=2, forward=1)


def test_a_reader_sees_what_the_writer_wrote_after_it_opened(tmp_path):
    writer = Replay(FrameStore(SPACES, 10, tmp_path))
    reader = Replay(FrameStore(SPACES, 10, tmp_path, mode='r'))
    for number in range(3):
        add(writer, number)
        if number < 2:
            writer.add_step('backward', np.full(2, number), number)
    reader.counts = Counts(3, 0, 2)
    steps = reader.choose(('backward',), 50, np.random.default_rng(0))
    assert set(steps.tolist()) == {0, 1}
    for mine, theirs in zip(reader.batch(steps), writer.batch(steps), strict=True):
        assert (mine == theirs).all()
    assert (reader.batch(np.array([1])).next_frames == frame(2)).all()


def test_a_reader_cannot_write(tmp_path):
    FrameStore(SPACES, 4, tmp_path)
    reader = Replay(FrameStore(SPACES, 4, tmp_path, mode='r'))
    with pytest.raises(ValueError, match='read-only'):
        add(reader, 0)


@pytest.mark.parametrize('capacity', [3, 5])
def test_a_reader_refuses_a_store_of_another_size(tmp_path, capacity):
    FrameStore(SPACES, 4, tmp_path)
    with pytest.raises(ValueError, match=rf'frames.bin is not a replay store of {capacity} frames'):
        FrameStore(SPACES, capacity, tmp_path, mode='r')


def test_a_reader_refuses_a_folder_without_a_store(tmp_path):
    with pytest.raises(ValueError, match=r'frames.bin is not a replay store'):
        FrameStore(SPACES, 4, tmp_path / 'none', mode='r')


def test_flushed_files_hold_everything(tmp_path):
    writer = Replay(FrameStore(SPACES, 4, tmp_path))
    add(writer, 7)
    writer.add_step('forward', np.array([0.5, -0.5]), 1.0)
    add(writer, 8)
    writer.store.flush()
    pixels = np.fromfile(tmp_path / 'frames.bin', np.uint8).reshape(4, *SPACES.frame_shape)
    assert (pixels[0] == 7).all() and (pixels[1] == 8).all()
    assert np.fromfile(tmp_path / 'actions.bin', np.float32)[:2].tolist() == [0.5, -0.5]
    assert np.fromfile(tmp_path / 'proprio.bin', np.float32)[:4].tolist() == [7, 7, 8, 8]
    assert np.fromfile(tmp_path / 'forward.bin', np.int64)[0] == 0


def test_a_trimmed_store_holds_its_data_and_nothing_else(tmp_path):
    stored = Replay(FrameStore(SPACES, 1000, tmp_path))
    for step in range(6):
        stored.add_frame(np.full(SPACES.frame_shape, step, np.uint8), np.zeros(SPACES.proprio))
        if step < 5:
            stored.add_step(('forward', 'backward')[step % 2], np.full(SPACES.action, step), 0.0)
    stored.store.trim(stored.counts)
    assert (tmp_path / 'frames.bin').stat().st_size == 6 * int(np.prod(SPACES.frame_shape))
    assert np.fromfile(tmp_path / 'forward.bin', np.int64).tolist() == [0, 2, 4]
    assert np.fromfile(tmp_path / 'backward.bin', np.int64).tolist() == [1, 3]
    frames = np.fromfile(tmp_path / 'frames.bin', np.uint8).reshape(6, -1)
    assert frames[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
