"""A run's configuration: presets, what a key sets, and the file that repeats a run."""

import dataclasses

import pytest
import yaml

from medal_ros.config import (
    RunConfig,
    compress,
    expand,
    load_config,
    make_config,
    save_config,
)
from medal_ros.options import OptionError, flatten
from medal_ros.spaces import AGENTS


def refusal(function, *arguments):
    with pytest.raises(OptionError) as error:
        function(*arguments)
    assert '\n' not in str(error.value)
    return str(error.value)


# -- what a key sets -------------------------------------------------------------------------------


def test_agent_and_classifier_mean_both_directions():
    config = make_config('paper', {'agent.discount': 0.5, 'classifier.every': 7})
    for name in AGENTS:
        assert getattr(config, name).agent.discount == 0.5
        assert getattr(config, name).classifier.every == 7


def test_a_direction_means_one():
    config = make_config('paper', {'backward.agent.discount': 0.5})
    assert (config.forward.agent.discount, config.backward.agent.discount) == (0.99, 0.5)


@pytest.mark.parametrize('turned', [False, True])
def test_the_more_precise_key_wins_in_any_order(turned):
    changes = {'agent.discount': 0.5, 'backward.agent.discount': 0.25}
    if turned:
        changes = dict(reversed(changes.items()))
    config = make_config('paper', changes)
    assert (config.forward.agent.discount, config.backward.agent.discount) == (0.5, 0.25)


def test_a_change_beats_the_preset_even_where_that_names_a_direction():
    assert make_config('workshop', {}).forward.classifier.every == 500
    config = make_config('workshop', {'classifier.every': 9})
    assert (config.forward.classifier.every, config.backward.classifier.every) == (9, 9)


def test_expand_and_compress_are_inverse():
    values = {'steps': 5, 'agent.discount': 0.5, 'forward.agent.utd': 1, 'backward.agent.utd': 2}
    expanded = expand(values)
    assert expanded == {
        'steps': 5,
        'forward.agent.discount': 0.5,
        'backward.agent.discount': 0.5,
        'forward.agent.utd': 1,
        'backward.agent.utd': 2,
    }
    assert compress(expanded) == values
    assert compress({'forward.agent.utd': 1}) == {'forward.agent.utd': 1}


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'segment_step': 5}, "there is no key 'segment_step'; did you mean 'segment_steps'?"),
        ({'agent.gamma.discount': 0.9}, "did you mean 'forward.agent.discount'?"),
        ({'segment_steps': 'many'}, 'key segment_steps must be a whole number'),
        ({'agent.utd': -1}, 'key forward.agent.utd must be a number of at least 0, not -1'),
        ({'arm_reset.pose': 'home'}, "key arm_reset.pose must be one of fixed, random, not 'home'"),
        (
            {'agent.demonstrations': 256},
            'key forward.agent.demonstrations must be at most 255, not 256',
        ),
        ({'backward.agent.subset': 11}, 'key backward.agent.subset must be at most 10, not 11'),
    ],
)
def test_mistakes_are_refused(changes, sentence):
    assert sentence in refusal(make_config, 'paper', changes)


# -- the file that repeats a run -------------------------------------------------------------------


def test_saving_and_loading_is_the_identity(tmp_path):
    config = make_config(
        'released_code',
        {
            'seed': 7,
            'task': 'tabletop',
            'agent.learning_rate': 1e-5,
            'agent.encoder.strides': [2],
            'backward.classifier.mixup': 0.0,
            'demonstrations.folder': 'a b/ü: #1',
            'evaluation.every': 3,
            'graph.rate': 10.0,
        },
    )
    path = tmp_path / 'config.yaml'
    save_config(config, path)
    assert load_config(path) == config
    content = yaml.safe_load(path.read_text())
    assert content['agent']['learning_rate'] == 1e-5  # shared: written once
    assert 'learning_rate' not in content.get('forward', {}).get('agent', {})
    assert content['backward']['classifier']['mixup'] == 0.0


def test_a_run_can_be_repeated_with_changes(tmp_path):
    path = tmp_path / 'config.yaml'
    save_config(make_config('workshop', {'seed': 3}), path)
    config = load_config(path, {'seed': 4, 'classifier.every': 9})
    assert config == make_config('workshop', {'seed': 4, 'classifier.every': 9})
    assert (config.forward.classifier.every, config.backward.classifier.every) == (9, 9)
    assert "did you mean 'seed'" in refusal(load_config, path, {'sead': 4})


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('steps: [1', 'cannot be read as YAML'),
        ('- 1\n- 2', 'is not a YAML mapping of keys to values'),
        ('', 'is not a YAML mapping of keys to values'),
        ('agent: {discont: 0.9}', "did you mean 'forward.agent.discount'?"),
        ('agent: {subset: 99}', 'key forward.agent.subset must be at most 10, not 99'),
        ('agent: 3', "there is no key 'forward.agent'"),
        ('!!python/object/apply:os.getcwd []', 'cannot be read as YAML'),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, text, sentence):
    path = tmp_path / 'config.yaml'
    path.write_text(text)
    assert sentence in refusal(load_config, path)


def test_a_file_that_is_not_there(tmp_path):
    assert 'none.yaml' in refusal(load_config, tmp_path / 'none.yaml')


def test_every_key_is_in_the_file(tmp_path):
    config = make_config('paper', {})
    save_config(config, tmp_path / 'config.yaml')
    values = yaml.safe_load((tmp_path / 'config.yaml').read_text())
    assert values['agent']['cloning']['weight']['steps'] == 50_000
    assert set(values) >= {'steps', 'task', 'preset', 'seed', 'agent', 'classifier', 'evaluation'}
    assert dataclasses.is_dataclass(RunConfig) and len(flatten(config)) > 100
