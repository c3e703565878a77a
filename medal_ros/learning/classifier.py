"""The learned reward: a classifier of goal states against the agent's own states.

Forward (VICE): are these the last states of demonstrations of doing the task? Backward (MEDAL):
are these states that demonstrations pass through on their way? Discriminating is easier than
controlling, so the classifier is held back: few and slow updates, spectral normalisation, mixup.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from medal_ros.learning.augment import random_shift
from medal_ros.learning.config import ClassifierConfig
from medal_ros.learning.demonstrations import Demonstration
from medal_ros.learning.device import autocast
from medal_ros.learning.networks import Encoder, identity, mlp
from medal_ros.learning.replay import Replay
from medal_ros.spaces import Spaces

LOOKED_AT = 32  # goals, and newest states, whose logits tell whether it says anything


class Classifier(nn.Module):
    """Two convolutions, an embedding, a head (paper A.2); sees one agent's chosen views.

    Args:
        config: Its sizes and what it sees.
        spaces: Shapes of observations.
        agent: `forward` or `backward`.
    """

    def __init__(self, config: ClassifierConfig, spaces: Spaces, agent: str) -> None:
        super().__init__()
        self.config = config
        self.views = channels_seen(config, spaces)
        self.register_buffer('_seen', torch.tensor(self.views), persistent=False)
        self.sees_proprio = config.proprio == 'both' or config.proprio == agent
        wrap = spectral_norm if config.spectral_norm else identity
        shape = (spaces.height, spaces.width, len(self.views))
        self.encoder = Encoder(shape, config.filters, (2, 2), config.feature, wrap)
        inputs = config.feature + (spaces.proprio if self.sees_proprio else 0)
        self.head = mlp(inputs, config.hidden, config.layers, 1, wrap)

    def embed(self, frames: Tensor, proprio: Tensor) -> Tensor:
        """Return `(batch, n)` embeddings, fused with proprioception where the agent's sees it."""
        if len(self.views) < frames.shape[-1]:
            # Nothing waits for an index on the device, and [..., seen] takes ten times as long.
            frames = frames.index_select(-1, self._seen)
        embedding = self.encoder(frames)
        return torch.cat([embedding, proprio], -1) if self.sees_proprio else embedding

    def logit(self, embedding: Tensor) -> Tensor:
        """Return `(batch,)` logits of C for embeddings."""
        return self.head(embedding).float().squeeze(-1)

    @torch.no_grad()
    def reward(self, frames: Tensor, proprio: Tensor) -> Tensor:
        """Return `(batch,)` rewards, -log(1 - C(s)) unless configured otherwise."""
        limit = self.config.logit_limit
        with autocast(self.config.precision, frames.device):
            logit = self.logit(self.embed(frames, proprio)).clamp(-limit, limit)
        if self.config.reward == 'log(C)':
            return -F.softplus(-logit)
        if self.config.reward == 'log(C)-log(1-C)':
            return logit
        return F.softplus(logit)


def channels_seen(config: ClassifierConfig, spaces: Spaces) -> list[int]:
    """Return the channels of a frame that a classifier looks at; a goal image is always one."""
    only_wrist = config.views == 'wrist' and 'wrist' in spaces.cameras
    return [
        3 * i + c
        for i, camera in enumerate(spaces.cameras)
        for c in range(3)
        if not only_wrist or camera in ('wrist', 'goal')
    ]


