"""A finished run of tiny networks for tests of examinations."""

import torch
from small import AGENT

from medal_ros.bringup import configure
from medal_ros.config import save_config
from medal_ros.evaluation import direction_of
from medal_ros.learning.policy import Policy
from medal_ros.learning.weights import save_tensors
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of

CHANGES = {f'agent.{key}': value for key, value in AGENT.items()} | {'agent.encoder.strides': [2]}
SAVED = (('forward', 20), ('forward', 40), ('backward', 40), ('cloning', 5))


def make_run(path, task='tabletop_quick', **changes):
    """Make a folder as a finished run leaves it, with policies that know nothing; return it."""
    config = configure(task, 'quickstart', seed=3, steps=40, changes={**CHANGES, **changes})
    folder = RunFolder(path)
    folder.checkpoints.mkdir(parents=True)
    save_config(config, folder.config)
    for seed, (name, steps) in enumerate(SAVED):
        torch.manual_seed(seed)
        agent = getattr(config, direction_of(name)).agent
        policy = Policy(agent, spaces_of(task, config.pixels))
        save_tensors(policy.state_dict(), folder.policy(name, steps))
    return path
