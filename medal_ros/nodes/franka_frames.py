"""Where the Franka's tool is: by tf, or else by its own topic; and the frames of the cameras."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Thread

import numpy as np
from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time

from medal_ros.compat import tf2_ros
from medal_ros.nodes.qos import NEWEST
from medal_ros.robot.franka_config import FrankaConfig, static_frame
from medal_ros.robot.franka_pose import quaternion_of, yaw_and_tilt
from medal_ros.robot.pose import Pose

GOODBYE = 1.0  # seconds that the listener may take to end
PATIENCE = 10  # misses in a row after which tf is not waited for at every step


@dataclass(frozen=True)
class Seen:
    """A measured pose of the tool in the base's frame.

    Attributes:
        position: `(3,)` metres.
        quaternion: `(x, y, z, w)`.
    """

    position: np.ndarray
    quaternion: tuple[float, float, float, float]

    def pose(self) -> tuple[Pose, float]:
        """Return it as position and yaw, and the angle between the tool and straight down."""
        yaw, tilt = yaw_and_tilt(self.quaternion)
        return Pose(self.position, yaw), tilt


class Frames:
    """Looks the tool up, and broadcasts what never moves.

    Args:
        node: Owns the subscription and the broadcaster.
        config: Names and deadlines.

    Attributes:
        source: Where the newest pose came from: tf, topic, or nothing.
        disagree: Whether tf and the topic were seen to tell different poses.
    """

    def __init__(self, node: Node, config: FrankaConfig) -> None:
        self.node, self.config = node, config.frames
        self.source, self.disagree = '', False
        self._misses = 0
        self._topic: Seen | None = None
        self._heard = 0.0
        # A node and a thread of its own: in ours it could hear nothing while we wait. The thread
        # that tf2_ros would make ends in a traceback when a signal ends ROS.
        self._listener_node = Node(
            f'{node.get_name()}_frames',
            namespace=node.get_namespace(),
            context=node.context,
            start_parameter_services=False,
        )
        self.buffer = tf2_ros.Buffer()
        self.listener = tf2_ros.TransformListener(self.buffer, self._listener_node)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._listener_node)
        self._thread = Thread(target=self._listen, name='tf', daemon=True)
        self._thread.start()
        self.broadcaster = tf2_ros.StaticTransformBroadcaster(node)
        self.broadcaster.sendTransform([self._static(text) for text in self.config.static])
        node.create_subscription(PoseStamped, config.topics.pose, self.on_pose, NEWEST)

    def on_pose(self, message: PoseStamped) -> None:
        p, q = message.pose.position, message.pose.orientation
        self._topic = Seen(np.array([p.x, p.y, p.z]), (q.x, q.y, q.z, q.w))
        self._heard = time.monotonic()

    def look_up(self) -> Seen | None:
        """Return where the tool is; None where nobody knows, or only something too old."""
        by_tf, by_topic = self._by_tf(), self._by_topic()
        if by_tf is not None and by_topic is not None:
            gap = float(np.linalg.norm(by_tf.position - by_topic.position))
            self.disagree = gap > self.config.agree_within
        if by_tf is not None:
            self.source = 'tf'
            return by_tf
        usable = by_topic is not None and not self.disagree
        self.source = 'topic' if usable else ''
        return by_topic if usable else None

    def describe(self) -> str:
        """Return what is wrong, in words; empty: nothing."""
        c = self.config
        if self.disagree:
            return (
                f'tf and the pose topic tell places more than {c.agree_within:g} m apart: the '
                f'topic is not of frame {c.tool}'
            )
        return '' if self.source else f'nobody tells where {c.tool} is in {c.base}'

    def close(self) -> None:
        """Let go of tf."""
        self._executor.shutdown(GOODBYE)
        self._thread.join(GOODBYE)
        self.listener = None
        self._listener_node.destroy_node()

    def _listen(self) -> None:
        try:
            self._executor.spin()
        except (ExternalShutdownException, RuntimeError):
            if self.node.context.ok():
                raise

    def _by_tf(self) -> Seen | None:
        c = self.config
        self._misses += 1
        waits = c.deadline if self._misses <= PATIENCE else 0.0
        try:
            found = self.buffer.lookup_transform(c.base, c.tool, Time(), Duration(seconds=waits))
        except tf2_ros.TransformException:
            return None
        now = self.node.get_clock().now().nanoseconds
        if now - Time.from_msg(found.header.stamp).nanoseconds > c.stale_after * 1e9:
            return None
        self._misses = 0
        t, q = found.transform.translation, found.transform.rotation
        return Seen(np.array([t.x, t.y, t.z]), (q.x, q.y, q.z, q.w))

    def _by_topic(self) -> Seen | None:
        if time.monotonic() - self._heard > self.config.stale_after:
            return None
        return self._topic

    def _static(self, text: str) -> TransformStamped:
        parent, child, (x, y, z, *angles) = static_frame(text)
        frame = TransformStamped(child_frame_id=child)
        frame.header.frame_id = parent
        frame.header.stamp = self.node.get_clock().now().to_msg()
        place, turn = frame.transform.translation, frame.transform.rotation
        place.x, place.y, place.z = x, y, z
        turn.x, turn.y, turn.z, turn.w = quaternion_of(*angles)
        return frame
