"""One agent of MEDAL++: a critic ensemble and a policy over a shared, augmented encoder.

Equations are the paper's (Sharma et al. 2023, section 4 and appendix A.1). No step is terminal,
success included: targets always bootstrap.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medal_ros.learning.augment import random_shift_tensor
from medal_ros.learning.batch import Batch, Parts
from medal_ros.learning.cloning import Cloner
from medal_ros.learning.config import AgentConfig
from medal_ros.learning.cuda_graph import Graph, Recorded, cuda_graphs
from medal_ros.learning.demonstrations import Demonstration, add_steps, as_replay
from medal_ros.learning.device import adam, autocast
from medal_ros.learning.entropy import Temperature
from medal_ros.learning.feed import Feed, whole
from medal_ros.learning.interventions import Stretch
from medal_ros.learning.networks import CriticEnsemble
from medal_ros.learning.policy import Policy, draw_gaussian
from medal_ros.learning.replay import Replay
from medal_ros.spaces import AGENTS, Spaces

SATURATED = 0.99  # size of an action's number that is as good as 1
Reward = Callable[[Tensor, Tensor], Tensor]  # frames, proprio of s' -> (batch,) rewards
Metrics = dict[str, Tensor | float]


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
        feed: Where its batches come from; None draws from memory, or on the device.
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
        feed: Feed | None = None,
    ) -> None:
        self.name, self.config, self.device = name, config, torch.device(device)
        self.feed = feed or whole(self.device)
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
        self.encoder_optimizer = adam(encoder.parameters(), rate, self.device)
        if config.share_encoder and partner is not None:
            self.policy.encoder = partner.policy.encoder
            self.encoder_optimizer = partner.encoder_optimizer
        self.temperature = None
        if config.entropy.weight > 0:
            self.temperature = Temperature(config.entropy, spaces.action, rate, self.device)
        self.critic_optimizer = adam(self.critics.parameters(), rate, self.device)
        self.critic_optimizer.register_step_post_hook(self.critics.changed)
        self.actor_optimizer = adam(self.policy.actor.parameters(), rate, self.device)
        self.demonstrations = as_replay(demonstrations, name, spaces)
        self.steps = 0  # the agent's own stored steps: the clock of every schedule
        self.updates = 0
        self._moment: dict[str, Tensor] = {}  # schedules, where recorded steps read them
        if self.device.type == 'cuda':
            self.record(cuda_graphs(self.device, 2))

    def record(self, graphs: Sequence[Graph]) -> None:
        """Have both steps of an update recorded, and then repeated, by two graphs.

        Whoever puts other tensors in the place of those that are trained must do so anew.
        """
        self._moment = {name: torch.zeros((), device=self.device) for name in self.schedules}
        steps = Agent.update_critic, Agent.update_actor
        self.update_critic, self.update_actor = (
            Recorded(step.__get__(self), graph, self.critics.changed)
            for step, graph in zip(steps, graphs, strict=True)
        )

    @property
    def schedules(self) -> dict[str, float]:
        """What depends on the agent's own steps, at this one."""
        c = self.config
        return {'noise': c.policy.noise(self.steps), 'weight': c.cloning.weight(self.steps)}

    def _scheduled(self, name: str) -> float | Tensor:
        return self._moment[name] if self._moment else self.schedules[name]

    @property
    def noise(self) -> float:
        """Return the exploration noise of the moment (policies of form `noise`)."""
        return self.schedules['noise']

    def add_demonstration(self, stretch: Stretch | Demonstration) -> None:
        """Oversample and clone what a person drove in this agent's place, too."""
        s = stretch
        add_steps(self.demonstrations, self.name, s.frames, s.proprio, s.actions, s.task_rewards)

    def warm_up(self, check: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Clone the demonstrations for `cloning.warm_up` steps before practice begins.

        `check` is called before each step, and may raise to leave.
        """
        cloner = Cloner(self.policy, self.config, self.demonstrations, self.name, self.rng)
        loss: Tensor | float = 0.0
        for _ in range(self.config.cloning.warm_up):
            check()
            loss = cloner.step()
        self.deployed.load_state_dict(self.policy.state_dict())
        return {'warm_up_loss': float(loss)} if self.config.cloning.warm_up else {}

    def update(self, replay: Replay, reward: Reward, critic_steps: int = 1) -> Metrics:
        """Take some critic steps, then one actor step on the last batch; return metrics.

        On a GPU they may still be being computed, and lie where the next update's will.
        """
        metrics: Metrics = {}
        for name, value in self._moment.items():
            value.fill_(self.schedules[name])
        for _ in range(critic_steps):
            batch, rewards = self.sample(replay, reward)
            tensors = self._augmented(batch)
            features, critic_metrics = self.update_critic(tensors, rewards)
            metrics.update(critic_metrics)
            self.updates += 1
        metrics.update(self.update_actor(tensors, features))
        self.update_deployed()
        return metrics

    @torch.no_grad()
    def update_deployed(self) -> None:
        """Move the deployed policy towards the newest one; without an average, all the way."""
        pairs = list(self.deployed.parameters()), list(self.policy.parameters())
        torch._foreach_lerp_(*pairs, self.config.policy.average or 1.0)

    def sample(self, replay: Replay, reward: Reward) -> tuple[Batch[Tensor], Tensor]:
        """Draw practice and, at the end of the batch, demonstrations; reward both alike.

        The reward is the current classifier's of the clean next frame: it is never stored.
        """
        batch = self.feed(lambda: self._choose(replay))
        if self.config.reward == 'task':
            rewards = torch.nan_to_num(batch.task_rewards[:, AGENTS.index(self.name)])
        else:
            rewards = reward(batch.next_frames, batch.next_proprio)
        return batch, rewards

    def _choose(self, replay: Replay) -> Parts:
        c = self.config
        agents = AGENTS if c.share_transitions else (self.name,)
        practice = replay.choose(agents, c.batch - c.demonstrations, self.rng)
        shown = self.demonstrations.choose((self.name,), c.demonstrations, self.rng)
        return [(replay, practice), (self.demonstrations, shown)]

    def update_critic(self, batch: dict[str, Tensor], rewards: Tensor) -> tuple[Tensor, Metrics]:
        """Fit all critics and the encoder to one shared target (Eq. 2); average the targets.

        Returns:
            The features of the batch, for the actor, and metrics.
        """
        c = self.config
        with autocast(c.precision, self.device):
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
            'critic_loss': loss,
            'q': values.mean(),
            'q_size': values.abs().max(),
            'reward': rewards.mean(),
        }
        if c.demonstrations:
            metrics['reward_demonstrations'] = rewards[-c.demonstrations :].mean()
        return features.detach(), detached(metrics)

    def target(self, next_frames: Tensor, next_proprio: Tensor, rewards: Tensor) -> Tensor:
        """Return `(batch,)` r + gamma V(s'), V the minimum over a fresh random subset of targets.

        Where entropy is rewarded, V also counts the bonus of the action drawn at s'.
        """
        c = self.config
        features = self.policy.features(next_frames, next_proprio)
        action, bonus, _ = self.sample_action(features)
        values = self.targets(torch.cat([features, action], -1), self._subset()).float()
        return rewards + c.discount * (values.amin(0) + bonus)

    def _subset(self) -> Tensor:
        c = self.config
        if self.device.type == 'cpu':
            return torch.randperm(c.critics)[: c.subset]
        return torch.rand(c.critics, device=self.device).topk(c.subset).indices  # never waits

    def sample_action(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return random actions, their entropy's worth, -alpha log pi or 0, and their deviation."""
        actor = self.policy.actor
        mean, std = actor.distribution(features, self._scheduled('noise'))
        if self.temperature is None:
            action = actor.draw(mean, std, self.config.policy.noise_clip)
            return action, action.new_zeros(()), std
        action, log_likelihood = draw_gaussian(mean, std)
        return action, -self.temperature() * log_likelihood, std

    def update_actor(self, batch: dict[str, Tensor], features: Tensor) -> Metrics:
        """Ascend the critics plus the cloning term on the batch's demonstrations."""
        c = self.config
        with autocast(c.precision, self.device):
            action, bonus, std = self.sample_action(features)
            values = self.critics(torch.cat([features, action], -1), frozen=True).float()
            value = (values.amin(0) if c.actor_value == 'min' else values).mean()
            likelihood = self.cloning_term(batch, features)
            weight = self._scheduled('weight')
            value_weight = 1.0 - weight if c.cloning.mix == 'convex' else 1.0
            loss = -value_weight * (value + bonus.mean()) - weight * likelihood
        self.actor_optimizer.zero_grad(set_to_none=True)
        self.encoder_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.actor_optimizer.step()
        if c.cloning.into_encoder and c.demonstrations:
            self.encoder_optimizer.step()
        metrics = {} if self.temperature is None else self._tune_temperature(bonus)
        # The gripper, the last number, belongs at a limit.
        saturation = (action[:, :-1].abs() > SATURATED).float().mean()
        own = {'actor_q': value, 'cloning': likelihood, 'cloning_weight': weight}
        return detached(metrics | own | {'std': std.mean(), 'saturation': saturation})

    def _tune_temperature(self, bonus: Tensor) -> Metrics:
        alpha = self.temperature()
        log_likelihood = bonus.detach() / -alpha
        self.temperature.update(log_likelihood)
        return {'entropy': -log_likelihood.mean(), 'alpha': alpha}

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

    def _augmented(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Return the batch with s and s' shifted independently."""
        shift = self.config.shift
        return {
            'frames': random_shift_tensor(batch.frames, shift, self.rng),
            'proprio': batch.proprio,
            'actions': batch.actions,
            'next_frames': random_shift_tensor(batch.next_frames, shift, self.rng),
            'next_proprio': batch.next_proprio,
        }


def detached(metrics: Metrics) -> Metrics:
    """Return metrics that keep nothing else alive."""
    return {k: v.detach() if isinstance(v, Tensor) else v for k, v in metrics.items()}
