"""What franka_arm listens to, as targets; the robot's own interfaces are not on PyPI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from geometry_msgs.msg import PoseStamped
from medal_ros.msg import Action, State, Teleop
from sensor_msgs.msg import JointState


def franka(size: int) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], None]]]:
    """Yield what franka_arm listens to; the robot's own interfaces are not on PyPI."""
    from medal_ros.nodes.franka_arm import FrankaArm
    from medal_ros.nodes.franka_frames import Frames
    from medal_ros.nodes.franka_joints import Joints
    from medal_ros.robot.franka_control import FrankaArmConfig, FrankaControl

    config = FrankaArmConfig()
    control = FrankaControl(config)
    nothing = lambda *_: None  # noqa: E731
    arm = SimpleNamespace(
        config=config, control=control, complain=nothing, publish_target=nothing,
        publish_steps=control.executions.clear,
    )  # fmt: skip
    frames = SimpleNamespace(_topic=None, _heard=0.0)
    heard = SimpleNamespace(names=config.home.names, _heard={})
    jaw = SimpleNamespace(names=[config.gripper.joint], _heard={})

    def pose() -> PoseStamped:
        message = PoseStamped()
        message.pose.orientation.x = 1.0
        return message

    def joints() -> JointState:
        return JointState(name=list(config.home.names), position=[0.1] * 7)

    def on_pose(message: PoseStamped) -> None:
        Frames.on_pose(frames, message)
        with suppress(ValueError):  # as FrankaArm.measure does
            frames._topic.pose()

    act = lambda: Action(sequence=0, agent='forward', action=[0.1] * config.action)  # noqa: E731
    drive = lambda: Teleop(engaged=True, action=[0.1] * config.action)  # noqa: E731
    yield 'franka_arm state', lambda: State(mode='practice'), lambda m: FrankaArm.on_state(arm, m)
    yield 'franka_arm action', act, lambda m: FrankaArm.on_action(arm, m)
    yield 'franka_arm teleop', drive, lambda m: FrankaArm.on_teleop(arm, m)
    yield 'franka_arm joint_states', joints, lambda m: Joints.take(heard, m)
    yield 'franka_arm pose', pose, on_pose
    yield 'franka_arm gripper', joints, lambda m: Joints.take(jaw, m)
