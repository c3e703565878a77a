"""What is wrong with what is learned. No ROS here.

A policy saturates, values diverge, a classifier says the same of everything or says it too loud.
Each detector returns words while something is wrong; empty: nothing is. Meanwhile the last good
weights stay in use. Numbers that are not finite need no detector: such weights are neither written
nor read (`weights.py`), and a learner that has them starts again from its last whole checkpoint.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from medal_ros.learning.config import HealthConfig, SideConfig

LOG_2 = math.log(2.0)


def greatest_value(side: SideConfig) -> float:
    """Return the size that no sum of discounted rewards of an agent exceeds.

    Infinite where nothing bounds it: rewards of novelty and of entropy grow as they like.
    """
    agent, future = side.agent, 1.0 - side.agent.discount
    if agent.reward == 'novelty' or agent.entropy.weight > 0 or future <= 0:
        return math.inf
    # Each form of the learned reward is a softplus of the logit, or the logit itself.
    reward = 1.0 if agent.reward == 'task' else side.classifier.logit_limit + LOG_2
    return reward / future


class AgentHealth:
    """Watches the updates of one agent.

    Args:
        config: The limits.
        side: The agent and what rewards it.
    """

    def __init__(self, config: HealthConfig, side: SideConfig) -> None:
        self.config = config
        self.greatest = config.margin * greatest_value(side) if config.margin else math.inf
        self._shares: deque[float] = deque(maxlen=config.window)
        self.words = ''

    def take(self, metrics: Mapping[str, float]) -> str:
        """Look at the metrics of one update."""
        self._shares.append(metrics['saturation'])
        self.words = self._diverged(metrics['q_size']) or self._saturated()
        return self.words

    def _diverged(self, value: float) -> str:
        if math.isfinite(value) and value <= self.greatest:
            return ''
        return (
            f'its Q-function diverges: a value of {value:.3g}, and the rewards allow '
            f'{self.greatest / max(self.config.margin, 1e-9):.3g}'
        )

    def _saturated(self) -> str:
        share = sum(self._shares) / len(self._shares)
        full = len(self._shares) == self._shares.maxlen
        if not self.config.saturated or not full or share < self.config.saturated:
            return ''
        return f'its policy saturates: {share:.0%} of its motions are at their limit'


def classifier_complaint(config: HealthConfig, spread: float, largest: float) -> str:
    """Return what is wrong with a classifier.

    Args:
        config: The limits.
        spread: Standard deviation of its logits over goals and the agent's newest states.
        largest: Size of the largest of them.
    """
    if not math.isfinite(largest) or 0 < config.exploded < largest:
        return f'its classifier explodes: a logit of {largest:.3g}'
    if spread < config.collapsed:
        return f'its classifier collapses: all logits within {spread:.1g} of their mean'
    return ''
