"""Fused convolutions: values and gradients of plain torch."""

import pytest
import torch
import torch.nn.functional as F

from medal_ros.learning.convolution import Layer, convolve


def case(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 5, 11, 12), (4, 5, 3, 3), (4,)
    return [torch.randn(s, generator=generator).to(dtype).requires_grad_() for s in shapes]


def one(x, weight, bias, stride=1):
    return convolve(x, [Layer(weight, bias, stride)])


def plain(x, layers):
    for weight, bias, stride in layers:
        x = F.relu(F.conv2d(x, weight, bias, stride))
    return x


def both(strides, dtype=torch.float32):
    """Return output and gradients, fused and plain, for one random gradient of the output."""
    results = []
    for function in (convolve, plain):
        x, weight, bias = case(dtype)
        parameters = [weight, bias]
        for _ in strides[1:]:
            further = torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(2)) / 4
            parameters += [further.to(dtype).requires_grad_(), bias.detach().clone() / 4]
            parameters[-1].requires_grad_()
        layers = map(Layer, parameters[::2], parameters[1::2], strides)
        out = function(x, list(layers))
        gradient = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        kept = gradient.clone()
        out.backward(gradient)
        assert torch.equal(gradient, kept), "it is the caller's"
        results.append([out.detach().float(), *(p.grad.float() for p in [x, *parameters])])
    return zip(*results, strict=True)


@pytest.mark.parametrize('strides', [[1], [2], [2, 1, 1]])
def test_values_and_gradients_are_those_of_convolutions_and_relus(strides):
    for fused, expected in both(strides):
        assert fused.shape == expected.shape and expected.abs().max() > 0.1
        assert torch.allclose(fused, expected, atol=1e-4)


@pytest.mark.parametrize('strides', [[2], [2, 1, 1]])
def test_bf16_is_as_exact_as_bf16_is(strides):
    for fused, expected in both(strides, torch.bfloat16):
        assert (fused - expected).abs().max() < 0.02 * expected.abs().max()


def test_without_gradients_the_same_comes_out():
    x, weight, bias = case()
    with torch.no_grad():
        out = one(x, weight, bias)
    assert torch.equal(out, one(x, weight, bias)) and not out.requires_grad


def test_what_the_relu_cut_off_gets_no_gradient():
    x, weight, bias = case()
    with torch.no_grad():
        bias.fill_(-1e3)
    out = one(x, weight, bias)
    assert (out == 0).all()
    out.sum().backward()
    assert all((leaf.grad == 0).all() for leaf in (x, weight, bias))


def test_autocast_decides_the_precision():
    x, weight, bias = case()
    assert one(x, weight, bias).dtype == torch.float32
    with torch.autocast('cpu', torch.bfloat16):
        out = one(x, weight, bias)
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert {leaf.grad.dtype for leaf in (x, weight, bias)} == {torch.float32}


def test_bytes_and_double_precision_take_the_plain_way_where_they_must():
    x, weight, bias = case(torch.float64)
    assert torch.equal(one(x, weight, bias), F.relu(F.conv2d(x, weight, bias)))
    whole = torch.randint(-128, 128, x.shape, dtype=torch.int8)
    single = [t.detach().float() for t in (weight, bias)]
    expected = F.relu(F.conv2d(whole.float(), *single))
    assert torch.allclose(one(whole, *single), expected, rtol=1e-4)


def test_data_without_gradient_costs_none():
    x, weight, bias = case()
    x = x.detach()
    one(x, weight, bias).sum().backward()
    assert x.grad is None and weight.grad is not None
