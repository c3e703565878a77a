"""What the simulated world shows of itself: one image per camera, and the robot's state."""

from __future__ import annotations

from array import array

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from sensor_msgs.msg import Image

from medal_ros.msg import ArmState
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.qos import RAW, STREAM
from medal_ros.sim.task import TaskEnv

BASE = 'base'  # frame of the robot's state


class SimView:
    """Publishes all that belongs to one observation, with one stamp.

    Args:
        node: Publishes it.
        cameras: Names of the images that the world renders.
        truth: Whether to publish the object's position too.
    """

    def __init__(self, node: Node, cameras: tuple[str, ...], truth: bool) -> None:
        self.clock = node.get_clock()
        self.stamp = Time()
        self.shown: list[tuple[object, object]] = []
        self.images = {
            name: node.create_publisher(Image, f'camera/{name}/image_raw', RAW) for name in cameras
        }
        self.robot_state = node.create_publisher(ArmState, 'robot_state', STREAM)
        self.truth = None
        if truth:
            self.truth = node.create_publisher(PointStamped, 'sim/object_position', STREAM)

    def show(self, world: TaskEnv, sequence: int) -> None:
        """Render and publish the present observation; call it where the world was made."""
        seen = world.observe()
        self.stamp = self.clock.now().to_msg()
        self.shown = [
            (publisher, image_from_array(seen[name], self.stamp, name))
            for name, publisher in self.images.items()
        ]
        state = ArmState(sequence=sequence, proprio=array('f', seen['proprio'].tobytes()))
        state.header.stamp, state.header.frame_id = self.stamp, BASE
        self.shown.append((self.robot_state, state))
        if self.truth is not None:
            self.shown.append((self.truth, self._position(world)))
        self.show_again()

    def show_again(self) -> None:
        """Publish the same messages again."""
        for publisher, message in self.shown:
            publisher.publish(message)

    def _position(self, world: TaskEnv) -> PointStamped:
        message = PointStamped()
        message.header.stamp, message.header.frame_id = self.stamp, BASE
        place = (*(float(x) for x in world.object_position()), 0.0)  # a plane has no height
        message.point.x, message.point.y, message.point.z = place[:3]
        return message
