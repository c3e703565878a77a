"""What a number of successes says about a policy. No ROS import."""

from __future__ import annotations

import math
from dataclasses import dataclass


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's score interval of a success probability.

    Args:
        successes: How many trials succeeded.
        trials: How many there were; none leaves everything possible.
        z: Standard normal quantile; 1.96 gives 95 %.

    Returns:
        `(low, high)`, both in [0, 1].

    Raises:
        ValueError: `successes` is not between 0 and `trials`.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f'successes must be from 0 to the {trials} trials, not {successes}')
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    shrink = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    reach = z / shrink * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    # Rounding must not leave 0 or 1 outside when every trial went the same way.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == trials else centre + reach
    return low, high


@dataclass(frozen=True)
class Evaluation:
    """Outcomes of some episodes of one policy.

    Attributes:
        successes: Episodes that had succeeded at their last step.
        ever: Episodes that succeeded at any step.
        episodes: How many there were.
    """

    successes: int
    ever: int
    episodes: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.ever <= self.episodes or self.episodes == 0:
            raise ValueError(
                'an evaluation needs episodes, and 0 <= successes <= ever <= episodes, not '
                f'{self.successes}, {self.ever} and {self.episodes}'
            )

    @property
    def success(self) -> float:
        """Fraction of episodes that had succeeded at the last step."""
        return self.successes / self.episodes

    @property
    def success_ever(self) -> float:
        """Fraction of episodes that succeeded at any step."""
        return self.ever / self.episodes

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of `success`."""
        return wilson(self.successes, self.episodes)
