"""camera_sync: makes one `observation` of the cameras' images and the arm's state.

In the stand-in images and state carry one stamp, and equal stamps belong together. On a robot
(`slop` above 0) the cameras run free: images whose stamps lie within the slop are a set, and each
`robot_state`, which comes at the control rate, gets the newest set. Images are cropped and
resized here, so that everything behind this node sees what the policies see. What cannot be used
is refused with a warning, and counted.
"""

from __future__ import annotations

import time
import zlib

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from medal_ros.compat import cv_bridge, message_filters
from medal_ros.msg import ArmState, Observation
from medal_ros.network import too_small_for_images
from medal_ros.nodes.camera_input import CameraInput, nanoseconds
from medal_ros.nodes.camera_watch import CameraWatch
from medal_ros.nodes.diagnostics import Diagnostics, Wrong
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, RAW, STREAM
from medal_ros.nodes.run import run
from medal_ros.robot.cameras import CameraSyncConfig, ImageFormat, crops, cut, sizes
from medal_ros.robot.pairing import Pair, Pairing
from medal_ros.robot.stamps import SECOND, StampClock, Standstill
from medal_ros.scheduling import be_first

MATCHED_SHARE = 0.5  # of the slowest camera's images; below it the cameras are not synchronised


class CameraSync(Node):
    """Publishes one Observation for each control step."""

    def __init__(self) -> None:
        super().__init__('camera_sync', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, CameraSyncConfig)
        if c.clocked:
            be_first(c.loop)
        cv2.setNumThreads(1)  # small images: a pool of threads costs more than it gains
        count, least = len(c.cameras), (c.height, c.width)
        self.crops = crops(c)
        pairs = zip(self.crops, sizes(c), strict=True)
        self.formats = [ImageFormat(least, crop, size) for crop, size in pairs]
        self.standstills = [Standstill(c.frozen_after) for _ in c.cameras]
        self.bridge = cv_bridge.CvBridge()
        self.watch = CameraWatch(self, c)
        self.published = self.withheld = self.sets = 0
        self.ages: list[float] = []  # seconds, since `describe` was last called, as the next
        self.conversions: list[float] = []
        self.before = [0] * (count + 1)
        self.publisher = self.create_publisher(Observation, 'observation', HISTORY)
        self.pairing = Pairing(c.fresh, c.oldest)
        self.inputs = [self.camera(i) for i in range(count)]
        self.inputs.append(self.input(ArmState, 'robot_state', STREAM, check_state))
        self.timer = self.create_timer(c.patience, self.on_patience, autostart=False)
        self.synchronise()
        if c.slop > 0 and (complaint := too_small_for_images()):
            self.get_logger().warning(complaint)
        self.diagnostics = Diagnostics(self, self.describe)

    def camera(self, index: int) -> CameraInput:
        form, name = self.formats[index], self.config.cameras[index]

        def check(m: Image) -> None:
            form.check(m.encoding, m.height, m.width, m.step, len(m.data))

        reliable = self.config.reliability == 'reliable'
        qos = RAW if reliable else best_effort(RAW)
        return self.input(Image, f'camera/{name}/image_raw', qos, check)

    def input(self, kind: type, topic: str, qos: QoSProfile, check: object) -> CameraInput:
        c = self.config
        judged = c.slop > 0 and c.stamps != 'arrival'
        clock = StampClock(c.clock_within) if judged else None
        return CameraInput(self, kind, topic, qos, check, c.stamps, clock)

    def synchronise(self) -> None:
        c = self.config
        if c.slop > 0:
            *cameras, state = self.inputs
            self.sync = message_filters.ApproximateTimeSynchronizer(cameras, c.queue, c.slop)
            self.sync.registerCallback(self.on_set)
            state.registerCallback(self.on_tick)
        else:
            self.sync = message_filters.TimeSynchronizer(self.inputs, c.queue)
            self.sync.registerCallback(self.on_match)

    # -- equal stamps ---------------------------------------------------------------------------

    def on_match(self, *messages: Image | ArmState) -> None:
        for source in self.inputs:
            source.stream.used += 1
        self.publish(messages[:-1], messages[-1])

    # -- cameras that run free --------------------------------------------------------------------

    def on_set(self, *images: Image) -> None:
        self.sets += 1
        for source in self.inputs[:-1]:
            source.stream.used += 1
        stamp = max(nanoseconds(image.header.stamp) for image in images)
        self.pair(self.pairing.complete(stamp, images))

    def on_tick(self, state: ArmState) -> None:
        self.pair(self.pairing.tick(nanoseconds(state.header.stamp), state))
        if self.pairing.waiting:
            self.timer.reset()

    def on_patience(self) -> None:
        self.timer.cancel()
        self.pair(self.pairing.expire())

    def pair(self, pair: Pair | None) -> None:
        if pair is not None:
            self.timer.cancel()
            self.inputs[-1].stream.used += 1
            self.publish(*pair)

    # -- both -------------------------------------------------------------------------------------

    def publish(self, messages: tuple[Image, ...], arm: ArmState) -> None:
        """Publish an observation, unless one of the images cannot be read or is frozen."""
        began = time.perf_counter()
        images = [self.prepare(i, message) for i, message in enumerate(messages)]
        self.conversions.append(time.perf_counter() - began)
        if None in images or not self.watch.usable(images, arm):
            self.withheld += 1
            return
        observation = Observation(sequence=arm.sequence)
        stamps = [message.header.stamp for message in messages]
        observation.header.frame_id = arm.header.frame_id
        observation.header.stamp = max(stamps, key=nanoseconds)
        observation.tick = arm.header.stamp
        observation.names = list(self.config.cameras)
        observation.images = images
        observation.proprio = arm.proprio
        now = self.get_clock().now()
        observation.published = now.to_msg()
        self.publisher.publish(observation)
        self.published += 1
        self.ages.append((now.nanoseconds - nanoseconds(observation.header.stamp)) / SECOND)

    def prepare(self, index: int, message: Image) -> Image | None:
        """Return a camera's image as rgb8, cropped and resized; None: it is of no use."""
        try:
            image = self.convert(message, self.crops[index])
        except (cv_bridge.CvBridgeError, TypeError, ValueError) as error:
            self.inputs[index].refuse(error)
            return None
        now = self.get_clock().now().nanoseconds
        still = self.standstills[index]
        if still.after and still.take(zlib.crc32(image.data), now):
            source = self.inputs[index]
            source.logger.warning(f'{source.topic} is frozen', throttle_duration_sec=5.0)
            return None
        return image

    def convert(self, message: Image, crop: tuple[float, ...]) -> Image:
        c = self.config
        fits = (message.height, message.width, message.step) == (c.height, c.width, 3 * c.width)
        if fits and message.encoding == 'rgb8' and not crop:
            return message
        pixels = self.bridge.imgmsg_to_cv2(message, 'rgb8')
        pixels = pixels[cut(crop, *pixels.shape[:2])]
        if pixels.shape[:2] != (c.height, c.width):
            pixels = cv2.resize(pixels, (c.width, c.height), interpolation=cv2.INTER_AREA)
        return image_from_array(pixels, message.header.stamp, message.header.frame_id)

    # -- what it says of itself -------------------------------------------------------------------

    def describe(self) -> tuple[str, dict[str, object]]:
        words = [self.silent(), *self.foreign(), self.unsynchronised(), *self.frozen()]
        ages, self.ages = self.ages or [0.0], []
        conversions, self.conversions = self.conversions or [0.0], []
        values = {
            'published': self.published,
            'withheld': self.withheld,
            'image age mean': sum(ages) / len(ages),
            'image age max': max(ages),
            'conversion mean': sum(conversions) / len(conversions),
            'conversion max': max(conversions),
        }
        if self.config.slop > 0:
            p = self.pairing
            values |= {
                'sets': self.sets,
                'surplus sets': p.surplus,
                'late sets': p.late,
                'ticks without images': p.starved,
            }
        for source in self.inputs:
            values |= source.values()
        text = '; '.join(word for word in words if word)
        if text:
            self.get_logger().warning(text, throttle_duration_sec=10.0)
        if alarm := self.watch.alarm.words:
            return Wrong('; '.join(filter(None, [alarm, text]))), values
        return text, values

    def silent(self) -> str:
        ages = {s.topic: s.stream.age() for s in self.inputs}
        stale = [f'{t} for {age:.1f} s' for t, age in ages.items() if age > self.config.stale_after]
        return 'nothing on ' + ', '.join(stale) if stale else ''

    def foreign(self) -> list[str]:
        return [source.complaint() for source in self.inputs]

    def frozen(self) -> list[str]:
        pairs = zip(self.inputs, self.standstills, strict=False)
        seconds = [(source.topic, still.too_long) for source, still in pairs]
        return [f'{topic} has not changed for {s:.1f} s' for topic, s in seconds if s]

    def unsynchronised(self) -> str:
        """Return words if images come on every topic since the last call and few sets of them."""
        counts = [source.passed for source in self.inputs[:-1]] + [self.sets]
        *images, sets = [now - before for now, before in zip(counts, self.before, strict=True)]
        self.before = counts
        least = min(images, default=0)
        if self.config.slop == 0 or least < 3 or sets >= MATCHED_SHARE * least:
            return ''
        apart = self.apart()
        nearest = '' if apart is None else f', the nearest are {1000 * apart:.0f} ms apart'
        return (
            f'the cameras are not synchronised: {sets} sets of at least {least} images have stamps '
            f'within {1000 * self.config.slop:.0f} ms{nearest}'
        )

    def apart(self) -> float | None:
        """Return seconds between the first camera's recent stamps and the nearest of the others."""
        first, *others = [source.recent for source in self.inputs[:-1]]
        if not others or not all((first, *others)):
            return None
        return max(min(abs(a - b) for a in first for b in other) for other in others) / SECOND


def check_state(message: ArmState) -> None:
    if not np.isfinite(np.asarray(message.proprio)).all():
        raise ValueError(f'proprio must be finite, not {list(message.proprio)[:16]}')


def best_effort(qos: QoSProfile) -> QoSProfile:
    return QoSProfile(depth=qos.depth, reliability=ReliabilityPolicy.BEST_EFFORT)


def main() -> None:
    run(CameraSync)


if __name__ == '__main__':
    main()
