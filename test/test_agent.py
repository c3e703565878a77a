"""One agent: its policy's loss and its schedules against values worked out by hand."""

import numpy as np
import pytest
import torch
from small import agent, agent_config, flat, replay


def zero(frames, proprio):
    return torch.zeros(len(frames))


def drawn(it, practice=None, reward=zero):
    """Return one augmented batch and its rewards."""
    batch, rewards = it.sample(practice or replay(), reward)
    return it._augmented(batch), rewards


# -- the actor's loss ------------------------------------------------------------------------------


def features_of(it, batch):
    return it.policy.features(batch['frames'], batch['proprio']).detach()


def actor_gradient(it):
    return torch.cat([p.grad.flatten() for p in it.policy.actor.parameters()])


@pytest.mark.parametrize(
    ('mix', 'value_weight'),
    [('additive', 1.0), ('convex', 0.6)],  # at a cloning weight of 0.4
)
def test_actor_ascends_the_mean_of_all_critics_and_the_likelihood(mix, value_weight):
    it = agent(cloning__mix=mix, cloning__weight__start=0.4, cloning__weight__end=0.4)
    batch, _ = drawn(it)
    features = features_of(it, batch)
    torch.manual_seed(3)
    action = it.policy.actor.sample(features, 0.0)
    value = torch.stack(
        [it.critics(torch.cat([features, action], -1), torch.tensor([i])).mean() for i in range(4)]
    ).mean()
    likelihood = it.policy.actor.log_likelihood(features[6:], batch['actions'][6:]).mean()
    loss = -(value_weight * value + 0.4 * likelihood)
    expected = torch.autograd.grad(loss, list(it.policy.actor.parameters()))
    torch.manual_seed(3)
    metrics = it.update_actor(batch, features)
    assert metrics['actor_q'] == pytest.approx(value.item(), abs=1e-5)
    assert metrics['cloning'] == pytest.approx(likelihood.item(), rel=1e-5)
    assert metrics['cloning_weight'] == pytest.approx(0.4)
    flat_expected = torch.cat([g.flatten() for g in expected])
    assert torch.allclose(actor_gradient(it), flat_expected, atol=1e-5)


def test_actor_climbs():
    """Critics that like large actions pull the policy there, whatever their number."""
    it = agent(demonstrations=0, policy__form='noise', critics=3)
    likes = [torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]), torch.tensor([-0.5, -1.0])]

    def critics(inputs, frozen):
        assert frozen
        return torch.stack([inputs[:, -2:] @ like for like in likes])

    it.critics.forward = critics
    batch, _ = drawn(it)
    features = features_of(it, batch)
    for _ in range(150):
        metrics = it.update_actor(batch, features)
    assert 'cloning' not in metrics or metrics['cloning'] == 0.0
    action = it.policy.actor.mode(features)
    assert (action[:, 0] > 0.9).all()  # two like it more than one dislikes it
    assert (action[:, 1] < -0.9).all()


@pytest.mark.parametrize('into_encoder', [False, True])
def test_cloning_trains_the_encoder_only_where_configured(into_encoder):
    it = agent(cloning__into_encoder=into_encoder)
    batch, _ = drawn(it)
    modules = it.policy.encoder, it.critics, it.targets, it.policy.actor
    before = [flat(module) for module in modules]
    it.update_actor(batch, features_of(it, batch))
    moved = [
        not torch.equal(flat(module), old) for module, old in zip(modules, before, strict=True)
    ]
    assert moved == [into_encoder, False, False, True]


def test_the_q_term_never_trains_the_encoder():
    it = agent(cloning__into_encoder=True, cloning__weight__start=0.0, cloning__weight__end=0.0)
    batch, _ = drawn(it)
    it.update_actor(batch, features_of(it, batch))
    assert all((p.grad == 0).all() for p in it.policy.encoder.parameters())


def test_the_actor_learns_from_features_of_the_last_critic_step(monkeypatch):
    it = agent()
    seen = []
    monkeypatch.setattr(it, 'update_critic', lambda b, r: (torch.full((8, 8), 7.0), {'q': 0.0}))
    monkeypatch.setattr(it, 'update_actor', lambda b, f: seen.append(f) or {})
    it.update(replay(), zero, critic_steps=3)
    assert len(seen) == 1 and (seen[0] == 7.0).all() and not seen[0].requires_grad
    assert it.updates == 3


