"""Batches are the same ones, wherever they are drawn: a processor stands in for the device."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from small import SPACES, agent, flat, replay

from medal_ros.learning import feed
from medal_ros.learning.feed import Pinned, Resident, feeds, from_memory
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.spaces import AGENTS

CPU = torch.device('cpu')
RNG = np.random.default_rng


def chosen(parts):
    """Return what chooses given frames: as many of each replay as it is asked for."""
    return lambda: [(replay, np.array(indices)) for replay, indices in parts]


def same(ours, theirs):
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def add(stored, count, rng):
    """Store frames, and act at each of them but the newest."""
    for _ in range(count):
        if stored.counts.frames:
            stored.add_step('forward', rng.uniform(-1, 1, SPACES.action), (1.0, 0.0))
        frame = rng.integers(0, 256, SPACES.frame_shape, np.uint8)
        stored.add_frame(frame, rng.uniform(-1, 1, SPACES.proprio))


@pytest.fixture(params=['memory', 'mapped'])
def stored(request, tmp_path):
    """An empty replay with room for 40 frames."""
    return Replay(FrameStore(SPACES, 40, tmp_path if request.param == 'mapped' else None))


@pytest.mark.parametrize('chunk', [1, feed.CHUNK])
def test_a_resident_replay_follows_what_is_stored(stored, chunk, monkeypatch):
    monkeypatch.setattr(feed, 'CHUNK', chunk)
    rng, resident, demonstrations = RNG(0), Resident(CPU), replay(10)
    for count in (2, 1, 5, 1, 20):
        add(stored, count, rng)
        last = stored.counts.frames - 2  # the newest step: its action came after its frame
        ask = chosen([(stored, [last, 0, last // 2]), (demonstrations, [9, 0])])
        assert same(resident(ask), from_memory(ask))


def test_a_row_is_copied_once_but_for_the_newest(stored):
    add(stored, 5, RNG(0))
    resident, ask = Resident(CPU), chosen([(stored, [0, 1, 2, 3])])
    before = resident(ask)
    stored.store.frames[:4] = 7  # as nothing ever does
    stored.store.actions[4] = 0.5
    add(stored, 1, RNG(1))
    assert same(resident(ask)[:3], before[:3])
    assert torch.equal(
        resident(chosen([(stored, [4])])).actions, torch.from_numpy(stored.store.actions[4:5])
    )


def test_a_resident_replay_follows_one_that_grows_or_is_cut_back():
    stored, resident, rng = Replay(FrameStore(SPACES, 4)), Resident(CPU), RNG(0)
    add(stored, 4, rng)
    ask = chosen([(stored, [2, 0])])
    assert same(resident(ask), from_memory(ask))
    stored.store.grow(9)
    add(stored, 3, rng)
    ask = chosen([(stored, [5, 0])])
    assert same(resident(ask), from_memory(ask))
    stored.counts.frames, stored.counts.forward = 3, 2  # to where a checkpoint was
    assert same(resident(chosen([(stored, [1])])), from_memory(chosen([(stored, [1])])))
    add(stored, 4, rng)
    assert same(resident(ask), from_memory(ask))


def test_pinned_batches_come_in_their_order_and_stay_until_the_next(stored):
    rng, pinned, demonstrations = RNG(0), Pinned(CPU), replay(10)
    add(stored, 9, rng)
    asked = []

    def ask():
        asked.append([(stored, rng.integers(0, 8, 5)), (demonstrations, rng.integers(0, 9, 3))])
        return asked[-1]

    places = set()
    for number in range(6):
        batch = pinned(ask)
        assert len(asked) == number + 2  # the next one is on its way
        add(stored, 1, rng)
        assert same(batch, from_memory(lambda number=number: asked[number]))
        places.add(batch.frames.data_ptr())
    assert len(places) == 2


def test_what_goes_wrong_while_a_batch_is_gathered_is_not_lost(stored):
    add(stored, 3, RNG(0))
    pinned, broken = Pinned(CPU), Replay(FrameStore(SPACES, 2))
    del broken.store.frames
    with pytest.raises(AttributeError):
        pinned(chosen([(broken, [0])]))


# -- which one -------------------------------------------------------------------------------------


def test_a_replay_lies_on_the_device_where_it_fits_into_half_of_what_is_free():
    store, device = FrameStore(SPACES, 100), torch.device('meta')
    needed = 100 * store.row_bytes
    assert store.row_bytes == 12 * 12 * 3 + 4 * (2 + 2 + 2)
    sources, said = feeds(store, device, AGENTS, free=2 * needed)
    assert isinstance(sources['forward'], Resident)
    assert sources['forward'] is sources['backward']  # one mirror of the replay
    assert said.startswith('replay is drawn on meta (0.00 GiB for 100 frames')
    sources, said = feeds(store, device, AGENTS, free=2 * needed - 1)
    assert all(isinstance(source, Pinned) for source in sources.values())
    assert sources['forward'] is not sources['backward']
    assert 'from memory, a batch ahead: meta has no room for it' in said


def test_on_a_processor_there_is_nothing_to_choose_or_to_say():
    assert feeds(FrameStore(SPACES, 9), CPU, AGENTS) == (dict.fromkeys(AGENTS, from_memory), '')


# -- an agent --------------------------------------------------------------------------------------


def reward(frames, proprio):
    return frames.float().mean((1, 2, 3)) / 255


def test_an_agent_learns_the_same_from_a_resident_replay():
    weights = []
    for source in (from_memory, Resident(CPU)):
        it, practice = agent(), replay(30)
        it.feed = source
        for _ in range(3):
            it.update(practice, reward, 2)
        weights.append(flat(it.policy))
    assert torch.equal(*weights)


def test_an_agent_learns_from_pinned_batches_with_the_rewards_of_their_own():
    it, practice = agent(batch=16, shift=0), replay(30)
    it.feed, seen = Pinned(CPU), []
    for _ in range(4):
        batch, rewards = it.sample(practice, reward)
        assert torch.equal(rewards, reward(batch.next_frames, batch.next_proprio))
        seen.append(batch.frames.clone())
    it.update(practice, reward)
    assert not any(torch.equal(a, b) for a, b in pairwise(seen))
