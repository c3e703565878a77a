"""The policy: its likelihood against torch.distributions, its samples, its bounds."""

import math

import numpy as np
import pytest
import torch
from small import SPACES, agent_config
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from medal_ros.learning.policy import EDGE, Actor, Policy


def actor(actions=2, inputs=5, **changes):
    torch.manual_seed(0)
    return Actor(agent_config(**changes), inputs, actions)


def fix_output(actor, *outputs):
    """Make an actor say the same for every input."""
    last = actor.network[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor(outputs))
    return actor


FEATURES = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))


def test_likelihood_agrees_with_torch_distributions():
    gaussian = actor()
    actions = torch.rand(7, 2, generator=torch.Generator().manual_seed(2)) * 1.96 - 0.98
    mean, log_std = gaussian.network(FEATURES).chunk(2, -1)
    squashed = TransformedDistribution(Normal(mean, log_std.exp()), TanhTransform())
    expected = Independent(squashed, 1).log_prob(actions)
    assert expected.shape == (7,)
    assert torch.allclose(gaussian.log_likelihood(FEATURES, actions), expected, atol=1e-4)


def test_likelihood_by_hand():
    """At mean atanh(0.5) and action 0.5 only the normalisation and the tanh correction remain."""
    raw, std = math.atanh(0.5), 0.2
    gaussian = fix_output(actor(actions=1), raw, math.log(std))
    expected = -math.log(std) - 0.5 * math.log(2 * math.pi) - math.log(1 - 0.5**2)
    likelihood = gaussian.log_likelihood(FEATURES, torch.full((7, 1), 0.5))
    assert torch.allclose(likelihood, torch.full((7,), expected), atol=1e-5)


def test_actions_at_the_bounds_count_as_just_inside():
    gaussian = actor()
    at = torch.tensor([[1.0, -1.0]]).expand(7, -1)
    inside = torch.tensor([[1.0 - EDGE, -1.0 + EDGE]]).expand(7, -1)
    likelihood = gaussian.log_likelihood(FEATURES, at)
    assert torch.isfinite(likelihood).all()
    assert torch.equal(likelihood, gaussian.log_likelihood(FEATURES, inside))
    likelihood.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in gaussian.parameters())


def test_likelihood_of_scheduled_noise_by_hand():
    noisy = fix_output(actor(policy__form='noise', policy__cloning_std=0.5), math.atanh(0.5), 0.0)
    likelihood = noisy.log_likelihood(FEATURES, torch.tensor([[0.25, 1.0]]).expand(7, -1))
    expected = -0.5 * ((0.25 / 0.5) ** 2 + (1.0 / 0.5) ** 2)
    assert torch.allclose(likelihood, torch.full((7,), expected), atol=1e-6)


@pytest.mark.parametrize(('raw', 'log_std'), [(50.0, 2.0), (-50.0, -10.0), (0.5, 0.5)])
def test_log_deviation_is_bounded(raw, log_std):
    gaussian = fix_output(actor(actions=1), 0.0, raw)
    _, std = gaussian.distribution(FEATURES, 0.0)
    assert torch.allclose(std, torch.full((7, 1), math.exp(log_std)))


@pytest.mark.parametrize('form', ['gaussian', 'noise'])
def test_the_mode_is_the_squashed_mean(form):
    outputs = (0.3, -0.8, 0.0, 0.0)[: 4 if form == 'gaussian' else 2]
    fixed = fix_output(actor(policy__form=form), *outputs)
    expected = torch.tensor([math.tanh(0.3), math.tanh(-0.8)])
    assert torch.allclose(fixed.mode(FEATURES), expected.expand(7, 2))


def test_gaussian_samples_have_the_deviation_before_the_tanh():
    fixed = fix_output(actor(actions=1), 0.2, math.log(0.4))
    torch.manual_seed(0)
    raw = torch.atanh(fixed.sample(FEATURES[:1].expand(20_000, -1), noise=9.0))
    assert raw.mean().item() == pytest.approx(0.2, abs=0.01)
    assert raw.std().item() == pytest.approx(0.4, abs=0.01)


