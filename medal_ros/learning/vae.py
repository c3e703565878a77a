"""A variational autoencoder of frames, and the frozen encoder that R3L makes of it.

R3L (Zhu et al. 2020) learns what pictures of its world look like before practice, without a
task, and then acts, values and seeks novelty on those features alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medal_ros.errors import UserError
from medal_ros.learning.augment import random_shift
from medal_ros.learning.networks import to_input
from medal_ros.options import option

# A mean that spreads less than this over the data carries under 0.01 nats: the prior, and noise.
# Brought to unit scale, that noise would pass for a feature.
LEAST_SPREAD = 0.1
CHUNK = 256  # frames encoded at once


@dataclass(frozen=True)
class VAEConfig:
    """The variational autoencoder whose frozen encoder stands in for a learned one (R3L)."""

    latent: int = option(16, 'width of the latent', source='R3L code', low=1)
    filters: int = option(32, 'filters of each convolution', source='ours, as the encoder', low=1)
    strides: tuple[int, ...] = option(
        (2, 2, 2), 'stride of each 3x3 convolution', source='R3L code', low=1
    )
    beta: float = option(
        0.5, 'weight of the divergence from the prior', source='R3L code: 0.5 to 5', low=0
    )
    frames: int = option(
        10_000, 'frames collected with random actions before practice', source='ours', low=1
    )
    steps: int = option(5000, 'gradient steps on them, before practice', source='ours', low=1)
    batch: int = option(64, 'frames in a batch', source='ours', low=1)
    learning_rate: float = option(1e-3, 'Adam', source='ours', low=0)
    shift: int = option(0, 'greatest random shift of images, pixels', source='ours: none', low=0)


def _trunk(
    frame_shape: tuple[int, int, int], config: VAEConfig
) -> tuple[nn.Sequential, list[tuple[int, int]]]:
    """Return the convolutions, and the sizes of the frame and of what each of them gives."""
    height, width, channels = frame_shape
    if not config.strides:
        raise UserError('the variational autoencoder needs at least one convolution: no strides')
    sizes, layers = [(height, width)], []
    for stride in config.strides:
        layers += [nn.Conv2d(channels, config.filters, 3, stride, 1), nn.ReLU(inplace=True)]
        height, width, channels = (
            (height - 1) // stride + 1,
            (width - 1) // stride + 1,
            config.filters,
        )
        sizes.append((height, width))
    return nn.Sequential(*layers), sizes


class VAE(nn.Module):
    """q(z|x) = N(mean, exp(log variance)), p(x|z) = N(decoded, 1), p(z) = N(0, 1).

    Args:
        frame_shape: `(height, width, channels)` of a frame.
        config: Its sizes and the weight of its divergence.

    Raises:
        UserError: No strides.
    """

    def __init__(self, frame_shape: tuple[int, int, int], config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.convolutions, sizes = _trunk(frame_shape, config)
        self.smallest = (config.filters, *sizes[-1])
        flat = int(np.prod(self.smallest))
        self.mean = nn.Linear(flat, config.latent)
        self.log_variance = nn.Linear(flat, config.latent)
        self.expand = nn.Linear(config.latent, flat)
        layers: list[nn.Module] = []
        for i in reversed(range(len(config.strides))):
            stride = config.strides[i]
            # What a strided convolution rounds away, its mirror image has to add again.
            rounded = tuple((n - 1) % stride for n in sizes[i])
            outputs = config.filters if i else frame_shape[2]
            layers += [
                nn.ReLU(inplace=True),
                nn.ConvTranspose2d(config.filters, outputs, 3, stride, 1, rounded),
            ]
        self.deconvolutions = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)

    def posterior(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of q(z|x), `(batch, latent)` each."""
        hidden = self.convolutions(to_input(frames)).flatten(1)
        return self.mean(hidden), self.log_variance(hidden)

    def encode(self, frames: Tensor) -> Tensor:
        """Return the `(batch, latent)` mean for `(batch, height, width, channels)` bytes."""
        return self.posterior(frames)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Return `(batch, height, width, channels)` pixels, on the scale of `to_input`."""
        hidden = self.expand(latents).unflatten(1, self.smallest)
        return self.deconvolutions(hidden).permute(0, 2, 3, 1)

    def loss(self, frames: Tensor, noise: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Return minus the evidence lower bound of the batch, its divergence weighted by beta.

        Args:
            frames: `(batch, height, width, channels)` uint8.
            noise: `(batch, latent)`, drawn from the standard normal distribution.

        Returns:
            The loss, and its terms in nats per frame: `reconstruction`, half the squared error
            summed over pixels, and `divergence`, the KL divergence of q(z|x) from the prior.
        """
        mean, log_variance = self.posterior(frames)
        decoded = self.decode(mean + (0.5 * log_variance).exp() * noise)
        error = F.mse_loss(decoded.permute(0, 3, 1, 2), to_input(frames), reduction='sum')
        reconstruction = 0.5 * error / len(frames)
        divergence = kl_divergence(mean, log_variance).mean()
        loss = reconstruction + self.config.beta * divergence
        return loss, {'reconstruction': reconstruction.item(), 'divergence': divergence.item()}


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return `(batch,)` divergences of N(mean, exp(log variance)) from N(0, 1)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1)


