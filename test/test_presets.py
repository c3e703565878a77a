"""The presets: each loads, repeats, and gives networks and schedules of the right sizes."""

import math

import pytest
import torch
import yaml
from small import demonstration
from torch import nn

from medal_ros.config import load_config, load_preset, make_config, presets, save_config
from medal_ros.learning.agent import Agent
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.config import SideConfig
from medal_ros.learning.demonstrations import as_replay
from medal_ros.options import OptionError
from medal_ros.resources import share
from medal_ros.robot.supervision import ArmResetConfig
from medal_ros.sim import TASKS, task_class
from medal_ros.spaces import AGENTS, Spaces

TABLETOP = Spaces(cameras=('third', 'goal'), height=84, width=84, proprio=3, action=3)
CUBE = Spaces(cameras=('wrist', 'third'), height=100, width=100, proprio=4, action=4)


@pytest.fixture
def undrawn(monkeypatch):
    """Large matrices take long to draw, and only their sizes matter."""
    monkeypatch.setattr(nn.init, 'orthogonal_', lambda tensor, gain=1: tensor)


def build(preset, spaces):
    """Build both agents and classifiers of a preset."""
    config = make_config(preset, {})
    sides = {name: getattr(config, name) for name in AGENTS}
    agents = {
        name: Agent(name, side.agent, spaces, [demonstration(2, name, spaces)], 0)
        for name, side in sides.items()
    }
    return agents, {n: Classifier(side.classifier, spaces, n) for n, side in sides.items()}


def widths(network):
    return [(m.in_features, m.out_features) for m in network if isinstance(m, nn.Linear)]


def test_the_presets_that_there_are():
    assert {'paper', 'workshop', 'released_code', 'quickstart'} <= set(presets())
    with pytest.raises(OptionError) as error:
        make_config('papper', {})
    assert str(error.value) == f"there is no preset 'papper'; there are {', '.join(presets())}"
    with pytest.raises(OptionError, match='there is no preset'):
        load_preset('../presets/paper')


@pytest.mark.parametrize('name', presets())
def test_a_preset_loads_says_what_it_is_and_repeats_no_key(name, tmp_path):
    text = share('config', 'presets', f'{name}.yaml').read_text()
    assert text.startswith('# ')
    keys = yaml.compose(text)
    mappings = [keys]
    while mappings:
        pairs = mappings.pop().value
        assert len({key.value for key, _ in pairs}) == len(pairs)  # YAML would take the last
        mappings += [value for _, value in pairs if isinstance(value, yaml.MappingNode)]
    config = make_config(name, {})
    assert config.preset == name
    path = tmp_path / 'config.yaml'
    save_config(config, path)
    assert load_config(path) == config


def test_a_preset_is_like_another_but_for_what_it_says():
    cube, peg = load_preset('cube_grasp'), load_preset('peg_insert')
    assert 'like' not in peg and cube.keys() <= peg.keys()
    assert (peg['task'], peg['arm_reset.every_steps']) == ('peg_insert', 100)
    assert peg['arm_reset.before'] == cube['arm_reset.before'] == 'forward'


@pytest.mark.parametrize('name', [name for name in presets() if name in TASKS])
def test_the_preset_of_a_task_is_its_own_and_leaves_the_expert_time(name):
    config = make_config(name, {})
    assert config.task == name
    # A segment of practice is no shorter than a trial, which the expert needs two thirds of.
    assert config.segment_steps * config.repeat >= task_class(name).control_steps
    assert config.arm_reset.every_steps == config.segment_steps


