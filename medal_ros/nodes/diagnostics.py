"""What a node says about itself on /diagnostics: what it waits for, its counts, whom it hears."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from medal_ros.bounded import plain

HEARD = 3.0  # seconds for which a word of another node, who speaks once a second, counts
MOST_HEARD = 64  # nodes that are kept in mind

Description = tuple[str, Mapping[str, object]]


class Wrong(str):
    """Words that make a status an error."""

    __slots__ = ()


class Diagnostics:
    """Publishes one status of a node, once a second and when asked to.

    It says there whose statuses it has heard of late, too, so that somebody can notice a node that
    others hear and that does not hear them.

    Args:
        node: Its name, with the namespace, is the status's hardware id.
        describe: Returns what the node waits for or complains of, in words (empty: nothing),
            and named values. Words make the status a warning, or an error if they are `Wrong`.
        period: Seconds between two messages.
        name: Who it is about, if not the node.
    """

    def __init__(
        self,
        node: Node,
        describe: Callable[[], Description],
        period: float = 1.0,
        name: str = '',
    ) -> None:
        self.node, self.describe = node, describe
        space = node.get_namespace().strip('/')
        self.name = f'{space}/{name or node.get_name()}'.strip('/')
        self._space = f'{space}/'
        self._others: dict[str, float] = {}
        self.publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_subscription(DiagnosticArray, '/diagnostics', self.listen, 50)
        self.timer = node.create_timer(period, self.publish)

    def listen(self, message: DiagnosticArray) -> None:
        """Note who has spoken, of the nodes of our namespace."""
        for status in message.status:
            name = status.hardware_id
            known = name in self._others or len(self._others) < MOST_HEARD
            if known and name != self.name and name.startswith(self._space):
                self._others[name] = time.monotonic()

    def heard(self) -> list[str]:
        """Return the nodes that have spoken of late, without their namespace."""
        now = time.monotonic()
        self._others = {name: at for name, at in self._others.items() if now - at < HEARD}
        return sorted(plain(name.removeprefix(self._space)) for name in self._others)

    def publish(self) -> None:
        words, values = self.describe()
        values = {**values, 'hears': ', '.join(self.heard())}
        level = DiagnosticStatus.WARN if words else DiagnosticStatus.OK
        status = DiagnosticStatus(
            name=f'{self.name}: status',
            hardware_id=self.name,
            message=words or 'ok',
            level=DiagnosticStatus.ERROR if isinstance(words, Wrong) and words else level,
            values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.publisher.publish(message)


class Stream:
    """Counts the messages of one topic, cheaply, for a description of it."""

    def __init__(self) -> None:
        self.received = self.refused = self.used = 0
        self.newest: float | None = None  # seconds, monotonic
        self._counted = 0
        self._started = self._since = time.monotonic()

    def tick(self) -> None:
        """Note that a message came."""
        self.received += 1
        self.newest = time.monotonic()

    def age(self) -> float:
        """Return seconds since the newest message, or since the start where none came."""
        return time.monotonic() - (self.newest or self._started)

    def rate(self) -> float:
        """Return messages per second since the last call."""
        now = time.monotonic()
        rate = (self.received - self._counted) / max(now - self._since, 1e-9)
        self._counted, self._since = self.received, now
        return rate


def _text(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
