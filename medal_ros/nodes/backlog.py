"""What has arrived at a node and still waits for its turn, as after a stall of its process."""

from __future__ import annotations

import time

from rclpy.node import Node


def take_backlog(node: Node, seconds: float) -> None:
    """Hand what waits to its callbacks, one message of each topic in turn, as an executor would.

    Args:
        node: Its callbacks take messages alone, or if raw, bytes and what is known of them.
        seconds: What arrives later than that is left.
    """
    until = time.monotonic() + seconds
    waiting = True
    while waiting and time.monotonic() < until:
        waiting = False
        for subscription in node.subscriptions:
            raw = subscription.raw
            if found := subscription.handle.take_message(subscription.msg_type, raw):
                subscription.callback(*found if raw else found[:1])
                waiting = True
