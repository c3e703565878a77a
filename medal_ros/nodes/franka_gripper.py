"""The Franka's gripper: opened and closed by an action, its width read from its joint."""

from __future__ import annotations

import time
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.node import Node

from medal_ros.nodes.franka_clients import interface
from medal_ros.nodes.franka_joints import Joints
from medal_ros.robot.franka_config import GripperConfig
from medal_ros.robot.franka_pose import gripper_opening

TYPES = {'parallel': 'ParallelGripperCommand', 'gripper_command': 'GripperCommand'}


class Gripper:
    """Sends one goal for each change, and again when that failed or took too long.

    Args:
        node: Owns the client and the subscription.
        config: The gripper's names, type and limits.

    Attributes:
        failures: Goals in a row that were refused, aborted or too late.
    """

    def __init__(self, node: Node, config: GripperConfig) -> None:
        self.config = config
        self.failures = 0
        self._commanded: bool | None = None  # what the goal under way, or done, is for
        self._deadline = 0.0
        self._done = False
        self._number = 0  # of the newest goal; answers to older ones count no more
        if config.kind == 'none':
            return
        self.Action = interface('control_msgs', 'action', TYPES[config.kind])
        self.client = ActionClient(node, self.Action, config.action)
        self.joints = Joints(node, config.joint_states, [config.joint], config.stale_after)

    @property
    def width(self) -> float | None:
        """Metres between the fingers, as of an open gripper where there is none; None: unknown."""
        c = self.config
        if c.kind == 'none':
            return c.width
        found = self.joints.positions()
        if found is None:
            return None
        return c.width * gripper_opening(found[0], c.open_position, c.closed_position)

    def command(self, closed: bool) -> None:
        """See to it that the gripper is closed, or open; call it again and again."""
        if self.config.kind == 'none' or not self.client.server_is_ready():
            return
        now = time.monotonic()
        if closed == self._commanded and (self._done or now < self._deadline):
            return
        if closed == self._commanded:
            self.failures += 1  # too late
        self._commanded, self._done = closed, False
        self._deadline = now + self.config.seconds
        self._number += 1
        future = self.client.send_goal_async(self.goal(closed))
        future.add_done_callback(lambda done, number=self._number: self._accepted(number, done))

    def goal(self, closed: bool) -> Any:
        """Return the goal that closes or opens the gripper, in its action's type."""
        c = self.config
        position = c.closed_position if closed else c.open_position
        goal = self.Action.Goal()
        if c.kind == 'parallel':
            goal.command.name, goal.command.position = [c.joint], [position]
            if c.max_effort:
                goal.command.effort = [c.max_effort]
        else:
            goal.command.position, goal.command.max_effort = position, c.max_effort
        return goal

    def describe(self) -> str:
        """Return what is wrong, in words; empty: nothing."""
        if self.config.kind == 'none':
            return ''
        if words := self.joints.describe():
            return words
        if not self.client.server_is_ready():
            return f'nobody offers {self.config.action}'
        return f'the gripper failed {self.failures} times in a row' if self.failures else ''

    def _accepted(self, number: int, future: Any) -> None:
        handle = future.result()
        if handle.accepted:
            handle.get_result_async().add_done_callback(lambda done: self._finished(number, done))
        # Else the deadline passes, and it is asked for again.

    def _finished(self, number: int, future: Any) -> None:
        if number != self._number:
            return
        answer = future.result()
        # A gripper that stalls holds something.
        if answer.status == GoalStatus.STATUS_SUCCEEDED or answer.result.stalled:
            self._done, self.failures = True, 0
