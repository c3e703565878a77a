"""Recorded updates are the eager ones, whatever changes around them from one to the next."""

import numpy as np
import pytest
import torch
from small import SPACES, agent, classifier_config, demonstration, flat, replay
from tape import Tape

from medal_ros.learning.checkpoint import agent_tensors, restore_agent
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.cuda_graph import EAGER, Recorded
from medal_ros.learning.device import adam
from medal_ros.learning.feed import Resident

# The critics' step is recorded while the actor's is eager yet, which must not show in either.
CRITIC_STEPS = 3, 1, 1, 2
FORMS = {
    'paper': {},
    'bf16': {'precision': 'bf16'},
    'noise': {
        'policy__form': 'noise',
        'policy__noise__steps': 40,
        'cloning__into_encoder': True,
        'cloning__weight__steps': 60,
    },
    'entropy': {'entropy__weight': 0.1, 'actor_value': 'min', 'demonstrations': 0},
}


def everything(it):
    modules = it.policy, it.deployed, it.critics, it.targets, it.temperature
    return torch.cat([flat(module) for module in modules if module is not None])


def practised(it, updates=9):
    """Return all weights after some updates between which time passes and data comes; and metrics.

    A person adds a demonstration in the middle.
    """
    torch.manual_seed(3)
    classifier, practice = Classifier(classifier_config(), SPACES, it.name).eval(), replay(30)
    metrics = []
    for number in range(updates):
        if number == updates // 2:
            it.add_demonstration(shown())
        found = it.update(practice, classifier.reward, CRITIC_STEPS[number % 4])
        metrics.append({name: np.float32(value) for name, value in found.items()})
        it.steps += 7
    return everything(it), metrics


def shown():
    it = demonstration(5)
    rewards = np.zeros((5, 2), np.float32)
    return type(it)(**{**vars(it), 'task_rewards': rewards})


def eager(**changes):
    it = agent(encoder__strides=[2, 1], **changes)
    if it.temperature is not None:  # as it is on a GPU
        it.temperature.optimizer = adam([it.temperature.log_value], 1e-2, it.device)
    return it


def recorded(**changes):
    it, tapes = eager(**changes), [Tape(), Tape()]
    it.record(tapes)
    return it, tapes


@pytest.mark.parametrize('form', FORMS)
def test_recorded_updates_are_the_eager_ones_bit_for_bit(form):
    it, tapes = recorded(**FORMS[form])
    weights, metrics = practised(it)
    expected = practised(eager(**FORMS[form]))
    assert torch.equal(weights, expected[0])
    assert metrics == expected[1]
    assert [tape.replays for tape in tapes] == [17 - EAGER, 9 - EAGER]


class Broken(Tape):
    """Fails when the work is done."""

    def record(self, work):
        super().record(work)
        raise RuntimeError('out of memory')


def test_where_nothing_can_be_recorded_updates_are_eager():
    it = eager(precision='bf16')
    it.record([Broken(), Broken()])
    with pytest.warns(UserWarning, match='none could be recorded: out of memory') as said:
        weights, _ = practised(it)
    assert len(said) == 2
    assert torch.equal(weights, practised(eager(precision='bf16'))[0])


def test_a_restored_agent_repeats_nothing_of_the_time_before():
    it, _ = recorded()
    practised(it)
    state = {name: value.clone() for name, value in agent_tensors(it).items()}
    expected = practised(it)
    restore_agent(it, state)
    it.demonstrations = agent().demonstrations
    it.add_demonstration(shown())
    it.record([Tape(), Tape()])
    assert torch.equal(practised(it)[0], expected[0])


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_nothing_of_an_update_waits_for_the_device(precision):
    it, tapes = recorded(precision=precision)
    it.feed = Resident(it.device)
    practised(it)
    done = [tape.replays for tape in tapes]
    classifier = Classifier(classifier_config(views='wrist'), SPACES, it.name).eval()
    with Tape():  # refuses what waits
        it.update(replay(), classifier.reward, 2)
    assert [tape.replays for tape in tapes] == [done[0] + 2, done[1] + 1]


# -- one step --------------------------------------------------------------------------------------


def step_of(weight, graph):
    """Return a recorded step that adds the sum of what it is given to a weight."""

    def step(batch, other):
        with torch.no_grad():
            weight.add_(batch['a'].sum() + other.sum())
        return weight * 2.0

    return Recorded(step, graph, lambda: None)


def test_it_reads_what_it_is_given_each_time():
    weight, tape = torch.zeros(()), Tape()
    it = step_of(weight, tape)
    results = [it({'a': torch.full((2,), n)}, torch.ones(3)).item() for n in (1.0, 2.0, 3.0, 4.0)]
    assert results == [10.0, 24.0, 42.0, 64.0]
    assert tape.replays == 4 - EAGER


def test_what_waits_for_the_device_stays_eager_and_is_right():
    weight = torch.zeros(())

    def step(batch, other):
        with torch.no_grad():
            weight.add_(batch['a'].sum().item())
        return weight.clone()

    it = Recorded(step, Tape(), lambda: None)
    with pytest.warns(
        UserWarning, match=r'none could be recorded: .* waits for the device'
    ) as said:
        results = [it({'a': torch.ones(2)}, torch.ones(1)).item() for _ in range(6)]
    assert results == [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]
    assert len(said) == 1
