"""What the simulated world shows of itself: an image per camera, the robot's state, its joints."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from safetensors.numpy import save
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import UInt8MultiArray

from medal_ros.msg import ArmState
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.qos import RAW, STREAM
from medal_ros.sim.task import Observation, Snapshot, TaskEnv

FAULTS = ('freeze', 'swap', 'jump')  # on purpose; '' ends them
JUMP = 30  # seconds
BASE = 'base'  # frame of the robot's state


class SimView:
    """Publishes all that belongs to one observation, with one stamp.

    Args:
        node: Publishes it.
        cameras: Names of the images that the world renders.
        joint_names: The arm's joints, for robot_state_publisher; empty: they are not published.
        truth: Whether to publish the object's position too.
        snapshots: Whether to publish the whole world too, from which recorders replay: a
            safetensors file with a `sequence` and the arrays of `TaskEnv.snapshot`.
    """

    def __init__(
        self,
        node: Node,
        cameras: tuple[str, ...],
        joint_names: tuple[str, ...] = (),
        truth: bool = False,
        snapshots: bool = False,
    ) -> None:
        self.clock = node.get_clock()
        self.seen: Observation = {}
        self.place = np.zeros(3)
        self.whole: Snapshot = {}
        self.pictures: dict[str, np.ndarray] = {}
        self.fault = ''  # what the cameras or the clock do wrong on purpose: see `FAULTS`
        self.stamp = Time()
        self.shown: list[tuple[object, object]] = []
        self.images = {
            name: node.create_publisher(Image, f'camera/{name}/image_raw', RAW) for name in cameras
        }
        self.robot_state = node.create_publisher(ArmState, 'robot_state', STREAM)
        self.joint_names, self.joints = list(joint_names), np.empty(0)
        self.joint_states = None
        if joint_names:
            self.joint_states = node.create_publisher(JointState, 'joint_states', RAW)
        self.truth = None
        if truth:
            self.truth = node.create_publisher(PointStamped, 'sim/object_position', STREAM)
        self.snapshots = None
        if snapshots:
            self.snapshots = node.create_publisher(UInt8MultiArray, 'sim/snapshot', STREAM)

    def draw(self, world: TaskEnv) -> None:
        """Keep the world as it looks now; call it where the world was made, after each change."""
        self.seen, self.joints = world.observe(), world.joints()
        if self.truth is not None:
            self.place = world.object_position()
        if self.snapshots is not None:
            self.whole = world.snapshot()

    def show(self, sequence: int) -> None:
        """Publish what was drawn last as an observation of this moment: the world stood still."""
        self.stamp = self.clock.now().to_msg()
        if self.fault == 'jump':
            self.stamp.sec += JUMP
        pictures = self.pictures = self._pictures()
        self.shown = [
            (publisher, image_from_array(pictures[name], self.stamp, name))
            for name, publisher in self.images.items()
        ]
        state = ArmState(sequence=sequence, proprio=array('f', self.seen['proprio'].tobytes()))
        state.header.stamp, state.header.frame_id = self.stamp, BASE
        self.shown.append((self.robot_state, state))
        if self.joint_states is not None:
            self.shown.append((self.joint_states, self._joint_state()))
        if self.truth is not None:
            self.shown.append((self.truth, self._position()))
        if self.snapshots is not None:
            self.shown.append((self.snapshots, self._snapshot(sequence)))
        self.show_again()

    def _pictures(self) -> dict[str, np.ndarray]:
        """Return what the cameras show; with a fault, not what they see."""
        names = list(self.images)
        if self.fault == 'freeze' and self.pictures:
            return self.pictures
        if self.fault == 'swap' and len(names) > 1:
            return {name: self.seen[names[i - 1]] for i, name in enumerate(names)}
        if self.fault == 'swap':
            return {name: 255 - self.seen[name] for name in names}
        return {name: self.seen[name] for name in names}

    def show_again(self) -> None:
        """Publish the same messages again."""
        for publisher, message in self.shown:
            publisher.publish(message)

    def _joint_state(self) -> JointState:
        message = JointState(name=self.joint_names, position=array('d', self.joints.tobytes()))
        message.header.stamp = self.stamp
        return message

    def _position(self) -> PointStamped:
        message = PointStamped()
        message.header.stamp, message.header.frame_id = self.stamp, BASE
        place = (*(float(x) for x in self.place), 0.0)  # a plane has no height
        message.point.x, message.point.y, message.point.z = place[:3]
        return message

    def _snapshot(self, sequence: int) -> UInt8MultiArray:
        arrays = {name: np.ascontiguousarray(a) for name, a in self.whole.items()}
        data = save({**arrays, 'sequence': np.array([sequence], np.uint64)})
        return UInt8MultiArray(data=array('B', data))
