"""What franka_arm asks of other programs: requests of its guard, sent when their server is there.

Packages that are not on PyPI are imported here, by name, only when a Franka is spoken to.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from lifecycle_msgs.msg import State as Lifecycle
from rclpy.action import ActionClient
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from medal_ros.errors import UserError
from medal_ros.robot.franka_config import FrankaConfig
from medal_ros.robot.franka_procedure import Ask

Answered = Callable[[Ask, bool, str], None]
BEST_EFFORT = 1  # of controller_manager_msgs/SwitchController: what is so already is no failure


class MissingPackage(UserError):
    """A ROS package that a Franka needs is not installed."""


def interface(package: str, kind: str, name: str) -> Any:
    """Return a message, service or action of a package that need not be installed.

    Raises:
        MissingPackage: It is not; the sentence says what to do.
    """
    try:
        module = import_module(f'{package}.{kind}')
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingPackage(
            f'a Franka needs the ROS package {package}, which is not installed: see '
            'docs/hardware.md, and for the stand-in leave out robot:=franka'
        ) from None
    return getattr(module, name)


class Clients:
    """Sends one request at a time and says how it was answered.

    Args:
        node: Owns the clients.
        config: Their names.
        hold: Publishes the present pose as the target; returns why it cannot.
        answered: Told of every answer, in the node's own thread.
    """

    def __init__(
        self, node: Node, config: FrankaConfig, hold: Callable[[], str], answered: Answered
    ) -> None:
        self.node, self.config, self.hold, self.answered = node, config, hold, answered
        c = config.controllers
        recovery = interface('franka_msgs', 'action', 'ErrorRecovery')
        move = interface('control_msgs', 'action', 'FollowJointTrajectory')
        self.Switch = interface('controller_manager_msgs', 'srv', 'SwitchController')
        self.SetState = interface('controller_manager_msgs', 'srv', 'SetHardwareComponentState')
        self.recovery = ActionClient(node, recovery, config.recovery.action)
        self.trajectory = ActionClient(node, move, config.home.action)
        self.switch = node.create_client(self.Switch, f'{c.manager}/switch_controller')
        self.hardware = node.create_client(
            self.SetState, f'{c.manager}/set_hardware_component_state'
        )
        self.moving: Any = None  # the goal handle of a motion of the joints
        self._waiting: Ask | None = None

    def ask(self, ask: Ask) -> None:
        """Take over a request; `poll` sends it once its server is there."""
        self._waiting = ask

    def poll(self, awaited: Ask | None) -> None:
        """Send what waits, if its server is there and the guard still awaits the answer.

        Else a server that comes late would be asked for what nobody wants any more: to clear an
        error although the stop was pressed meanwhile.
        """
        ask = self._waiting
        if ask is not awaited:
            ask = self._waiting = None
        if ask is None or ask.what == 'see':
            return
        if ask.what == 'hold':
            self._waiting = None
            why = self.hold()
            self.answered(ask, not why, why)
        elif ask.what in ('switch', 'hardware'):
            client = getattr(self, ask.what)
            if client.service_is_ready():
                self._waiting = None
                future = client.call_async(getattr(self, f'_{ask.what}_request')(ask))
                future.add_done_callback(lambda done: self._served(ask, done))
        else:
            client = self.recovery if ask.what == 'clear' else self.trajectory
            if client.server_is_ready():
                self._waiting = None
                future = client.send_goal_async(self._goal(ask))
                future.add_done_callback(lambda done: self._accepted(ask, done))

    def cancel(self) -> None:
        """Stop a motion of the joints."""
        if self.moving is not None:
            self.moving.cancel_goal_async()
            self.moving = None

    # -- requests --------------------------------------------------------------------------------

    def _switch_request(self, ask: Ask) -> Any:
        request = self.Switch.Request(
            activate_controllers=list(ask.activate),
            deactivate_controllers=list(ask.deactivate),
            strictness=BEST_EFFORT,
            activate_asap=True,
        )
        request.timeout = duration(self.config.controllers.switch_seconds)
        return request

    def _hardware_request(self, ask: Ask) -> Any:
        request = self.SetState.Request(name=self.config.controllers.hardware)
        request.target_state.id = Lifecycle.PRIMARY_STATE_ACTIVE
        request.target_state.label = 'active'
        return request

    def _goal(self, ask: Ask) -> Any:
        if ask.what == 'clear':
            return interface('franka_msgs', 'action', 'ErrorRecovery').Goal()
        home = self.config.home
        there = JointTrajectoryPoint(
            positions=list(home.joints),
            velocities=[0.0] * len(home.joints),
            time_from_start=duration(ask.seconds - home.grace_seconds),
        )
        goal = interface('control_msgs', 'action', 'FollowJointTrajectory').Goal()
        goal.trajectory = JointTrajectory(joint_names=list(home.names), points=[there])
        return goal

    # -- answers ---------------------------------------------------------------------------------

    def _served(self, ask: Ask, future: Any) -> None:
        answer = future.result()
        # Not every release says why.
        self.answered(ask, answer.ok, getattr(answer, 'message', ''))

    def _accepted(self, ask: Ask, future: Any) -> None:
        handle = future.result()
        if not handle.accepted:
            self.answered(ask, False, 'the goal was not accepted')
            return
        if ask.what == 'move':
            self.moving = handle
        handle.get_result_async().add_done_callback(lambda done: self._finished(ask, handle, done))

    def _finished(self, ask: Ask, handle: Any, future: Any) -> None:
        answer = future.result()
        if handle is self.moving:  # and not the next motion's
            self.moving = None
        ok = answer.status == GoalStatus.STATUS_SUCCEEDED
        why = getattr(answer.result, 'error_string', '') or f'it ended with status {answer.status}'
        self.answered(ask, ok, '' if ok else why)


def duration(seconds: float) -> Duration:
    """Return seconds as a message."""
    whole = int(seconds)
    return Duration(sec=whole, nanosec=round((seconds - whole) * 1e9))
