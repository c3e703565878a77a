"""Behaviour cloning: the baseline, and the warm-up of an agent's policy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from medal_ros.learning.augment import random_shift_tensor
from medal_ros.learning.batch import Parts
from medal_ros.learning.config import AgentConfig
from medal_ros.learning.feed import whole
from medal_ros.learning.policy import Policy
from medal_ros.learning.replay import Replay


class Cloner:
    """Trains a policy, its encoder included, to repeat demonstrations.

    Args:
        policy: What is trained: the same networks that practice trains.
        config: Batch size, learning rate, shift.
        demonstrations: Demonstrations of one agent.
        agent: Which agent's steps these are.
        rng: Draws batches and shifts.
    """

    def __init__(
        self,
        policy: Policy,
        config: AgentConfig,
        demonstrations: Replay,
        agent: str,
        rng: np.random.Generator,
    ) -> None:
        self.policy, self.config = policy, config
        self.demonstrations, self.agent, self.rng = demonstrations, agent, rng
        self.feed = whole(next(policy.parameters()).device)
        self.optimizer = torch.optim.Adam(policy.parameters(), config.learning_rate, fused=True)

    def step(self) -> Tensor:
        """Take one gradient step and return the loss: minus the mean log-likelihood."""
        batch = self.feed(self._choose)
        frames = random_shift_tensor(batch.frames, self.config.shift, self.rng)
        features = self.policy.features(frames, batch.proprio)
        loss = -self.policy.actor.log_likelihood(features, batch.actions).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _choose(self) -> Parts:
        chosen = self.demonstrations.choose((self.agent,), self.config.batch, self.rng)
        return [(self.demonstrations, chosen)]
