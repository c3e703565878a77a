"""What the learner is measured against: the same update, written without regard to speed.

`Plain` is what one would write first: eager fp32, floats made of the bytes, layer after layer. It
starts from an agent's weights and computes its losses, which a test checks. `Public` makes that
update as the public code of DrQ-v2 and of REDQ does: a bilinear shift of floats, critics one after
the other, an optimiser for each, one parameter at a time.

Both know what the presets `paper` and `quickstart` need and no more: the classifier's reward, the
mean of all critics, no bonus for entropy.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medal_ros.learning.agent import Agent
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.networks import CriticEnsemble, Encoder
from medal_ros.learning.replay import Replay

Tensors = dict[str, Tensor]


class PlainEncoder(nn.Module):
    """An encoder's layers, one after the other."""

    def __init__(self, encoder: Encoder, frames: Tensor) -> None:
        super().__init__()
        self.convolutions = copy.deepcopy(encoder.convolutions)
        self.norm = copy.deepcopy(encoder.norm)
        with torch.no_grad():
            _, channels, height, width = self.convolutions(self._floats(frames)).shape
            weight = encoder.linear.weight.view(-1, height, width, channels)
            self.linear = nn.Linear(channels * height * width, len(weight)).to(weight.device)
            self.linear.weight.copy_(weight.permute(0, 3, 1, 2).flatten(1))
            self.linear.bias.copy_(encoder.linear.bias)

    @staticmethod
    def _floats(frames: Tensor) -> Tensor:
        return frames.permute(0, 3, 1, 2).float() / 255.0 - 0.5

    def forward(self, frames: Tensor) -> Tensor:
        hidden = self.convolutions(self._floats(frames)).flatten(1)
        return torch.tanh(self.norm(self.linear(hidden)))


class PlainCritics(nn.Module):
    """Stacked critics, one batched product for each layer."""

    def __init__(self, critics: CriticEnsemble) -> None:
        super().__init__()
        self.weights, self.biases = copy.deepcopy(critics.weights), copy.deepcopy(critics.biases)

    def forward(self, inputs: Tensor, members: Tensor | None = None) -> Tensor:
        """Return the values of all critics or of some."""
        x, chosen = inputs, slice(None) if members is None else members
        for weight, bias in zip(self.weights, self.biases, strict=True):
            weight, bias = weight[chosen], bias[chosen]
            x = torch.baddbmm(bias, x.expand(len(weight), -1, -1), weight)
            x = F.relu(x) if weight.shape[-1] > 1 else x
        return x.squeeze(-1)


