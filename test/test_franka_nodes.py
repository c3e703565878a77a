"""What franka_arm is made of: poses, frames, missing packages. No robot's interfaces are needed."""

import math

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped
from medal_ros.msg import Reward, State
from rclpy.node import Node
from ros import wait_until  # a domain of its own
from sensor_msgs.msg import JointState

from medal_ros.nodes.franka_clients import MissingPackage, duration, interface
from medal_ros.nodes.franka_frames import Frames
from medal_ros.nodes.franka_joints import Joints
from medal_ros.nodes.view import draw, lines
from medal_ros.options import build
from medal_ros.robot.franka_config import FrankaConfig
from medal_ros.robot.franka_pose import (
    gripper_opening,
    pointing_down,
    quaternion_of,
    yaw_and_tilt,
)


@pytest.mark.parametrize('yaw', [0.0, 0.7, -1.5, 3.1])
def test_a_tool_that_points_down_has_its_yaw_and_no_tilt(yaw):
    found, tilt = yaw_and_tilt(pointing_down(yaw))
    assert found == pytest.approx(yaw) and tilt == pytest.approx(0.0, abs=1e-6)
    negative = [-c for c in pointing_down(yaw)]  # the same rotation
    assert yaw_and_tilt(negative)[0] == pytest.approx(yaw)


def test_a_tilt_is_an_angle_from_straight_down():
    # Half round x and then 0.3 rad further about the base's x: the tool leans by just that.
    assert yaw_and_tilt(quaternion_of(math.pi + 0.3, 0, 0))[1] == pytest.approx(0.3)
    assert yaw_and_tilt((0, 0, 0, 1))[1] == pytest.approx(math.pi), 'up'


@pytest.mark.parametrize('bad', [(0, 0, 0, 0), (float('nan'), 0, 0, 1), (9, 9, 9, 9)])
def test_what_is_no_rotation_is_refused(bad):
    with pytest.raises(ValueError, match='is not a unit quaternion'):
        yaw_and_tilt(bad)


def test_angles_turn_as_in_a_urdf():
    s = math.sqrt(0.5)
    assert quaternion_of(0, 0, math.pi / 2) == pytest.approx((0, 0, s, s))
    assert quaternion_of(math.pi / 2, 0, math.pi / 2) == pytest.approx((0.5, 0.5, 0.5, 0.5))


def test_a_gripper_is_open_by_its_joint():
    assert gripper_opening(0.0, 0.0, 0.7929) == 1.0
    assert gripper_opening(0.39645, 0.0, 0.7929) == pytest.approx(0.5)
    assert gripper_opening(0.01, 0.04, 0.0) == pytest.approx(0.25)  # the Franka hand's finger
    assert gripper_opening(0.9, 0.0, 0.7929) == 0.0


def test_a_missing_package_is_one_sentence():
    with pytest.raises(MissingPackage, match='needs the ROS package no_such_msgs, which is not'):
        interface('no_such_msgs', 'msg', 'Thing')
    assert interface('std_msgs', 'msg', 'String').__name__ == 'String'


def test_seconds_as_a_message():
    message = duration(2.25)
    assert (message.sec, message.nanosec) == (2, 250_000_000)


# -- frames ------------------------------------------------------------------------------------


@pytest.fixture
def frames():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('x', context=context)
    changes = {
        'frames.static': ['base camera 1 0 0.5 0 0 3.14159265'],
        'frames.stale_after': 30.0,  # however slow this machine is now
        'topics.pose': 'pose',
    }
    frames = Frames(node, build(FrankaConfig, changes))
    yield frames
    frames.close()
    node.destroy_node()
    rclpy.shutdown(context=context)


def by_tf(frames: Frames, x: float, age: float = 0.0) -> None:
    transform = TransformStamped(child_frame_id='medal_tool')
    transform.header.frame_id = 'base'
    now = frames.node.get_clock().now().nanoseconds - round(age * 1e9)
    transform.header.stamp.sec, transform.header.stamp.nanosec = divmod(now, 10**9)
    transform.transform.translation.x = x
    transform.transform.rotation.x, transform.transform.rotation.w = 1.0, 0.0
    frames.buffer.set_transform(transform, 'test')


