"""The same-size updates of stable-baselines3's SAC and of torchrl's REDQ, where they are installed.

Both see through the plain encoder of the same size. Neither has the classifier's reward, cloning
or proprioception, so they do a little less than ours: their times are lower bounds.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from plain import PlainEncoder
from torch import Tensor, nn

from medal_ros.learning.config import AgentConfig, SideConfig
from medal_ros.learning.networks import Encoder, mlp
from medal_ros.learning.replay import Replay
from medal_ros.spaces import Spaces

NEEDS = {'sb3-sac': 'stable_baselines3', 'torchrl-redq': 'torchrl'}


def installed(name: str) -> bool:
    """Return whether a contender that needs another library has it."""
    return name not in NEEDS or find_spec(NEEDS[name]) is not None


def plain_encoder(config: AgentConfig, spaces: Spaces) -> PlainEncoder:
    e = config.encoder
    encoder = Encoder(spaces.frame_shape, e.filters, e.strides, e.feature)
    return PlainEncoder(encoder, torch.zeros(1, *spaces.frame_shape, dtype=torch.uint8))


class StableBaselines3:
    """SAC with an ensemble of critics, its own replay buffer and its own optimisers."""

    def __init__(self, side: SideConfig, spaces: Spaces, replay: Replay, device: str) -> None:
        import gymnasium
        from stable_baselines3 import SAC
        from stable_baselines3.common.logger import Logger
        from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

        c = side.agent

        class Features(BaseFeaturesExtractor):
            def __init__(self, space: gymnasium.Space) -> None:
                super().__init__(space, c.encoder.feature)
                self.encoder = plain_encoder(c, spaces)

            def forward(self, images: Tensor) -> Tensor:
                return self.encoder(images.permute(0, 2, 3, 1))

        height, width, channels = spaces.frame_shape
        images = gymnasium.spaces.Box(0, 255, (channels, height, width), np.uint8)
        actions = gymnasium.spaces.Box(-1.0, 1.0, (spaces.action,), np.float32)
        env = stub(images, actions)
        layers = [c.hidden] * c.critic_layers
        self.model = SAC(
            'CnnPolicy',
            env,
            learning_rate=c.learning_rate,
            buffer_size=500,
            batch_size=c.batch,
            device=device,
            policy_kwargs={
                'features_extractor_class': Features,
                'normalize_images': False,
                'share_features_extractor': True,
                'n_critics': c.critics,
                'net_arch': layers,
            },
        )
        self.model.set_logger(Logger(None, []))
        self.batch = c.batch
        for i in range(500):
            seen, then = (np.moveaxis(replay.store.frames[i + k], -1, 0)[None] for k in (0, 1))
            action = replay.store.actions[i][None]
            self.model.replay_buffer.add(seen, then, action, np.zeros(1), np.zeros(1), [{}])

    def update(self) -> None:
        """Take one critic and one actor step."""
        self.model.train(1, self.batch)


def stub(images: Any, actions: Any) -> Any:
    """Return an environment that only has spaces."""
    import gymnasium

    class Stub(gymnasium.Env):
        observation_space, action_space = images, actions

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
            return images.sample(), {}

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
            return images.sample(), 0.0, False, False, {}

    return Stub()


class TorchRL:
    """The REDQ loss over features of one encoder, fused Adam, soft updates of its targets."""

    def __init__(self, side: SideConfig, spaces: Spaces, replay: Replay, device: str) -> None:
        from tensordict.nn import NormalParamExtractor, TensorDictModule
        from torchrl.modules import ProbabilisticActor, TanhNormal, ValueOperator
        from torchrl.objectives import REDQLoss, SoftUpdate

        c = side.agent
        self.config, self.replay, self.device = c, replay, device
        self.rng = np.random.default_rng(0)
        self.encoder = plain_encoder(c, spaces).to(device)
        head = mlp(c.encoder.feature, c.hidden, c.actor_layers, 2 * spaces.action)
        actor = ProbabilisticActor(
            TensorDictModule(
                nn.Sequential(head, NormalParamExtractor()), ['features'], ['loc', 'scale']
            ),
            in_keys=['loc', 'scale'],
            distribution_class=TanhNormal,
            return_log_prob=True,
        ).to(device)
        inputs = c.encoder.feature + spaces.action
        critic = ValueOperator(
            _Concatenated(mlp(inputs, c.hidden, c.critic_layers, 1)), ['features', 'action']
        ).to(device)
        self.loss = REDQLoss(
            actor,
            critic,
            num_qvalue_nets=c.critics,
            sub_sample_len=c.subset,
            target_entropy=-float(spaces.action),
        ).to(device)
        self.loss.make_value_estimator(gamma=c.discount)
        self.targets = SoftUpdate(self.loss, tau=c.target_rate)
        parameters = [*self.loss.parameters(), *self.encoder.parameters()]
        trained = [p for p in parameters if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, c.learning_rate, fused=True)

    def update(self) -> None:
        """Take one step of critics, actor and encoder."""
        from tensordict import TensorDict

        size = self.config.batch
        batch = self.replay.batch(self.replay.choose(('forward',), size, self.rng))
        frames, then, action = (
            torch.from_numpy(a).to(self.device)
            for a in (batch.frames, batch.next_frames, batch.actions)
        )
        with torch.no_grad():
            following = self.encoder(then)
        flags = torch.zeros(size, 1, dtype=torch.bool, device=self.device)
        after = {
            'features': following,
            'reward': torch.zeros(size, 1, device=self.device),
            'done': flags,
            'terminated': flags,
        }
        data = TensorDict(
            {'features': self.encoder(frames), 'action': action, 'next': after},
            [size],
            device=self.device,
        )
        losses = self.loss(data)
        self.optimizer.zero_grad(set_to_none=True)
        (losses['loss_actor'] + losses['loss_qvalue']).backward()
        self.optimizer.step()
        self.targets.step()


class _Concatenated(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, action: Tensor) -> Tensor:
        return self.network(torch.cat([features, action], -1))
