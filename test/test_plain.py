"""What the learner is timed against computes the learner's losses."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import agent, classifier_config, replay

from medal_ros.learning.classifier import Classifier

sys.path.insert(0, str(Path(__file__).parents[1] / 'benchmarks'))
from plain import Plain, Public

FORMS = {
    'paper': {},
    'quickstart': {
        'policy__form': 'noise',
        'policy__noise__start': 0.2,
        'cloning__into_encoder': True,
    },
}


@pytest.fixture(params=FORMS)
def it(request):
    return agent(**FORMS[request.param], encoder__strides=[2, 1], critic_layers=2)


def tensors(it):
    batch, _ = it.sample(replay(), lambda frames, _: torch.zeros(len(frames)))
    return it._augmented(batch)


def losses(learner, batch, rewards, updates=3):
    """Return the losses of some updates on one batch, drawing alike."""
    torch.manual_seed(5)
    found = []
    for _ in range(updates):
        features, critic = learner.update_critic(batch, rewards)
        actor = learner.update_actor(batch, features.detach())
        found.append([critic['critic_loss'], actor['actor_q'], actor['cloning']])
    return torch.tensor(found)


@pytest.mark.parametrize('style', [Plain, Public])
def test_losses_are_the_agents_update_after_update(it, style):
    batch, rewards = tensors(it), torch.linspace(0, 3, 8)
    plain = style(it, Classifier(classifier_config(), it.policy.spaces, 'forward'))
    ours, theirs = losses(it, batch, rewards), losses(plain, batch, rewards)
    assert not torch.allclose(ours[0], ours[2], rtol=1e-3)  # it does learn
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_bf16_losses_are_within_its_tolerance(it):
    batch, rewards = tensors(it), torch.linspace(0, 3, 8)
    classifier = Classifier(classifier_config(), it.policy.spaces, 'forward')
    theirs = losses(Plain(it, classifier), batch, rewards, 1)
    it.config = replace(it.config, precision='bf16')
    ours = losses(it, batch, rewards, 1)
    assert torch.allclose(ours, theirs, rtol=0.03, atol=0.03)


def test_rewards_and_shifts_are_the_agents():
    it = agent(encoder__strides=[2, 1])
    classifier = Classifier(classifier_config(), it.policy.spaces, 'forward').eval()
    plain, public = Plain(it, classifier), Public(it, classifier)
    batch, _ = it.sample(replay(), lambda frames, _: torch.zeros(len(frames)))
    frames, proprio = batch.next_frames, batch.next_proprio
    expected = classifier.reward(frames, proprio)
    asked = plain.reward({'next_frames': frames, 'next_proprio': proprio})
    assert torch.allclose(asked, expected, atol=1e-5)
    image = torch.arange(144, dtype=torch.uint8).view(1, 12, 12, 1).expand(300, -1, -1, 3)
    for style in (plain, public):
        shifted = style.shift(image).float()
        middle = shifted[:, 6, 6, 0].round().int()
        sources = {78 + 12 * row + column for row in (-1, 0, 1) for column in (-1, 0, 1)}
        assert set(middle.tolist()) == sources
        assert np.allclose(shifted[:, 6, 6, 0], middle, atol=1e-2)  # whole pixels
