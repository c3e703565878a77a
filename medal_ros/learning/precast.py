"""Large weights in autocast's precision, cast when they have changed and not at each use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class Precast:
    """The cast of one weight, in memory that is used again and again.

    Critics and policy ask the same critics in turn. Each time, autocast would move half again as
    many bytes as their product does, into new memory.
    """

    def __init__(self) -> None:
        self.cast: Tensor | None = None
        self.of: tuple[int, int] | None = None

    def forget(self) -> None:
        """Cast anew next time: a fused optimiser changes weights and leaves their version."""
        self.of = None

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the weight in autocast's precision; gradients go to the weight itself."""
        dtype = torch.get_autocast_dtype(weight.device.type)
        now = weight.data_ptr(), weight._version
        cast = self.cast
        if cast is None or cast.dtype != dtype or cast.device != weight.device:
            self.cast = torch.empty_like(weight, dtype=dtype, requires_grad=False)
            self.forget()
        if self.of != now:
            self.cast.copy_(weight.detach())
            self.of = now
        return _Precast.apply(weight, self.cast)


class _Precast(torch.autograd.Function):
    """A cast whose result is there already."""

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, cast: Tensor) -> Tensor:
        ctx.dtype = weight.dtype
        return cast.detach()

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.to(ctx.dtype), None
