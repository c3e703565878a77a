"""What medal_ros relies on in message_filters, cv_bridge and tf2_ros, real or stand-in."""

import math
import time

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from medal_ros.compat import cv_bridge, message_filters, tf2_ros


class Inputs:
    """A synchroniser, what it put out, and a way to give it messages by time in milliseconds."""

    def __init__(self, kind: str, count: int = 2, **arguments):
        self.filters = [message_filters.SimpleFilter() for _ in range(count)]
        self.synchronizer = getattr(message_filters, kind)(self.filters, **arguments)
        self.matches: list[tuple[int, ...]] = []
        self.synchronizer.registerCallback(self._matched)

    def give(self, index: int, *milliseconds: int) -> None:
        for t in milliseconds:
            stamp = TimeMessage(sec=t // 1000, nanosec=t % 1000 * 1_000_000)
            self.filters[index].signalMessage(Image(header=Header(stamp=stamp)))

    def _matched(self, *messages: Image) -> None:
        stamps = (message.header.stamp for message in messages)
        self.matches.append(tuple(s.sec * 1000 + s.nanosec // 1_000_000 for s in stamps))


def test_callback_gets_its_own_arguments_after_the_messages():
    seen = []
    source = message_filters.SimpleFilter()
    source.registerCallback(lambda *arguments: seen.append(arguments), 'mine')
    source.signalMessage('a message')
    assert seen == [('a message', 'mine')]


def test_exact_synchronizer_matches_equal_times_only():
    inputs = Inputs('TimeSynchronizer', queue_size=5)
    inputs.give(0, 1000, 1100, 1200)
    inputs.give(1, 1101, 1200, 1000)
    assert inputs.matches == [(1200, 1200), (1000, 1000)]


def test_exact_synchronizer_waits_for_every_input():
    inputs = Inputs('TimeSynchronizer', count=3, queue_size=5)
    inputs.give(0, 1000)
    inputs.give(2, 1000)
    assert inputs.matches == []
    inputs.give(1, 1000)
    assert inputs.matches == [(1000, 1000, 1000)]


def test_a_match_is_put_out_once():
    inputs = Inputs('TimeSynchronizer', queue_size=5)
    inputs.give(0, 1000)
    inputs.give(1, 1000, 1000)
    assert inputs.matches == [(1000, 1000)]


@pytest.mark.parametrize(
    ('kind', 'more'), [('TimeSynchronizer', {}), ('ApproximateTimeSynchronizer', {'slop': 0.01})]
)
def test_a_full_queue_forgets_the_oldest(kind, more):
    inputs = Inputs(kind, queue_size=2, **more)
    inputs.give(0, 1000, 2000, 3000)
    inputs.give(1, 1000, 3000, 2000)
    assert inputs.matches == [(3000, 3000), (2000, 2000)]


@pytest.mark.parametrize(
    ('kind', 'more'), [('TimeSynchronizer', {}), ('ApproximateTimeSynchronizer', {'slop': 0.01})]
)
def test_a_message_older_than_a_full_queue_is_dropped(kind, more):
    inputs = Inputs(kind, queue_size=2, **more)
    inputs.give(0, 1000)
    inputs.give(1, 2000, 3000, 1000)
    assert inputs.matches == []


def test_slop_bounds_the_spread_of_a_match():
    inputs = Inputs('ApproximateTimeSynchronizer', queue_size=5, slop=0.02)
    inputs.give(0, 1000)
    inputs.give(1, 1021)
    assert inputs.matches == []
    inputs.give(1, 1019)
    assert inputs.matches == [(1000, 1019)]


def test_a_spread_of_exactly_the_slop_is_no_match():
    inputs = Inputs('ApproximateTimeSynchronizer', queue_size=5, slop=0.02)
    inputs.give(0, 1000)
    inputs.give(1, 1020)
    assert inputs.matches == []


def test_slop_bounds_the_spread_of_all_three_inputs():
    inputs = Inputs('ApproximateTimeSynchronizer', count=3, queue_size=5, slop=0.02)
    inputs.give(0, 985)
    inputs.give(1, 1015)
    inputs.give(2, 1000)  # within slop of each, but those are 30 ms apart
    assert inputs.matches == []
    inputs.give(0, 1003)
    assert inputs.matches == [(1003, 1015, 1000)]


def test_the_nearest_message_is_matched():
    inputs = Inputs('ApproximateTimeSynchronizer', queue_size=5, slop=0.05)
    inputs.give(0, 960, 990, 1030)
    inputs.give(1, 1000)
    assert inputs.matches == [(990, 1000)]


def test_messages_out_of_order_are_matched():
    inputs = Inputs('ApproximateTimeSynchronizer', queue_size=5, slop=0.02)
    inputs.give(0, 1100, 1000)
    inputs.give(1, 1001, 1101)
    assert inputs.matches == [(1000, 1001), (1100, 1101)]


@pytest.mark.parametrize(('allowed', 'matches'), [(False, 0), (True, 1)])
def test_a_message_without_header_is_matched_by_arrival_if_allowed(allowed, matches):
    inputs = Inputs(
        'ApproximateTimeSynchronizer', count=2, queue_size=5, slop=5.0, allow_headerless=allowed
    )
    seen = []
    inputs.synchronizer.callbacks.clear()
    inputs.synchronizer.registerCallback(lambda *messages: seen.append(messages))
    for source in inputs.filters:
        source.signalMessage(String())
    assert len(seen) == matches


class FakeNode:
    """A node that remembers how it was asked to subscribe."""

    def create_subscription(self, msg_type, topic, callback, **kwargs):
        self.subscribed = msg_type, topic, kwargs
        self.deliver = callback


def test_subscriber_subscribes_and_passes_messages_on():
    node, seen = FakeNode(), []
    subscriber = message_filters.Subscriber(node, Image, 'image_raw', qos_profile=3)
    subscriber.registerCallback(seen.append)
    node.deliver('a message')
    assert node.subscribed == (Image, 'image_raw', {'qos_profile': 3})
    assert seen == ['a message']


# -- cv_bridge ---------------------------------------------------------------------------------

RED = {'rgb8': (255, 0, 0), 'bgr8': (0, 0, 255), 'rgba8': (255, 0, 0, 255), 'mono8': (76,)}
RED['bgra8'] = (0, 0, 255, 255)


def red(encoding: str) -> np.ndarray:
    pixels = np.full((2, 3, len(RED[encoding])), RED[encoding], np.uint8)
    return pixels[..., 0] if encoding == 'mono8' else pixels


@pytest.mark.parametrize('encoding', RED)
def test_pixels_survive_a_message(encoding):
    channels = len(RED[encoding])
    shape = (2, 3) if channels == 1 else (2, 3, channels)
    pixels = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    header = Header(frame_id='wrist', stamp=TimeMessage(sec=7))
    message = cv_bridge.CvBridge().cv2_to_imgmsg(pixels, encoding, header)
    assert (message.height, message.width, message.step) == (2, 3, 3 * channels)
    assert (message.encoding, message.header) == (encoding, header)
    assert np.array_equal(cv_bridge.CvBridge().imgmsg_to_cv2(message), pixels)


@pytest.mark.parametrize('source', sorted(set(RED) - {'mono8'}))
@pytest.mark.parametrize('desired', RED)
def test_colours_are_converted(source, desired):
    message = cv_bridge.CvBridge().cv2_to_imgmsg(red(source), source)
    assert np.array_equal(cv_bridge.CvBridge().imgmsg_to_cv2(message, desired), red(desired))


def test_grey_becomes_three_equal_channels():
    message = cv_bridge.CvBridge().cv2_to_imgmsg(red('mono8'), 'mono8')
    assert (cv_bridge.CvBridge().imgmsg_to_cv2(message, 'rgb8') == 76).all()


def test_depth_passes_through():
    depth = np.array([[0, 1, 256], [1000, 40000, 65535]], np.uint16)
    message = cv_bridge.CvBridge().cv2_to_imgmsg(depth, '16UC1')
    read = cv_bridge.CvBridge().imgmsg_to_cv2(message)
    assert read.dtype == np.uint16
    assert np.array_equal(read, depth)


def test_big_endian_depth_is_read_in_our_order():
    message = Image(height=1, width=2, encoding='16UC1', step=4, is_bigendian=1)
    message.data.extend([0x01, 0x00, 0x00, 0x02])
    assert cv_bridge.CvBridge().imgmsg_to_cv2(message).tolist() == [[256, 2]]


def test_an_array_that_is_not_contiguous_is_copied_as_it_looks():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::-1]
    message = cv_bridge.CvBridge().cv2_to_imgmsg(pixels, 'rgb8')
    assert np.array_equal(cv_bridge.CvBridge().imgmsg_to_cv2(message), pixels)


def test_padding_of_rows_is_left_out():
    message = Image(height=2, width=1, encoding='rgb8', step=6)
    message.data.extend([1, 2, 3, 0, 0, 0, 4, 5, 6, 0, 0, 0])
    pixels = cv_bridge.CvBridge().imgmsg_to_cv2(message)
    assert pixels.tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


def test_the_message_holds_a_copy():
    pixels = red('rgb8')
    message = cv_bridge.CvBridge().cv2_to_imgmsg(pixels, 'rgb8')
    pixels[:] = 0
    assert np.array_equal(cv_bridge.CvBridge().imgmsg_to_cv2(message), red('rgb8'))


@pytest.mark.parametrize('encoding', ['', 'nonsense', 'rgb99'])
def test_an_unknown_encoding_is_refused(encoding):
    message = Image(height=1, width=1, encoding=encoding, step=3)
    message.data.extend([0, 0, 0])
    with pytest.raises(cv_bridge.CvBridgeError):
        cv_bridge.CvBridge().imgmsg_to_cv2(message)


def test_an_array_of_another_encoding_is_refused():
    with pytest.raises(cv_bridge.CvBridgeError):
        cv_bridge.CvBridge().cv2_to_imgmsg(red('rgb8'), 'mono8')


def test_too_little_data_is_refused():
    message = Image(height=2, width=3, encoding='rgb8', step=9)
    message.data.extend([0] * 17)
    # The real package raises CvBridgeError's base class here.
    with pytest.raises(TypeError):
        cv_bridge.CvBridge().imgmsg_to_cv2(message)


# -- tf2_ros -----------------------------------------------------------------------------------


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


# -- which one it is ---------------------------------------------------------------------------


def test_other_packages_are_not_offered():
    import medal_ros.compat

    with pytest.raises(AttributeError, match='tf2_ros, not'):
        _ = medal_ros.compat.tf3_ros