def train_vae(
    vae: VAE,
    frames: np.ndarray,
    steps: int,
    batch: int,
    rng: np.random.Generator,
    learning_rate: float,
    check: Callable[[], None] = lambda: None,
    shift: int = 0,
) -> dict[str, float]:
    """Train an autoencoder on frames and return the metrics of its last tenth of steps.

    Args:
        vae: What is trained, on the device where it lies.
        frames: `(n, height, width, channels)` uint8, in memory or mapped.
        steps: Gradient steps.
        batch: Frames in a batch, drawn with replacement.
        rng: Draws batches, shifts and latents.
        learning_rate: Adam's.
        check: Called before each step; may raise to leave.
        shift: Greatest random shift of frames, pixels.
    """
    device = vae.mean.weight.device
    optimizer = torch.optim.Adam(vae.parameters(), learning_rate, fused=True)
    last: list[dict[str, float]] = []
    for step in range(steps):
        check()
        drawn = random_shift(frames[rng.integers(0, len(frames), batch)], shift, rng)
        noise = rng.standard_normal((batch, vae.config.latent), np.float32)
        loss, metrics = vae.loss(
            torch.from_numpy(drawn).to(device), torch.from_numpy(noise).to(device)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step >= steps - max(steps // 10, 1):
            last.append(metrics)
    return {key: float(np.mean([m[key] for m in last])) for key in last[0]}


class FrozenEncoder(nn.Module):
    """The mean of a variational autoencoder's posterior, at unit scale; nothing trains it.

    It is called as `networks.Encoder` is, and stands in its place in a policy. Fresh, its weights
    are random and its scale is one: `adopt` or `load_state_dict` makes it what it is meant to be.

    Args:
        frame_shape: `(height, width, channels)` of a frame.
        config: The autoencoder's configuration.

    Raises:
        UserError: No strides.
    """

    def __init__(self, frame_shape: tuple[int, int, int], config: VAEConfig) -> None:
        super().__init__()
        self.feature = config.latent
        self.convolutions, sizes = _trunk(frame_shape, config)
        self.mean = nn.Linear(config.filters * int(np.prod(sizes[-1])), config.latent)
        self.register_buffer('center', torch.zeros(config.latent))
        self.register_buffer('spread', torch.ones(config.latent))
        self.to(memory_format=torch.channels_last)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Return `(batch, latent)` features for `(batch, height, width, channels)` bytes."""
        latents = self.mean(self.convolutions(to_input(frames)).flatten(1))
        return (latents.float() - self.center) / self.spread

    @torch.no_grad()
    def adopt(self, vae: VAE, frames: np.ndarray) -> None:
        """Take over a trained autoencoder's weights, and its latents' scale over these frames.

        Args:
            vae: An autoencoder of the same frame shape and configuration.
            frames: `(n, height, width, channels)` uint8: what it was trained on.
        """
        self.convolutions.load_state_dict(vae.convolutions.state_dict())
        self.mean.load_state_dict(vae.mean.state_dict())
        device = self.center.device
        self.center.zero_()
        self.spread.fill_(1.0)
        latents = torch.cat(
            [
                self(torch.from_numpy(np.ascontiguousarray(frames[i : i + CHUNK])).to(device))
                for i in range(0, len(frames), CHUNK)
            ]
        )
        self.center.copy_(latents.mean(0))
        self.spread.copy_(latents.std(0, correction=0).clamp_min(LEAST_SPREAD))
