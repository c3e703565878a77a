"""Stand-in for cv_bridge: sensor_msgs/Image to and from numpy arrays as OpenCV uses them."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header


class CvBridgeError(TypeError):
    """An image that cannot be converted, and why, in one sentence."""


class Encoding(NamedTuple):
    """What one pixel of an encoding is."""

    dtype: type
    channels: int


COLORS = {
    'rgb8': Encoding(np.uint8, 3),
    'bgr8': Encoding(np.uint8, 3),
    'rgba8': Encoding(np.uint8, 4),
    'bgra8': Encoding(np.uint8, 4),
    'mono8': Encoding(np.uint8, 1),
}
ENCODINGS = COLORS | {
    '8UC1': Encoding(np.uint8, 1),
    '8UC3': Encoding(np.uint8, 3),
    '8UC4': Encoding(np.uint8, 4),
    '16UC1': Encoding(np.uint16, 1),
}
OPENCV_NAMES = {'rgb8': 'RGB', 'bgr8': 'BGR', 'rgba8': 'RGBA', 'bgra8': 'BGRA', 'mono8': 'GRAY'}


class CvBridge:
    """Converts between Image messages and arrays of shape `(height, width[, channels])`."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = 'passthrough') -> np.ndarray:
        """Return the pixels of a message, as a view of it where nothing is converted.

        Raises:
            CvBridgeError: An encoding that cannot be read or converted, or a size that does not
                fit the data.
        """
        pixels = _view(img_msg)
        if desired_encoding in ('passthrough', img_msg.encoding):
            return pixels
        if img_msg.encoding not in COLORS or desired_encoding not in COLORS:
            raise CvBridgeError(
                f'an image cannot be converted from {img_msg.encoding} to {desired_encoding}, '
                f'only between {", ".join(COLORS)}'
            )
        names = OPENCV_NAMES[img_msg.encoding], OPENCV_NAMES[desired_encoding]
        return cv2.cvtColor(pixels, getattr(cv2, 'COLOR_{}2{}'.format(*names)))

    def cv2_to_imgmsg(
        self, cvim: np.ndarray, encoding: str = 'passthrough', header: Header | None = None
    ) -> Image:
        """Return a message that holds a copy of an array.

        Raises:
            CvBridgeError: An unknown encoding, or an array that is not of that encoding.
        """
        channels = cvim.shape[2] if cvim.ndim == 3 else 1
        name = f'{8 * cvim.itemsize}UC{channels}'
        if encoding == 'passthrough':
            encoding = name
        if _pixel(encoding) != (cvim.dtype, channels):
            raise CvBridgeError(
                f'an array of {cvim.dtype} with {channels} channels is not {encoding}'
            )
        height, width = cvim.shape[:2]
        message = Image(height=height, width=width, encoding=encoding)
        message.step = width * channels * cvim.itemsize
        if header is not None:
            message.header = header
        # frombytes copies at once; the setter of data would check every byte of anything else.
        message.data.frombytes(memoryview(np.ascontiguousarray(cvim)).cast('B'))
        return message


def _pixel(encoding: str) -> Encoding:
    if encoding not in ENCODINGS:
        raise CvBridgeError(f'image encoding {encoding!r} is none of {", ".join(ENCODINGS)}')
    return ENCODINGS[encoding]


def _view(message: Image) -> np.ndarray:
    """Return the pixels of a message as they lie in it, without the padding of its rows."""
    dtype, channels = _pixel(message.encoding)
    height, width, step = message.height, message.width, message.step
    row = width * channels * np.dtype(dtype).itemsize
    if height * width == 0 or step < row or len(message.data) != height * step:
        raise CvBridgeError(
            f'an image of {height} rows with a step of {step} bytes and {len(message.data)} '
            f'bytes of data is not {width} x {height} {message.encoding}'
        )
    order = np.dtype(dtype).newbyteorder('>' if message.is_bigendian else '<')
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)[:, :row]
    pixels = np.ascontiguousarray(rows).view(order).astype(dtype, copy=False)
    return pixels if channels == 1 else pixels.reshape(height, width, channels)
