"""What the arm executes: one step for every sequence number, from one source, checked.

No ROS here. The node that owns the simulator asks `due` what to execute now, executes it, and
tells what was executed with the record that it got.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medal_ros.robot.gripper import CLOSED, OPEN, GripperFilter
from medal_ros.robot.mux import Command, CommandMux


@dataclass(frozen=True)
class Order:
    """The supervisor's decision for one observation."""

    sequence: int
    mode: str
    agent: str
    segment: int
    index: int


@dataclass(frozen=True)
class Execution:
    """What is executed after one observation. The fields are those of the Step message."""

    sequence: int
    source: str
    agent: str
    segment: int
    index: int
    boundary: bool
    action: np.ndarray


class Arm:
    """Takes orders, proposed actions and what a person asks for, and says what is due.

    A person needs no order: what he asks for is due in every mode. Times are seconds of any
    clock that never goes back.

    Args:
        action_size: Numbers of an action; the last one commands the gripper.
        stale_after: Seconds after which a command that nobody renewed is no longer executed.
        gripper: Steadies the gripper; None: it does as it is asked.

    Attributes:
        mux: Who is in control; tell it what the person at the controls asks for.
        sequence: The observation that waits for its step.
    """

    def __init__(
        self, action_size: int, stale_after: float = 0.2, gripper: GripperFilter | None = None
    ) -> None:
        self.mux = CommandMux(action_size, stale_after)
        self.sequence = 0
        self._filter = gripper
        self._ignored = 0
        self._order: Order | None = None

    @property
    def refused(self) -> int:
        """Actions that were not numbers or not of the right size."""
        return self.mux.refused

    @property
    def ignored(self) -> int:
        """Actions for another observation or of an agent that was not in control."""
        return self._ignored + self.mux.ignored

    def order(self, order: Order) -> None:
        """Take the supervisor's newest decision."""
        self._order = order

    def propose(self, now: float, sequence: int, agent: str, action: Sequence[float]) -> str:
        """Take a policy's action for the present observation.

        Returns:
            Why it is refused, in one sentence; empty when it is not. An action that comes too
            late, again, or while a person is in control is no mistake: it is counted as ignored.
        """
        if sequence != self.sequence:
            self._ignored += 1
            return ''
        return self.mux.policy(now, agent, action, f'action {sequence} of the {agent} policy')

    def due(self, now: float) -> Execution | None:
        """Return what is to be executed now, if anything: a person's wish before any order."""
        command, order = self.mux.command(now), self._order
        if self.mux.engaged:
            return self._steadied(now, command) if command.source == 'teleop' else None
        if order is None or order.sequence != self.sequence:
            return None
        if order.mode == 'arm_reset':
            return self.reset()
        if order.mode != 'practice' or command.source != 'policy':
            return None
        if command.agent != order.agent:
            self._ignored += 1
            self.mux.forget_policy()
            return None
        return self._steadied(now, command)

    def hold(self, boundary: bool = False) -> Execution:
        """Return the step that moves nothing: zero motion, the gripper as commanded last."""
        return self._execution('hold', '', boundary, self.mux.hold().action)

    def reset(self) -> Execution:
        """Return the step of a scripted reset, of the arm alone or of the whole world."""
        return self._execution('script', '', True, np.zeros(self.mux.action_size, np.float32))

    def restart(self) -> Execution:
        """Return the step that says: this arm took another one's place, the world was put back."""
        return self._execution('restart', '', True, np.zeros(self.mux.action_size, np.float32))

    def executed(self, execution: Execution) -> None:
        """Go on to the next observation."""
        self.mux.executed(execution.source, float(execution.action[-1]))
        if self._filter is not None and execution.source == 'script':
            self._filter.moved(closed=False)
        self.sequence += 1

    def waits_for(self, now: float) -> str:
        """Return what the present observation still waits for, in words; empty: nothing."""
        order = self._order
        if self.mux.engaged:
            return self.mux.silence(now)
        if order is None or order.sequence != self.sequence:
            return f'waiting for the state of observation {self.sequence}'
        if order.mode == 'practice':
            return f'waiting for the action of {order.agent} for observation {self.sequence}'
        return f'nothing to do: {order.mode}'

    def _steadied(self, now: float, command: Command) -> Execution:
        action = command.action
        if self._filter is not None:
            action = action.copy()
            action[-1] = CLOSED if self._filter.update(now, float(action[-1])) else OPEN
        return self._execution(command.source, command.agent, False, action)

    def _execution(self, source: str, agent: str, boundary: bool, action: np.ndarray) -> Execution:
        order = self._order
        segment, index = (order.segment, order.index) if order is not None else (0, 0)
        return Execution(self.sequence, source, agent, segment, index, boundary, action)
