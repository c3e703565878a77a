"""A restored agent goes on exactly as the saved one would have."""

import pytest
import torch
from small import agent, flat, replay

from medal_ros.errors import WeightsError
from medal_ros.learning.checkpoint import agent_tensors, restore_agent
from medal_ros.learning.weights import load_tensors, save_tensors


def reward(frames, proprio):
    return frames.float().mean((1, 2, 3)) / 255


def everything(it):
    modules = it.policy, it.deployed, it.critics, it.targets, it.temperature
    return torch.cat([flat(module) for module in modules if module is not None])


def go_on(it, updates=5):
    practice = replay()
    for _ in range(updates):
        it.update(practice, reward)
        it.steps += 1
    return everything(it)


@pytest.mark.parametrize('form', ['gaussian', 'noise', 'entropy'])
def test_continuation_is_bit_equal(form, tmp_path):
    changes = {'entropy__weight': 0.1} if form == 'entropy' else {'policy__form': form}
    changes |= {
        'policy__average': 0.1,
        'cloning__into_encoder': True,
        'encoder__strides': [2, 1],
    }
    saved = agent(**changes)
    go_on(saved)
    path = tmp_path / 'state_forward.safetensors'
    save_tensors(agent_tensors(saved), path)
    expected = go_on(saved)
    restored = agent(seed=7, **changes)
    go_on(restored, 3)
    restore_agent(restored, load_tensors(path))
    assert (restored.steps, restored.updates) == (5, 5)
    assert torch.equal(go_on(restored), expected)
    assert (restored.steps, restored.updates) == (saved.steps, saved.updates) == (10, 10)


def test_an_agent_that_had_not_begun_is_restored_as_such():
    fresh = agent()
    tensors = {k: v.clone() for k, v in agent_tensors(fresh).items()}
    expected = go_on(fresh)
    used = agent(seed=7)
    go_on(used)
    restore_agent(used, tensors)
    assert torch.equal(go_on(used), expected)


def test_restoring_copies():
    """Going on must not change the tensors that were restored from."""
    it = agent()
    go_on(it)
    tensors = {k: v.clone() for k, v in agent_tensors(it).items()}
    before = {k: v.clone() for k, v in tensors.items()}
    restore_agent(it, tensors)
    go_on(it)
    assert all(torch.equal(tensors[k], before[k]) for k in before)


@pytest.mark.parametrize('change', [{'hidden': 17}, {'critics': 5}, {'encoder__feature': 7}])
def test_networks_of_another_size_are_refused_and_nothing_changes(change):
    tensors = agent_tensors(agent(**change))
    it = agent()
    before = everything(it)
    with pytest.raises(WeightsError, match='checkpoint of forward is of other networks'):
        restore_agent(it, tensors)
    assert torch.equal(everything(it), before)


def test_something_else_is_refused():
    it = agent()
    before = everything(it)
    with pytest.raises(WeightsError, match='checkpoint of forward'):
        restore_agent(it, {'a': torch.zeros(1)})
    tensors = agent_tensors(agent())
    del tensors['critics.weights.0']
    with pytest.raises(WeightsError, match='of other networks'):
        restore_agent(it, tensors)
    assert torch.equal(everything(it), before)
