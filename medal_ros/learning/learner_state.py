"""The whole state of a learner, and of what rewards it, to save and to restore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from medal_ros.errors import WeightsError
from medal_ros.learning.checkpoint import (
    agent_tensors,
    optimizer_tensors,
    restore_agent,
    restore_optimizer,
)
from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.learner import Learner
from medal_ros.learning.novelty import NoveltyTrainer
from medal_ros.learning.replay import Counts

Tensors = dict[str, Tensor]
Trainers = Mapping[str, ClassifierTrainer | NoveltyTrainer]


def learner_state(learner: Learner) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """Return the tensors of each agent, and the plain values of a learner.

    Its replay is not among them, only how much of it there was; nor are the classifiers, whose
    trainers have a state of their own.
    """
    values = {
        'counts': asdict(learner.replay.counts),
        'budgets': {n: [b.earned, b.dropped] for n, b in learner.budgets.items()},
    }
    return {n: agent_tensors(a) for n, a in learner.agents.items()}, values


def restore_learner(
    learner: Learner, parts: Mapping[str, Tensors], values: Mapping[str, Any]
) -> Counts:
    """Put a learner back into a saved state, and return how much of its replay there was.

    torch's random generator is part of it: restore whatever else draws from it before.

    Raises:
        WeightsError: The state is of other networks.
    """
    for name, (earned, dropped) in values['budgets'].items():
        budget = learner.budgets[name]
        budget.earned, budget.dropped = earned, dropped
    for name, agent in learner.agents.items():
        restore_agent(agent, parts[name])
    return Counts(**values['counts'])


def catch_up(learner: Learner, since: Counts) -> int:
    """Credit the steps that are stored beyond a checkpoint; return how many there are.

    The clock of every agent is what is stored, wherever its networks were saved.
    """
    missed = 0
    for name, agent in learner.agents.items():
        agent.steps = since.of(name)
        while agent.steps < learner.replay.counts.of(name):
            learner.credit(name)
            missed += 1
        agent.steps = learner.replay.counts.of(name)
    return missed


def reward_state(trainers: Trainers) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """Return the tensors of each agent's classifier, and the plain values of their training."""
    parts = {
        name: trainer.classifier.state_dict()
        | optimizer_tensors(trainer.optimizer, trainer.classifier, 'optimizer')
        for name, trainer in trainers.items()
    }
    return parts, {n: [t.events, t.rng.bit_generator.state] for n, t in trainers.items()}


def restore_reward(
    trainers: Trainers, parts: Mapping[str, Tensors], values: Mapping[str, Any]
) -> None:
    """Put the classifiers' training back into a saved state.

    Raises:
        WeightsError: The state is of other networks.
    """
    for name, trainer in trainers.items():
        own = trainer.classifier.state_dict()
        tensors = {key: parts[name].get(key) for key in own}
        if any(v is None or v.shape != own[k].shape for k, v in tensors.items()):
            raise WeightsError(f'the saved classifier of {name} is of other networks')
        trainer.classifier.load_state_dict(tensors)
        restore_optimizer(trainer.optimizer, trainer.classifier, 'optimizer', parts[name])
        trainer.events, trainer.rng.bit_generator.state = values[name]
