"""Announce weights by message, ship them by file."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path

from rclpy.node import Node
from torch import Tensor

from medal_ros.learning.weights import Written, save_tensors
from medal_ros.msg import Weights
from medal_ros.nodes.qos import HISTORY


class WeightsPublisher:
    """Writes weights to versioned files, announces them, and removes those nobody needs.

    Args:
        node: Publishes the announcements.
        topic: Where they are announced.
        folder: Where the files lie.
        keep: How many announcements of an agent stay readable.
    """

    def __init__(self, node: Node, topic: str, folder: Path, keep: int) -> None:
        self.node, self.folder, self.keep = node, folder, keep
        self.prefix = topic.split('/')[-1]
        self.publisher = node.create_publisher(Weights, topic, HISTORY)
        self.announced: dict[str, deque[Path]] = {}
        self.written: dict[str, tuple[int, Written]] = {}
        self.versions: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def publish(
        self, agent: str, tensors: Mapping[str, Tensor], change: int, sequence: int, steps: int
    ) -> None:
        """Announce an agent's weights; the file is written only when `change` differs."""
        version = self.versions.get(agent, 0)
        known = self.written.get(agent)
        if known is None or known[0] != change:
            path = self.folder / f'{self.prefix}_{agent}_{version:08d}.safetensors'
            self.written[agent] = change, save_tensors(tensors, path)
        written = self.written[agent][1]
        self.publisher.publish(announcement(self.node, agent, version, sequence, steps, written))
        self.versions[agent] = version + 1
        self._forget(agent, written.path)

    def close(self) -> None:
        """Remove every file."""
        for paths in self.announced.values():
            for path in set(paths):
                path.unlink(missing_ok=True)

    def _forget(self, agent: str, newest: Path) -> None:
        paths = self.announced.setdefault(agent, deque())
        paths.append(newest)
        while len(paths) > self.keep:
            oldest = paths.popleft()
            if oldest not in paths:
                oldest.unlink(missing_ok=True)


def announcement(
    node: Node, agent: str, version: int, sequence: int, steps: int, written: Written
) -> Weights:
    """Return the message that says where weights lie."""
    message = Weights(
        agent=agent,
        version=version,
        sequence=sequence,
        steps=steps,
        size=written.size,
        checksum=written.checksum,
        path=str(written.path.resolve()),
    )
    message.header.stamp = node.get_clock().now().to_msg()
    return message
