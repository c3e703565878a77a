"""The entropy bonus of SAC (Haarnoja et al. 2018): MEDAL++ has none, its ablation does."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from medal_ros.learning.config import EntropyConfig
from medal_ros.learning.device import adam


class Temperature(nn.Module):
    """Alpha: what one nat of the policy's entropy is worth beside the reward.

    Args:
        config: Where it starts, and whether and towards which entropy it is tuned.
        actions: Numbers of an action.
        learning_rate: Of Adam.
        device: Where it is tuned.
    """

    def __init__(
        self,
        config: EntropyConfig,
        actions: int,
        learning_rate: float,
        device: torch.device | str = 'cpu',
    ) -> None:
        super().__init__()
        self.config = config
        self.target = config.target * actions
        device = torch.device(device)
        self.log_value = nn.Parameter(torch.tensor(math.log(config.weight), device=device))
        fused = device.type == 'cuda'  # the other one waits for the device
        self.optimizer = adam([self.log_value], learning_rate, device, fused)

    def forward(self) -> Tensor:
        """Return alpha, without a gradient."""
        return self.log_value.detach().exp()

    def loss(self, log_likelihood: Tensor) -> Tensor:
        """Return the loss that raises alpha where the policy is less random than its target."""
        return -(self.log_value * (log_likelihood.detach() + self.target)).mean()

    def update(self, log_likelihood: Tensor) -> None:
        """Take a step of tuning, where that is configured, for log pi of sampled actions."""
        if not self.config.tuned:
            return
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(log_likelihood).backward()
        self.optimizer.step()
