"""Targets and the critics' loss against values worked out by hand."""

from collections import Counter

import pytest
import torch
from small import agent, flat, replay


def say(ensemble, *values):
    """Make every critic of an ensemble answer its own constant."""
    with torch.no_grad():
        ensemble.weights[-1].zero_()
        ensemble.biases[-1].copy_(torch.tensor(values).view(-1, 1, 1))


def drawn(it, practice=None):
    """Return one augmented batch and its rewards; the learned ones are zero."""
    batch, rewards = it.sample(practice or replay(), lambda frames, _: torch.zeros(len(frames)))
    return it._augmented(batch), rewards


# -- the target ------------------------------------------------------------------------------------


def test_target_is_reward_plus_discounted_minimum_over_the_subset():
    it = agent(critics=3, subset=3, discount=0.9)
    say(it.targets, 5.0, 2.0, 4.0)
    batch, _ = drawn(it)
    rewards = torch.arange(8.0)
    target = it.target(batch['next_frames'], batch['next_proprio'], rewards)
    assert torch.allclose(target, rewards + 0.9 * 2.0)


def test_every_target_asks_a_fresh_random_subset():
    """Of four critics two are asked: the least of 1 2 3 4 is 1, 2 or 3 at 3 : 2 : 1, never 4."""
    it = agent(critics=4, subset=2, discount=1.0)
    say(it.targets, 1.0, 2.0, 3.0, 4.0)
    batch, _ = drawn(it)
    minima = Counter()
    for _ in range(600):
        target = it.target(batch['next_frames'], batch['next_proprio'], torch.zeros(8))
        assert (target == target[0]).all()  # one subset for the whole batch
        minima[target[0].item()] += 1
    assert set(minima) == {1.0, 2.0, 3.0}
    assert minima[1.0] == pytest.approx(300, abs=50)
    assert minima[2.0] == pytest.approx(200, abs=50)


def test_target_is_never_masked_not_even_at_success():
    it = agent(discount=0.5, subset=4, reward='task')
    say(it.targets, *[8.0] * 4)
    batch, rewards = drawn(it, replay(40))
    assert set(rewards.tolist()) == {0.0, 1.0}
    target = it.target(batch['next_frames'], batch['next_proprio'], rewards)
    assert torch.allclose(target, rewards + 4.0)


def test_target_sees_the_next_state_through_the_current_encoder():
    it = agent(policy__form='noise', policy__noise__start=0.0, policy__noise__end=0.0, subset=4)
    batch, rewards = drawn(it)

    def target():
        return it.target(batch['next_frames'], batch['next_proprio'], rewards)

    def by_hand():
        features = it.policy.features(batch['next_frames'], batch['next_proprio'])
        values = it.targets(torch.cat([features, it.policy.actor.mode(features)], -1))
        return rewards + it.config.discount * values.min(0).values

    before = target()
    assert torch.allclose(before, by_hand(), atol=1e-5)
    with torch.no_grad():
        it.policy.encoder.linear.weight.mul_(-1)
    assert not torch.allclose(target(), before, atol=1e-3)
    assert torch.allclose(target(), by_hand(), atol=1e-5)
    assert {name.split('.')[0] for name, _ in it.targets.named_parameters()} == {
        'weights',
        'biases',
    }


def test_target_asks_the_averaged_critics_not_the_current_ones():
    it = agent(discount=1.0)
    say(it.targets, *[3.0] * 4)
    say(it.critics, *[-50.0] * 4)
    batch, _ = drawn(it)
    target = it.target(batch['next_frames'], batch['next_proprio'], torch.zeros(8))
    assert torch.allclose(target, torch.full((8,), 3.0))


# -- the critics' loss -----------------------------------------------------------------------------


def test_critic_loss_is_the_mean_over_critics_and_batch():
    it = agent(discount=0.5, subset=4)
    say(it.critics, 0.0, 1.0, 2.0, 3.0)
    say(it.targets, *[4.0] * 4)
    batch, _ = drawn(it)
    rewards = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])  # targets 2 and 3
    _, metrics = it.update_critic(batch, rewards)
    errors = [(q - y) ** 2 for q in (0, 1, 2, 3) for y in (2, 3)]
    assert metrics['critic_loss'] == pytest.approx(sum(errors) / 8)
    assert metrics['q'] == pytest.approx(1.5)
    assert metrics['reward'] == pytest.approx(0.5)
    assert metrics['reward_demonstrations'] == pytest.approx(1.0)
    gradient = it.critics.biases[-1].grad.flatten()  # of (1/N) mean (q - y)^2
    assert torch.allclose(gradient, torch.tensor([q - 2.5 for q in range(4)]) * 2 / 4)


def test_without_demonstrations_nothing_is_said_of_their_reward():
    it = agent(demonstrations=0)
    _, metrics = it.update_critic(*drawn(it))
    assert set(metrics) == {'critic_loss', 'q', 'q_size', 'reward'}


def test_critic_loss_trains_the_encoder_but_not_the_actor():
    it = agent()
    encoder, actor = flat(it.policy.encoder), flat(it.policy.actor)
    it.update_critic(*drawn(it))
    assert not torch.equal(flat(it.policy.encoder), encoder)
    assert torch.equal(flat(it.policy.actor), actor)


@pytest.mark.parametrize('rate', [0.0, 0.25, 1.0])
def test_targets_move_by_their_rate_after_each_critic_step(rate):
    it = agent(target_rate=rate)
    assert torch.equal(flat(it.targets), flat(it.critics))
    before = flat(it.targets)
    it.update_critic(*drawn(it))
    assert not torch.equal(flat(it.critics), before)
    assert torch.allclose(
        flat(it.targets), (1 - rate) * before + rate * flat(it.critics), atol=1e-7
    )
    assert all(not p.requires_grad for p in it.targets.parameters())