def goal_states(
    config: ClassifierConfig, demonstrations: dict[str, list[Demonstration]], agent: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames and proprioception that an agent's classifier calls goals (Algorithm 1).

    Forward: the last K states of forward demonstrations. Backward: the states before those and,
    by `backward_goals`, the last K of backward demonstrations, or all forward states.
    """
    k = config.goal_states
    forward, backward = demonstrations['forward'], demonstrations['backward']
    if agent == 'forward':
        parts = [(d.frames[-k:], d.proprio[-k:]) for d in forward]
    elif config.backward_goals == 'all':
        parts = [(d.frames, d.proprio) for d in forward]
    else:
        parts = [(d.frames[:-k], d.proprio[:-k]) for d in forward]
        if config.backward_goals == 'rest_and_last':
            parts += [(d.frames[-k:], d.proprio[-k:]) for d in backward]
    frames, proprio = zip(*parts, strict=True)
    return np.concatenate(frames), np.concatenate(proprio)


def mix(
    embeddings: Tensor, labels: Tensor, weights: Tensor, partners: Tensor
) -> tuple[Tensor, Tensor]:
    """Mixup: blend each embedding and its label with a partner's, `weights` of itself."""
    blended = weights[:, None] * embeddings + (1 - weights)[:, None] * embeddings[partners]
    return blended, weights * labels + (1 - weights) * labels[partners]


class ClassifierTrainer:
    """Trains one agent's classifier on its slow clock.

    Args:
        config: Its configuration.
        spaces: Shapes of observations.
        agent: `forward` or `backward`.
        demonstrations: Both directions' demonstrations.
        rng: Draws batches, shifts and mixup.
        device: Where it trains.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        spaces: Spaces,
        agent: str,
        demonstrations: dict[str, list[Demonstration]],
        rng: np.random.Generator,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.config, self.agent, self.rng = config, agent, rng
        self.device = torch.device(device)
        self.classifier = Classifier(config, spaces, agent).to(self.device).eval()
        self.optimizer = torch.optim.Adam(
            self.classifier.parameters(), config.learning_rate, fused=True
        )
        self.goal_frames, self.goal_proprio = goal_states(config, demonstrations, agent)
        self.events = 0

    def events_due(self, steps: int) -> int:
        """Return how many training events an agent with so many stored steps should have had."""
        return steps // self.config.every

    def event(self, replay: Replay, steps: int) -> dict[str, float]:
        """Train on the agent's first `steps` stored steps; return metrics.

        `accuracy` is measured before training, on the states stored since the last event.
        """
        metrics = {'accuracy': self.accuracy(replay, steps)}
        for _ in range(self.config.steps):
            metrics.update(self.step(replay, steps))
        self.events += 1
        return metrics | self.spread(replay, steps)

    def step(self, replay: Replay, steps: int) -> dict[str, float]:
        """Take one gradient step: cross-entropy on mixed embeddings (paper s4, A.2)."""
        c = self.config
        frames, proprio = self._draw(replay, 0, steps, c.positives, c.negatives)
        frames = torch.from_numpy(random_shift(frames, c.shift, self.rng)).to(self.device)
        labels = torch.zeros(c.positives + c.negatives, device=self.device)
        labels[: c.positives] = 1.0
        self.classifier.train()
        with autocast(c.precision, self.device):
            embeddings = self.classifier.embed(frames, torch.from_numpy(proprio).to(self.device))
            if c.mixup > 0:
                weights = self.rng.beta(c.mixup, c.mixup, len(labels)).astype(np.float32)
                partners = self.rng.permutation(len(labels))
                embeddings, labels = mix(
                    embeddings,
                    labels,
                    torch.from_numpy(weights).to(self.device),
                    torch.from_numpy(partners).to(self.device),
                )
            loss = F.binary_cross_entropy_with_logits(self.classifier.logit(embeddings), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.classifier.eval()
        return {'loss': loss.item()}

    @torch.no_grad()
    def accuracy(self, replay: Replay, steps: int) -> float:
        """Return how often the classifier is right about goals and the newest states, unshifted."""
        fresh = min(self.config.every, steps)
        size = min(fresh, self.config.negatives)
        frames, proprio = self._draw(replay, steps - fresh, steps, size, size)
        logits = self.classifier.logit(
            self.classifier.embed(
                torch.from_numpy(frames).to(self.device), torch.from_numpy(proprio).to(self.device)
            )
        )
        right = torch.cat([logits[:size] > 0, logits[size:] <= 0])
        return right.float().mean().item()

    @torch.no_grad()
    def spread(self, replay: Replay, steps: int) -> dict[str, float]:
        """Return how far apart the logits of some goals and of the newest states are.

        Nothing is drawn: to look must not change what comes next.
        """
        goals = np.linspace(0, len(self.goal_frames) - 1, LOOKED_AT).astype(int)
        own = replay.own(self.agent, np.arange(max(0, steps - LOOKED_AT), steps))
        frames = np.concatenate([self.goal_frames[goals], replay.store.frames[own]])
        proprio = np.concatenate([self.goal_proprio[goals], replay.store.proprio[own]])
        logits = self.classifier.logit(
            self.classifier.embed(
                torch.from_numpy(frames).to(self.device), torch.from_numpy(proprio).to(self.device)
            )
        )
        return {'spread': logits.std().item(), 'largest': logits.abs().max().item()}

    def _draw(
        self, replay: Replay, first: int, last: int, positives: int, negatives: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw goals, then states at the agent's own stored steps from `first` to `last`."""
        goals = self.rng.integers(0, len(self.goal_frames), positives)
        own = replay.own(self.agent, self.rng.integers(first, last, negatives))
        frames = np.concatenate([self.goal_frames[goals], replay.store.frames[own]])
        proprio = np.concatenate([self.goal_proprio[goals], replay.store.proprio[own]])
        return frames, proprio
