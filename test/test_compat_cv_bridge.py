"""What medal_ros relies on in cv_bridge, whether it is the real one or the stand-in."""

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time as TimeMessage
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from medal_ros.compat import cv_bridge

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
