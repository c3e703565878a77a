"""What the arm executes: one step for every sequence number, from one source, checked.

No ROS here. The node that owns the hardware or the simulator asks `due` what to execute now,
executes it, and tells what was executed with the record that it got.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OPEN = -1.0  # what commands the gripper to open


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
    """Takes orders and proposed actions, and says what is due.

    Args:
        action_size: Numbers of an action; the last one commands the gripper.

    Attributes:
        sequence: The observation that waits for its step.
        refused: Actions that were not numbers or not of the right size.
        ignored: Actions for another observation or of an agent that is not in control.
    """

    def __init__(self, action_size: int) -> None:
        self.action_size = action_size
        self.sequence = 0
        self.refused = self.ignored = 0
        self._order: Order | None = None
        self._proposal: tuple[str, str, np.ndarray] | None = None
        self._gripper = OPEN

    def order(self, order: Order) -> None:
        """Take the supervisor's newest decision."""
        self._order = order

    def propose(self, sequence: int, source: str, agent: str, action: Sequence[float]) -> str:
        """Take an action for the present observation.

        Returns:
            Why it is refused, in one sentence; empty when it is not. An action that comes too
            late, or again, is no mistake: it is counted as ignored.
        """
        values = np.asarray(action, np.float32)
        if values.shape != (self.action_size,) or not np.isfinite(values).all():
            self.refused += 1
            return (
                f'action {sequence} of the {agent} {source} is refused: it must be '
                f'{self.action_size} finite numbers, not {values.tolist()}'
            )
        if sequence != self.sequence:
            self.ignored += 1
            return ''
        self._proposal = source, agent, np.clip(values, -1.0, 1.0)
        return ''

    def due(self) -> Execution | None:
        """Return what the present order asks for, once it and its action are here."""
        order = self._order
        if order is None or order.sequence != self.sequence:
            return None
        if order.mode == 'arm_reset':
            return self.reset()
        if order.mode != 'practice' or self._proposal is None:
            return None
        source, agent, action = self._proposal
        if agent != order.agent:
            self.ignored += 1
            self._proposal = None
            return None
        return self._execution(source, agent, False, action)

    def hold(self) -> Execution:
        """Return the step that moves nothing: zero motion, the gripper as commanded last."""
        action = np.zeros(self.action_size, np.float32)
        action[-1] = self._gripper
        return self._execution('hold', '', False, action)

    def reset(self) -> Execution:
        """Return the step of a scripted reset, of the arm alone or of the whole world."""
        return self._execution('script', '', True, np.zeros(self.action_size, np.float32))

    def executed(self, execution: Execution) -> None:
        """Go on to the next observation."""
        self._gripper = OPEN if execution.source == 'script' else float(execution.action[-1])
        self._proposal = None
        self.sequence += 1

    def waits_for(self) -> str:
        """Return what the present observation still waits for, in words; empty: nothing."""
        order = self._order
        if order is None or order.sequence != self.sequence:
            return f'waiting for the state of observation {self.sequence}'
        if order.mode == 'practice':
            return f'waiting for the action of {order.agent} for observation {self.sequence}'
        return f'nothing to do: {order.mode}'

    def _execution(self, source: str, agent: str, boundary: bool, action: np.ndarray) -> Execution:
        order = self._order
        segment, index = (order.segment, order.index) if order is not None else (0, 0)
        return Execution(self.sequence, source, agent, segment, index, boundary, action)
