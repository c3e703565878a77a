"""Measure policies of a run on starts that it never trained on. No ROS import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medal_ros.bounded import MAX_RECORD, parse_json, read_bytes
from medal_ros.config import RunConfig, load_config
from medal_ros.learning.cloning import Cloner
from medal_ros.learning.demonstrations import as_replay, load_demonstrations
from medal_ros.learning.device import choose_device
from medal_ros.learning.policy import Policy
from medal_ros.learning.weights import load_into, save_tensors
from medal_ros.options import OptionError
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of, task_class
from medal_ros.sim.evaluate import Acts, evaluate
from medal_ros.spaces import AGENTS
from medal_ros.statistics import Evaluation

PERIODIC, FINAL = 1, 2  # which set of starts: choosing and reporting never share one
CLONING = 'cloning'  # the baseline, saved beside the policies


def starts(seed: int, kind: int, count: int) -> list[int]:
    """Return seeds of starts; the final ones are the same for every policy of a run."""
    return [int(s) for s in np.random.SeedSequence([seed, kind]).generate_state(count)]


def direction_of(agent: str) -> str:
    """Return what a saved policy does; the cloning baseline does what forward does."""
    return AGENTS[0] if agent == CLONING else agent


def load_policy(config: RunConfig, agent: str, path: Path) -> Policy:
    """Return a saved policy, ready to act.

    Raises:
        WeightsError: The file cannot be used.
    """
    spaces = spaces_of(config.task, config.pixels)
    policy = Policy(getattr(config, direction_of(agent)).agent, spaces).eval()
    load_into(policy, path)
    return policy


@dataclass(frozen=True)
class Guarded:
    """A policy that calls `check` before each action, so that a long measurement can be left."""

    policy: Policy
    check: Callable[[], None]

    def act(self, frames: np.ndarray, proprio: np.ndarray) -> np.ndarray:
        self.check()
        return self.policy.act(frames, proprio)


def measure(
    config: RunConfig,
    agent: str,
    path: Path,
    kind: int,
    episodes: int,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Return how often a saved policy succeeds on starts that are drawn by `kind`.

    `check` is called before each step, and may raise to leave.
    """
    policy = Guarded(load_policy(config, agent, path), check)
    return run_episodes(policy, config, direction_of(agent), kind, episodes)


def run_episodes(
    policy: Acts, config: RunConfig, agent: str, kind: int, episodes: int
) -> Evaluation:
    """Return how often a policy succeeds on starts of a run's task that are drawn by `kind`."""
    seeds = starts(config.seed, kind, episodes)
    c = config
    return evaluate(policy, c.task, agent, seeds, pixels=c.pixels, repeat=c.repeat)


class Baseline:
    """The cloning baseline: the forward policy's own networks, trained on demonstrations alone.

    Args:
        config: The run's configuration.
        folder: The run's folder: demonstrations are read, checkpoints written.

    Attributes:
        steps: Gradient steps taken.
        checkpoints: How each checkpoint did, by its steps.
        known: What was measured before the run was stopped: training comes to the same again.
    """

    def __init__(self, config: RunConfig, folder: RunFolder) -> None:
        self.config, self.folder = config, folder
        self.known: dict[int, Evaluation] = {}
        spaces = spaces_of(config.task, config.pixels)
        least = config.forward.classifier.goal_states
        shown = load_demonstrations(folder.demonstrations, config.task, spaces, least)
        agent = config.forward.agent
        torch.manual_seed(config.seed)
        self.cloner = Cloner(
            Policy(agent, spaces).to(choose_device(config.graph.device)),
            agent,
            as_replay(shown['forward'], 'forward', spaces),
            'forward',
            np.random.default_rng([config.seed, 3]),
        )
        self.steps = 0
        self.checkpoints: dict[int, Evaluation] = {}

    @property
    def done(self) -> bool:
        return self.steps >= self.config.evaluation.cloning_steps

    def step(self, check: Callable[[], None] = lambda: None) -> None:
        """Take one gradient step; at a checkpoint, measure on the final starts.

        The best checkpoint is to count, so all of them are measured where the run's policies
        will be: the choice favours the baseline.
        """
        e = self.config.evaluation
        self.cloner.step()
        self.steps += 1
        if self.steps % max(e.cloning_steps // e.cloning_checkpoints, 1) == 0:
            policy = self.cloner.policy.eval()
            self.checkpoints[self.steps] = self.known.get(self.steps) or run_episodes(
                Guarded(policy, check), self.config, 'forward', FINAL, e.final_episodes
            )
            path = self.folder.checkpoints / f'{CLONING}_{self.steps:08d}.safetensors'
            save_tensors(policy.state_dict(), path)


def saved_steps(folder: RunFolder, agent: str) -> list[int]:
    """Return at how many policy steps a run saved an agent's policy."""
    paths = folder.checkpoints.glob(f'{agent}_*.safetensors')
    return sorted(int(path.stem.rsplit('_', 1)[1]) for path in paths)


def choose(folder: RunFolder, checkpoint: str, policy: str) -> list[int]:
    """Return the saved steps of a policy that `last`, `best`, `all` or a number of steps means.

    The best of backward is what is best forward; the cloning baseline has a clock of its own.

    Raises:
        OptionError: There are none such.
    """
    if policy not in (*AGENTS, CLONING):
        raise OptionError(f'policy must be {", ".join(AGENTS)} or {CLONING}, not {policy!r}')
    saved = saved_steps(folder, policy)
    if not saved:
        raise OptionError(f'{folder.path} holds no saved {policy} policy')
    if checkpoint == 'all':
        return saved
    if checkpoint == 'last':
        return saved[-1:]
    if checkpoint == 'best':
        best = best_steps(folder, policy)
        if best not in saved:
            raise OptionError(f'{folder.summary} does not name a saved checkpoint as the best')
        return [best]
    if checkpoint.isdecimal() and int(checkpoint) in saved:
        return [int(checkpoint)]
    listed = ', '.join(str(s) for s in saved)
    raise OptionError(f'checkpoint must be last, best, all or one of {listed}, not {checkpoint!r}')


def best_steps(folder: RunFolder, policy: str) -> int | None:
    """Return which checkpoint a run's summary calls the best; None where it does not say."""
    key = 'bc_best_steps' if policy == CLONING else 'best_steps'
    try:
        best = parse_json(read_bytes(folder.summary, MAX_RECORD))[key]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return best if type(best) is int else None


def open_run(path: Path) -> tuple[RunConfig, RunFolder]:
    """Return the configuration and the folder of a run.

    Raises:
        UserError: The folder is not a run's, or its configuration is of no use here.
    """
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise OptionError(f'{path} is not a run: it has no config.yaml')
    config = load_config(folder.config)
    task_class(config.task)  # raises where there is none
    return config, folder
