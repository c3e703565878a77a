"""One agent of MEDAL++: a critic ensemble and a policy over a shared, augmented encoder.

Equations are the paper's (Sharma et al. 2023, section 4 and appendix A.1). No step is terminal,
success included: targets always bootstrap.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medal_ros.learning.augment import random_shift
from medal_ros.learning.cloning import Cloner
from medal_ros.learning.config import AgentConfig
from medal_ros.learning.demonstrations import Demonstration, add_steps, as_replay
from medal_ros.learning.entropy import Temperature
from medal_ros.learning.interventions import Stretch
from medal_ros.learning.networks import CriticEnsemble
from medal_ros.learning.policy import Policy
from medal_ros.learning.replay import Batch, Replay, draw
from medal_ros.spaces import AGENTS, Spaces

Reward = Callable[[Tensor, Tensor], Tensor]  # frames, proprio of s' -> (batch,) rewards


class Agent:
    """Forward or backward: its networks, its demonstrations and their training.

    Args:
        name: `forward` or `backward`.
        config: Its configuration.
        spaces: Shapes of observations and actions.
        demonstrations: Demonstrations of its own direction.
        seed: Seeds its networks and everything it draws.
        device: Where it trains.
        partner: The agent whose encoder this one shares, where `share_encoder` says so.
    """

    def __init__(
        self,
        name: str,
        config: AgentConfig,
        spaces: Spaces,
        demonstrations: list[Demonstration],
        seed: int,
        device: torch.device | str = 'cpu',
        partner: Agent | None = None,
    ) -> None:
        self.name, self.config, self.device = name, config, torch.device(device)
        self.rng = np.random.default_rng([seed, AGENTS.index(name)])
        torch.manual_seed(int(self.rng.integers(2**31)))
        self.policy = Policy(config, spaces).to(self.device)
        inputs = config.encoder.width + spaces.proprio + spaces.action
        self.critics = CriticEnsemble(config.critics, inputs, config.hidden, config.critic_layers)
        self.critics.to(self.device)
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)
        # What is saved and deployed. From one update to the next a policy wavers about what it
        # has learned; its running average does so much less.
        self.deployed = copy.deepcopy(self.policy).requires_grad_(False)
        rate = config.learning_rate
        encoder = self.policy.encoder
        self.encoder_optimizer = torch.optim.Adam(encoder.parameters(), rate, fused=True)
        if config.share_encoder and partner is not None:
            self.policy.encoder = partner.policy.encoder
            self.encoder_optimizer = partner.encoder_optimizer
        self.temperature = None
        if config.entropy.weight > 0:
            self.temperature = Temperature(config.entropy, spaces.action, rate).to(self.device)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), rate, fused=True)
        self.critic_optimizer.register_step_post_hook(self.critics.changed)
        self.actor_optimizer = torch.optim.Adam(self.policy.actor.parameters(), rate, fused=True)
        self.demonstrations = as_replay(demonstrations, name, spaces)
        self.steps = 0  # the agent's own stored steps: the clock of every schedule
        self.updates = 0

    @property
    def noise(self) -> float:
        """Return the exploration noise of the moment (policies of form `noise`)."""
        return self.config.policy.noise(self.steps)

    def add_demonstration(self, stretch: Stretch) -> None:
        """Oversample and clone what a person drove in this agent's place, too."""
        s = stretch
        add_steps(self.demonstrations, self.name, s.frames, s.proprio, s.actions, s.task_rewards)

    def warm_up(self, check: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Clone the demonstrations for `cloning.warm_up` steps before practice begins.

        `check` is called before each step, and may raise to leave.
        """
        cloner = Cloner(self.policy, self.config, self.demonstrations, self.name, self.rng)
        loss = 0.0
        for _ in range(self.config.cloning.warm_up):
            check()
            loss = cloner.step()
        self.deployed.load_state_dict(self.policy.state_dict())
        return {'warm_up_loss': loss} if self.config.cloning.warm_up else {}

    def update(self, replay: Replay, reward: Reward, critic_steps: int = 1) -> dict[str, float]:
        """Take some critic steps, then one actor step on the last batch; return metrics."""
        metrics: dict[str, float] = {}
        for _ in range(critic_steps):
            batch, rewards = self.sample(replay, reward)
            tensors = self._augmented(batch)
            features, critic_metrics = self.update_critic(tensors, rewards)
            metrics.update(critic_metrics)
            self.updates += 1
        metrics.update(self.update_actor(tensors, features.detach()))
        self.update_deployed()
        return metrics

    @torch.no_grad()
    def update_deployed(self) -> None:
        """Move the deployed policy towards the newest one; without an average, all the way."""
        pairs = list(self.deployed.parameters()), list(self.policy.parameters())
        torch._foreach_lerp_(*pairs, self.config.policy.average or 1.0)

    def sample(self, replay: Replay, reward: Reward) -> tuple[Batch, Tensor]:
        """Draw practice and, at the end of the batch, demonstrations; reward both alike.

        The reward is the current classifier's of the clean next frame: it is never stored.
        """
        c = self.config
        agents = AGENTS if c.share_transitions else (self.name,)
        practice = replay.choose(agents, c.batch - c.demonstrations, self.rng)
        shown = self.demonstrations.choose((self.name,), c.demonstrations, self.rng)
        batch = draw([(replay, practice), (self.demonstrations, shown)])
        if c.reward == 'task':
            own = batch.task_rewards[:, AGENTS.index(self.name)]
            rewards = torch.from_numpy(np.nan_to_num(own))
        else:
            rewards = reward(self._tensor(batch.next_frames), self._tensor(batch.next_proprio))
        return batch, rewards.to(self.device)

    def update_critic(
        self, batch: dict[str, Tensor], rewards: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Fit all critics and the encoder to one shared target (Eq. 2); average the targets.

        Returns:
            The features of the batch, for the actor, and metrics.
        """
        c = self.config
        with self._precision():
            with torch.no_grad():
                target = self.target(batch['next_frames'], batch['next_proprio'], rewards)
            features = self.policy.features(batch['frames'], batch['proprio'])
            values = self.critics(torch.cat([features, batch['actions']], -1)).float()
            loss = F.mse_loss(values, target.expand_as(values))
        self.encoder_optimizer.zero_grad(set_to_none=True)
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimizer.step()
        self.encoder_optimizer.step()
        with torch.no_grad():
            pairs = list(self.targets.parameters()), list(self.critics.parameters())
            torch._foreach_lerp_(*pairs, c.target_rate)
        metrics = {
            'critic_loss': loss.item(),
            'q': values.mean().item(),
            'reward': rewards.mean().item(),
        }
        if c.demonstrations:
            metrics['reward_demonstrations'] = rewards[-c.demonstrations :].mean().item()
        return features, metrics

    def target(self, next_frames: Tensor, next_proprio: Tensor, rewards: Tensor) -> Tensor:
        """Return `(batch,)` r + gamma V(s'), V the minimum over a fresh random subset of targets.

        Where entropy is rewarded, V also counts the bonus of the action drawn at s'.
        """
        c = self.config
        features = self.policy.features(next_frames, next_proprio)
        action, bonus = self.sample_action(features)
        subset = torch.randperm(c.critics)[: c.subset]
        values = self.targets(torch.cat([features, action], -1), subset).float()
        return rewards + c.discount * (values.amin(0) + bonus)

    def sample_action(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return random actions and the worth of their entropy, -alpha log pi or 0."""
        actor = self.policy.actor
        if self.temperature is None:
            action = actor.sample(features, self.noise, self.config.policy.noise_clip)
            return action, action.new_zeros(())
        action, log_likelihood = actor.sample_gaussian(features)
        return action, -self.temperature() * log_likelihood

    def update_actor(self, batch: dict[str, Tensor], features: Tensor) -> dict[str, float]:
        """Ascend the critics plus the cloning term on the batch's demonstrations."""
        c = self.config
        with self._precision():
            action, bonus = self.sample_action(features)
            values = self.critics(torch.cat([features, action], -1), frozen=True).float()
            value = (values.amin(0) if c.actor_value == 'min' else values).mean()
            likelihood = self.cloning_term(batch, features)
            weight = c.cloning.weight(self.steps)
            value_weight = 1.0 - weight if c.cloning.mix == 'convex' else 1.0
            loss = -value_weight * (value + bonus.mean()) - weight * likelihood
        self.actor_optimizer.zero_grad(set_to_none=True)
        self.encoder_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.actor_optimizer.step()
        if c.cloning.into_encoder and c.demonstrations:
            self.encoder_optimizer.step()
        with torch.no_grad(), self._precision():
            _, std = self.policy.actor.distribution(features, self.noise)
        metrics = {} if self.temperature is None else self._tune_temperature(bonus)
        return metrics | {
            'actor_q': value.item(),
            'cloning': likelihood.item(),
            'cloning_weight': weight,
            'std': std.mean().item(),
        }

    def _tune_temperature(self, bonus: Tensor) -> dict[str, float]:
        alpha = self.temperature()
        log_likelihood = bonus.detach() / -alpha
        self.temperature.update(log_likelihood)
        return {'entropy': -log_likelihood.mean().item(), 'alpha': alpha.item()}

    def cloning_term(self, batch: dict[str, Tensor], features: Tensor) -> Tensor:
        """Return the mean log-likelihood of the demonstrations at the end of the batch."""
        shown = self.config.demonstrations
        if not shown:
            return features.new_zeros(())
        if self.config.cloning.into_encoder:
            mine = self.policy.features(batch['frames'][-shown:], batch['proprio'][-shown:])
        else:
            mine = features[-shown:]
        return self.policy.actor.log_likelihood(mine, batch['actions'][-shown:]).mean()

    def _augmented(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch as tensors, s and s' shifted independently."""
        shift = self.config.shift
        return {
            'frames': self._tensor(random_shift(batch.frames, shift, self.rng)),
            'proprio': self._tensor(batch.proprio),
            'actions': self._tensor(batch.actions),
            'next_frames': self._tensor(random_shift(batch.next_frames, shift, self.rng)),
            'next_proprio': self._tensor(batch.next_proprio),
        }

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _precision(self) -> torch.autocast:
        bf16 = self.config.precision == 'bf16'
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)
