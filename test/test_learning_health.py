"""What goes wrong with what is learned: noticed, named, and not handed on."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import small
import torch

from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.config import HealthConfig, SideConfig
from medal_ros.learning.health import AgentHealth, classifier_complaint, greatest_value
from medal_ros.nodes.weights import WeightsPublisher
from medal_ros.options import build


def side(**values):
    return build(SideConfig, {k.replace('__', '.'): v for k, v in values.items()})


@pytest.mark.parametrize(
    ('values', 'greatest'),
    [
        ({'agent__discount': 0.9}, 10 * (10 + math.log(2))),
        ({'agent__discount': 0.9, 'agent__reward': 'task'}, 10.0),
        ({'agent__discount': 1.0}, math.inf),
        ({'agent__entropy__weight': 0.1}, math.inf),
    ],
)
def test_no_value_is_greater_than_the_rewards_allow(values, greatest):
    assert greatest_value(side(**values)) == pytest.approx(greatest)


def told(health: AgentHealth, shares=(0.0,), size=1.0) -> str:
    for share in shares:
        words = health.take({'saturation': share, 'q_size': size})
    return words


def test_a_diverging_q_function_is_named_until_it_is_back():
    health = AgentHealth(HealthConfig(margin=2.0), side(agent__reward='task', agent__discount=0.9))
    assert told(health, size=19.9) == ''
    assert 'diverges: a value of 21, and the rewards allow 10' in told(health, size=21.0)
    assert told(health, size=5.0) == ''
    assert 'diverges' in told(health, size=math.nan)
    assert told(AgentHealth(HealthConfig(margin=0), side()), size=1e9) == ''


def test_a_policy_saturates_when_nearly_all_its_motions_do_for_long():
    health = AgentHealth(HealthConfig(window=5, saturated=0.9), side())
    assert told(health, [1.0] * 4) == ''
    assert told(health, [1.0]) == 'its policy saturates: 100% of its motions are at their limit'
    assert told(health, [0.4]) == ''
    assert told(AgentHealth(HealthConfig(window=2, saturated=0), side()), [1.0] * 9) == ''


@pytest.mark.parametrize(
    ('fault', 'words'),
    [
        (lambda c: None, ''),
        (lambda c: c.head[-1].weight.zero_(), 'collapses'),
        (lambda c: c.head[-1].bias.fill_(1e4), 'explodes'),
        (lambda c: c.head[-1].bias.fill_(math.nan), 'explodes'),
    ],
)
def test_a_classifier_that_collapses_or_explodes_is_named(fault, words):
    demonstrations = {
        name: [small.demonstration(direction=name)] for name in ('forward', 'backward')
    }
    config = small.classifier_config(spectral_norm=False)
    trainer = ClassifierTrainer(
        config, small.SPACES, 'forward', demonstrations, small.np.random.default_rng(0)
    )
    with torch.no_grad():
        fault(trainer.classifier)
    before = trainer.rng.bit_generator.state
    seen = trainer.spread(small.replay(), 5)
    assert trainer.rng.bit_generator.state == before  # to look changes nothing
    complaint = classifier_complaint(HealthConfig(), seen['spread'], seen['largest'])
    assert words in complaint and bool(complaint) == bool(words)


def test_the_metrics_of_an_update_tell_of_saturation_and_the_largest_value():
    agent, replay = small.agent(), small.replay()
    reward = lambda frames, proprio: torch.zeros(len(frames))  # noqa: E731
    calm = agent.update(replay, reward)
    assert 0 <= float(calm['saturation']) < 0.9 and calm['q_size'] >= abs(calm['q'])
    with torch.no_grad():
        agent.policy.actor.network[-1].bias.fill_(50.0)
    assert agent.update(replay, reward)['saturation'] > 0.9


def test_the_last_good_weights_are_announced_again(tmp_path):
    sent = []
    node = SimpleNamespace(
        create_publisher=lambda *_: SimpleNamespace(publish=sent.append),
        get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(to_msg=a_time)),
    )
    publisher = WeightsPublisher(node, 'weights/policy', tmp_path, keep=4)
    publisher.publish('forward', {'a': torch.zeros(2)}, 1, sequence=0, steps=0)
    publisher.publish_again('forward', sequence=10, steps=5)
    first, again = sent
    assert (again.path, again.checksum) == (first.path, first.checksum)
    assert (again.version, again.sequence, again.steps) == (1, 10, 5)


def a_time():
    from builtin_interfaces.msg import Time

    return Time()