def test_several_critic_steps_draw_several_batches(monkeypatch):
    it = agent()
    drawn_batches, original = [], it.sample
    monkeypatch.setattr(
        it, 'sample', lambda *a: drawn_batches.append(original(*a)) or drawn_batches[-1]
    )
    metrics = it.update(replay(), zero, critic_steps=3)
    assert len(drawn_batches) == 3
    assert (drawn_batches[0][0].frames != drawn_batches[1][0].frames).any()
    assert all(np.isfinite(float(value)) for value in metrics.values())
    assert {'critic_loss', 'q', 'reward', 'actor_q', 'cloning', 'std'} <= metrics.keys()


# -- schedules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('steps', 'weight'), [(0, 1.0), (100, 1.0), (150, 0.75), (200, 0.5), (300, 0.0), (9999, 0.0)]
)
def test_cloning_weight_follows_the_agents_own_steps(steps, weight):
    schedule = {'start': 1.0, 'end': 0.0, 'begin': 100, 'steps': 200}
    it = agent(**{f'cloning__weight__{k}': v for k, v in schedule.items()})
    it.steps, it.updates = steps, 5000
    batch, _ = drawn(it)
    assert it.update_actor(batch, features_of(it, batch))['cloning_weight'] == pytest.approx(weight)


def test_noise_follows_the_agents_own_steps():
    it = agent(
        policy__form='noise',
        policy__noise__start=0.5,
        policy__noise__end=0.1,
        policy__noise__steps=40,
    )
    it.updates = 5000
    stds = []
    for it.steps in (0, 10, 40, 80):
        batch, _ = drawn(it)
        stds.append(it.update_actor(batch, features_of(it, batch))['std'])
    assert stds == pytest.approx([0.5, 0.4, 0.1, 0.1])


def test_paper_schedule_by_default():
    weight = agent_config().cloning.weight
    assert [weight(n) for n in (0, 25_000, 50_000, 10**6)] == pytest.approx([1.0, 0.55, 0.1, 0.1])


# -- what is deployed ------------------------------------------------------------------------------


@pytest.mark.parametrize(('average', 'rate'), [(0.25, 0.25), (1.0, 1.0), (0.0, 1.0)])
def test_the_deployed_policy_follows_once_per_update(average, rate):
    it = agent(policy__average=average)
    before = flat(it.policy)
    assert torch.equal(flat(it.deployed), before)
    it.update(replay(), zero, critic_steps=3)
    after = flat(it.policy)
    assert not torch.equal(after, before)
    assert torch.allclose(flat(it.deployed), (1 - rate) * before + rate * after, atol=1e-7)
    if rate == 1.0:
        assert torch.equal(flat(it.deployed), after)
    assert all(not p.requires_grad for p in it.deployed.parameters())


def test_warm_up_is_deployed_at_once():
    it = agent(policy__average=0.01, cloning__warm_up=3)
    it.warm_up()
    assert torch.equal(flat(it.deployed), flat(it.policy))


# -- warm-up, precision, seeds ------------------------------------------------------------------


def test_warm_up_clones_as_often_as_configured():
    it = agent(cloning__warm_up=30, batch=16)
    before = [flat(m) for m in (it.policy.actor, it.policy.encoder, it.critics)]
    first = it.policy.actor.log_likelihood
    shown = it.demonstrations.batch(np.arange(6))

    def loss():
        features = it.policy.features(
            torch.from_numpy(shown.frames), torch.from_numpy(shown.proprio)
        )
        return -first(features, torch.from_numpy(shown.actions)).mean().item()

    start = loss()
    assert set(it.warm_up()) == {'warm_up_loss'}
    assert loss() < start
    after = [flat(m) for m in (it.policy.actor, it.policy.encoder, it.critics)]
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert moved == [True, True, False]
    assert it.updates == it.steps == 0
    assert agent().warm_up() == {}


def test_half_precision_changes_little():
    metrics = []
    for precision in ('fp32', 'bf16'):
        it = agent(precision=precision)
        torch.manual_seed(0)
        metrics.append({k: float(v) for k, v in it.update(replay(), zero).items()})
    assert metrics[1] == pytest.approx(metrics[0], abs=0.05, rel=0.05)
    assert metrics[1] != metrics[0]


def test_two_agents_of_one_seed_differ_only_in_name():
    one, same, other, backward = (
        agent(seed=seed, name=name)
        for seed, name in ((0, 'forward'), (0, 'forward'), (1, 'forward'), (0, 'backward'))
    )
    assert torch.equal(flat(one.policy), flat(same.policy))
    assert torch.equal(flat(one.critics), flat(same.critics))
    assert not torch.equal(flat(one.policy), flat(other.policy))
    assert not torch.equal(flat(one.policy), flat(backward.policy))
