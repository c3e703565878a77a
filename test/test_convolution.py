"""The fused convolution: values and gradients of plain torch."""

import pytest
import torch
import torch.nn.functional as F

from medal_ros.learning.convolution import convolve_relu


def case(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 5, 11, 12), (4, 5, 3, 3), (4,)
    return [torch.randn(s, generator=generator).to(dtype).requires_grad_() for s in shapes]


def both(stride, dtype=torch.float32):
    """Return output and gradients, fused and plain, for one random gradient of the output."""
    results = []
    for function in (convolve_relu, lambda x, w, b, s: F.relu(F.conv2d(x, w, b, s))):
        leaves = case(dtype)
        out = function(*leaves, stride)
        out.backward(torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype))
        results.append([out.detach().float(), *(leaf.grad.float() for leaf in leaves)])
    return zip(*results, strict=True)


@pytest.mark.parametrize('stride', [1, 2])
def test_values_and_gradients_are_those_of_convolution_and_relu(stride):
    for fused, plain in both(stride):
        assert fused.shape == plain.shape and plain.abs().max() > 0.1
        assert torch.allclose(fused, plain, atol=1e-4)


def test_bf16_is_as_exact_as_bf16_is():
    for fused, plain in both(2, torch.bfloat16):
        assert (fused - plain).abs().max() < 0.02 * plain.abs().max()


def test_what_the_relu_cut_off_gets_no_gradient():
    x, weight, bias = case()
    with torch.no_grad():
        bias.fill_(-1e3)
    out = convolve_relu(x, weight, bias, 1)
    assert (out == 0).all()
    out.sum().backward()
    assert all((leaf.grad == 0).all() for leaf in (x, weight, bias))


def test_autocast_decides_the_precision():
    x, weight, bias = case()
    assert convolve_relu(x, weight, bias, 1).dtype == torch.float32
    with torch.autocast('cpu', torch.bfloat16):
        out = convolve_relu(x, weight, bias, 1)
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert {leaf.grad.dtype for leaf in (x, weight, bias)} == {torch.float32}


def test_bytes_and_double_precision_take_the_plain_way_where_they_must():
    x, weight, bias = case(torch.float64)
    assert torch.equal(convolve_relu(x, weight, bias, 1), F.relu(F.conv2d(x, weight, bias)))
    whole = torch.randint(-128, 128, x.shape, dtype=torch.int8)
    single = [t.detach().float() for t in (weight, bias)]
    expected = F.relu(F.conv2d(whole.float(), *single))
    assert torch.allclose(convolve_relu(whole, *single, 1), expected, rtol=1e-4)


def test_data_without_gradient_costs_none():
    x, weight, bias = case()
    x = x.detach()
    convolve_relu(x, weight, bias, 1).sum().backward()
    assert x.grad is None and weight.grad is not None
