"""Behaviour cloning: the loss falls, actions are repeated, the encoder learns."""

import numpy as np
import pytest
import torch
from small import SPACES, agent_config, demonstration, flat

from medal_ros.learning.cloning import Cloner
from medal_ros.learning.demonstrations import as_replay
from medal_ros.learning.policy import Policy


def shades(length=40):
    """Return a demonstration in which the picture's brightness tells the action."""
    rng = np.random.default_rng(0)
    shown = demonstration(length, rng=rng)
    level = rng.integers(30, 220, length + 1)
    shown.frames[:] = level[:, None, None, None]
    shown.frames[:] += rng.integers(0, 20, shown.frames.shape, np.uint8)
    shown.actions[:, 0] = (level[:length] > 125) * 1.2 - 0.6
    shown.actions[:, 1] = -shown.actions[:, 0]
    shown.proprio[:] = 0.0
    return shown


def cloner(form, shown, **changes):
    torch.manual_seed(0)
    config = agent_config(policy__form=form, batch=32, hidden=32, **changes)
    demonstrations = as_replay([shown], 'forward', SPACES)
    return Cloner(
        Policy(config, SPACES), config, demonstrations, 'forward', np.random.default_rng(0)
    )


@pytest.mark.parametrize('form', ['gaussian', 'noise'])
def test_it_repeats_what_it_was_shown(form):
    shown = shades()
    it = cloner(form, shown)
    encoder = flat(it.policy.encoder)
    losses = [it.step() for _ in range(200)]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 1.0
    assert not torch.equal(flat(it.policy.encoder), encoder)  # no critic trains it here
    wrong = np.abs(it.policy.act(shown.frames[:-1], shown.proprio[:-1]) - shown.actions)
    assert wrong.mean() < 0.1


@pytest.mark.parametrize('form', ['gaussian', 'noise'])
def test_the_loss_is_minus_the_mean_log_likelihood(form):
    shown = shades(length=1)  # every draw is the same step
    it = cloner(form, shown, shift=0)
    features = it.policy.features(
        torch.from_numpy(shown.frames[:1]), torch.from_numpy(shown.proprio[:1])
    )
    expected = -it.policy.actor.log_likelihood(features, torch.from_numpy(shown.actions)).item()
    assert it.step() == pytest.approx(expected, rel=1e-4)


def test_the_seed_decides():
    runs = [cloner('gaussian', shades()) for _ in range(2)]
    for it in runs:
        for _ in range(5):
            it.step()
    assert torch.equal(flat(runs[0].policy), flat(runs[1].policy))


def test_what_it_sees_is_shifted(monkeypatch):
    seen = []

    def spy(frames, pad, rng):
        seen.append(pad)
        return torch.zeros_like(frames)

    monkeypatch.setattr('medal_ros.learning.cloning.random_shift_tensor', spy)
    it = cloner('gaussian', shades(), shift=3)
    features = []
    monkeypatch.setattr(
        it.policy, 'features', lambda frames, proprio: features.append(frames) or torch.zeros(32, 8)
    )
    it.step()
    assert seen == [3]
    assert (features[0] == 0).all()
