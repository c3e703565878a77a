"""franka_arm: a Franka Research 3 behind franka_ros2 and crisp_controllers.

The only publisher of the controller's target. Takes decisions (`state`), actions (`action`) and a
person's commands (`teleop`), says what it executed (`step`) and what it measured (`robot_state`),
recovers from reflexes, and asks for a person on `arm/help` when it cannot. If this node dies, the
controller keeps its last target: it pushes no further, and holds.
"""

from __future__ import annotations

import time
from array import array
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from std_msgs.msg import String
from std_srvs.srv import Trigger

from medal_ros.learning.moment import Moment, moment_of
from medal_ros.msg import Action, ArmState, State, Step, Teleop
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.franka_clients import Clients, interface
from medal_ros.nodes.franka_frames import Frames, Seen
from medal_ros.nodes.franka_gripper import Gripper
from medal_ros.nodes.franka_joints import Joints
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, NEWEST, STREAM, TELEOP
from medal_ros.nodes.run import run
from medal_ros.robot.arm import Execution, Order
from medal_ros.robot.franka_config import check
from medal_ros.robot.franka_control import FrankaArmConfig, FrankaControl, Measured
from medal_ros.robot.franka_guard import MODES, WAITING
from medal_ros.robot.franka_pose import pointing_down
from medal_ros.run_folder import RunFolder
from medal_ros.scheduling import be_first

COMPLAIN = 5.0  # seconds between two sentences about the same thing


