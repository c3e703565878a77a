"""What R3L does before practice: collect pictures at random, and learn to see from them."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import torch

from medal_ros.config import RunConfig
from medal_ros.learning.learner import Learner
from medal_ros.learning.vae import VAE, train_vae
from medal_ros.sim import make

RESET_EVERY = 100  # random steps from one start: far enough to meet the object now and then


def collect(config: RunConfig, count: int) -> np.ndarray:
    """Return `(count, height, width, channels)` uint8 frames seen while acting at random."""
    rng = np.random.default_rng([config.seed, 5])
    world = make(config.task, int(rng.integers(2**31)), config.pixels, config.repeat)
    frames = np.empty((count, *world.spaces.frame_shape), np.uint8)
    with closing(world):
        for i in range(count):
            if i % RESET_EVERY == 0:
                world.reset()
                world.begin_segment('forward')
            seen, *_ = world.step(rng.uniform(-1.0, 1.0, world.spaces.action))
            frames[i] = world.frame(seen)
    return frames


def pretrain(config: RunConfig, learner: Learner) -> dict[str, float]:
    """Train an autoencoder for the agents that see through one; return its metrics.

    The pictures are gathered in a world of their own, before practice and beside its budget of
    steps. Agents share what was learned, each in a frozen copy.
    """
    seeing = [a for a in learner.agents.values() if a.config.encoder.form == 'vae']
    if not seeing:
        return {}
    c = seeing[0].config.encoder.vae
    frames = collect(config, c.frames)
    rng = np.random.default_rng([config.seed, 6])
    torch.manual_seed(int(rng.integers(2**31)))
    vae = VAE(frames.shape[1:], c).to(seeing[0].device)
    metrics = train_vae(vae, frames, c.steps, c.batch, rng, c.learning_rate, shift=c.shift)
    for agent in seeing:
        agent.policy.encoder.adopt(vae, frames)
    return metrics
