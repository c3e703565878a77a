"""Who commands the arm: a policy, a person, or a scripted motion, and never two at once.

No ROS and no clock here: every method is told the time, in seconds of any clock that never
goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medal_ros.robot.gripper import OPEN

SHOWN = 16  # numbers of a refused action that a sentence repeats


@dataclass(frozen=True)
class Command:
    """What the one source in control asks for.

    Attributes:
        source: policy, teleop, script (a motion of its own; `action` says nothing) or hold.
        agent: Whose action it is, forward or backward; empty where no policy acts.
        action: `(n,)` float32 in [-1, 1]; a hold moves nothing and leaves the gripper.
    """

    source: str
    agent: str
    action: np.ndarray


class CommandMux:
    """Takes what policies, a person and scripts want, and says which one commands.

    - A person is in control from the first `teleop` call that is engaged until the first one
      that is not. That cuts a script short, and drops what a policy had asked for.
    - While a person is in control, nothing newer than `stale_after` from him means hold, never
      the policy: silence is no release.
    - A script that has begun is in control until it ends, unless a person takes over.
    - Otherwise a policy is, with an action that is used once and is no older than `stale_after`.

    Args:
        action_size: Numbers of an action; the last one commands the gripper.
        stale_after: Seconds after which a command that nobody renewed counts as silence.

    Attributes:
        engaged: Whether a person is in control.
        scripted: Whether a script is.
        gripper: What the gripper was last commanded, in [-1, 1]; more than 0 is closed.
        refused: Actions that were not finite numbers or not of the right size.
        ignored: Actions of a policy that was not in control.
    """

    def __init__(self, action_size: int, stale_after: float = 0.2) -> None:
        self.action_size, self.stale_after = action_size, stale_after
        self.engaged = self.scripted = False
        self.gripper = OPEN
        self.refused = self.ignored = 0
        self._teleop: tuple[float, np.ndarray] | None = None
        self._policy: tuple[float, str, np.ndarray] | None = None

    def teleop(self, now: float, engaged: bool, action: Sequence[float]) -> str:
        """Take a message of the person at the controls.

        A release counts whatever its action is; an engaged message whose action is refused
        takes control too, and holds.

        Returns:
            Why the action is refused, in one sentence; empty when it is not.
        """
        self.engaged, self._teleop = engaged, None
        if not engaged:
            return ''
        self._policy, self.scripted = None, False
        values, refusal = self._checked(action, 'the action of the person at the controls')
        if values is not None:
            self._teleop = now, values
        return refusal

    def policy(self, now: float, agent: str, action: Sequence[float], what: str = '') -> str:
        """Take an action of a policy, in the place of one that was not used.

        Args:
            now: The time.
            agent: Whose action it is.
            action: `(n,)` numbers, clipped to [-1, 1].
            what: What a refusal calls it.

        Returns:
            Why it is refused, in one sentence; empty when it is not. A policy that is not in
            control makes no mistake: its action is counted as ignored.
        """
        values, refusal = self._checked(action, what or f'the action of {agent}')
        if values is None:
            return refusal
        if self.engaged or self.scripted:
            self.ignored += 1
        else:
            self._policy = now, agent, values
        return ''

    def forget_policy(self) -> None:
        """Drop an action that was not used."""
        self._policy = None

    def begin_script(self) -> bool:
        """Give control to a scripted motion; False, and nothing changes, while a person has it."""
        if self.engaged:
            return False
        self._policy, self.scripted = None, True
        return True

    def end_script(self) -> None:
        """Take control back from a scripted motion, which may have been cut short already."""
        self.scripted = False

    def command(self, now: float) -> Command:
        """Return what the source in control asks for now; asking changes nothing."""
        if self.engaged:
            if self._teleop is not None and now - self._teleop[0] <= self.stale_after:
                return Command('teleop', '', self._teleop[1])
        elif self.scripted:
            return Command('script', '', np.zeros(self.action_size, np.float32))
        elif self._policy is not None and now - self._policy[0] <= self.stale_after:
            return Command('policy', *self._policy[1:])
        return self.hold()

    def silence(self, now: float) -> str:
        """Return that the person in control says nothing, in words; empty where he does."""
        if not self.engaged or self.command(now).source == 'teleop':
            return ''
        return 'holding: the person in control is silent; only letting go of the button ends that'

    def hold(self) -> Command:
        """Return the command that moves nothing."""
        action = np.zeros(self.action_size, np.float32)
        action[-1] = self.gripper
        return Command('hold', '', action)

    def executed(self, source: str, gripper: float) -> None:
        """Take note of what was executed: a policy's action is used up, the gripper is known."""
        self._policy = None
        self.gripper = OPEN if source == 'script' else gripper

    def _checked(self, action: Sequence[float], what: str) -> tuple[np.ndarray | None, str]:
        with np.errstate(over='ignore'):
            values = np.asarray(action, np.float32)
        if values.shape == (self.action_size,) and np.isfinite(values).all():
            return np.clip(values, -1.0, 1.0), ''
        self.refused += 1
        sentence = f'{what} is refused: it must be {self.action_size} finite numbers'
        shown = values.tolist() if values.size <= SHOWN else f'{values.size} numbers'
        return None, f'{sentence}, not {shown}'
