"""Never more updates than the update-to-data ratio allows, and a bound on catching up."""

from __future__ import annotations

import math

ROUNDING = 1e-9  # a third of an update, three times, is one


class UpdateBudget:
    """Counts the critic steps that stored steps have earned one agent.

    Args:
        utd: Critic steps for each stored step; below 1, one critic step for every 1 / utd.
        max_owed: Stored steps that may wait; beyond it the oldest are given up.
    """

    def __init__(self, utd: float, max_owed: int) -> None:
        self.utd, self.max_owed = utd, max_owed
        self.earned = 0.0
        self.dropped = 0  # critic steps given up

    def add(self, steps: int = 1) -> None:
        """Credit stored steps."""
        self.earned += steps * self.utd
        limit = max(self.max_owed * self.utd, 1.0)
        if self.earned > limit:
            excess = int(self.earned - limit + ROUNDING)
            self.dropped += excess
            self.earned -= excess

    @property
    def due(self) -> int:
        """Return how many critic steps to do now, before one actor step; 0: none."""
        return min(self.owed, max(math.ceil(self.utd), 1))

    def spend(self, done: int) -> None:
        """Charge critic steps that were done: until then they are owed."""
        self.earned -= done

    @property
    def owed(self) -> int:
        """Return critic steps earned and not yet done."""
        return int(self.earned + ROUNDING)
