"""One stream that camera_sync matches: what stands between a subscription and the synchroniser."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time as TimeMessage
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time

from medal_ros.compat import message_filters
from medal_ros.nodes.diagnostics import Stream
from medal_ros.robot.stamps import SECOND, Pace, StampClock

RECENT = 8  # stamps that are kept to tell how far two streams are apart


def nanoseconds(stamp: TimeMessage) -> int:
    return stamp.sec * SECOND + stamp.nanosec


class CameraInput(message_filters.SimpleFilter):
    """Passes on the messages of one topic that can be used, stamped by this machine's clock.

    Args:
        node: Subscribes, warns, and knows the time.
        kind: Type of the messages; they have a header.
        topic: Name of the topic.
        qos: Quality of service of the subscription.
        check: Raises ValueError, with a sentence, for a message that cannot be used.
        stamps: `'header'` trusts the stamps, `'arrival'` replaces them by the time of arrival,
            `'auto'` does so if the first messages show that another clock made them.
        clock: Judges that; None: the stamps are not judged.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        qos: QoSProfile,
        check: Callable[[Any], None],
        stamps: str = 'header',
        clock: StampClock | None = None,
    ) -> None:
        super().__init__()
        self.node, self.topic, self.check = node, topic, check
        self.logger = get_logger(node.get_logger().name)  # throttled apart from other streams
        self.stamps, self.clock = stamps, clock
        self.stream, self.pace = Stream(), Pace()
        self.passed = 0
        self.delays: list[int] = []  # from stamp to arrival, since `values` was last called
        self.recent: deque[int] = deque(maxlen=RECENT)
        self.subscriber = message_filters.Subscriber(node, kind, topic, qos_profile=qos)
        self.subscriber.registerCallback(self.take)

    def take(self, message: Any) -> None:
        """Check a message, stamp it anew where that is asked for, and pass it on."""
        now = self.node.get_clock().now().nanoseconds
        self.stream.tick()
        try:
            if message.header.stamp.sec < 0:  # no time of ROS, which raises an error of its own
                raise ValueError(f'its stamp is {message.header.stamp.sec} s')
            self.check(message)
        except ValueError as error:
            self.refuse(error)
            return
        stamp = nanoseconds(message.header.stamp)
        self.pace.take(stamp)
        self.delays.append(now - stamp)
        if self.clock is not None and self.clock.take(stamp, now) and self.clock.foreign:
            self.logger.warning(self.complaint())
        if self.by_arrival():
            stamp = now
            message.header.stamp = Time(nanoseconds=now).to_msg()
        elif self.stamps == 'auto' and self.clock is not None and self.clock.foreign is None:
            return  # for the few messages until the clock is judged, no stamp can be trusted
        self.passed += 1
        self.recent.append(stamp)
        self.signalMessage(message)

    def by_arrival(self) -> bool:
        if self.stamps == 'auto':
            return self.clock is not None and bool(self.clock.foreign)
        return self.stamps == 'arrival'

    def complaint(self) -> str:
        """Return what is wrong with the stamps, and what follows; empty: nothing is known."""
        words = self.clock.words() if self.clock is not None else ''
        if not words:
            return ''
        follows = 'matched by arrival instead'
        if self.stamps == 'header':
            follows = 'they may match nothing; with parameter stamps auto, arrival counts instead'
        return f'{self.topic}: {words}: {follows}'

    def refuse(self, why: object) -> None:
        """Count a message that cannot be used, and say why now and then."""
        self.stream.refused += 1
        self.logger.warning(f'{self.topic} is refused: {why}', throttle_duration_sec=5.0)

    def values(self) -> dict[str, object]:
        """Return what a description of the node says of this stream."""
        stream, pace = self.stream, self.pace
        delays, self.delays = self.delays or [0], []
        found = {
            'rate': stream.rate(),
            'age': stream.age(),
            'refused': stream.refused,
            'unmatched': stream.received - stream.used - stream.refused,
            'lost': pace.lost,
            'out of order': pace.disordered,
            'delay mean': sum(delays) / len(delays) / SECOND,
            'delay max': max(delays) / SECOND,
        }
        if self.clock is not None and self.clock.offset is not None:
            found['clock offset'] = self.clock.offset
        return {f'{self.topic} {key}': value for key, value in found.items()}
