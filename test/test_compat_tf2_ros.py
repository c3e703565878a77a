"""What medal_ros relies on in tf2_ros, whether it is the real one or the stand-in."""

import math
import time

import pytest
import rclpy
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from std_msgs.msg import Header

from medal_ros.compat import tf2_ros


def transform(parent, child, xyz=(0, 0, 0), yaw=0.0, sec=0) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header = Header(frame_id=parent, stamp=TimeMessage(sec=sec))
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = map(float, xyz)
    rotation.z, rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return message


@pytest.fixture
def buffer():
    """base -> hand (one metre ahead, turned left) -> camera (half a metre ahead of the hand)."""
    buffer = tf2_ros.Buffer()
    hand = transform('base', 'hand', (1, 0, 0), yaw=math.pi / 2, sec=5)
    buffer.set_transform(hand, 'test')
    buffer.set_transform_static(transform('hand', 'camera', (0.5, 0, 0)), 'test')
    return buffer


def numbers(message: TransformStamped) -> list[float]:
    t, q = message.transform.translation, message.transform.rotation
    return [t.x, t.y, t.z, q.x, q.y, q.z, q.w]


@pytest.fixture
def node():
    rclpy.init()
    node = rclpy.create_node('test_compat')
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


HALF = math.sqrt(0.5)


def test_a_chain_is_composed(buffer):
    found = buffer.lookup_transform('base', 'camera', Time())
    assert numbers(found) == pytest.approx([1, 0.5, 0, 0, 0, HALF, HALF])
    assert (found.header.frame_id, found.child_frame_id) == ('base', 'camera')
    assert found.header.stamp.sec == 5


def test_the_other_way_is_the_inverse(buffer):
    found = buffer.lookup_transform('camera', 'base', Time())
    assert numbers(found) == pytest.approx([-0.5, 1, 0, 0, 0, -HALF, HALF])


def test_siblings_meet_at_their_common_ancestor(buffer):
    buffer.set_transform_static(transform('base', 'table', (0, -2, 0)), 'test')
    found = buffer.lookup_transform('table', 'camera', Time())
    assert numbers(found) == pytest.approx([1, 2.5, 0, 0, 0, HALF, HALF])


def test_a_frame_to_itself_is_identity(buffer):
    found = buffer.lookup_transform('hand', 'hand', Time())
    assert numbers(found) == pytest.approx([0, 0, 0, 0, 0, 0, 1])


def test_half_a_turn_has_no_preferred_sign(buffer):
    buffer.set_transform_static(transform('base', 'back', yaw=math.pi), 'test')
    x, y, z, w = numbers(buffer.lookup_transform('base', 'back', Time()))[3:]
    assert (x, y, abs(z), w) == pytest.approx((0, 0, 1, 0), abs=1e-9)


def test_the_newest_transform_counts(buffer):
    buffer.set_transform(transform('base', 'hand', (3, 0, 0), sec=6), 'test')
    assert buffer.lookup_transform('base', 'hand', Time()).transform.translation.x == 3
    assert buffer.lookup_transform('base', 'hand', Time(seconds=6)).header.stamp.sec == 6


def test_what_is_not_known_is_refused(buffer):
    with pytest.raises(tf2_ros.LookupException):
        buffer.lookup_transform('base', 'moon', Time())
    buffer.set_transform_static(transform('sun', 'moon'), 'test')
    with pytest.raises(tf2_ros.ConnectivityException):
        buffer.lookup_transform('base', 'moon', Time())
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform('base', 'hand', Time(seconds=7))


def test_can_transform_says_so_without_raising(buffer):
    assert buffer.can_transform('base', 'camera', Time())
    assert not buffer.can_transform('base', 'moon', Time(), timeout=Duration(seconds=0.05))


def test_a_listener_fills_its_buffer_with_what_is_sent_before_and_after(node):
    broadcaster = tf2_ros.StaticTransformBroadcaster(node)
    broadcaster.sendTransform(transform('base', 'early', (1, 0, 0)))
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, node)
    broadcaster.sendTransform([transform('early', 'late', (1, 0, 0))])
    deadline = time.monotonic() + 10
    while not buffer.can_transform('base', 'late', Time()) and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    assert numbers(buffer.lookup_transform('base', 'late', Time()))[0] == 2
    assert listener.buffer is buffer
