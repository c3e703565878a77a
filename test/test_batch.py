"""What an agent learns from: practice, then demonstrations; shifts, and rewards of clean states."""

import numpy as np
import pytest
import torch
from small import agent, demonstration, replay

from medal_ros.learning import agent as agent_module
from medal_ros.learning.batch import Batch


def zero(frames, proprio):
    return torch.zeros(len(frames))


def sample(it, practice, reward):
    """Return what an agent samples as arrays."""
    batch, rewards = it.sample(practice, reward)
    return Batch(*(tensor.numpy() for tensor in batch)), rewards


def test_demonstrations_are_the_end_of_the_batch():
    it = agent(batch=256, demonstrations=64)
    shown = demonstration()
    batch, _ = sample(it, replay(), zero)
    from_demonstrations = [
        any((frame == other).all() for other in shown.frames[:-1]) for frame in batch.frames
    ]
    assert from_demonstrations == [False] * 192 + [True] * 64
    for frame, action, after in zip(
        batch.frames[192:], batch.actions[192:], batch.next_frames[192:], strict=True
    ):
        moment = next(i for i, f in enumerate(shown.frames) if (f == frame).all())
        assert (action == shown.actions[moment]).all()
        assert (after == shown.frames[moment + 1]).all()


def test_rewards_are_of_the_clean_next_state_for_demonstrations_too():
    it = agent()
    asked = []

    def reward(frames, proprio):
        asked.append((frames.clone(), proprio.clone()))
        return frames.float().mean((1, 2, 3)) + proprio[:, 0]

    batch, rewards = sample(it, replay(), reward)
    assert len(asked) == 1
    assert (asked[0][0].numpy() == batch.next_frames).all()  # before any shift
    assert (asked[0][1].numpy() == batch.next_proprio).all()
    expected = batch.next_frames.mean((1, 2, 3)) + batch.next_proprio[:, 0]
    assert rewards.numpy() == pytest.approx(expected, abs=1e-3)


def test_task_reward_is_the_stored_one_and_one_at_the_end_of_a_demonstration():
    it = agent(reward='task', batch=400, demonstrations=200)
    batch, rewards = sample(it, replay(), lambda *_: pytest.fail('the classifier was asked'))
    assert (rewards[:200].numpy() == batch.task_rewards[:200, 0]).all()
    last = (batch.next_frames[200:] == demonstration().frames[-1]).all((1, 2, 3))
    assert 10 < last.sum() < 60
    assert (rewards[200:].numpy() == last).all()


def test_a_missing_task_reward_is_no_reward():
    practice = replay()
    practice.store.task_rewards[:] = np.nan
    _, rewards = agent(reward='task', demonstrations=0).sample(practice, zero)
    assert (rewards == 0).all()


@pytest.mark.parametrize('share', [False, True])
def test_transitions_are_shared_only_where_configured(share):
    it = agent(share_transitions=share, batch=100)
    practice = replay(agents=('forward', 'backward'))
    for name, value in (('forward', 0.25), ('backward', 0.75)):
        practice.store.actions[practice.store.steps[name][: practice.counts.of(name)]] = value
    batch, _ = it.sample(practice, zero)
    assert set(batch.actions[:98, 0].tolist()) == ({0.25, 0.75} if share else {0.25})


def test_s_and_next_s_are_shifted_independently():
    """Where both are the same picture, equal shifts would leave them equal."""
    it = agent(shift=2, batch=200, demonstrations=1)
    batch, _ = it.sample(replay(), zero)
    tensors = it._augmented(batch._replace(next_frames=batch.frames))
    before, after = tensors['frames'], tensors['next_frames']
    equal = (before == after).flatten(1).all(1).float().mean().item()
    assert equal == pytest.approx(1 / 25, abs=0.05)
    assert (before == batch.frames).flatten(1).all(1).float().mean() < 0.15


def test_what_the_networks_see_is_the_shifted_batch(monkeypatch):
    monkeypatch.setattr(agent_module, 'random_shift_tensor', lambda frames, pad, rng: frames // 2)
    it = agent()
    batch, _ = it.sample(replay(), zero)
    tensors = it._augmented(batch)
    assert torch.equal(tensors['frames'], batch.frames // 2)
    assert torch.equal(tensors['next_frames'], batch.next_frames // 2)
    assert torch.equal(tensors['actions'], batch.actions)
