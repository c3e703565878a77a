"""Both agents over one replay: takes in what the robot did and learns what that has earned."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from medal_ros.learning.agent import Agent, Metrics
from medal_ros.learning.budget import UpdateBudget
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.config import SideConfig
from medal_ros.learning.demonstrations import Demonstration
from medal_ros.learning.feed import feeds
from medal_ros.learning.joiner import Resolved, StepJoiner
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.spaces import Spaces


class Learner:
    """The training half of MEDAL++: agents, the classifiers that reward them, replay, budgets.

    Args:
        sides: Configuration of each direction that is practised, forward first.
        spaces: Shapes of observations and actions.
        demonstrations: Demonstrations of each direction.
        store: Where frames and steps go.
        seed: Seeds everything.
        device: Where the networks are trained.

    Attributes:
        drawn_from: With a GPU, where batches come from, in a sentence.
    """

    def __init__(
        self,
        sides: Mapping[str, SideConfig],
        spaces: Spaces,
        demonstrations: Mapping[str, list[Demonstration]],
        store: FrameStore,
        seed: int,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.replay = Replay(store)
        self.joiner = StepJoiner(self.replay)
        sources, self.drawn_from = feeds(store, torch.device(device), sides)
        self.agents: dict[str, Agent] = {}
        for name, side in sides.items():
            partner = self.agents.get('forward')
            self.agents[name] = Agent(
                name,
                side.agent,
                spaces,
                demonstrations[name],
                seed,
                device,
                partner,
                sources[name],
            )
        self.classifiers = {
            name: Classifier(side.classifier, spaces, name).to(device).eval()
            for name, side in sides.items()
        }
        self.budgets = {
            name: UpdateBudget(side.agent.utd, side.agent.max_owed) for name, side in sides.items()
        }

    def warm_up(self, check: Callable[[], None] = lambda: None) -> dict[str, dict[str, float]]:
        """Clone the demonstrations before practice, where that is configured.

        `check` is called before each step, and may raise to leave.
        """
        return {name: agent.warm_up(check) for name, agent in self.agents.items()}

    def settle(self) -> Resolved | None:
        """Store the next step if all of it has arrived, and credit its updates to its agent.

        What a person drove before it joins the demonstrations of the agent whose place he took.
        """
        resolved = self.joiner.settle()
        if resolved is None:
            return None
        for stretch in resolved.driven:
            agent = self.agents.get(stretch.agent)
            if agent is not None and agent.config.interventions:
                agent.add_demonstration(stretch)
        if resolved.agent is not None:
            self.credit(resolved.agent)
        return resolved

    def credit(self, name: str) -> None:
        """Count a step that an agent has stored, and the updates that it has earned."""
        agent = self.agents[name]
        agent.steps += 1
        if agent.steps >= agent.config.learn_after:
            self.budgets[name].add()

    def learn(self, name: str) -> Metrics | None:
        """Take one agent's next earned update; None when none is due."""
        budget = self.budgets[name]
        if not (due := budget.due):
            return None
        metrics = self.agents[name].update(self.replay, self.classifiers[name].reward, due)
        budget.spend(due)
        return metrics

    @property
    def steps(self) -> int:
        """Steps stored, of both agents."""
        return sum(agent.steps for agent in self.agents.values())

    @property
    def updates(self) -> int:
        """Critic updates done, of both agents."""
        return sum(agent.updates for agent in self.agents.values())

    @property
    def owed(self) -> int:
        """Critic updates earned and not yet done."""
        return sum(budget.owed for budget in self.budgets.values())

    @property
    def dropped(self) -> int:
        """Critic updates given up because the learner fell too far behind."""
        return sum(budget.dropped for budget in self.budgets.values())
