"""The policy that a robot runs: encoder and actor, and nothing of the training."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medal_ros.learning.config import AgentConfig
from medal_ros.learning.networks import Encoder, mlp
from medal_ros.learning.vae import FrozenEncoder
from medal_ros.spaces import Spaces

EDGE = 1e-6  # demonstrated actions stay this far from +-1, so that their atanh is finite


class Actor(nn.Module):
    """A tanh policy over features: learned Gaussian deviation, or a mean and scheduled noise."""

    def __init__(self, config: AgentConfig, inputs: int, actions: int) -> None:
        super().__init__()
        self.config = config.policy
        self.learned_std = self.config.form == 'gaussian'
        outputs = 2 * actions if self.learned_std else actions
        self.network = mlp(inputs, config.hidden, config.actor_layers, outputs)
        # Of scheduled noise, among the numbers of an action; the last one is the gripper's.
        proportions = torch.ones(actions)
        proportions[-1] = self.config.gripper_noise
        self.register_buffer('proportions', proportions, persistent=False)

    def distribution(self, features: Tensor, noise: float) -> tuple[Tensor, Tensor]:
        """Return mean and deviation: before the tanh (gaussian) or of the action (noise)."""
        out = self.network(features).float()
        if not self.learned_std:
            mean = torch.tanh(out)
            return mean, noise * self.proportions.expand_as(mean)
        mean, log_std = out.chunk(2, -1)
        return mean, log_std.clamp(self.config.log_std_low, self.config.log_std_high).exp()

    def mode(self, features: Tensor) -> Tensor:
        """Return the deterministic action, `(batch, actions)`."""
        mean, _ = self.distribution(features, 0.0)
        return torch.tanh(mean) if self.learned_std else mean

    def sample(self, features: Tensor, noise: float, clip: float | None = None) -> Tensor:
        """Return a random action through which gradients flow; `clip` bounds scheduled noise."""
        return self.draw(*self.distribution(features, noise), clip)

    def draw(self, mean: Tensor, std: Tensor, clip: float | None = None) -> Tensor:
        """Return what `sample` does, of a distribution that is there already."""
        if self.learned_std:
            return draw_gaussian(mean, std)[0]
        disturbance = std * torch.randn_like(mean)
        if clip is not None:
            bound = clip * self.proportions
            disturbance = disturbance.clamp(-bound, bound)
        action = mean + disturbance
        # The bound must not stop the gradient, or a policy at the edge could never come back.
        return action + (action.clamp(-1.0 + EDGE, 1.0 - EDGE) - action).detach()

    def log_likelihood(self, features: Tensor, actions: Tensor) -> Tensor:
        """Return `(batch,)` log pi(action | features): the cloning term of the policy's loss.

        Scheduled noise has no deviation of its own to fit: there `cloning_std` stands in, and
        constants are left out.
        """
        mean, std = self.distribution(features, 0.0)
        if not self.learned_std:
            return -0.5 * ((actions - mean) / self.config.cloning_std).square().sum(-1)
        return squashed_gaussian(torch.atanh(actions.clamp(-1.0 + EDGE, 1.0 - EDGE)), mean, std)


def draw_gaussian(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Return a random action and its `(batch,)` log likelihood, both with gradients."""
    raw = mean + std * torch.randn_like(mean)
    return torch.tanh(raw), squashed_gaussian(raw, mean, std)


def squashed_gaussian(raw: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return `(batch,)` log densities of tanh(raw), where raw is Gaussian."""
    gaussian = -0.5 * ((raw - mean) / std).square() - std.log() - 0.5 * math.log(2 * math.pi)
    squash = 2.0 * (math.log(2.0) - raw - F.softplus(-2.0 * raw))  # log(1 - tanh(raw)^2)
    return (gaussian - squash).sum(-1)


class Policy(nn.Module):
    """Encoder and actor of one agent.

    Args:
        config: The agent's configuration.
        spaces: Shapes of observations and actions.
    """

    def __init__(self, config: AgentConfig, spaces: Spaces) -> None:
        super().__init__()
        self.spaces = spaces
        e, shape = config.encoder, spaces.frame_shape
        if e.form == 'vae':
            self.encoder = FrozenEncoder(shape, e.vae)
        else:
            self.encoder = Encoder(shape, e.filters, e.strides, e.feature)
        self.actor = Actor(config, e.width + spaces.proprio, spaces.action)

    def features(self, frames: Tensor, proprio: Tensor) -> Tensor:
        """Return `(batch, feature + proprio)`: what actor and critics see."""
        return torch.cat([self.encoder(frames).float(), proprio], -1)

    @torch.inference_mode()
    def act(
        self,
        frames: np.ndarray,
        proprio: np.ndarray,
        noise: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Choose actions.

        Args:
            frames: `(batch, height, width, channels)` uint8.
            proprio: `(batch, proprio)` float32.
            noise: Scheduled deviation of the moment (policies of form `noise`).
            rng: Draws the exploration; None gives the deterministic action.

        Returns:
            `(batch, actions)` float32 in [-1, 1].
        """
        device = next(self.parameters()).device
        seen = torch.from_numpy(frames).to(device), torch.from_numpy(proprio).to(device)
        features = self.features(*seen)
        if rng is None:
            return self.actor.mode(features).numpy(force=True)
        mean, std = self.actor.distribution(features, noise)
        disturbance = torch.from_numpy(rng.standard_normal(mean.shape, np.float32)).to(device)
        action = mean + std * disturbance
        action = torch.tanh(action) if self.actor.learned_std else action.clamp(-1.0, 1.0)
        return action.numpy(force=True)
