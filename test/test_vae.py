"""The variational autoencoder and the frozen encoder made of it."""

import math

import numpy as np
import pytest
import torch
from small import SPACES, agent, flat, replay
from torch import nn

from medal_ros.errors import UserError
from medal_ros.learning import vae as module
from medal_ros.learning.policy import Policy
from medal_ros.learning.vae import VAE, FrozenEncoder, VAEConfig, kl_divergence, train_vae
from medal_ros.learning.weights import load_tensors, save_tensors

SMALL = VAEConfig(latent=6, filters=4, strides=(2, 2))
SHAPE = SPACES.frame_shape


def random_frames(count, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def square_at(row, column, size=24):
    """Return a grey picture with a white square of 8 pixels whose corner is there."""
    picture = np.full((size, size, 3), 90, np.uint8)
    picture[row : row + 8, column : column + 8] = 250
    return picture


def squares(count, seed):
    places = np.random.default_rng(seed).integers(0, 17, (count, 2))
    return np.stack([square_at(*place) for place in places]), places.astype(np.float64)


# -- the loss --------------------------------------------------------------------------------------


def test_divergence_by_hand():
    mean = torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    log_variance = torch.tensor([[0.0, 0.0], [0.0, math.log(4.0)]])
    # ((1 + 1 - 1 - 0) + (4 + 4 - 1 - log 4)) / 2
    assert kl_divergence(mean, log_variance).tolist() == pytest.approx([0.0, 4 - math.log(2)])


def test_divergence_is_that_of_torch():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    own = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    expected = torch.distributions.kl_divergence(own, prior).sum(-1)
    assert torch.allclose(kl_divergence(mean, log_variance), expected, atol=1e-5)


def known(config=SMALL, mean=0.0, log_variance=0.0, pixel=0.0):
    """Return a VAE whose posterior and picture are the same for every frame."""
    vae = VAE(SHAPE, config)
    last = vae.deconvolutions[-1]
    with torch.no_grad():
        for layer, value in ((vae.mean, mean), (vae.log_variance, log_variance), (last, pixel)):
            layer.weight.zero_()
            layer.bias.fill_(value)
    return vae


@pytest.mark.parametrize('beta', [0.0, 2.0])
def test_loss_by_hand(beta):
    vae = known(VAEConfig(latent=2, filters=4, strides=(2,), beta=beta), mean=1.0, pixel=0.25)
    frames = torch.zeros((2, *SHAPE), dtype=torch.uint8)
    frames[0] = 255  # the pixels are 0.5 and -0.5
    loss, metrics = vae.loss(frames, torch.zeros(2, 2))
    error = 12 * 12 * 3 * (0.25**2 + 0.75**2) / 2 / 2
    assert metrics == pytest.approx({'reconstruction': error, 'divergence': 1.0}, rel=1e-5)
    assert loss.item() == pytest.approx(error + beta, rel=1e-5)


def test_latents_are_drawn_from_the_posterior(monkeypatch):
    vae, seen = known(mean=1.0, log_variance=math.log(4.0)), []
    decode = vae.decode
    monkeypatch.setattr(vae, 'decode', lambda z: seen.append(z) or decode(z))
    noise = torch.arange(12.0).reshape(2, 6)
    vae.loss(torch.from_numpy(random_frames(2)), noise)
    assert torch.allclose(seen[0], 1.0 + 2.0 * noise)
    assert torch.equal(vae.encode(torch.from_numpy(random_frames(2))), torch.ones(2, 6))


# -- shapes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize('strides', [(2, 2, 2), (2, 1, 2), (3, 2)])
@pytest.mark.parametrize(
    'shape', [(32, 32, 3), (33, 58, 3), (48, 48, 6), (84, 84, 6), (100, 100, 6)]
)
def test_the_decoder_gives_back_the_shape_of_the_frame(shape, strides):
    vae = VAE(shape, VAEConfig(latent=3, filters=2, strides=strides))
    frames = torch.from_numpy(random_frames(2, shape))
    assert vae.decode(vae.encode(frames)).shape == frames.shape


def test_the_decoder_can_paint_every_pixel():
    vae = VAE((33, 48, 3), VAEConfig(latent=3, filters=8))
    assert (vae.decode(torch.randn(16, 3)).std(0) > 0).all()  # none of them is a mere bias


def test_no_strides_are_refused():
    with pytest.raises(UserError, match='at least one convolution'):
        FrozenEncoder(SHAPE, VAEConfig(strides=()))


# -- training --------------------------------------------------------------------------------------


def test_training_finds_where_the_square_is():
    torch.manual_seed(0)
    vae = VAE((24, 24, 3), VAEConfig(latent=4, filters=8, strides=(2, 2), beta=0.05))
    frames, places = squares(400, seed=0)
    before = train_vae(vae, frames, 1, 32, np.random.default_rng(1), 0.0)
    after = train_vae(vae, frames, 200, 24, np.random.default_rng(0), 5e-3)
    assert after['reconstruction'] < 0.25 * before['reconstruction']
    assert after['divergence'] > 2.0

    def features(pictures):
        return np.c_[
            vae.encode(torch.from_numpy(pictures)).detach().numpy(), np.ones(len(pictures))
        ]

    weights = np.linalg.lstsq(features(frames), places, rcond=None)[0]
    unseen, truth = squares(200, seed=1)
    error = ((features(unseen) @ weights - truth) ** 2).mean(0)
    assert (1 - error / truth.var(0) > 0.6).all()  # 0 is chance


def test_shifted_frames_are_trained_on_when_asked(monkeypatch):
    pads = []
    monkeypatch.setattr(module, 'random_shift', lambda f, pad, rng: pads.append(pad) or f)
    vae, frames, rng = VAE(SHAPE, SMALL), random_frames(4), np.random.default_rng(0)
    train_vae(vae, frames, 1, 2, rng, 1e-3)
    train_vae(vae, frames, 1, 2, rng, 1e-3, shift=3)
    assert pads == [0, 3]


def test_metrics_are_of_the_last_tenth(monkeypatch):
    vae, numbers = VAE(SHAPE, SMALL), iter(range(40))
    loss = vae.loss
    monkeypatch.setattr(vae, 'loss', lambda *a: (loss(*a)[0], {'divergence': float(next(numbers))}))
    metrics = train_vae(vae, random_frames(4), 40, 2, np.random.default_rng(0), 1e-3)
    assert metrics == {'divergence': 37.5}  # of 36, 37, 38 and 39


def test_training_can_be_left():
    def leave():
        raise KeyboardInterrupt

    vae = VAE(SHAPE, SMALL)
    before, rng = flat(vae), np.random.default_rng(0)
    with pytest.raises(KeyboardInterrupt):
        train_vae(vae, random_frames(4), 5, 2, rng, 1e-3, leave)
    assert torch.equal(flat(vae), before)


def test_the_seed_decides():
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        vae = VAE(SHAPE, SMALL)
        torch.manual_seed(len(weights))  # what training draws is the generator's alone
        train_vae(vae, random_frames(20), 5, 4, np.random.default_rng(seed), 1e-3, shift=1)
        weights.append(flat(vae))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


# -- the frozen encoder ----------------------------------------------------------------------------


def adopted(count=10, config=SMALL):
    torch.manual_seed(0)
    vae, frozen, frames = VAE(SHAPE, config), FrozenEncoder(SHAPE, config), random_frames(count)
    with torch.no_grad():
        vae.mean.weight *= 20.0  # latents that spread
        vae.mean.weight[0] = 0.0  # and one that says nothing
        vae.mean.bias[0] = 3.0
    frozen.adopt(vae, frames)
    return vae, frozen, frames


def test_features_are_the_latent_mean_at_unit_scale(monkeypatch):
    monkeypatch.setattr(module, 'CHUNK', 4)  # 10 frames: two chunks and a rest
    vae, frozen, frames = adopted()
    latents = vae.encode(torch.from_numpy(frames)).detach().numpy()
    spread = np.maximum(latents.std(0), 0.1)
    assert (spread[1:] > 0.1).all() and spread[0] == 0.1
    fresh = torch.from_numpy(random_frames(3, seed=5))
    expected = (vae.encode(fresh).detach().numpy() - latents.mean(0)) / spread
    assert np.allclose(frozen(fresh), expected, atol=1e-4)
    features = frozen(torch.from_numpy(frames)).numpy()
    assert np.allclose(features.mean(0), 0.0, atol=1e-4)
    assert np.allclose(features.std(0), [0, 1, 1, 1, 1, 1], atol=1e-4)


def test_adopting_twice_is_adopting_once():
    vae, frozen, frames = adopted()
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    frozen.adopt(vae, frames)
    assert all(torch.equal(before[k], v) for k, v in frozen.state_dict().items())


def test_an_adopted_autoencoder_may_go_on_learning():
    vae, frozen, frames = adopted()
    before = frozen(torch.from_numpy(frames))
    train_vae(vae, frames, 3, 4, np.random.default_rng(0), 1e-2)
    assert torch.equal(frozen(torch.from_numpy(frames)), before)


def test_nothing_trains_it():
    _, frozen, frames = adopted()
    before, head = flat(frozen), nn.Linear(6, 1)
    assert not any(p.requires_grad for p in frozen.parameters())
    frozen.requires_grad_(True)  # what contains it may be thawed as a whole
    head(frozen(torch.from_numpy(frames))).sum().backward()
    assert head.weight.grad is not None
    assert all(p.grad is None for p in frozen.parameters())
    torch.optim.Adam([*frozen.parameters(), *head.parameters()], 1.0, fused=True).step()
    assert torch.equal(flat(frozen), before)


def test_it_stands_in_for_the_encoder_of_an_agent():
    _, frozen, _ = adopted()
    it = agent()
    it.policy.encoder, it.deployed.encoder = frozen, frozen
    before, critics, actor = flat(frozen), flat(it.critics), flat(it.policy.actor)
    metrics = it.update(replay(), lambda f, p: torch.zeros(len(f)))
    assert math.isfinite(metrics['critic_loss'])
    assert torch.equal(flat(frozen), before)
    assert not torch.equal(flat(it.critics), critics)
    assert not torch.equal(flat(it.policy.actor), actor)


def test_a_policy_with_it_is_saved_and_loaded_exactly(tmp_path):
    _, frozen, frames = adopted()
    config = agent().config
    policies = [Policy(config, SPACES) for _ in range(2)]
    policies[0].encoder, policies[1].encoder = frozen, FrozenEncoder(SHAPE, SMALL)
    save_tensors(policies[0].state_dict(), tmp_path / 'policy.safetensors')
    policies[1].load_state_dict(load_tensors(tmp_path / 'policy.safetensors'))
    inputs = frames, np.zeros((len(frames), 2), np.float32)
    assert np.array_equal(policies[0].act(*inputs), policies[1].act(*inputs))
    pair = [p.encoder(torch.from_numpy(frames)) for p in policies]
    assert torch.equal(*pair) and pair[0].abs().max() > 0.5