def test_scheduled_noise_has_its_deviation_and_clip():
    fixed = fix_output(actor(actions=1, policy__form='noise'), 0.0)
    features = FEATURES[:1].expand(20_000, -1)
    torch.manual_seed(0)
    assert fixed.sample(features, noise=0.1).std().item() == pytest.approx(0.1, abs=0.005)
    clipped = fixed.sample(features, noise=0.1, clip=0.15)
    assert clipped.abs().max().item() == pytest.approx(0.15)
    assert clipped.std().item() < 0.099
    assert torch.equal(fixed.sample(features, noise=0.0), torch.zeros(20_000, 1))


def test_samples_stay_inside_and_still_pass_the_gradient():
    """A clamp would cut the gradient where a sample is out of bounds: no way back from there."""
    edge = fix_output(actor(actions=1, policy__form='noise'), math.atanh(0.99))
    torch.manual_seed(0)
    action = edge.sample(FEATURES[:1].expand(1000, -1), noise=0.5)
    assert action.max() <= 1.0 - EDGE / 2 and action.min() >= -1.0 + EDGE / 2
    assert (action > 0.9999).float().mean() > 0.3
    action.sum().backward()
    slope = 1 - 0.99**2  # of tanh, the same for every sample
    assert edge.network[-1].bias.grad.item() == pytest.approx(1000 * slope, rel=1e-3)


# -- the policy on a robot -------------------------------------------------------------------------


@pytest.fixture(params=['gaussian', 'noise'])
def policy(request):
    torch.manual_seed(0)
    return Policy(agent_config(policy__form=request.param), SPACES)


def inputs(batch=4):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (batch, *SPACES.frame_shape), np.uint8)
    return frames, rng.uniform(-1, 1, (batch, SPACES.proprio)).astype(np.float32)


def test_features_end_with_proprioception(policy):
    frames, proprio = (torch.from_numpy(x) for x in inputs())
    features = policy.features(frames, proprio)
    assert torch.equal(features[:, -SPACES.proprio :], proprio)
    assert torch.equal(features[:, : -SPACES.proprio], policy.encoder(frames))


def test_without_a_generator_it_is_deterministic(policy):
    frames, proprio = inputs()
    action = policy.act(frames, proprio, noise=0.5)
    assert action.shape == (4, SPACES.action) and action.dtype == np.float32
    features = policy.features(torch.from_numpy(frames), torch.from_numpy(proprio))
    assert (action == policy.actor.mode(features).detach().numpy()).all()


def test_exploration_is_the_generators_and_stays_inside(policy):
    frames, proprio = inputs()
    a, b, c = (policy.act(frames, proprio, 0.9, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (a == b).all() and (a != c).any()
    many = policy.act(
        np.repeat(frames, 500, 0), np.repeat(proprio, 500, 0), 2.0, np.random.default_rng(0)
    )
    assert np.abs(many).max() <= 1.0
    assert many.std(0).min() > 0.2


def test_exploration_has_the_scheduled_deviation():
    torch.manual_seed(0)
    policy = Policy(agent_config(policy__form='noise'), SPACES)
    fix_output(policy.actor, 0.0, 0.0)
    frames, proprio = inputs(1)
    many = policy.act(
        np.repeat(frames, 5000, 0), np.repeat(proprio, 5000, 0), 0.2, np.random.default_rng(0)
    )
    assert many.std() == pytest.approx(0.2, abs=0.01)  # not clipped as in the losses
    assert np.abs(many).max() > 0.5


def test_the_gripper_has_its_own_share_of_the_noise():
    torch.manual_seed(0)
    policy = Policy(agent_config(policy__form='noise', policy__gripper_noise=3.0), SPACES)
    fix_output(policy.actor, 0.0, 0.0)
    frames, proprio = inputs(1)
    many = np.repeat(frames, 5000, 0), np.repeat(proprio, 5000, 0)
    acted = policy.act(*many, 0.1, np.random.default_rng(0))
    assert acted[:, :-1].std() == pytest.approx(0.1, abs=0.005)
    assert acted[:, -1].std() == pytest.approx(0.3, abs=0.015)
    features = policy.features(*map(torch.from_numpy, many))
    inside = policy.actor.sample(features, 0.2, clip=0.3).detach().abs().amax(0)
    assert inside[:-1].max() == pytest.approx(0.3) and inside[-1] == pytest.approx(0.9)
