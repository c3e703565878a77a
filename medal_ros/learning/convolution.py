"""Convolutions with their ReLUs in few passes over memory, where the processor's library can.

On a processor the ReLU of a layer alone takes as long as its convolution: both only move the same
numbers through memory. oneDNN applies it before it writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx


class Layer(NamedTuple):
    """A convolution without padding, and a ReLU."""

    weight: Tensor
    bias: Tensor
    stride: int


def convolve(x: Tensor, layers: Sequence[Layer]) -> Tensor:
    """Return what `relu(conv2d(x, weight, bias, stride))` of each layer in turn makes of `x`.

    Args:
        x: `(batch, channels, height, width)`, of any type.
        layers: At least one.

    Returns:
        `(batch, filters, height, width)` in autocast's precision.
    """
    device = x.device.type
    cast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if cast else layers[0].weight.dtype
    x = x.to(dtype)
    layers = [Layer(w.to(dtype), b.to(dtype), stride) for w, b, stride in layers]
    fusible = device == 'cpu' and _fusible(dtype)
    if fusible and torch.is_grad_enabled():
        weights, biases, strides = zip(*layers, strict=True)
        return _Convolutions.apply(strides, x, *weights, *biases)
    convolve_relu = _fused if fusible else _plain
    for layer in layers:
        x = convolve_relu(x, *layer)
    return x


def _plain(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    return F.relu(F.conv2d(x, weight, bias, stride), inplace=True)


def _fused(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    return torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, [0, 0], [stride, stride], [1, 1], 1, 'relu', [], ''
    )


def _fusible(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.ops.mkldnn, '_convolution_pointwise'):  # not public: it may go
        return False
    if dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return dtype == torch.float32


class _Convolutions(torch.autograd.Function):
    """The fused operation, which torch keeps for inference, with its gradient."""

    @staticmethod
    def forward(ctx: FunctionCtx, strides: Sequence[int], x: Tensor, *parameters: Tensor) -> Tensor:
        weights, biases = parameters[: len(strides)], parameters[len(strides) :]
        seen = [x]
        for layer in zip(weights, biases, strides, strict=True):
            seen.append(_fused(seen[-1], *layer))
        ctx.save_for_backward(*seen, *weights)
        ctx.strides = strides
        return seen[-1]

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ctx.strides)
        seen, weights = ctx.saved_tensors[: count + 1], ctx.saved_tensors[count + 1 :]
        of_x, of_parameters = ctx.needs_input_grad[1], ctx.needs_input_grad[2:]
        gradients: list[Tensor | None] = [None] * (2 * count)
        gradient = torch.ops.aten.threshold_backward(gradient, seen[-1], 0)
        for i in reversed(range(count)):
            needed = [of_x or i > 0, of_parameters[i], of_parameters[count + i]]
            gradient, gradients[i], gradients[count + i] = torch.ops.aten.convolution_backward(
                gradient,
                seen[i],
                weights[i],
                [len(weights[i])],
                [ctx.strides[i], ctx.strides[i]],
                [0, 0],
                [1, 1],
                False,
                [0, 0],
                1,
                needed,
            )
            if i > 0:  # between layers it is nobody else's: overwritten, it moves a third less
                torch.ops.aten.threshold_backward.grad_input(
                    gradient, seen[i], 0, grad_input=gradient
                )
        return None, gradient, *gradients
