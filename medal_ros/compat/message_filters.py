"""Stand-in for message_filters: match messages of several topics by the time in their headers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.time import Time


class SimpleFilter:
    """Passes what it puts out to the callbacks that were registered with it."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:
        """Call `cb(*messages, *args)` for each output; returns the number of this callback."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Put out one message of every input."""
        for callback, args in self.callbacks.values():
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as an input of a synchroniser; arguments as of `Node.create_subscription`."""

    def __init__(self, node: Node, msg_type: type, topic: str, **kwargs: Any) -> None:
        super().__init__()
        self.node, self.topic = node, topic
        kwargs.setdefault('qos_profile', 10)
        self.sub = node.create_subscription(msg_type, topic, self.signalMessage, **kwargs)


class TimeSynchronizer(SimpleFilter):
    """Puts out messages, one of every input, that carry exactly the same time.

    An input keeps its `queue_size` newest messages, by the time they carry, until the others
    complete them.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        for index, (source, queue) in enumerate(zip(fs, self.queues, strict=True)):
            source.registerCallback(self.add, queue, index)

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Take a message of one input and put out what it completes."""
        stamp = Time.from_msg(msg.header.stamp).nanoseconds
        with self.lock:
            self._store(my_queue, stamp, msg)
            if all(stamp in queue for queue in self.queues):
                self._release([stamp] * len(self.queues))

    def _store(self, queue: dict[int, Any], stamp: int, msg: Any) -> None:
        queue[stamp] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _release(self, stamps: Sequence[int]) -> None:
        pairs = zip(self.queues, stamps, strict=True)
        self.signalMessage(*(queue.pop(stamp) for queue, stamp in pairs))


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Puts out messages, one of every input, whose times lie less than `slop` seconds apart.

    A message is matched when it completes a set, with the messages nearest to it in time. One
    without a header is matched by its arrival if `allow_headerless`, and else refused.
    """

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        allow_headerless: bool = False,
    ) -> None:
        super().__init__(fs, queue_size)
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Take a message of one input and put out the set that it completes."""
        if hasattr(msg, 'header'):
            stamp = Time.from_msg(msg.header.stamp).nanoseconds
        elif self.allow_headerless:
            stamp = ROSClock().now().nanoseconds
        else:
            get_logger('message_filters').warning(
                f'{type(msg).__name__} has no header and cannot be matched without '
                'allow_headerless.'
            )
            return
        with self.lock:
            self._store(my_queue, stamp, msg)
            candidates = [self._near(queue, stamp, my_queue) for queue in self.queues]
            for stamps in itertools.product(*candidates):
                if max(stamps) - min(stamps) < self.slop.nanoseconds:
                    self._release(stamps)
                    break

    def _near(self, queue: dict[int, Any], stamp: int, my_queue: dict[int, Any]) -> list[int]:
        """Return the times in a queue that may match `stamp`, nearest first."""
        if queue is my_queue:
            return [stamp] if stamp in queue else []
        near = [s for s in queue if abs(s - stamp) <= self.slop.nanoseconds]
        return sorted(near, key=lambda s: abs(s - stamp))
