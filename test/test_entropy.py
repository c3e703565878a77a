"""The entropy bonus: SAC's target, policy loss and temperature, worked out by hand."""

import math

import numpy as np
import pytest
import torch
from small import AGENT, SPACES, agent, agent_config, demonstration, flat, replay
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from medal_ros.config import make_config
from medal_ros.learning.agent import Agent
from medal_ros.learning.config import EntropyConfig
from medal_ros.learning.entropy import Temperature
from medal_ros.learning.policy import draw_gaussian
from medal_ros.options import OptionError

SAC = {'entropy__weight': 0.5, 'critics': 2, 'subset': 2, 'demonstrations': 0}


def features(it, rows=6):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, AGENT['encoder.feature'] + 2, generator=generator)


def drawn(it):
    return draw_gaussian(*it.policy.actor.distribution(features(it), 0.0))


def test_the_likelihood_of_a_sample_is_that_of_a_squashed_gaussian():
    it = agent(**SAC)
    seen = features(it)
    torch.manual_seed(2)
    mean, std = it.policy.actor.distribution(seen, 0.0)
    action, log_likelihood = draw_gaussian(mean, std)
    expected = TransformedDistribution(Normal(mean, std), TanhTransform()).log_prob(action).sum(-1)
    assert torch.allclose(log_likelihood, expected, atol=1e-4)
    torch.manual_seed(2)
    assert torch.equal(it.policy.actor.sample(seen, 0.0), action)


def test_the_target_counts_the_bonus_of_the_next_action():
    it = agent(**SAC, discount=0.9)
    it.policy.features = lambda frames, proprio: features(it)
    it.targets.forward = lambda inputs, members: torch.tensor([[3.0], [2.0]]).expand(2, 6)
    torch.manual_seed(4)
    _, log_likelihood = drawn(it)
    torch.manual_seed(4)
    target = it.target(None, None, torch.full((6,), 1.0))
    assert torch.allclose(target, 1.0 + 0.9 * (2.0 - 0.5 * log_likelihood), atol=1e-5)


@pytest.mark.parametrize(('which', 'value'), [('mean', 2.0), ('min', 1.0)])
def test_the_policy_ascends_value_and_entropy(which, value):
    it = agent(**SAC, actor_value=which)
    it.critics.forward = lambda inputs, frozen: torch.tensor([[3.0], [1.0]]) + 0.0 * inputs.sum(-1)
    batch = {'frames': None, 'proprio': None, 'actions': torch.zeros(6, 2)}
    torch.manual_seed(5)
    _, log_likelihood = drawn(it)
    loss = 0.5 * log_likelihood.mean()
    expected = torch.autograd.grad(loss, list(it.policy.actor.parameters()))
    torch.manual_seed(5)
    metrics = it.update_actor(batch, features(it))
    gradient = torch.cat([p.grad.flatten() for p in it.policy.actor.parameters()])
    assert torch.allclose(gradient, torch.cat([g.flatten() for g in expected]), atol=1e-6)
    assert metrics['actor_q'] == pytest.approx(value)
    assert metrics['entropy'] == pytest.approx(-log_likelihood.mean().item(), abs=1e-5)


def test_the_temperature_moves_towards_the_target_entropy():
    temperature = Temperature(EntropyConfig(weight=0.5, target=-1.0), 3, 0.1)
    assert temperature.target == -3.0
    assert temperature().item() == pytest.approx(0.5)
    # Entropy 4 lies above the target of -3: the loss is -log(0.5) * (-4 - 3).
    assert temperature.loss(torch.tensor([-4.0])).item() == pytest.approx(7 * math.log(0.5))
    temperature.update(torch.tensor([-4.0]))
    assert temperature().item() == pytest.approx(0.5 * math.exp(-0.1), rel=1e-4)
    other = Temperature(EntropyConfig(weight=0.5, target=-1.0), 3, 0.1)
    other.update(torch.tensor([5.0]))  # an entropy of -5: not random enough
    assert other().item() == pytest.approx(0.5 * math.exp(0.1), rel=1e-4)


def test_a_fixed_temperature_stays():
    it = agent(**SAC, entropy__tuned=False)
    before = it.temperature().item()
    it.update(replay(), lambda frames, proprio: torch.zeros(len(frames)))
    assert it.temperature().item() == before == pytest.approx(0.5)


def test_without_a_bonus_nothing_is_added():
    it = agent()
    action, bonus, _ = it.sample_action(features(it))
    assert it.temperature is None
    assert (action.shape, bonus.item()) == ((6, 2), 0.0)


def test_entropy_needs_a_policy_that_has_one():
    with pytest.raises(OptionError, match=r'needs forward.agent.policy.form gaussian'):
        make_config('quickstart', {'agent.entropy.weight': 0.1})


def test_a_shared_encoder_is_trained_by_both_agents():
    one = agent()
    other = agent(name='backward', share_encoder=True)
    assert other.policy.encoder is not one.policy.encoder  # nobody to share with
    config = agent_config(share_encoder=True)
    shown = [demonstration(direction='backward')]
    both = Agent('backward', config, SPACES, shown, 0, partner=one)
    assert both.policy.encoder is one.policy.encoder
    before, actor = flat(one.policy.encoder), flat(one.policy.actor)
    both.update(replay(), lambda frames, proprio: torch.ones(len(frames)))
    assert not np.array_equal(flat(one.policy.encoder), before)
    assert torch.equal(flat(one.policy.actor), actor)
