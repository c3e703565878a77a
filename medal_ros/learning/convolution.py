"""A convolution and its ReLU in one pass over memory, where the processor's library can."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx


def convolve_relu(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Return `relu(conv2d(x, weight, bias, stride))`, in autocast's precision.

    On a processor the ReLU of a layer alone takes as long as its convolution: both only move the
    same numbers through memory. oneDNN applies it before it writes them.
    """
    device = x.device.type
    cast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if cast else weight.dtype
    x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    if device == 'cpu' and _fusible(dtype):
        return _ConvolveReLU.apply(x, weight, bias, stride)
    return F.relu(F.conv2d(x, weight, bias, stride), inplace=True)


def _fusible(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.ops.mkldnn, '_convolution_pointwise'):  # not public: it may go
        return False
    if dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return dtype == torch.float32


class _ConvolveReLU(torch.autograd.Function):
    """The fused operation, which torch keeps for inference, with its gradient."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        y = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, [0, 0], [stride, stride], [1, 1], 1, 'relu', [], ''
        )
        ctx.save_for_backward(x, weight, y)
        ctx.stride = stride
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        gradients = torch.ops.aten.convolution_backward(
            torch.ops.aten.threshold_backward(gradient, y, 0),
            x,
            weight,
            [len(weight)],
            [ctx.stride, ctx.stride],
            [0, 0],
            [1, 1],
            False,
            [0, 0],
            1,
            ctx.needs_input_grad[:3],
        )
        return *gradients, None