def test_paper():
    config = make_config('paper', {})
    assert (config.steps, config.segment_steps, config.demonstrations.count) == (300_000, 200, 50)
    assert config.arm_reset == ArmResetConfig(1000, 'fixed')
    assert config.forward == config.backward
    agent, classifier = config.forward.agent, config.forward.classifier
    assert (agent.utd, agent.batch, agent.demonstrations, agent.subset) == (3.0, 256, 64, 2)
    assert (agent.discount, agent.target_rate, agent.learning_rate) == (0.99, 0.005, 3e-4)
    assert [agent.cloning.weight(n) for n in (0, 25_000, 60_000)] == pytest.approx([1, 0.55, 0.1])
    assert not agent.cloning.into_encoder and not agent.share_transitions
    assert (classifier.every, classifier.steps, classifier.goal_states) == (1000, 1, 20)
    assert classifier.reward == '-log(1-C)'
    assert classifier.spectral_norm and classifier.mixup == 1.0


def test_the_defaults_are_the_papers():
    for name in AGENTS:
        side = getattr(make_config('paper', {'agent.utd': 1}), name)
        assert side == SideConfig()


@pytest.mark.usefixtures('undrawn')
def test_paper_networks():
    agents, classifiers = build('paper', TABLETOP)
    for name, agent in agents.items():
        encoder = agent.policy.encoder
        assert [m.stride[0] for m in encoder.convolutions if isinstance(m, nn.Conv2d)] == [
            2,
            1,
            1,
            1,
        ]
        assert encoder.linear.out_features == 50
        inputs = 50 + 3 + 3
        assert [tuple(w.shape) for w in agent.critics.weights] == [
            (10, inputs, 1024),
            (10, 1024, 1024),
            (10, 1024, 1024),
            (10, 1024, 1024),
            (10, 1024, 1),
        ]
        assert widths(agent.policy.actor.network) == [
            (53, 1024),
            (1024, 1024),
            (1024, 1024),
            (1024, 1024),
            (1024, 6),
        ]
        proprio = 3 if name == 'backward' else 0
        assert widths(classifiers[name].head) == [(50 + proprio, 256), (256, 256), (256, 1)]
        assert len(classifiers[name].views) == 6  # no wrist camera here: all, and the goal


def test_workshop():
    config = make_config('workshop', {})
    assert (config.segment_steps, config.demonstrations.count) == (100, 10)
    for name, every in (('forward', 500), ('backward', 100)):
        side = getattr(config, name)
        assert (side.agent.critics, side.agent.utd, side.agent.demonstrations) == (5, 1.0, 16)
        assert side.agent.seed_steps == 10_000
        assert side.agent.cloning.weight(10_000) == 0.0
        assert (side.classifier.every, side.classifier.steps) == (every, 10)
        assert side.classifier.backward_goals == 'all'


@pytest.mark.usefixtures('undrawn')
def test_released_code():
    config = make_config('released_code', {})
    for name, end, every in (('forward', 0.1, 1000), ('backward', 0.25, 500)):
        side = getattr(config, name)
        weight = side.agent.cloning.weight
        assert [weight(n) for n in (0, 2500, 26_250, 50_000, 90_000)] == pytest.approx(
            [1.0, 1.0, (1 + end) / 2, end, end]
        )
        assert side.agent.cloning.mix == 'convex'
        assert side.classifier.reward == 'log(C)'
        assert (side.classifier.every, side.classifier.steps) == (every, 1)
        assert side.agent.seed_steps == 2000
    agents, classifiers = build('released_code', CUBE)
    for name, agent in agents.items():
        assert widths(agent.policy.actor.network) == [(260, 1024), (1024, 1024), (1024, 8)]
        assert [len(w) for w in agent.critics.weights] == [5] * 5
        assert agent.policy.encoder.linear.out_features == 256
        assert widths(classifiers[name].head) == [(256, 256), (256, 1)]  # no proprioception
    assert classifiers['forward'].views == [0, 1, 2]  # the wrist
    assert classifiers['backward'].views == [0, 1, 2, 3, 4, 5]


def test_quickstart_takes_a_step():
    spaces = Spaces()
    agents, _ = build('quickstart', spaces)
    agent = agents['forward']
    shown = demonstration(20, 'forward', spaces)
    practice = as_replay([shown], 'forward', spaces)
    metrics = agent.update(practice, lambda frames, proprio: torch.zeros(len(frames)))
    assert all(math.isfinite(value) for value in metrics.values())
