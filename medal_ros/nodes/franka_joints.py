"""Where some of a robot's joints are, for as long as somebody tells."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rclpy.node import Node
from sensor_msgs.msg import JointState

from medal_ros.nodes.qos import NEWEST


class Joints:
    """Keeps the newest positions that a topic tells, which may be split over messages.

    Args:
        node: Owns the subscription.
        topic: Its name.
        names: Of the joints.
        stale_after: Seconds after which a position is not known any more.
    """

    def __init__(self, node: Node, topic: str, names: Sequence[str], stale_after: float) -> None:
        self.topic, self.names, self.stale_after = topic, tuple(names), stale_after
        self._heard: dict[str, tuple[float, float]] = {}  # position, and when
        node.create_subscription(JointState, topic, self.take, NEWEST)

    def take(self, message: JointState) -> None:
        now = time.monotonic()
        for name, position in zip(message.name, message.position, strict=False):
            if name in self.names:
                self._heard[name] = position, now

    def positions(self) -> tuple[float, ...] | None:
        """Return them in the order of the names; None where one is not known."""
        return None if self.describe() else tuple(self._heard[name][0] for name in self.names)

    def describe(self) -> str:
        """Return what is missing, in words; empty: nothing."""
        least = time.monotonic() - self.stale_after
        for name in self.names:
            if name not in self._heard or self._heard[name][1] < least:
                return f'nothing on {self.topic} about {name}'
        return ''
