"""A Franka that is not there: its topics, services and actions, and its bad days.

It speaks as franka_ros2 v3.4, crisp_controllers, the joint trajectory controller and a Robotiq
gripper do. In a test it is an object with a thread of its own (`running`); by hand it is a process,

    python test/fake_robot.py

that takes orders, the names of its methods, on the topic `/fake_robot/order` (std_msgs/String):
reflex, reflex_seen, press_stop, release_stop, silence, speak, drop, refuse_switch, allow_switch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import rclpy
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from controller_manager_msgs.srv import SetHardwareComponentState, SwitchController
from franka_msgs.action import ErrorRecovery
from franka_msgs.msg import FrankaRobotState
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import String

RATE = 100.0  # turns per second
LAG = 0.04  # seconds by which the tool lags behind its target
IDLE, MOVE, REFLEX, USER_STOPPED = 1, 2, 4, 5
IMPEDANCE, TRAJECTORY = 'cartesian_impedance_controller', 'joint_trajectory_controller'
BROADCASTERS = ('joint_state_broadcaster', 'franka_robot_state_broadcaster')
HOME = np.array([0.5, 0.0, 0.2])  # where the tool is at the home joints, by our own decree
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
KNUCKLE, CLOSED = 'robotiq_85_left_knuckle_joint', 0.7929
GRIPPERS = {'parallel': ParallelGripperCommand, 'gripper_command': GripperCommand}


class FakeRobot(Node):
    """The arm, its controllers and its gripper.

    Args:
        gripper: Type of the gripper's action: parallel or gripper_command.
        context: Of the process, unless it is one of a test.

    Attributes:
        position: Of the tool, `(3,)` metres.
        target: What the impedance controller follows; None where nobody sent one.
        mode: As in FrankaRobotState.
        active: Controllers that run.
        asked: What was asked of it, in this order.
    """

    def __init__(self, gripper: str = 'parallel', context: rclpy.Context | None = None) -> None:
        super().__init__('fake_robot', context=context)
        self.position, self.quaternion = HOME.copy(), (1.0, 0.0, 0.0, 0.0)
        self.joints, self.knuckle, self.knuckle_target = np.zeros(7), 0.0, 0.0
        self.target: np.ndarray | None = None
        self.target_quaternion = self.quaternion
        self.targets: list[tuple[float, np.ndarray, str]] = []  # when, where, in which frame
        self.ignored = 0  # targets that came while there were two publishers
        self.mode, self.hardware_active = IDLE, True
        self.active = set(BROADCASTERS)
        self.asked: list[str] = []
        self.switch_refused = self.silent = self.clear_refused = False
        self.dropped = 0.0  # share of the reports that are lost
        self.waiting: list[tuple[Future, object]] = []
        self._turns = 0
        self._rng = np.random.default_rng(0)
        self._speak()
        self._listen(GRIPPERS[gripper])
        self.create_timer(1.0 / RATE, self.turn)

    def _speak(self) -> None:
        broadcaster = '/franka_robot_state_broadcaster'
        self.states = self.create_publisher(FrankaRobotState, f'{broadcaster}/robot_state', 10)
        self.poses = self.create_publisher(PoseStamped, f'{broadcaster}/current_pose', BEST_EFFORT)
        self.joint_states = self.create_publisher(JointState, '/joint_states', 10)
        self.knuckles = self.create_publisher(JointState, '/gripper/joint_states', 10)

    def _listen(self, gripper: type) -> None:
        self.create_subscription(PoseStamped, '/target_pose', self.on_target, QoSProfile(depth=1))
        self.create_subscription(String, '/fake_robot/order', self.on_order, 10)
        manager = '/controller_manager'
        self.create_service(SwitchController, f'{manager}/switch_controller', self.on_switch)
        self.create_service(
            SetHardwareComponentState, f'{manager}/set_hardware_component_state', self.on_hardware
        )
        self.actions = [
            ActionServer(self, ErrorRecovery, '/action_server/error_recovery', self.on_clear),
            ActionServer(
                self,
                FollowJointTrajectory,
                f'/{TRAJECTORY}/follow_joint_trajectory',
                self.on_trajectory,
                cancel_callback=lambda _: CancelResponse.ACCEPT,
            ),
            ActionServer(
                self, gripper, '/gripper/robotiq_gripper_controller/gripper_cmd', self.on_gripper
            ),
        ]

    # -- bad days --------------------------------------------------------------------------------

    def reflex(self) -> None:
        """Collide while a controller runs: everything stops before the mode is told."""
        self.mode, self.hardware_active = REFLEX, False
        self.active.clear()

    def reflex_seen(self) -> None:
        """Collide, with a broadcaster that goes on."""
        self.mode, self.hardware_active = REFLEX, False
        self.active = set(BROADCASTERS)

    def press_stop(self) -> None:
        self.reflex()
        self.mode = USER_STOPPED

    def release_stop(self) -> None:
        self.mode = IDLE

    def silence(self) -> None:
        """Say nothing and answer nothing about the state, as when a cable is pulled."""
        self.silent = True

    def speak(self) -> None:
        self.silent = False

    def drop(self, share: float = 0.5) -> None:
        """Lose this share of all reports."""
        self.dropped = share

    def refuse_switch(self) -> None:
        self.switch_refused = True

    def allow_switch(self) -> None:
        self.switch_refused = False

    def on_order(self, message: String) -> None:
        orders = ('reflex', 'reflex_seen', 'press_stop', 'release_stop', 'silence', 'speak')
        orders += ('drop', 'refuse_switch', 'allow_switch')
        if message.data in orders:
            getattr(self, message.data)()
        else:
            self.get_logger().error(f'there is no order {message.data!r}: {", ".join(orders)}')

    # -- what it is asked ------------------------------------------------------------------------

    def on_target(self, message: PoseStamped) -> None:
        if self.count_publishers('/target_pose') > 1:  # as crisp_controllers does
            self.ignored += 1
            return
        p, q = message.pose.position, message.pose.orientation
        self.target = np.array([p.x, p.y, p.z])
        self.target_quaternion = (q.x, q.y, q.z, q.w)
        self.targets.append((time.monotonic(), self.target, message.header.frame_id))
        if IMPEDANCE not in self.active and self.asked[-1:] != ['target']:
            self.asked.append('target')  # made the target before the controller runs

    def on_switch(
        self, request: SwitchController.Request, response: SwitchController.Response
    ) -> SwitchController.Response:
        wanted = '+'.join(request.activate_controllers)
        self.asked.append(f'switch {wanted}')
        response.ok = self.hardware_active and not self.switch_refused
        if hasattr(response, 'message') and not response.ok:
            response.message = 'the fake robot refuses'
        if response.ok:
            self.active -= set(request.deactivate_controllers)
            self.active |= set(request.activate_controllers)
            if self.mode in (IDLE, MOVE):
                self.mode = MOVE if self.active & {IMPEDANCE, TRAJECTORY} else IDLE
            if IMPEDANCE in request.activate_controllers:
                self.target = self.position.copy()  # as crisp_controllers does
        return response

    def on_hardware(
        self,
        request: SetHardwareComponentState.Request,
        response: SetHardwareComponentState.Response,
    ) -> SetHardwareComponentState.Response:
        self.asked.append(f'{request.name} {request.target_state.label}')
        response.ok = self.hardware_active = True
        response.state = request.target_state
        return response

    def on_clear(self, goal: object) -> ErrorRecovery.Result:
        self.asked.append('clear')
        if self.clear_refused or self.mode == USER_STOPPED:
            goal.abort()
        else:
            self.mode = IDLE
            goal.succeed()
        return ErrorRecovery.Result()

    async def on_trajectory(self, goal: object) -> FollowJointTrajectory.Result:
        self.asked.append('move')
        (point,) = goal.request.trajectory.points
        lasts = point.time_from_start.sec + point.time_from_start.nanosec * 1e-9
        begun, start = time.monotonic(), self.joints.copy()

        def arrived() -> bool:
            share = min((time.monotonic() - begun) / max(lasts, 1e-3), 1.0)
            stopped = goal.is_cancel_requested or TRAJECTORY not in self.active
            if not stopped:
                self.joints = start + share * (np.array(point.positions) - start)
            return stopped or share == 1.0

        await self.until(arrived)
        if goal.is_cancel_requested:
            goal.canceled()
        elif TRAJECTORY not in self.active:
            goal.abort()
        else:
            self.position, self.quaternion = HOME.copy(), (1.0, 0.0, 0.0, 0.0)
            goal.succeed()
        return FollowJointTrajectory.Result()

    async def on_gripper(self, goal: object) -> object:
        command = goal.request.command
        parallel = isinstance(goal.request, ParallelGripperCommand.Goal)
        self.knuckle_target = command.position[0] if parallel else command.position
        self.asked.append(f'gripper {self.knuckle_target:g}')
        await self.until(lambda: abs(self.knuckle - self.knuckle_target) < 1e-3)
        goal.succeed()
        result = (ParallelGripperCommand if parallel else GripperCommand).Result()
        result.reached_goal = True
        return result

    async def until(self, predicate: object) -> None:
        """Wait, without blocking the others, for something that `turn` brings about."""
        future = Future()
        self.waiting.append((future, predicate))
        await future

    # -- what it does ----------------------------------------------------------------------------

    def turn(self) -> None:
        """Move and report."""
        self._turns += 1
        if IMPEDANCE in self.active and self.mode == MOVE and self.target is not None:
            self.position = self.position + (self.target - self.position) / (LAG * RATE)
            self.quaternion = self.target_quaternion
        gap = self.knuckle_target - self.knuckle
        self.knuckle += float(np.clip(gap, -4.0 / RATE, 4.0 / RATE))
        for entry in [e for e in self.waiting if e[1]()]:
            self.waiting.remove(entry)
            entry[0].set_result(None)
        if not self.silent and self._rng.uniform() >= self.dropped:
            self.report()

    def report(self) -> None:
        now = self.get_clock().now().to_msg()
        if 'franka_robot_state_broadcaster' in self.active:
            state = FrankaRobotState(robot_mode=self.mode)
            state.header.stamp = now
            self.states.publish(state)
            pose = PoseStamped()
            pose.header.stamp, pose.header.frame_id = now, 'base'
            p, q = pose.pose.position, pose.pose.orientation
            p.x, p.y, p.z = self.position.tolist()
            q.x, q.y, q.z, q.w = self.quaternion
            self.poses.publish(pose)
        if self._turns % 3:
            return
        if 'joint_state_broadcaster' in self.active:
            names = [f'fr3_joint{i}' for i in range(1, 8)]
            self.joint_states.publish(JointState(name=names, position=self.joints.tolist()))
        self.knuckles.publish(JointState(name=[KNUCKLE], position=[self.knuckle]))


@contextmanager
def running(gripper: str = 'parallel') -> Iterator[FakeRobot]:
    """Have a fake robot in a thread of its own; read its attributes, call its orders."""
    context = rclpy.Context()
    rclpy.init(context=context)
    robot = FakeRobot(gripper, context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(robot)

    def spin() -> None:
        try:
            executor.spin()
        except (ExternalShutdownException, RuntimeError):
            if context.ok():
                raise

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield robot
    finally:
        rclpy.shutdown(context=context)
        thread.join(5.0)
        executor.shutdown()
        robot.destroy_node()


if __name__ == '__main__':
    rclpy.init()
    rclpy.spin(FakeRobot())
