"""Novelty as a reward: random network distillation, what R3L's perturbation controller seeks.

A predictor learns to repeat what a fixed random network says of the states that the agent
visits (Burda et al. 2018). Where it still errs, the agent has seldom been.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from medal_ros.learning.networks import mlp
from medal_ros.learning.replay import Replay
from medal_ros.learning.vae import CHUNK, FrozenEncoder
from medal_ros.options import option
from medal_ros.spaces import Spaces

MOST = 5.0  # deviations: what a feature is clipped to, so that no odd picture dominates
EPSILON = 1e-8


@dataclass(frozen=True)
class NoveltyConfig:
    """Random network distillation as one agent's reward (R3L)."""

    every: int = option(
        200, "the agent's own stored steps between two training events", source='ours', low=1
    )
    steps: int = option(
        200, 'gradient steps in an event', source='R3L code: one for each step', low=1
    )
    batch: int = option(256, "the agent's own states in a batch", source='R3L code', low=1)
    newest: int = option(128, 'of them from the steps since the last event', source='ours', low=0)
    proprio: bool = option(True, 'look at proprioception beside the features', source='R3L code')
    hidden: int = option(256, 'width of the hidden layers', source='R3L code', low=1)
    layers: int = option(2, 'hidden layers of both networks', source='R3L code', low=1)
    outputs: int = option(512, 'outputs of both networks', source='R3L code', low=1)
    learning_rate: float = option(1e-4, 'Adam', source='R3L code', low=0)
    rate: float = option(
        0.01,
        "how far the error's running deviation moves at a gradient step",
        source='R3L code',
        low=0,
        high=1,
    )
    limit: float = option(10.0, 'bound on the reward', source='ours; R3L code: 1000', low=0)


class Novelty(nn.Module):
    """How badly a predictor repeats a fixed random network at a state, at unit deviation.

    Args:
        config: Its sizes.
        spaces: Shapes of observations.
        agent: `forward` or `backward`.
        encoder: Whose features it looks at; part of its state, never trained.
    """

    def __init__(
        self, config: NoveltyConfig, spaces: Spaces, agent: str, encoder: FrozenEncoder
    ) -> None:
        super().__init__()
        self.config, self.agent, self.encoder = config, agent, encoder
        self.inputs = encoder.feature + (spaces.proprio if config.proprio else 0)
        self.target = _network(config, self.inputs).requires_grad_(False)
        self.predictor = _network(config, self.inputs)
        self.register_buffer('deviation', torch.ones(()))
        self.register_buffer('steps', torch.zeros((), dtype=torch.int64))

    def embed(self, frames: Tensor, proprio: Tensor) -> Tensor:
        """Return `(batch, n)`: clipped features and, where configured, proprioception."""
        features = self.encoder(frames).clamp(-MOST, MOST)
        return torch.cat([features, proprio], -1) if self.config.proprio else features

    def error(self, embedding: Tensor) -> Tensor:
        """Return `(batch,)` squared errors of the predictor, mean over its outputs."""
        return (self.predictor(embedding) - self.target(embedding)).square().mean(-1)

    @torch.no_grad()
    def score(self, embedding: Tensor) -> Tensor:
        """Return `(batch,)` rewards: the error in running deviations of itself, clipped."""
        error = self.error(embedding) / (self.deviation + EPSILON)
        return error.clamp_max(self.config.limit)

    def reward(self, frames: Tensor, proprio: Tensor) -> Tensor:
        """Return `(batch,)` rewards of states."""
        return self.score(self.embed(frames, proprio))

    @torch.no_grad()
    def observe(self, error: Tensor) -> None:
        """Move the running deviation towards a batch's; the first ones count in full."""
        self.steps += 1
        rate = (1.0 / self.steps).clamp_min(self.config.rate)
        self.deviation.lerp_(error.std(correction=0), rate)


def _network(config: NoveltyConfig, inputs: int) -> nn.Sequential:
    """Return a network that does not flatten its input, which would call nothing new."""
    network = mlp(inputs, config.hidden, config.layers, config.outputs)
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, nn.init.calculate_gain('relu'))
            nn.init.zeros_(layer.bias)
    return network


class NoveltyTrainer:
    """Trains one agent's novelty on its slow clock, in the place of a classifier's trainer.

    Args:
        config: Its configuration.
        spaces: Shapes of observations.
        agent: `forward` or `backward`.
        encoder: Whose features it looks at; it comes to lie on `device`.
        rng: Draws batches.
        device: Where it trains.
    """

    def __init__(
        self,
        config: NoveltyConfig,
        spaces: Spaces,
        agent: str,
        encoder: FrozenEncoder,
        rng: np.random.Generator,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.config, self.agent, self.rng = config, agent, rng
        self.device = torch.device(device)
        self.classifier = Novelty(config, spaces, agent, encoder).to(self.device).eval()
        self.optimizer = torch.optim.Adam(
            self.classifier.predictor.parameters(), config.learning_rate, fused=True
        )
        self.embeddings = torch.empty(0, self.classifier.inputs, device=self.device)
        self.events = 0

    def events_due(self, steps: int) -> int:
        """Return how many training events an agent with so many stored steps should have had."""
        return steps // self.config.every

    def event(self, replay: Replay, steps: int) -> dict[str, float]:
        """Train on the agent's first `steps` stored steps; return metrics.

        `novelty` is the mean reward of the states stored since the last event, before training.
        """
        self._embed(replay, steps)
        newest = self.embeddings[self._since(steps) : steps]
        metrics = {'novelty': self.classifier.score(newest).mean().item()}
        for _ in range(self.config.steps):
            metrics.update(self.step(steps))
        self.events += 1
        return metrics

    def step(self, steps: int) -> dict[str, float]:
        """Take one gradient step on newest and older states, all of them embedded before.

        Older ones stay in: a predictor that forgets them would find them new again, and replay
        would go on rewarding the way there.
        """
        batch = self.embeddings[torch.from_numpy(self.draw(steps)).to(self.device)]
        error = self.classifier.error(batch)
        self.classifier.observe(error)
        loss = error.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {'loss': loss.item(), 'deviation': self.classifier.deviation.item()}

    def draw(self, steps: int) -> np.ndarray:
        """Draw a batch of the agent's first `steps` steps, the newest of them first."""
        newest = min(self.config.newest, self.config.batch)
        fresh = self.rng.integers(self._since(steps), steps, newest)
        return np.concatenate([fresh, self.rng.integers(0, steps, self.config.batch - newest)])

    def _since(self, steps: int) -> int:
        return max(steps - self.config.every, 0)

    @torch.no_grad()
    def _embed(self, replay: Replay, steps: int) -> None:
        """Embed the agent's steps that have not been yet: a frozen encoder sees each frame once."""
        own = replay.own(self.agent, np.arange(len(self.embeddings), steps))
        parts = [self.embeddings]
        for first in range(0, len(own), CHUNK):
            chunk = own[first : first + CHUNK]
            pair = replay.store.frames[chunk], replay.store.proprio[chunk]
            parts.append(
                self.classifier.embed(*(torch.from_numpy(a).to(self.device) for a in pair))
            )
        self.embeddings = torch.cat(parts)
