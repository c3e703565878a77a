"""The networks: encoder, multilayer perceptron, and a critic ensemble in one batched product."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medal_ros.errors import UserError
from medal_ros.learning.convolution import Layer, convolve
from medal_ros.learning.precast import Precast

Wrap = Callable[[nn.Module], nn.Module]


def identity(module: nn.Module) -> nn.Module:
    return module


def to_input(frames: Tensor) -> Tensor:
    """Turn `(batch, height, width, channels)` uint8 frames into network input in [-0.5, 0.5]."""
    return frames.permute(0, 3, 1, 2).float().div_(255.0).sub_(0.5)


class Encoder(nn.Module):
    """3x3 convolutions, then a linear layer, LayerNorm and tanh (DrQ-v2; paper A.2).

    Args:
        frame_shape: `(height, width, channels)` of a frame.
        filters: Filters of each convolution.
        strides: Stride of each convolution.
        feature: Width of the output.
        wrap: Applied to every layer with weights, e.g. spectral normalisation.

    Raises:
        UserError: No strides, or too many for images so small.
    """

    def __init__(
        self,
        frame_shape: tuple[int, int, int],
        filters: int,
        strides: tuple[int, ...],
        feature: int,
        wrap: Wrap = identity,
    ) -> None:
        super().__init__()
        height, width, channels = frame_shape
        layers: list[nn.Module] = []
        for stride in strides:
            convolution = nn.Conv2d(channels, filters, 3, stride)
            nn.init.orthogonal_(convolution.weight, nn.init.calculate_gain('relu'))
            nn.init.zeros_(convolution.bias)
            layers += [wrap(convolution), nn.ReLU(inplace=True)]
            height, width, channels = (height - 3) // stride + 1, (width - 3) // stride + 1, filters
        if not strides or min(height, width) < 1:
            raise UserError(
                f'images of {frame_shape[0]}x{frame_shape[1]} cannot pass convolutions with the '
                f'strides {list(strides)}'
            )
        self.convolutions = nn.Sequential(*layers)
        self.linear = wrap(nn.Linear(filters * height * width, feature))
        self.norm = nn.LayerNorm(feature)
        self.to(memory_format=torch.channels_last)

    def forward(self, frames: Tensor) -> Tensor:
        """Return `(batch, feature)` in [-1, 1] for `(batch, height, width, channels)` bytes."""
        first, *others = (m for m in self.convolutions if isinstance(m, nn.Conv2d))
        layers = [Layer(*_for_bytes(first), first.stride[0])]
        layers += [Layer(m.weight, m.bias, m.stride[0]) for m in others]
        hidden = convolve(centred(frames), layers)
        hidden = hidden.permute(0, 2, 3, 1).flatten(1)  # as it lies in memory: nothing is moved
        return torch.tanh(self.norm(self.linear(hidden)))


def centred(frames: Tensor) -> Tensor:
    """Return `(batch, channels, height, width)` bytes less 128, as they lie in memory."""
    return frames.bitwise_xor(128).view(torch.int8).permute(0, 3, 1, 2)


def _for_bytes(layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias with which centred bytes give what `to_input` gives the layer."""
    weight = layer.weight / 255.0
    return weight, layer.bias + (128.0 - 127.5) * weight.sum((1, 2, 3))


def mlp(
    inputs: int, hidden: int, layers: int, outputs: int, wrap: Wrap = identity
) -> nn.Sequential:
    """Return a ReLU network with `layers` hidden layers."""
    sizes = [inputs, *[hidden] * layers]
    modules: list[nn.Module] = []
    for a, b in pairwise(sizes):
        modules += [wrap(nn.Linear(a, b)), nn.ReLU(inplace=True)]
    return nn.Sequential(*modules, wrap(nn.Linear(sizes[-1], outputs)))


class CriticEnsemble(nn.Module):
    """N critics of the same shape; their weights are stacked, so that one product runs them all."""

    def __init__(self, critics: int, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        sizes = [inputs, *[hidden] * layers, 1]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for a, b in pairwise(sizes):
            weight = torch.empty(critics, a, b)
            for member in weight:
                nn.init.orthogonal_(member)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(critics, 1, b)))
        self._casts = [Precast() for _ in self.weights]

    def changed(self, *_: object) -> None:
        """Take note that an optimiser has changed the weights: hook it to each that does."""
        for cast in self._casts:
            cast.forget()

    def forward(
        self, inputs: Tensor, members: Tensor | None = None, frozen: bool = False
    ) -> Tensor:
        """Return `(members, batch)` values.

        Args:
            inputs: `(batch, inputs)` features, proprioception and action.
            members: Indices of the critics to ask; None asks all.
            frozen: Let gradients reach the inputs but not the critics.
        """
        x = inputs.unsqueeze(0)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if members is not None:
                weight, bias = weight[members], bias[members]
            elif torch.is_autocast_enabled(weight.device.type):
                weight = self._casts[i](weight)
            if frozen:
                weight, bias = weight.detach(), bias.detach()
            x = torch.baddbmm(bias, x.expand(len(weight), -1, -1), weight)
            if i < last:
                x = F.relu(x, inplace=True)
        return x.squeeze(-1)
