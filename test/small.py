"""Small spaces, agents and demonstrations that several tests share."""

import numpy as np
import torch

from medal_ros.learning.agent import Agent
from medal_ros.learning.config import AgentConfig, ClassifierConfig
from medal_ros.learning.demonstrations import Demonstration
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.options import build
from medal_ros.spaces import Spaces

torch.set_num_threads(1)

SPACES = Spaces(cameras=('third',), height=12, width=12, proprio=2, action=2)
AGENT = {
    'encoder.filters': 4,
    'encoder.strides': [2],
    'encoder.feature': 6,
    'hidden': 16,
    'actor_layers': 1,
    'critic_layers': 1,
    'critics': 4,
    'batch': 8,
    'demonstrations': 2,
    'shift': 1,
    'learning_rate': 1e-2,
}
CLASSIFIER = {
    'goal_states': 2,
    'filters': 4,
    'feature': 6,
    'hidden': 8,
    'layers': 1,
    'positives': 8,
    'negatives': 8,
    'every': 10,
    'shift': 1,
}


def agent_config(**changes):
    return build(AgentConfig, {**AGENT, **{k.replace('__', '.'): v for k, v in changes.items()}})


def classifier_config(**changes):
    return build(ClassifierConfig, {**CLASSIFIER, **changes})


def demonstration(length=6, direction='forward', spaces=SPACES, rng=None, task='toy'):
    rng = rng or np.random.default_rng(length)
    return Demonstration(
        task,
        direction,
        spaces.cameras,
        rng.integers(0, 256, (length + 1, *spaces.frame_shape), np.uint8),
        rng.uniform(-1, 1, (length + 1, spaces.proprio)).astype(np.float32),
        rng.uniform(-1, 1, (length, spaces.action)).astype(np.float32),
    )


def agent(config=None, spaces=SPACES, seed=0, name='forward', **changes):
    config = config or agent_config(**changes)
    return Agent(name, config, spaces, [demonstration(direction=name, spaces=spaces)], seed)


def replay(steps=20, spaces=SPACES, agents=('forward', 'backward'), segment=5, seed=0):
    """Return random practice: the agents take turns without a break."""
    rng = np.random.default_rng(seed)
    stored = Replay(FrameStore(spaces, steps + 1))
    for step in range(steps + 1):
        frame = rng.integers(0, 256, spaces.frame_shape, np.uint8)
        stored.add_frame(frame, rng.uniform(-1, 1, spaces.proprio))
        if step < steps:
            name = agents[step // segment % len(agents)]
            stored.add_step(name, rng.uniform(-1, 1, spaces.action), (step % 2, step % 3 == 0))
    return stored


def flat(module):
    """Return a copy of all weights of a module in one vector."""
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])
