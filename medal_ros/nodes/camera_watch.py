"""camera_sync's eye on its own observations: frozen or swapped cameras, a clock that was set.

By the clock only. What is wrong withholds observations, so that the arm holds, and asks for a
person on `sensors/help`, until it has been right for a while.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rclpy.node import Node
from safetensors.numpy import load, save
from sensor_msgs.msg import Image
from std_msgs.msg import String

from medal_ros.learning.states import States
from medal_ros.msg import ArmState
from medal_ros.nodes.camera_input import nanoseconds
from medal_ros.nodes.images import array_from_image
from medal_ros.nodes.qos import LATCHED
from medal_ros.robot.cameras import CameraSyncConfig
from medal_ros.robot.health import Alarm, FrozenCamera, SwappedCameras, TimeJump
from medal_ros.run_folder import RunFolder

STEADY = 5  # good observations in a row after which all is well again


class CameraWatch:
    """Judges each observation before it is published.

    Args:
        node: Publishes, logs and knows the time.
        config: Its parameters.
    """

    def __init__(self, node: Node, config: CameraSyncConfig) -> None:
        self.node, self.config, c = node, config, config
        self.help = node.create_publisher(String, 'sensors/help', LATCHED)
        self.alarm = Alarm(STEADY, self.tell)
        self.frozen = {n: FrozenCamera(c.frozen_pictures, c.frozen_moved) for n in c.cameras}
        self.swapped = SwappedCameras(beyond=c.swapped_beyond)
        self.jump = TimeJump(c.jump_beyond)
        self.states = States(RunFolder(Path(c.folder)).state('camera_sync')) if c.folder else None
        if c.clocked and c.resume and self.states is not None:
            found = self.states.load()
            self.swapped.reference = load(found.part('reference')) if found is not None else {}

    def usable(self, images: Sequence[Image], arm: ArmState) -> bool:
        """Return whether an observation may be published."""
        if not self.config.clocked:
            return True
        return self.alarm.take('; '.join(filter(None, self.complaints(images, arm))))

    def complaints(self, images: Sequence[Image], arm: ArmState) -> list[str]:
        c, named = self.config, dict(zip(self.config.cameras, images, strict=True))
        proprio, found = np.array(arm.proprio, np.float32), []
        if c.frozen_pictures:
            for name, image in named.items():
                words = self.frozen[name].take(zlib.crc32(image.data), proprio)
                found.append(words and f'camera {name} is frozen: it {words}')
        if c.jump_beyond:
            now = self.node.get_clock().now().nanoseconds
            words = self.jump.take(nanoseconds(arm.header.stamp), now)
            found.append(words and f'time jump: {words}')
        if c.swapped_beyond and not any(found):
            begun = bool(self.swapped.reference)
            words = self.swapped.take({n: array_from_image(i) for n, i in named.items()})
            found.append(words and f'camera swap: {words}')
            if self.swapped.reference and not begun:
                self.keep()
        return found

    def keep(self) -> None:
        """Keep how the run began, for whoever takes our place."""
        if self.states is None:
            return
        try:
            self.states.save([('reference', save(self.swapped.reference))], {})
        except OSError as error:
            self.node.get_logger().warning(f'the first pictures were not kept: {error}')

    def tell(self, words: str) -> None:
        self.help.publish(String(data=words))
        logger = self.node.get_logger()
        if words:
            logger.error(f'{words}: observations are withheld, and a person is asked for')
        else:
            logger.info('cameras and stamps are right again')
