"""Announce weights by message, ship them by file."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path

from rclpy.node import Node
from torch import Tensor, nn

from medal_ros.learning.weights import WeightsError, Written, load_into, save_tensors
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


class WeightsReader:
    """Remembers which weights were announced, and loads the ones that are asked for.

    Args:
        node: Logs what cannot be loaded.
        modules: The networks of each agent.
        key: The field of the announcement by which weights are asked for.
    """

    def __init__(self, node: Node, modules: Mapping[str, nn.Module], key: str) -> None:
        self.node, self.modules, self.key = node, modules, key
        self.loaded: dict[str, Weights] = {}
        self._known: dict[str, dict[int, Weights]] = {agent: {} for agent in modules}

    def take(self, message: Weights) -> None:
        """Remember an announcement."""
        if message.agent in self._known:
            self._known[message.agent][getattr(message, self.key)] = message

    def has(self, agent: str, wanted: int) -> bool:
        """Return whether these weights were announced."""
        return wanted in self._known[agent]

    def newest(self, agent: str) -> int | None:
        """Return which weights are the newest; None while there are none."""
        return max(self._known[agent], default=None)

    def load(self, agent: str, wanted: int) -> None:
        """Load announced weights; if they cannot be used, say so and keep the old ones."""
        known = self._known[agent]
        message, loaded = known[wanted], self.loaded.get(agent)
        for older in [key for key in known if key < wanted]:
            del known[older]
        if loaded is None or loaded.path != message.path:
            try:
                load_into(self.modules[agent], Path(message.path), message.checksum)
            except WeightsError as error:
                self.node.get_logger().error(str(error), throttle_duration_sec=5.0)
                return
        self.loaded[agent] = message


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
