"""The learned reward: what a classifier sees, and what it says."""

import math

import pytest
import torch
from small import SPACES, classifier_config
from torch import nn

from medal_ros.learning.classifier import Classifier
from medal_ros.spaces import Spaces

CAMERAS = Spaces(cameras=('third', 'wrist', 'goal'), height=12, width=12, proprio=2, action=2)


# -- what it sees ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('views', 'spaces', 'seen'),
    [
        ('wrist', CAMERAS, [3, 4, 5, 6, 7, 8]),  # the wrist, and the goal always
        ('all', CAMERAS, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ('wrist', Spaces(cameras=('third', 'goal'), height=12, width=12), [0, 1, 2, 3, 4, 5]),
        ('wrist', Spaces(cameras=('wrist', 'third'), height=12, width=12), [0, 1, 2]),
    ],
)
def test_views(views, spaces, seen):
    classifier = Classifier(classifier_config(views=views), spaces, 'forward').eval()
    assert classifier.views == seen
    frames = torch.randint(0, 256, (4, *spaces.frame_shape), dtype=torch.uint8)
    proprio = torch.zeros(4, spaces.proprio)
    before = classifier.reward(frames, proprio)
    for channel in range(spaces.channels):
        changed = frames.clone()
        changed[..., channel] = 255 - changed[..., channel]
        same = torch.equal(classifier.reward(changed, proprio), before)
        assert same == (channel not in seen)


@pytest.mark.parametrize(
    ('setting', 'agent', 'sees'),
    [
        ('backward', 'forward', False),
        ('backward', 'backward', True),
        ('both', 'forward', True),
        ('both', 'backward', True),
        ('none', 'forward', False),
        ('none', 'backward', False),
    ],
)
def test_proprioception(setting, agent, sees):
    torch.manual_seed(0)
    classifier = Classifier(classifier_config(proprio=setting), SPACES, agent).eval()
    frames = torch.randint(0, 256, (4, *SPACES.frame_shape), dtype=torch.uint8)
    rewards = [classifier.reward(frames, torch.full((4, 2), x)) for x in (-1.0, 1.0)]
    assert torch.equal(*rewards) != sees


def test_paper_architecture():
    classifier = Classifier(
        classifier_config(filters=32, feature=50, hidden=256, layers=2), CAMERAS, 'backward'
    )
    shapes = [
        tuple(m.weight.shape) for m in classifier.modules() if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    assert shapes[:2] == [(32, 6, 3, 3), (32, 32, 3, 3)]
    assert shapes[3:] == [(256, 50 + 2), (256, 256), (1, 256)]


# -- the reward ------------------------------------------------------------------------------------


def constant(logit, **changes):
    """Return a classifier that says the same of everything."""
    classifier = Classifier(classifier_config(spectral_norm=False, **changes), SPACES, 'forward')
    with torch.no_grad():
        classifier.head[-1].weight.zero_()
        classifier.head[-1].bias.fill_(logit)
    return classifier.eval()


@pytest.mark.parametrize('logit', [-3.0, 0.0, 1.5])
def test_reward_by_hand(logit):
    c = 1 / (1 + math.exp(-logit))
    expected = {
        '-log(1-C)': -math.log(1 - c),
        'log(C)': math.log(c),
        'log(C)-log(1-C)': math.log(c) - math.log(1 - c),
    }
    frames, proprio = torch.zeros(3, *SPACES.frame_shape, dtype=torch.uint8), torch.zeros(3, 2)
    for kind, value in expected.items():
        rewards = constant(logit, reward=kind).reward(frames, proprio)
        assert rewards.tolist() == pytest.approx([value] * 3, abs=1e-5)


@pytest.mark.parametrize(
    ('logit', 'kind', 'bound'),
    [
        (99.0, '-log(1-C)', math.log(1 + math.exp(4))),
        (-99.0, '-log(1-C)', math.log(1 + math.exp(-4))),
        (-99.0, 'log(C)', -math.log(1 + math.exp(4))),
        (99.0, 'log(C)-log(1-C)', 4.0),
    ],
)
def test_reward_is_bounded_by_the_logit_limit(logit, kind, bound):
    classifier = constant(logit, reward=kind, logit_limit=4.0)
    rewards = classifier.reward(
        torch.zeros(1, *SPACES.frame_shape, dtype=torch.uint8), torch.zeros(1, 2)
    )
    assert rewards.item() == pytest.approx(bound, abs=1e-5)
