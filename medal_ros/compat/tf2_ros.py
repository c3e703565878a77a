"""Stand-in for tf2_ros: transforms between frames, kept within one process.

tf2_msgs is not on PyPI, so nothing crosses a topic: what a StaticTransformBroadcaster sends
reaches the buffers that a TransformListener serves in the same process. A buffer keeps the newest
transform of each frame and does not interpolate.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time


class TransformException(Exception):
    """A transform that is not known, and why, in one sentence."""


class LookupException(TransformException):
    """A frame that nobody has told of."""


class ConnectivityException(TransformException):
    """Two frames that nothing connects."""


class ExtrapolationException(TransformException):
    """A time other than that of the transform that is known."""


class Buffer:
    """Frames as a forest: every frame is known by its transform to a parent frame."""

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        # Child frame to (transform, whether it is static).
        self._edges: dict[str, tuple[TransformStamped, bool]] = {}
        self._changed = threading.Condition()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Take a transform that holds at the time in its header."""
        self._set(transform, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Take a transform that holds at any time."""
        self._set(transform, static=True)

    def lookup_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration | None = None,
    ) -> TransformStamped:
        """Return the transform that takes coordinates of the source frame to the target frame.

        Args:
            target_frame: The frame to transform into.
            source_frame: The frame in which the coordinates are.
            time: When; `Time()` means the newest known.
            timeout: How long to wait for it to become known.

        Raises:
            LookupException: A frame is not known.
            ConnectivityException: Both frames are known and nothing connects them.
            ExtrapolationException: The transform is known for another time only.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        with self._changed:
            return self._lookup(target_frame, source_frame, time)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration | None = None,
    ) -> bool:
        """Return whether `lookup_transform` would succeed, within the timeout."""

        def known() -> bool:
            try:
                self._lookup(target_frame, source_frame, time)
            except TransformException:
                return False
            return True

        with self._changed:
            return self._changed.wait_for(known, timeout.nanoseconds * 1e-9 if timeout else 0.0)

    def _set(self, transform: TransformStamped, static: bool) -> None:
        with self._changed:
            self._edges[transform.child_frame_id] = transform, static
            self._changed.notify_all()

    def _lookup(self, target: str, source: str, time: Time) -> TransformStamped:
        up_source, up_target = self._ancestors(source), self._ancestors(target)
        common = next((frame for frame in up_source if frame in up_target), None)
        if common is None:
            raise ConnectivityException(f'nothing connects frame {source!r} to {target!r}')
        down = up_target[: up_target.index(common)]
        up = up_source[: up_source.index(common)]
        stamp = self._stamp(up + down, time)
        matrix = np.linalg.inv(self._product(down)) @ self._product(up)
        result = _from_matrix(matrix)
        result.header.frame_id, result.child_frame_id = target, source
        result.header.stamp = stamp.to_msg()
        return result

    def _ancestors(self, frame: str) -> list[str]:
        """Return the frame, its parent, and so on to the root."""
        parents = {edge.header.frame_id for edge, _ in self._edges.values()}
        if frame not in self._edges and frame not in parents:
            raise LookupException(f'frame {frame!r} is not known')
        frames = [frame]
        while frames[-1] in self._edges:
            frames.append(self._edges[frames[-1]][0].header.frame_id)
            if frames[-1] in frames[:-1]:
                raise ConnectivityException(f'frame {frame!r} is its own ancestor')
        return frames

    def _stamp(self, frames: list[str], time: Time) -> Time:
        """Return the time at which all these transforms hold."""
        edges = (self._edges[frame] for frame in frames)
        known = [Time.from_msg(edge.header.stamp) for edge, static in edges if not static]
        if time.nanoseconds == 0:
            return min(known, default=Time(clock_type=time.clock_type))
        for stamp in known:
            if stamp.nanoseconds != time.nanoseconds:
                raise ExtrapolationException(
                    f'the transform is known for {stamp.nanoseconds} ns and not for '
                    f'{time.nanoseconds} ns'
                )
        return time

    def _product(self, frames: list[str]) -> np.ndarray:
        """Return the matrix from the first of the frames to the parent of the last."""
        matrix = np.eye(4)
        for frame in frames:
            matrix = _to_matrix(self._edges[frame][0]) @ matrix
        return matrix


_served: weakref.WeakSet[Buffer] = weakref.WeakSet()
_sent: dict[str, TransformStamped] = {}


class TransformListener:
    """Fills a buffer with what is sent in this process, before and after it was made."""

    def __init__(self, buffer: Buffer, node: Node, **kwargs: Any) -> None:
        self.buffer, self.node = buffer, node
        _served.add(buffer)
        for transform in _sent.values():
            buffer.set_transform_static(transform, '')


class StaticTransformBroadcaster:
    """Sends transforms that never change to every listener in this process."""

    def __init__(self, node: Node, qos: Any = None) -> None:
        self.node = node

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Send one transform or several."""
        several = [transform] if isinstance(transform, TransformStamped) else transform
        for one in several:
            _sent[one.child_frame_id] = one
            for buffer in list(_served):
                buffer.set_transform_static(one, '')


def _to_matrix(transform: TransformStamped) -> np.ndarray:
    t, q = transform.transform.translation, transform.transform.rotation
    x, y, z, w = np.array([q.x, q.y, q.z, q.w]) / np.linalg.norm([q.x, q.y, q.z, q.w])
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = t.x, t.y, t.z
    return matrix


def _from_matrix(matrix: np.ndarray) -> TransformStamped:
    r = matrix[:3, :3]
    # The eigenvector of the largest eigenvalue is the quaternion; no case for a small w is needed.
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0.0, 0.0, 0.0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0.0, 0.0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0.0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)],
        ]
    )
    quaternion = np.linalg.eigh(k)[1][:, -1]
    quaternion *= np.copysign(1.0, quaternion[3])
    result = TransformStamped()
    translation, rotation = result.transform.translation, result.transform.rotation
    translation.x, translation.y, translation.z = matrix[:3, 3].tolist()
    rotation.x, rotation.y, rotation.z, rotation.w = quaternion.tolist()
    return result
