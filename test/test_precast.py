"""Weights cast in advance: never stale, and transparent to gradients."""

import copy

import pytest
import torch
from torch import nn

from medal_ros.learning.networks import CriticEnsemble
from medal_ros.learning.precast import Precast


def ask(precast, weight):
    with torch.autocast('cpu', torch.bfloat16):
        return precast(weight)


@pytest.fixture
def weight():
    return nn.Parameter(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)))


def in_place(weight):
    with torch.no_grad():
        weight.mul_(3.0)


def loaded(weight):
    module = nn.ParameterList([weight])
    module.load_state_dict({'0': torch.full_like(weight, 7.0)})


def average(weight):
    with torch.no_grad():
        torch._foreach_lerp_([weight], [torch.ones_like(weight)], 0.5)


def moved(weight):
    weight.data = torch.full_like(weight, -2.0)


@pytest.mark.parametrize('change', [in_place, loaded, average, moved])
def test_a_changed_weight_is_cast_anew(weight, change):
    precast = Precast()
    before = ask(precast, weight).float().clone()
    assert torch.equal(before, weight.detach().bfloat16().float())
    change(weight)
    after = ask(precast, weight).float()
    assert torch.equal(after, weight.detach().bfloat16().float())
    assert not torch.equal(after, before)


def test_an_unchanged_weight_is_not_cast_again(weight):
    precast = Precast()
    first = ask(precast, weight)
    assert ask(precast, weight).data_ptr() == first.data_ptr()
    version = precast.cast._version
    ask(precast, weight)
    assert precast.cast._version == version
    in_place(weight)
    assert ask(precast, weight).data_ptr() == first.data_ptr()  # no new memory either


def test_gradients_go_to_the_weight_in_its_own_precision(weight):
    factor = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1)).bfloat16()
    (ask(Precast(), weight) * factor).sum().backward()
    assert weight.grad.dtype == torch.float32
    assert torch.equal(weight.grad, factor.float())


def test_a_copied_ensemble_has_weights_of_its_own():
    first = CriticEnsemble(2, 3, 4, 1)
    x = torch.randn(5, 3)
    with torch.autocast('cpu', torch.bfloat16), torch.no_grad():
        before = first(x)
        second = copy.deepcopy(first)
        in_place(second.weights[0])
        second(x)
        assert torch.equal(first(x), before)
        assert not torch.equal(second(x), before)


def test_bf16_critics_follow_their_optimizer():
    ensemble, x = CriticEnsemble(2, 3, 8, 1), torch.randn(6, 3)
    optimizer = torch.optim.Adam(ensemble.parameters(), 1e-2, fused=True)
    optimizer.register_step_post_hook(ensemble.changed)
    for _ in range(3):
        with torch.autocast('cpu', torch.bfloat16):
            loss = (ensemble(x).float() - 1.0).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.autocast('cpu', torch.bfloat16), torch.no_grad():
            cast = ensemble(x, frozen=True).float()
        with torch.no_grad():
            assert torch.allclose(cast, ensemble(x), atol=0.02)
