"""Between numpy arrays and sensor_msgs/Image."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image

MAX_IMAGES, MAX_SIDE = 8, 4096  # of an observation that is shown


def image_from_array(pixels: np.ndarray, stamp: Time | None = None, frame_id: str = '') -> Image:
    """Return an rgb8 Image that holds a copy of a `(height, width, 3)` uint8 array.

    Raises:
        ValueError: The array has another shape or type.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(
            f'an image is a (height, width, 3) array of uint8, not {pixels.shape} {pixels.dtype}'
        )
    message = Image()
    message.height, message.width = pixels.shape[:2]
    message.step = 3 * message.width
    message.encoding = 'rgb8'
    message.header.frame_id = frame_id
    if stamp is not None:
        message.header.stamp = stamp
    # An array('B') is taken over as it is; anything else is copied byte by byte in Python.
    data = array('B')
    data.frombytes(memoryview(np.ascontiguousarray(pixels)).cast('B'))
    message.data = data
    return message


def arrays_from_images(messages: Sequence[Image]) -> list[np.ndarray]:
    """Return all images of an observation, to show them.

    Raises:
        ValueError: There are none or far too many, one cannot be used, or is too large to show.
    """
    if not 0 < len(messages) <= MAX_IMAGES:
        raise ValueError(f'{len(messages)} images are not from 1 to {MAX_IMAGES}')
    if max(max(m.height, m.width) for m in messages) > MAX_SIDE:
        raise ValueError(f'an image of more than {MAX_SIDE} pixels a side is not shown')
    return [array_from_image(message) for message in messages]


def array_from_image(message: Image) -> np.ndarray:
    """Return a `(height, width, 3)` uint8 view of an rgb8 Image.

    Raises:
        ValueError: Another encoding, padded rows, or not as many bytes as the size says.
    """
    if message.encoding != 'rgb8':
        raise ValueError(f"image encoding must be 'rgb8', not {message.encoding!r}")
    height, width = message.height, message.width
    if height * width == 0:
        raise ValueError(f'an image of {width}x{height} pixels shows nothing')
    if message.step not in (0, 3 * width) or len(message.data) != 3 * height * width:
        raise ValueError(
            f'an rgb8 image of {width}x{height} has {3 * width} bytes a row and '
            f'{3 * height * width} in all, not {message.step} and {len(message.data)}'
        )
    return np.frombuffer(message.data, np.uint8).reshape(height, width, 3)
