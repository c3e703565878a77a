"""The networks: sizes of the paper, and values worked out by plain torch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from medal_ros.learning.networks import CriticEnsemble, Encoder, mlp, to_input


def frames(batch=3, shape=(12, 12, 3)):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, *shape), dtype=torch.uint8, generator=generator)


def test_input_is_centred_and_channels_come_first():
    pixels = torch.tensor([[[[0, 51, 255], [102, 153, 204]]]], dtype=torch.uint8)
    expected = [[[[-0.5, -0.1]], [[-0.3, 0.1]], [[0.5, 0.3]]]]
    assert torch.allclose(to_input(pixels), torch.tensor(expected), atol=1e-6)
    assert pixels[0, 0, 0].tolist() == [0, 51, 255]  # not changed in place


@pytest.mark.parametrize(
    ('shape', 'strides', 'flattened'),
    [
        ((84, 84, 3), (2, 1, 1, 1), 39_200),
        ((100, 100, 6), (2, 1, 1, 1), 59_168),
        ((84, 84, 3), (1, 1, 1, 1), 184_832),
    ],
)
def test_sizes_of_the_paper(shape, strides, flattened):
    encoder = Encoder(shape, 32, strides, 50)
    assert encoder.linear.in_features == flattened
    convolutions = [m for m in encoder.convolutions if isinstance(m, nn.Conv2d)]
    assert [c.stride[0] for c in convolutions] == list(strides)
    assert [c.in_channels for c in convolutions] == [shape[2], 32, 32, 32]
    features = encoder(frames(2, shape))
    assert features.shape == (2, 50)
    assert features.abs().max() <= 1.0


def plain(encoder, x):
    """Compute an encoder's features by plain torch."""
    first, second = encoder.convolutions[0], encoder.convolutions[2]
    x = F.relu(F.conv2d(to_input(x), first.weight, first.bias, stride=2))
    x = F.relu(F.conv2d(x, second.weight, second.bias, stride=1))
    x = x.permute(0, 2, 3, 1).flatten(1) @ encoder.linear.weight.T + encoder.linear.bias
    centred = x - x.mean(1, keepdim=True)
    x = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    return torch.tanh(x * encoder.norm.weight + encoder.norm.bias)


def test_encoder_by_plain_torch():
    encoder = Encoder((12, 12, 3), 4, (2, 1), 5)
    assert torch.allclose(encoder(frames()), plain(encoder, frames()), atol=1e-5)


def test_gradients_of_an_encoder_by_plain_torch():
    """Also of the first layer, which is given bytes and not what `to_input` makes of them."""
    encoder = Encoder((12, 12, 3), 4, (2, 1), 5)
    weights = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    gradients = []
    for features in (encoder(frames()), plain(encoder, frames())):
        gradients.append(torch.autograd.grad((features * weights).sum(), encoder.parameters()))
    for ours, theirs in zip(*gradients, strict=True):
        assert theirs.abs().max() > 1e-3
        assert torch.allclose(ours, theirs, atol=1e-4, rtol=1e-3)


def test_bf16_encodes_bytes_within_its_tolerance():
    encoder = Encoder((12, 12, 3), 4, (2, 1), 5)
    with torch.autocast('cpu', torch.bfloat16):
        features = encoder(frames())
    assert (features.float() - plain(encoder, frames())).abs().max() < 0.05


def test_convolutions_begin_orthogonal():
    weight = Encoder((12, 12, 3), 4, (2,), 5).convolutions[0].weight.detach().flatten(1)
    assert torch.allclose(weight @ weight.T, 2 * torch.eye(4), atol=1e-5)  # gain sqrt(2) of ReLU


def test_too_small_images_are_refused():
    with pytest.raises(ValueError, match='images of 5x9'):
        Encoder((5, 9, 3), 4, (2, 1), 5)


def test_mlp_has_hidden_layers_and_one_output_layer():
    network = mlp(7, 16, 4, 2)
    sizes = [(m.in_features, m.out_features) for m in network if isinstance(m, nn.Linear)]
    assert sizes == [(7, 16), (16, 16), (16, 16), (16, 16), (16, 2)]
    assert isinstance(network[-1], nn.Linear)
    assert sum(isinstance(m, nn.ReLU) for m in network) == 4


def test_every_layer_is_wrapped():
    encoder = Encoder((12, 12, 3), 4, (2, 2), 5, spectral_norm)
    head = mlp(5, 8, 2, 1, spectral_norm)
    layers = [
        m for m in [*encoder.modules(), *head.modules()] if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    assert len(layers) == 6
    assert all(nn.utils.parametrize.is_parametrized(layer, 'weight') for layer in layers)


def alone(ensemble, member, x):
    """Compute one critic as an ordinary network."""
    last = len(ensemble.weights) - 1
    for i, (weight, bias) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
        x = x @ weight[member] + bias[member]
        x = x.relu() if i < last else x
    return x.squeeze(-1)


@pytest.fixture
def ensemble():
    torch.manual_seed(0)
    ensemble = CriticEnsemble(4, 6, 16, 2)
    with torch.no_grad():
        for bias in ensemble.biases:
            bias.normal_()
        ensemble.biases[-1].sub_(1.0)  # values of either sign
    return ensemble


def test_ensemble_is_its_members_side_by_side(ensemble):
    x = torch.randn(9, 6)
    values = ensemble(x)
    assert values.shape == (4, 9) and (values < 0).any() and (values > 0).any()
    for member in range(4):
        assert torch.allclose(values[member], alone(ensemble, member, x), atol=1e-5)
    chosen = ensemble(x, torch.tensor([2, 0]))
    assert torch.allclose(chosen, values[[2, 0]], atol=1e-6)


def test_layers_are_hidden_layers():
    ensemble = CriticEnsemble(3, 6, 16, 4)
    shapes = [tuple(weight.shape) for weight in ensemble.weights]
    assert shapes == [(3, 6, 16), (3, 16, 16), (3, 16, 16), (3, 16, 16), (3, 16, 1)]


def test_members_begin_different_and_orthogonal(ensemble):
    first = ensemble.weights[0]
    assert not torch.allclose(first[0], first[1])
    for member in first:
        assert torch.allclose(member @ member.T, torch.eye(6), atol=1e-5)


def test_gradients_reach_only_the_members_asked(ensemble):
    ensemble(torch.randn(5, 6), torch.tensor([1])).sum().backward()
    moved = ensemble.weights[0].grad.abs().sum((1, 2)) > 0
    assert moved.tolist() == [False, True, False, False]


def test_frozen_critics_pass_the_gradient_on_but_get_none(ensemble):
    x = torch.randn(5, 6, requires_grad=True)
    ensemble(x, frozen=True).sum().backward()
    assert all(p.grad is None for p in ensemble.parameters())
    y = x.detach().clone().requires_grad_()
    sum(alone(ensemble, member, y).sum() for member in range(4)).backward()
    assert torch.allclose(x.grad, y.grad, atol=1e-5)
