"""Who is in control: a state machine over segments, resets, pauses and a person's help.

docs/supervisor.md draws it, says what each mode means, and has the table of all transitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medal_ros.robot.stall import StallDetector
from medal_ros.robot.supervision import LABELS, REFUSALS, Decision, SupervisorConfig, Taken
from medal_ros.spaces import AGENTS

Answer = tuple[bool, str]
CONTROL = 'a person is in control'


class Supervisor:
    """Decides for every observation. The same observations and calls give the same decisions."""

    def __init__(self, config: SupervisorConfig) -> None:
        self.config = config
        self.stall = StallDetector(config.ask_for_help)
        self._sequence: int | None = None
        self._mode, self._reason = 'practice', ''
        self._paused = False
        self._held = False  # whether the button of the teleoperation is held
        self._returning = False  # whether control goes back when it is let go
        self._plea = ''  # why the arm asks for help
        self._agent = AGENTS[0]
        self._segment = self._index = 0
        self._segment_steps = self._steps = self._interventions = 0
        self._arm_reset_at = self._world_reset_at = 0
        self._outside = 0  # observations in a row with the object outside the workspace

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
    def reason(self) -> str:
        """Why the mode is what it is, in words; empty in plain practice."""
        if self.mode == 'paused':
            return 'paused by a person'
        if not self._plea or self._mode == 'done':
            return self._reason
        return '; '.join(filter(None, [self._reason, f'the arm asks for help: {self._plea}']))

    @property
    def decision(self) -> Decision:
        """The decision for the newest observation, with what was asked for since."""
        return Decision(
            sequence=self._sequence or 0,
            mode=self.mode,
            agent=self._agent,
            segment=self._segment,
            index=self._index,
            steps=self._steps,
            interventions=self._interventions,
            reason=self.reason,
        )

    def snapshot(self) -> dict[str, Any]:
        """Return everything but the stall detector's window, as plain values."""
        return {k: v for k, v in vars(self).items() if k not in ('config', 'stall')}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot; what the stall detector had seen is forgotten."""
        self.stall.clear()
        vars(self).update(snapshot)

    def begin_again(self, steps: int, segment: int, interventions: int) -> None:
        """Begin where a run ended without leaving a snapshot: the world was put back meanwhile.

        Args:
            steps: Policy steps that either policy has taken.
            segment: The last one that is known of.
            interventions: Times a person was needed so far; putting the world back is one more.
        """
        self._steps = self._arm_reset_at = self._world_reset_at = steps
        self._segment, self._interventions = segment, interventions + 1
        self._begin(AGENTS[0])

    # -- what happens --------------------------------------------------------------------------

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
            if self._mode in ('practice', 'arm_reset'):
                self._begin(AGENTS[0])
        self._sequence = sequence
        if self._mode == 'practice':
            self._next()
        if self.mode == 'practice':
            self.stall.add(image, proprio, truth)
            self._look_for_object(truth)
        return self.decision

    def missed(self, taken: Taken) -> None:
        """Take in an earlier step after which no observation was decided on."""
        self._account(taken)

    def teleop(self, engaged: bool) -> None:
        """Take in whether a person holds the teleoperation's button; who does is in control."""
        self._held = engaged
        if self._mode == 'intervention' and not self._returning:
            self._reason = CONTROL
        elif engaged:
            self._take_over()
        elif self._returning:
            self._give_back()

    def teleop_silent(self) -> None:
        """Take in that the teleoperation says nothing although its button was held.

        The arm holds until the button is let go; what was agreed on before the silence, that
        practice then goes on, may surprise somebody by now and has to be said again.
        """
        self._returning = False
        if self._held and self._mode == 'intervention':
            self._reason = f'{CONTROL}; the teleoperation fell silent with its button held'

    def arm_asks(self, plea: str) -> None:
        """Take in why the arm needs a person; empty: it needs nobody any more."""
        if plea and self._mode in ('practice', 'arm_reset'):
            self._ask('')
        elif plea and self._returning:
            self._returning, self._reason = False, CONTROL
        elif self._plea and not plea and self._mode == 'help' and not self._reason:
            self._reason = f'the arm asked for help and is ready again: {self._plea}'
        self._plea = plea

    # -- what a person may ask for -------------------------------------------------------------

    def switch(self, policy: str) -> Answer:
        """Hand control to a policy, in a new segment."""
        if policy not in AGENTS:
            return False, f'there is no policy {policy!r}; there are {" and ".join(AGENTS)}'
        if self._mode not in ('practice', 'arm_reset'):
            return False, REFUSALS[self.mode]
        if self._mode == 'arm_reset':
            self._agent = policy
            return True, f'{policy} takes over after the arm reset'
        self._begin(policy)
        return True, f'{policy} takes over ' + ('after the pause' if self._paused else 'now')

    def pause(self, on: bool) -> Answer:
        """Stop practice where it is, or go on."""
        if on == self._paused:
            return False, 'already paused' if on else 'not paused'
        if self._mode not in ('practice', 'arm_reset'):
            return False, REFUSALS[self.mode]
        self._paused = on
        return True, 'paused' if on else f'practice goes on with {self._agent}'

    def intervene(self, on: bool) -> Answer:
        """Take control from the policies, or give it back."""
        if not on and self._mode != 'intervention':
            return False, 'no intervention to end'
        if not on:
            return self._return_control()
        if self._returning:
            self._returning, self._reason = False, CONTROL
        elif not self._take_over():
            return False, REFUSALS[self.mode]
        return True, 'you are in control; intervene false or reset_done gives it back'

    def reset_done(self) -> Answer:
        """Say that the world was put back, asked for or not; forward then starts afresh."""
        if self.mode not in ('help', 'intervention', 'paused'):
            return False, f'nobody waits for a reset: the mode is {self.mode}'
        accepted, message = self._return_control()
        if accepted:
            self._world_reset_at = self._steps
        return accepted, message

    def home(self) -> Answer:
        """Move the arm to its start pose now; the policy then starts a new segment."""
        if self.mode != 'practice':
            return False, REFUSALS[self.mode]
        self._mode, self._reason = 'arm_reset', 'asked for'
        return True, f'the arm moves to its start pose, then {self._agent} goes on'

    def label(self, label: str) -> Answer:
        """Judge the segment or intervention in progress, or else the last one."""
        if label not in LABELS:
            return False, f'there is no label {label!r}; there are {", ".join(LABELS)}'
        if self._sequence is None:
            return False, 'there is nothing to judge before the first observation'
        what = 'the intervention' if self._mode == 'intervention' else f'segment {self._segment}'
        return True, f'{what} is labelled {label}'

    def _take_over(self) -> bool:
        if self._mode in ('intervention', 'done'):
            return False
        self._interventions += 1
        self._mode, self._reason = 'intervention', CONTROL
        self._agent = AGENTS[0]
        return True

    def _return_control(self) -> Answer:
        """Let practice go on, at once or when the person lets go of the button."""
        if self._plea:
            return False, f'practice cannot go on: the arm asks for help: {self._plea}'
        if self._held:
            self._returning = True
            self._reason = 'practice goes on when the button of the teleoperation is let go'
            return True, self._reason
        self._interventions += self._mode != 'intervention'  # that one was counted already
        return self._give_back()

    def _give_back(self) -> Answer:
        self._returning = False
        self.stall.clear()
        self._begin(AGENTS[0])
        return True, f'{self._agent} starts a new segment' + (' after the pause' * self._paused)

    # -- what follows from what happened -------------------------------------------------------

    def _as_decided(self) -> Taken:
        source = {'practice': 'policy', 'arm_reset': 'script'}.get(self.mode, 'hold')
        return Taken(source, self._segment)

    def _account(self, taken: Taken) -> None:
        """Count what was executed, which may be older than a decision changed meanwhile."""
        if taken.source == 'restart':
            self._restarted()
            return
        here = taken.segment == self._segment
        self._index += here
        if taken.source == 'policy':
            self._steps += 1
            self._segment_steps += here
        elif taken.source == 'teleop' and here:
            self._take_over()
        elif taken.source == 'script':
            if self._mode == 'arm_reset':
                self._arm_reset_at = self._steps
                self._begin(self._agent)
            elif self._mode == 'practice' and here:  # somebody reset the world
                self.stall.clear()
                self._begin(self._agent)

    def _restarted(self) -> None:
        """Take in that the arm ended and another took its place, with the world put back."""
        self.stall.clear()
        self._interventions += 1
        self._world_reset_at = self._steps
        if self._mode in ('practice', 'arm_reset'):
            self._begin(AGENTS[0])

    def _next(self) -> None:
        """Go on from a step of practice."""
        if 0 < self.config.steps <= self._steps:
            self._mode, self._reason = 'done', f'all {self.config.steps} steps are taken'
        elif self._segment_steps >= self.config.segment_steps:
            self._end_segment()

    def _end_segment(self) -> None:
        other = AGENTS[1 - AGENTS.index(self._agent)]
        following = other if self.config.alternate else self._agent
        every, before = self.config.arm_reset.every_steps, self.config.arm_reset.before
        if self.stall.still():
            self._ask(f'nothing has moved for {self.config.ask_for_help.after_steps} steps')
        elif why := self.config.reset_due(self._steps, self._world_reset_at):
            self._ask(why)
        elif 0 < every <= self._steps - self._arm_reset_at and before in ('either', following):
            self._mode, self._reason = 'arm_reset', f'every {every} steps'
            self._agent = following
        else:
            self._begin(following)

    def _look_for_object(self, truth: np.ndarray | None) -> None:
        """Ask at once where the object stays outside: practice without it teaches nothing."""
        c = self.config.ask_for_help
        if truth is None or not c.outside(truth):
            self._outside = 0
            return
        self._outside += 1
        if self._outside >= c.lost_after:
            place = ', '.join(f'{x:.2f}' for x in truth)
            self._ask(f'the object is lost: it is at ({place}), outside the workspace')

    def _ask(self, reason: str) -> None:
        self._mode, self._reason = 'help', reason
        self._agent = AGENTS[0]

    def _begin(self, agent: str) -> None:
        """Start a segment."""
        self._mode, self._reason = 'practice', ''
        self._agent = agent
        self._segment += 1
        self._index = self._segment_steps = self._outside = 0
