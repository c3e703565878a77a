"""camera_sync: matches the cameras and the arm by their stamps into one `observation`.

Images are cropped and resized here, so that everything behind this node sees what the policies
see. A message that cannot be used is refused with a warning, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image

from medal_ros.compat import cv_bridge, message_filters
from medal_ros.msg import ArmState, Observation
from medal_ros.nodes.diagnostics import Diagnostics, Stream
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, RAW, STREAM
from medal_ros.nodes.run import run
from medal_ros.options import OptionError, option

ENCODINGS = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8')


@dataclass(frozen=True)
class CameraSyncConfig:
    """Parameters of camera_sync."""

    cameras: tuple[str, ...] = option(
        ('third',), 'names of the cameras, read from camera/<name>/image_raw'
    )
    height: int = option(100, 'rows of every image in an observation', source='paper A.2', low=1)
    width: int = option(100, 'columns', source='paper A.2', low=1)
    crop: tuple[float, ...] = option(
        (),
        'what to keep: top, left, height, width as fractions of the image; four numbers, or four '
        'for each camera; empty: everything',
        low=0,
        high=1,
    )
    slop: float = option(
        0.0, 'seconds by which stamps that belong together may differ; 0: none', low=0
    )
    queue: int = option(5, 'messages of each topic that wait for their match', low=1)
    stale_after: float = option(2.0, 'seconds of silence on a topic before a warning', low=0)


class CameraSync(Node):
    """Publishes one Observation for each matching set of images and robot state."""

    def __init__(self) -> None:
        super().__init__('camera_sync', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, CameraSyncConfig)
        self.crops = crops(c)
        self.bridge = cv_bridge.CvBridge()
        self.topics = [f'camera/{name}/image_raw' for name in c.cameras] + ['robot_state']
        self.streams = {topic: Stream() for topic in self.topics}
        self.published = 0
        self.publisher = self.create_publisher(Observation, 'observation', HISTORY)
        inputs = [
            message_filters.Subscriber(self, Image, topic, qos_profile=RAW)
            for topic in self.topics[:-1]
        ]
        inputs.append(message_filters.Subscriber(self, ArmState, 'robot_state', qos_profile=STREAM))
        for topic, source in zip(self.topics, inputs, strict=True):
            source.registerCallback(lambda _, stream=self.streams[topic]: stream.tick())
        if c.slop > 0:
            sync = message_filters.ApproximateTimeSynchronizer(inputs, c.queue, c.slop)
        else:
            sync = message_filters.TimeSynchronizer(inputs, c.queue)
        sync.registerCallback(self.on_match)
        self.sync = sync
        self.diagnostics = Diagnostics(self, self.describe)

    def on_match(self, *messages: Image | ArmState) -> None:
        images, arm = [], messages[-1]
        for topic, crop, message in zip(self.topics, self.crops, messages, strict=False):
            try:
                images.append(self.prepare(message, crop))
            except (cv_bridge.CvBridgeError, TypeError, ValueError) as error:
                self.refuse(topic, error)
                return
        if not np.isfinite(np.asarray(arm.proprio)).all():
            self.refuse('robot_state', f'proprio must be finite, not {list(arm.proprio)}')
            return
        observation = Observation(sequence=arm.sequence)
        stamps = [message.header.stamp for message in messages[:-1]]
        observation.header.frame_id = arm.header.frame_id
        observation.header.stamp = max(stamps, key=lambda s: (s.sec, s.nanosec))
        observation.names = list(self.config.cameras)
        observation.images = images
        observation.proprio = arm.proprio
        observation.published = self.get_clock().now().to_msg()
        self.publisher.publish(observation)
        self.published += 1
        for stream in self.streams.values():
            stream.used += 1

    def prepare(self, message: Image, crop: tuple[float, ...]) -> Image:
        """Return the image as rgb8, cropped and resized.

        Raises:
            ValueError: The image cannot be used; the sentence says what is allowed.
        """
        if message.encoding not in ENCODINGS:
            allowed = ', '.join(ENCODINGS)
            raise ValueError(f'encoding {message.encoding!r} is none of {allowed}')
        c, size = self.config, message.height * message.step
        if message.height * message.width == 0 or len(message.data) != size:
            raise ValueError(
                f'{len(message.data)} bytes are not an image of {message.height} rows '
                f'of {message.step} bytes'
            )
        fits = (message.height, message.width, message.step) == (c.height, c.width, 3 * c.width)
        if fits and message.encoding == 'rgb8' and not crop:
            return message
        pixels = self.bridge.imgmsg_to_cv2(message, 'rgb8')
        pixels = pixels[cut(crop, *pixels.shape[:2])] if crop else pixels
        height, width = pixels.shape[:2]
        if height < c.height or width < c.width:
            raise ValueError(
                f'{width}x{height} pixels (after the crop) are fewer than {c.width}x{c.height}'
            )
        if (height, width) != (c.height, c.width):
            pixels = cv2.resize(pixels, (c.width, c.height), interpolation=cv2.INTER_AREA)
        return image_from_array(pixels, message.header.stamp, message.header.frame_id)

    def refuse(self, topic: str, why: object) -> None:
        self.streams[topic].refused += 1
        self.get_logger().warning(f'{topic} is refused: {why}', throttle_duration_sec=5.0)

    def describe(self) -> tuple[str, dict[str, object]]:
        stale, values = [], {'published': self.published}
        for topic, stream in self.streams.items():
            if stream.age() > self.config.stale_after:
                stale.append(f'{topic} for {stream.age():.1f} s')
            values[f'{topic} rate'] = stream.rate()
            values[f'{topic} age'] = stream.age()
            values[f'{topic} refused'] = stream.refused
            values[f'{topic} unmatched'] = stream.received - stream.used - stream.refused
        return 'nothing on ' + ', '.join(stale) if stale else '', values


def crops(config: CameraSyncConfig) -> list[tuple[float, ...]]:
    """Return one crop for each camera, empty for none.

    Raises:
        OptionError: Not four numbers for all or for each camera, or not inside the image.
    """
    numbers, cameras = config.crop, len(config.cameras)
    if len(numbers) not in (0, 4, 4 * cameras):
        raise OptionError(
            f'camera_sync: parameter crop must have no, 4 or {4 * cameras} numbers, '
            f'not {len(numbers)}'
        )
    each = [numbers] * cameras
    if len(numbers) > 4:
        each = [numbers[4 * i : 4 * i + 4] for i in range(cameras)]
    for crop in each:
        inside = not crop or (crop[0] + crop[2] <= 1 and crop[1] + crop[3] <= 1)
        if not inside or 0 in crop[2:]:
            raise OptionError(f'camera_sync: parameter crop must lie in the image, not {crop}')
    return each


def cut(crop: tuple[float, ...], height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns that a crop keeps."""
    top, left = round(crop[0] * height), round(crop[1] * width)
    return slice(top, top + round(crop[2] * height)), slice(left, left + round(crop[3] * width))


def main() -> None:
    run(CameraSync)


if __name__ == '__main__':
    main()