class FrankaArm(Node):
    """Begins a control step ten times a second, and publishes a target fifty times."""

    def __init__(self) -> None:
        super().__init__('franka_arm', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, FrankaArmConfig)
        check(c)
        be_first(c.loop)
        self.control = FrankaControl(c)
        if c.resume:
            self.control.go_on((moment_of(RunFolder(Path(c.folder))) or Moment()).sequence)
        self.RobotState = interface('franka_msgs', 'msg', 'FrankaRobotState')
        self.newest: bytes | None = None  # robot state, not yet read
        self.stamp = self.get_clock().now().to_msg()  # of the observation that waits for its step
        self.told, self.state, self.blocked = '', '', ''
        self.frames, self.gripper = Frames(self, c), Gripper(self, c.gripper)
        self.joints = Joints(self, c.topics.joint_states, c.home.names, c.frames.stale_after)
        self.requests = Clients(self, c, self.publish_present_pose, self.control.guard.answer)
        # One publisher, of this node alone: the controller ignores its target when it has more.
        self.targets = self.create_publisher(PoseStamped, c.topics.target_pose, QoSProfile(depth=1))
        self.steps = self.create_publisher(Step, 'step', HISTORY)
        self.robot_state = self.create_publisher(ArmState, 'robot_state', STREAM)
        self.help = self.create_publisher(String, 'arm/help', LATCHED)
        self.help.publish(String())
        # A thousand a second: only the newest is read, and only when it is needed.
        self.create_subscription(
            self.RobotState, c.topics.robot_state, self.on_robot_state, NEWEST, raw=True
        )
        self.create_subscription(State, 'state', self.on_state, STREAM)
        self.create_subscription(Action, 'action', self.on_action, STREAM)
        self.create_subscription(Teleop, 'teleop', self.on_teleop, TELEOP)
        self.create_service(Trigger, 'arm/resume', self.on_resume)
        self.create_timer(1.0 / c.stream_rate, self.turn)
        self.create_timer(1.0 / c.rate, self.begin_step)
        self.diagnostics = Diagnostics(self, self.describe)

    # -- what comes in ---------------------------------------------------------------------------

    def on_robot_state(self, message: bytes) -> None:
        self.newest = message

    def on_state(self, s: State) -> None:
        self.control.order(Order(s.sequence, s.mode, s.agent, s.segment, s.index), time.monotonic())
        self.publish_steps()

    def on_action(self, message: Action) -> None:
        refusal = self.control.action(
            message.sequence, message.agent, message.action, time.monotonic()
        )
        self.complain(refusal)
        self.publish_steps()

    def on_teleop(self, message: Teleop) -> None:
        self.complain(self.control.teleop(message.engaged, message.action, time.monotonic()))
        self.publish_steps()
        self.publish_target()  # a person's command does not wait for the next turn

    def on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self.control.guard.resume(time.monotonic())
        return response

    # -- what goes out ---------------------------------------------------------------------------

    def turn(self) -> None:
        """Look after the robot, and say where the tool is to be now."""
        now, guard = time.monotonic(), self.control.guard
        if self.newest is not None:
            guard.see(deserialize_message(self.newest, self.RobotState).robot_mode, now)
            self.newest = None
        if (ask := guard.tick(now)) is not None:
            self.requests.ask(ask)
        self.requests.poll(guard.awaited)
        if guard.state != 'homing':
            self.requests.cancel()  # whatever else has happened, the joints move no longer
        self.publish_target()
        self.tell()

    def begin_step(self) -> None:
        """Measure, and show what was measured."""
        # What the controller ignores is not executed, and must not be learned from as if it were.
        self.blocked = self.rivals() if self.control.guard.state == 'ready' else ''
        measured = None if self.blocked else self.measure()
        shown = self.control.tick(measured, time.monotonic())
        self.publish_steps()
        if self.control.guard.state in ('ready', 'homing'):  # a stopped arm keeps what it holds
            self.gripper.command(self.control.closed)
        if not shown:
            return
        self.stamp = self.get_clock().now().to_msg()
        message = ArmState(sequence=self.control.sequence)
        message.header.stamp, message.header.frame_id = self.stamp, self.config.frames.base
        message.proprio = array('f', self.control.proprio().tobytes())
        self.robot_state.publish(message)
        self.publish_steps()  # a person who drives has his step at once

    def measure(self) -> Measured | None:
        """Return what is measured now; None where something is not known."""
        seen, width, joints = self.frames.look_up(), self.gripper.width, self.joints.positions()
        if seen is None or width is None or joints is None:
            return None
        try:
            pose, tilt = seen.pose()
        except ValueError:  # a rotation that is none
            return None
        if not pose.finite:
            return None
        return Measured(pose, tilt, width, joints)

    def publish_target(self) -> None:
        target = self.control.target(time.monotonic())
        if target is not None:
            self.send(target.position, pointing_down(target.yaw))

    def publish_present_pose(self) -> str:
        """Make the present pose the target, however the tool is turned; return why not."""
        if rivals := self.rivals():
            return rivals
        seen: Seen | None = self.frames.look_up()
        if seen is None or not np.isfinite([*seen.position, *seen.quaternion]).all():
            return self.frames.describe() or 'the measured pose is not finite'
        self.send(seen.position, seen.quaternion)
        return ''

    def rivals(self) -> str:
        """Return that others publish the target too, in words; empty where nobody does."""
        topic = self.config.topics.target_pose
        others = self.count_publishers(topic) - 1
        if others < 1:
            return ''
        return f'{others} more publish {topic}: the controller ignores it until they are gone'

    def send(self, position: np.ndarray, quaternion: tuple[float, ...]) -> None:
        message = PoseStamped()
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self.config.frames.base
        p, q = message.pose.position, message.pose.orientation
        p.x, p.y, p.z = (float(v) for v in position)
        q.x, q.y, q.z, q.w = (float(v) for v in quaternion)
        self.targets.publish(message)

    def publish_steps(self) -> None:
        while self.control.executions:
            self.publish_step(self.control.executions.popleft())

    def publish_step(self, execution: Execution) -> None:
        message = Step()
        message.header.stamp = self.stamp
        message.executed = self.get_clock().now().to_msg()
        message.sequence = execution.sequence
        message.source, message.agent = execution.source, execution.agent
        message.segment, message.index = execution.segment, execution.index
        message.boundary = execution.boundary
        message.action = array('f', execution.action.tobytes())
        self.steps.publish(message)

    # -- what people are told --------------------------------------------------------------------

    def tell(self) -> None:
        """Log what changes, and call a person, or no longer."""
        guard = self.control.guard
        if guard.state != self.state:
            self.state = guard.state
            if guard.state == 'ready':
                self.get_logger().info('ready')
            else:
                self.get_logger().warning(f'{guard.state}: {guard.reason}')
        words = guard.reason if guard.state in WAITING else self.blocked or self.control.refusal
        if words != self.told:
            self.told = words
            self.help.publish(String(data=words))

    def complain(self, refusal: str) -> None:
        if refusal:
            self.get_logger().warning(refusal, throttle_duration_sec=COMPLAIN)

    def describe(self) -> tuple[str, dict[str, object]]:
        control = self.control
        words = control.waits_for() or self.rivals()
        words = words or self.frames.describe() or self.joints.describe()
        words = words or self.gripper.describe()
        guard = control.guard
        return words, {
            'state': guard.state,
            'robot mode': 'unknown' if guard.mode is None else MODES[guard.mode],
            'pose from': self.frames.source or 'nothing',
            'sequence': control.sequence,
            'refused': control.mux.refused,
            'ignored': control.mux.ignored,
            'reflexes': guard.reflexes,
            'recovered': guard.recovered,
        }

    def close(self) -> None:
        # A signal has ended ROS already: no last target can be published, and none is needed.
        self.frames.close()


def main() -> None:
    run(FrankaArm)


if __name__ == '__main__':
    main()
