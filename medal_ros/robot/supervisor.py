"""Who is in control: a state machine over segments, resets, pauses and a person's help.

- practice      a policy acts; after a segment the other one takes over
- arm_reset     the arm returns to a start pose by itself, then practice
- paused        practice waits for a person's word
- intervention  a person is in control; afterwards forward starts a fresh segment
- help          a person is asked to put the world back; afterwards the same
- done          all steps are taken
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medal_ros.options import group, option
from medal_ros.robot.stall import StallConfig, StallDetector
from medal_ros.spaces import AGENTS

Answer = tuple[bool, str]


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
    ask_for_help: StallConfig = group(StallConfig)


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

    source: str  # policy | teleop | script | hold
    segment: int


class Supervisor:
    """Decides for every observation. The same observations and calls give the same decisions."""

    def __init__(self, config: SupervisorConfig) -> None:
        self.config = config
        self.stall = StallDetector(config.ask_for_help)
        self._sequence: int | None = None
        self._mode, self._reason = 'practice', ''
        self._paused = False
        self._agent = AGENTS[0]
        self._segment = self._index = 0
        self._segment_steps = self._steps = self._interventions = 0
        self._arm_reset_at = self._world_reset_at = 0

    @property
    def sequence(self) -> int | None:
        """The newest observation that was decided on; None before the first."""
        return self._sequence

    @property
    def mode(self) -> str:
        """What happens now; a pause hides the practice or arm reset that waits behind it."""
        waits = self._paused and self._mode in ('practice', 'arm_reset')
        return 'paused' if waits else self._mode

    @property
    def decision(self) -> Decision:
        """The decision for the newest observation, with what was asked for since."""
        mode = self.mode
        return Decision(
            sequence=self._sequence or 0,
            mode=mode,
            agent=self._agent,
            segment=self._segment,
            index=self._index,
            steps=self._steps,
            interventions=self._interventions,
            reason='paused by a person' if mode == 'paused' else self._reason,
        )

    def snapshot(self) -> dict[str, Any]:
        """Return everything but the stall detector's window, as plain values."""
        return {k: v for k, v in vars(self).items() if k not in ('config', 'stall')}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot; what the stall detector had seen is forgotten."""
        self.stall.clear()
        vars(self).update(snapshot)

    def observe(
        self,
        sequence: int,
        image: np.ndarray | None,
        proprio: np.ndarray,
        truth: np.ndarray | None = None,
        taken: Taken | None = None,
    ) -> Decision:
        """Decide for an observation. Asking again for the same one changes nothing.

        Args:
            sequence: Of the observation; a lower one than before means that the arm restarted.
            image: `(height, width, 3)` uint8 of the camera that is watched for a stall; None
                where there is none.
            proprio: `(p,)` float32, scaled to [-1, 1].
            truth: Position of the object, where help is asked for by privileged knowledge.
            taken: What was executed after the observation before; None: what was decided.
        """
        if sequence == self._sequence:
            return self.decision
        if self._sequence is not None and sequence > self._sequence:
            self._account(taken or self._as_decided())
        elif self._sequence is not None:
            self.stall.clear()
            self._begin(AGENTS[0])
        self._sequence = sequence
        if self._mode == 'practice':
            self._next()
        if self.mode == 'practice':
            self.stall.add(image, proprio, truth)
        return self.decision

    # -- what a person may ask for -------------------------------------------------------------

    def switch(self, policy: str) -> Answer:
        """Hand control to a policy, in a new segment."""
        if policy not in AGENTS:
            return False, f'there is no policy {policy!r}; there are {" and ".join(AGENTS)}'
        if self._mode not in ('practice', 'arm_reset'):
            return False, self._refusal()
        if self._mode == 'arm_reset':
            self._agent = policy
            return True, f'{policy} takes over after the arm reset'
        self._begin(policy)
        return True, f'{policy} takes over ' + ('after the pause' if self._paused else 'now')

    def pause(self, on: bool) -> Answer:
        """Stop practice where it is, or go on."""
        if on == (self.mode == 'paused'):
            return False, 'already paused' if on else 'not paused'
        if self._mode not in ('practice', 'arm_reset'):
            return False, self._refusal()
        self._paused = on
        return True, 'paused' if on else f'practice goes on with {self._agent}'

    def intervene(self, on: bool) -> Answer:
        """Take control from the policies, or give it back."""
        if not on:
            if self._mode != 'intervention':
                return False, 'no intervention to end'
            return self._give_back()
        if self._mode in ('intervention', 'done'):
            return False, self._refusal()
        self._interventions += 1
        self._mode, self._reason = 'intervention', 'a person is in control'
        self._agent = AGENTS[0]
        return True, 'you are in control; intervene false or reset_done gives it back'

    def reset_done(self) -> Answer:
        """Say that the world was put back: the answer to a call for help."""
        if self._mode not in ('help', 'intervention'):
            return False, f'nobody waits for a reset: the mode is {self.mode}'
        self._interventions += self._mode == 'help'
        self._world_reset_at = self._steps
        return self._give_back()

    def home(self) -> Answer:
        """Move the arm to its start pose now; the policy then starts a new segment."""
        if self.mode != 'practice':
            return False, self._refusal()
        self._mode, self._reason = 'arm_reset', 'asked for'
        return True, f'the arm moves to its start pose, then {self._agent} goes on'

    def _give_back(self) -> Answer:
        self.stall.clear()
        self._begin(AGENTS[0])
        return True, f'{self._agent} starts a new segment' + (' after the pause' * self._paused)

    def _refusal(self) -> str:
        why = {
            'arm_reset': 'the arm is on its way to its start pose',
            'paused': 'practice is paused; pause false ends that first',
            'intervention': 'a person is in control; intervene false or reset_done ends that first',
            'help': 'help is awaited; reset_done ends that first',
            'done': 'the run is done',
        }
        return why[self.mode]

    # -- what follows from what happened -------------------------------------------------------

    def _as_decided(self) -> Taken:
        source = {'practice': 'policy', 'arm_reset': 'script'}.get(self.mode, 'hold')
        return Taken(source, self._segment)

    def _account(self, taken: Taken) -> None:
        """Count what was executed, which may be older than a decision changed meanwhile."""
        here = taken.segment == self._segment
        self._index += here
        if taken.source == 'policy':
            self._steps += 1
            self._segment_steps += here
        elif taken.source == 'script':
            if self._mode == 'arm_reset':
                self._arm_reset_at = self._steps
                self._begin(self._agent)
            elif self._mode == 'practice' and here:  # somebody reset the world
                self.stall.clear()
                self._begin(self._agent)

    def _next(self) -> None:
        """Go on from a step of practice."""
        if 0 < self.config.steps <= self._steps:
            self._mode, self._reason = 'done', f'all {self.config.steps} steps are taken'
        elif self._segment_steps >= self.config.segment_steps:
            self._end_segment()

    def _end_segment(self) -> None:
        other = AGENTS[1 - AGENTS.index(self._agent)]
        following = other if self.config.alternate else self._agent
        resets, every = self.config.arm_reset, self.config.world_reset_every
        if self.stall.still():
            self._ask(f'nothing has moved for {self.config.ask_for_help.after_steps} steps')
        elif 0 < every <= self._steps - self._world_reset_at:
            self._ask('scheduled reset')
        elif 0 < resets.every_steps <= self._steps - self._arm_reset_at:
            self._mode, self._reason = 'arm_reset', f'every {resets.every_steps} steps'
            self._agent = following
        else:
            self._begin(following)

    def _ask(self, reason: str) -> None:
        self._mode, self._reason = 'help', reason
        self._agent = AGENTS[0]

    def _begin(self, agent: str) -> None:
        """Start a segment."""
        self._mode, self._reason = 'practice', ''
        self._agent = agent
        self._segment += 1
        self._index = self._segment_steps = 0
