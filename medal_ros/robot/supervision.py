"""What the supervisor is configured with, what it is told, what it decides and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from medal_ros.options import group, option
from medal_ros.robot.schedule import ResetScheduleConfig
from medal_ros.robot.stall import StallConfig

LABELS = ('success', 'failure', 'invalid')
REFUSALS = {
    'arm_reset': 'the arm is on its way to its start pose',
    'paused': 'practice is paused; pause false ends that first',
    'intervention': 'a person is in control; intervene false or reset_done ends that first',
    'help': 'help is awaited; reset_done ends that first',
    'done': 'the run is done',
}
MODES = ('practice', *REFUSALS)


@dataclass(frozen=True)
class ArmResetConfig:
    """The arm's own resets; no person is involved."""

    every_steps: int = option(
        1000,
        'policy steps between arm resets, each at the next switch of policies; 0: never',
        source='paper A.2',
        low=0,
    )
    pose: str = option(
        'fixed', 'where the arm goes', source='paper A.2', choices=('fixed', 'random')
    )
    before: str = option(
        'either',
        'before whose segments: forward, where backward begins with what forward holds',
        source='ours',
        choices=('either', 'forward'),
    )


@dataclass(frozen=True)
class SupervisorConfig:
    """How practice is organised."""

    steps: int = option(
        300_000,
        'policy steps of the run; 0: until stopped',
        source='paper A.2',
        low=0,
        high=100_000_000,
    )
    segment_steps: int = option(
        200, 'policy steps before the other policy takes over', source='paper A.2', low=1
    )
    alternate: bool = option(
        True, 'after a segment the other policy takes over; false: forward alone', source='paper s4'
    )
    world_reset_every: int = option(
        0,
        'policy steps between resets of the world by a person; 0: never',
        source='paper A.3: 25000 in simulation',
        low=0,
    )
    arm_reset: ArmResetConfig = group(ArmResetConfig)
    resets: ResetScheduleConfig = group(ResetScheduleConfig)
    ask_for_help: StallConfig = group(StallConfig)

    def reset_due(self, steps: int, last: int) -> str:
        """Return why a person is to reset the world after `steps` policy steps; empty: not yet.

        Args:
            steps: Policy steps taken.
            last: Policy steps at the last reset; 0 before the first.
        """
        if 0 < self.world_reset_every <= steps - last:
            return 'scheduled reset'
        if self.resets.due(steps, last):
            return f'scheduled reset, {self.resets.every_minutes(last):g} minutes after the last'
        return ''


@dataclass(frozen=True)
class Decision:
    """Who is in control for one observation. The fields are those of the State message."""

    sequence: int
    mode: str
    agent: str
    segment: int
    index: int
    steps: int
    interventions: int
    reason: str


@dataclass(frozen=True)
class Taken:
    """What the arm did about one observation, as far as the supervisor must know it."""

    source: str  # policy | teleop | script | hold | restart
    segment: int
