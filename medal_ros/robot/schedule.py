"""When a person is asked to put the world back: often at first, then about hourly.

Minutes are of practice: policy steps taken, at a nominal control rate. They mean the same in
lockstep and on a clock; what is spent in pauses, interventions and arm resets is not practice.
"""

from __future__ import annotations

from dataclasses import dataclass

from medal_ros.options import option


@dataclass(frozen=True)
class ResetScheduleConfig:
    """Resets of the world that are asked for by the minutes of practice."""

    scheduled: bool = option(False, 'ask for resets of the world by minutes of practice')
    initial_minutes: float = option(
        30.0, 'minutes of practice with frequent resets, for variety', source='paper A.4', low=0
    )
    initial_every: float = option(
        5.0, 'minutes between two resets during those', source='ours', low=0.01
    )
    every: float = option(
        60.0, 'minutes between two resets afterwards', source='paper A.4', low=0.01
    )
    rate: float = option(
        10.0,
        'policy steps per second that make minutes of steps',
        source='paper A.2',
        low=0.01,
        high=1000,
    )

    def every_minutes(self, last: int) -> float:
        """Return the minutes from the reset at policy step `last` (0: the start) to the next."""
        within = self._minutes(last) + self.initial_every <= self.initial_minutes + 1e-9
        return self.initial_every if within else self.every

    def due(self, steps: int, last: int) -> bool:
        """Return whether a reset is due after `steps` policy steps, the last one at `last`."""
        passed = self._minutes(steps - last)
        return self.scheduled and passed >= self.every_minutes(last) - 1e-9

    def _minutes(self, steps: int) -> float:
        return steps / (60.0 * self.rate)