class Plain:
    """One agent's update.

    Args:
        agent: Whose weights, demonstrations and configuration it starts from.
        classifier: Rewards it.
    """

    critics_class: type[nn.Module] = PlainCritics

    def __init__(self, agent: Agent, classifier: Classifier) -> None:
        self.config, self.rng, self.demonstrations = agent.config, agent.rng, agent.demonstrations
        self.name, self.device = agent.name, agent.device
        frames = torch.zeros(1, *agent.policy.spaces.frame_shape, dtype=torch.uint8).to(self.device)
        self.encoder = PlainEncoder(agent.policy.encoder, frames)
        self.actor = copy.deepcopy(agent.policy.actor)
        self.critics = self.critics_class(agent.critics)
        self.targets = copy.deepcopy(self.critics)
        self.classifier = copy.deepcopy(classifier)
        views = frames[..., classifier.views]
        self.classifier.encoder = PlainEncoder(classifier.encoder, views)
        self.critic_optimizers = [self.adam(self.encoder), self.adam(self.critics)]
        self.actor_optimizers = [self.adam(self.actor)]
        if self.config.cloning.into_encoder:
            self.actor_optimizers.append(self.critic_optimizers[0])

    def adam(self, part: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(part.parameters(), self.config.learning_rate, fused=True)

    def update(self, replay: Replay) -> dict[str, Tensor]:
        """Take one critic and one actor step; return their losses."""
        batch, rewards = self.sample(replay)
        tensors = self._augmented(batch)
        features, critic = self.update_critic(tensors, rewards)
        return critic | self.update_actor(tensors, features.detach())

    def sample(self, replay: Replay) -> tuple[Tensors, Tensor]:
        """Draw practice and demonstrations, and reward them."""
        c, parts = self.config, []
        for source, size in (
            (replay, c.batch - c.demonstrations),
            (self.demonstrations, c.demonstrations),
        ):
            i, s = source.choose((self.name,), size, self.rng), source.store
            parts.append(
                (s.frames[i], s.proprio[i], s.actions[i], s.frames[i + 1], s.proprio[i + 1])
            )
        columns = (np.concatenate(column) for column in zip(*parts, strict=True))
        names = ('frames', 'proprio', 'actions', 'next_frames', 'next_proprio')
        batch = {
            name: torch.from_numpy(column).to(self.device)
            for name, column in zip(names, columns, strict=True)
        }
        return batch, self.reward(batch)

    def reward(self, batch: Tensors) -> Tensor:
        """Return the classifier's rewards of s'."""
        return self.classifier.reward(batch['next_frames'], batch['next_proprio'])

    def _augmented(self, batch: Tensors) -> Tensors:
        frames = {name: self.shift(batch[name]) for name in ('frames', 'next_frames')}
        return batch | frames

    def shift(self, frames: Tensor) -> Tensor:
        """Shift each image by a few pixels: pad with the edge, then cut."""
        pad, (batch, height, width, _) = self.config.shift, frames.shape
        sides = ((0, 0), (pad, pad), (pad, pad), (0, 0))
        padded = torch.from_numpy(np.pad(frames.cpu().numpy(), sides, 'edge')).to(self.device)
        offsets = self.rng.integers(0, 2 * pad + 1, (batch, 2)).tolist()
        return torch.stack(
            [p[y : y + height, x : x + width] for p, (y, x) in zip(padded, offsets, strict=True)]
        )

    def features(self, frames: Tensor, proprio: Tensor) -> Tensor:
        return torch.cat([self.encoder(frames), proprio], -1)

    def act(self, features: Tensor) -> Tensor:
        """Return random actions through which gradients flow."""
        policy = self.config.policy
        return self.actor.sample(features, policy.noise(0), policy.noise_clip)

    @torch.no_grad()
    def target(self, batch: Tensors, rewards: Tensor) -> Tensor:
        """Return r + gamma min Q'(s', a') over two random critics."""
        c = self.config
        features = self.features(batch['next_frames'], batch['next_proprio'])
        inputs = torch.cat([features, self.act(features)], -1)
        members = torch.randperm(c.critics)[: c.subset]
        return rewards + c.discount * self.targets(inputs, members).amin(0)

    def update_critic(self, batch: Tensors, rewards: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Fit critics and encoder to the target; move the targets."""
        target = self.target(batch, rewards)
        features = self.features(batch['frames'], batch['proprio'])
        values = self.critics(torch.cat([features, batch['actions']], -1))
        loss = F.mse_loss(values, target.expand_as(values))
        self.step(loss, self.critic_optimizers)
        self.average()
        return features, {'critic_loss': loss.detach()}

    def update_actor(self, batch: Tensors, features: Tensor) -> dict[str, Tensor]:
        """Ascend the mean of all critics and the likelihood of the demonstrations."""
        c, shown = self.config.cloning, self.config.demonstrations
        self.critics.requires_grad_(False)
        value = self.critics(torch.cat([features, self.act(features)], -1)).mean()
        seen = features[-shown:]
        if c.into_encoder:
            seen = self.features(batch['frames'][-shown:], batch['proprio'][-shown:])
        cloning = self.actor.log_likelihood(seen, batch['actions'][-shown:]).mean()
        self.step(-value - c.weight(0) * cloning, self.actor_optimizers)
        self.critics.requires_grad_(True)
        return {'actor_q': value.detach(), 'cloning': cloning.detach()}

    @staticmethod
    def step(loss: Tensor, optimizers: list[torch.optim.Optimizer]) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()

    @torch.no_grad()
    def average(self) -> None:
        """Move the targets a little towards the critics."""
        pairs = list(self.targets.parameters()), list(self.critics.parameters())
        torch._foreach_lerp_(*pairs, self.config.target_rate)


class SeparateCritics(nn.Module):
    """One network for each critic, asked in turn."""

    def __init__(self, critics: CriticEnsemble) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            self._member([w[i] for w in critics.weights], [b[i, 0] for b in critics.biases])
            for i in range(len(critics.weights[0]))
        )

    @staticmethod
    @torch.no_grad()
    def _member(weights: list[Tensor], biases: list[Tensor]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for weight, bias in zip(weights, biases, strict=True):
            layer = nn.Linear(*weight.shape).to(weight.device)
            layer.weight.copy_(weight.T)
            layer.bias.copy_(bias)
            layers += [layer, nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def forward(self, inputs: Tensor, members: Tensor | None = None) -> Tensor:
        """Return the values of all critics or of some."""
        chosen = range(len(self.members)) if members is None else members.tolist()
        return torch.stack([self.members[i](inputs).squeeze(-1) for i in chosen])


class Public(Plain):
    """The update in the style of DrQ-v2 and REDQ."""

    critics_class = SeparateCritics

    def __init__(self, agent: Agent, classifier: Classifier) -> None:
        super().__init__(agent, classifier)
        for part in (self.encoder, self.classifier):
            part.to(memory_format=torch.contiguous_format)
        each = [self.adam(member) for member in self.critics.members]
        self.critic_optimizers = [self.critic_optimizers[0], *each]

    def adam(self, part: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(part.parameters(), self.config.learning_rate)

    def shift(self, frames: Tensor) -> Tensor:
        """Shift floats by interpolating between them, at whole pixels."""
        pad, size = self.config.shift, frames.shape[1]
        images = F.pad(frames.permute(0, 3, 1, 2).float().contiguous(), (pad,) * 4, 'replicate')
        eps, n = 1.0 / (size + 2 * pad), len(images)
        line = torch.linspace(-1.0 + eps, 1.0 - eps, size + 2 * pad, device=self.device)[:size]
        line = line.unsqueeze(0).repeat(size, 1).unsqueeze(2)
        grid = torch.cat([line, line.transpose(1, 0)], 2).unsqueeze(0).repeat(n, 1, 1, 1)
        moves = torch.randint(0, 2 * pad + 1, (n, 1, 1, 2), device=self.device) * 2.0 * eps
        shifted = F.grid_sample(images, grid + moves, padding_mode='zeros', align_corners=False)
        return shifted.permute(0, 2, 3, 1)  # the encoder turns it back: nothing is moved

    @torch.no_grad()
    def average(self) -> None:
        """Move the targets parameter by parameter."""
        rate = self.config.target_rate
        pairs = zip(self.targets.parameters(), self.critics.parameters(), strict=True)
        for target, parameter in pairs:
            target.copy_(rate * parameter + (1.0 - rate) * target)