def by_topic(frames: Frames, x: float) -> None:
    message = PoseStamped()
    message.pose.position.x = x
    message.pose.orientation.x, message.pose.orientation.w = 1.0, 0.0
    frames.on_pose(message)


def test_nobody_knows_where_the_tool_is(frames):
    assert frames.look_up() is None
    assert 'nobody tells where medal_tool is' in frames.describe()


def test_tf_comes_first_and_the_topic_where_tf_is_silent_or_old(frames):
    by_topic(frames, 0.5)
    assert frames.look_up().position[0] == 0.5 and frames.source == 'topic'
    by_tf(frames, 0.506, age=60.0)  # first: tf2 takes nothing older than what it knows
    assert frames.look_up().position[0] == 0.5 and frames.source == 'topic'
    by_tf(frames, 0.505)
    seen = frames.look_up()
    assert seen.position[0] == 0.505 and frames.source == 'tf'
    pose, tilt = seen.pose()
    assert pose.yaw == 0.0 and tilt == pytest.approx(0.0)


def test_a_topic_of_another_frame_is_not_used(frames, monkeypatch):
    by_tf(frames, 0.5)
    by_topic(frames, 0.6)
    assert frames.look_up().position[0] == 0.5
    assert 'is not of frame medal_tool' in frames.describe()
    monkeypatch.setattr(frames, '_by_tf', lambda: None)  # it has fallen silent
    assert frames.look_up() is None, 'better nothing than another frame'


def test_a_pose_that_is_too_old_is_no_pose(frames):
    by_topic(frames, 0.5)
    frames._heard -= 60.0
    assert frames.look_up() is None


def test_static_frames_are_broadcast(frames):
    from rclpy.time import Time

    found = wait_until(
        lambda: (
            frames.buffer.can_transform('base', 'camera', Time())
            and frames.buffer.lookup_transform('base', 'camera', Time())
        )
    )
    place, turn = found.transform.translation, found.transform.rotation
    assert (place.x, place.z) == (1.0, 0.5) and abs(turn.z) == pytest.approx(1.0)


# -- what RViz shows ---------------------------------------------------------------------------


def test_the_status_tells_segment_reward_and_probability():
    state = State(mode='practice', agent='backward', segment=4, index=17, steps=900)
    words = lines(state, Reward(forward=0.5, success_probability=0.25))
    assert words[0] == 'practice: backward' and 'segment 4, step 17' in words
    assert 'success probability 0.25' in words
    assert lines(None, None) == ['no state yet']


def test_the_bar_is_as_long_as_the_probability():
    lengths = []
    for probability in (0.0, 0.5, 1.0):
        picture = draw(State(), Reward(success_probability=probability))
        green = (picture == (80, 190, 90)).all(-1)
        lengths.append(green.sum(1).max())
    assert lengths == [0, 308, 616]
    assert np.unique(draw(None, None)).size > 2, 'there are words'


# -- joints ------------------------------------------------------------------------------------


def test_joints_are_known_as_long_as_all_of_them_are_told():
    rclpy.init()
    try:
        joints = Joints(Node('joints'), 'joint_states', ['a', 'b'], 0.2)
        assert joints.positions() is None
        joints.take(JointState(name=['b', 'c'], position=[2.0, 3.0]))
        assert joints.describe() == 'nothing on joint_states about a'
        joints.take(JointState(name=['a'], position=[1.0]))
        assert joints.positions() == (1.0, 2.0) and joints.describe() == ''
        told = lambda: joints.take(JointState(name=['a'], position=[1.0]))  # noqa: E731
        wait_until(lambda: told() or joints.positions() is None, 2.0, 'b is too old')
        assert joints.describe() == 'nothing on joint_states about b'
    finally:
        rclpy.shutdown()
