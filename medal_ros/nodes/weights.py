"""Announce weights by message, ship them by file."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from rclpy.node import Node
from torch import Tensor, nn

from medal_ros.errors import WeightsError
from medal_ros.files import write_whole
from medal_ros.learning.weights import Written, fitting_tensors, load_into, save_tensors
from medal_ros.msg import Weights
from medal_ros.nodes.qos import HISTORY
from medal_ros.scheduling import be_ordinary

KNOWN = 10_000  # announcements that may wait to be asked for


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
        self.list = folder / f'{self.prefix}.json'  # of what is readable, for who comes after us
        self.listed: deque[dict[str, Any]] = deque(maxlen=2 * keep)
        folder.mkdir(parents=True, exist_ok=True)

    def publish_again(self, agent: str, sequence: int, steps: int) -> None:
        """Announce an agent's last weights once more: those that came since are not to be used."""
        self.publish(agent, {}, self.written[agent][0], sequence, steps)

    def publish(
        self, agent: str, tensors: Mapping[str, Tensor], change: int, sequence: int, steps: int
    ) -> None:
        """Announce an agent's weights; the file is written only when `change` differs."""
        version = self.versions.get(agent, 0)
        known = self.written.get(agent)
        if known is None or known[0] != change:
            path = self.folder / f'{self.prefix}_{agent}_{version:08d}.safetensors'
            self.written[agent] = change, save_tensors(tensors, path, durable=False)
        written = self.written[agent][1]
        entry = {
            'agent': agent,
            'version': version,
            'sequence': sequence,
            'steps': steps,
            'size': written.size,
            'checksum': written.checksum,
            'name': written.path.name,
            'change': change,
        }
        self._announce(entry)
        write_whole(self.list, json.dumps(list(self.listed)).encode(), durable=False)

    def resume(self, wanted: Callable[[Mapping[str, Any]], bool]) -> int:
        """Go on after another process that announced here; return how many are announced again.

        Versions count on, so that no file that somebody may still read is written again.

        Args:
            wanted: Whether one of its announcements is made again, from the fields of its message.
        """
        entries: list[dict[str, Any]] = []
        with suppress(OSError, ValueError):
            entries = json.loads(self.list.read_text())
        again = 0
        for entry in entries:
            path = self.folder / entry['name']
            if path.is_file() and path.stat().st_size == entry['size'] and wanted(entry):
                self.written[entry['agent']] = (
                    entry['change'],
                    Written(path, entry['size'], entry['checksum']),
                )
                self._announce(entry)
                again += 1
            else:
                self._forget(entry['agent'], path)
                self.versions[entry['agent']] = entry['version'] + 1
        return again

    def close(self, keep: bool = False) -> None:
        """Remove every file, unless somebody is to go on from them."""
        if keep:
            return
        self.list.unlink(missing_ok=True)
        for paths in self.announced.values():
            for path in set(paths):
                path.unlink(missing_ok=True)

    def _announce(self, entry: dict[str, Any]) -> None:
        agent, path = entry['agent'], self.folder / entry['name']
        written = Written(path, entry['size'], entry['checksum'])
        fields = agent, entry['version'], entry['sequence'], entry['steps']
        self.publisher.publish(announcement(self.node, *fields, written))
        self.versions[agent] = entry['version'] + 1
        self.listed.append(entry)
        self._forget(agent, path)

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
        ahead: Whether a thread reads what is announced, so that loading takes no time: for who
            wants the newest. What is not read yet is not the newest, unless there are none.

    Attributes:
        loaded: What is in use.
        refused: How many announced weights could not be used.
        complaint: Why, of the newest of them, until others are loaded; empty: nothing is wrong.
    """

    def __init__(
        self, node: Node, modules: Mapping[str, nn.Module], key: str, ahead: bool = False
    ) -> None:
        self.node, self.modules, self.key = node, modules, key
        self._thread = ThreadPoolExecutor(1, 'weights', be_ordinary) if ahead else None
        self._read: dict[str, dict[str, Future]] = {agent: {} for agent in modules}  # by path
        self.loaded: dict[str, Weights] = {}
        self.refused, self.complaint = 0, ''
        self._known: dict[str, dict[int, Weights]] = {agent: {} for agent in modules}
        self._useless: set[tuple[str, int]] = set()  # which could not be loaded

    def take(self, message: Weights) -> None:
        """Remember an announcement."""
        known = self._known.get(message.agent)
        if known is None:
            return
        key = getattr(message, self.key)
        known[key] = message
        self._useless.discard((message.agent, key))
        if len(known) > KNOWN:
            del known[next(iter(known))]
        if self._thread is not None:
            self._read_ahead(message)

    def has(self, agent: str, wanted: int) -> bool:
        """Return whether these weights were announced."""
        return wanted in self._known[agent]

    def newest(self, agent: str) -> int | None:
        """Return which weights are the newest that may be of use; None while there are none."""
        return max(
            (
                key
                for key, message in self._known[agent].items()
                if (agent, key) not in self._useless and self._at_hand(message)
            ),
            default=None,
        )

    def load(self, agent: str, wanted: int) -> None:
        """Load announced weights; if they cannot be used, say so and keep the old ones."""
        known = self._known[agent]
        message, loaded = known[wanted], self.loaded.get(agent)
        if (agent, wanted) in self._useless:
            return
        if loaded is None or loaded.path != message.path:
            try:
                self._put_in_place(message)
            except WeightsError as error:
                self.node.get_logger().error(str(error), throttle_duration_sec=5.0)
                self._useless.add((agent, wanted))
                self.refused, self.complaint = self.refused + 1, f'weights are refused: {error}'
                return
            self.complaint = ''
        self.loaded[agent] = message
        for older in [key for key in known if key < wanted]:
            del known[older]
            self._useless.discard((agent, older))

    def close(self) -> None:
        """Read nothing more."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _read_ahead(self, message: Weights) -> None:
        """Have the thread read weights, in the place of older ones that still wait for it."""
        read, loaded = self._read[message.agent], self.loaded.get(message.agent)
        if message.path in read or (loaded is not None and loaded.path == message.path):
            return
        for path in [path for path, reading in read.items() if reading.cancel()]:
            del read[path]
        what = self.modules[message.agent], Path(message.path), message.checksum
        read[message.path] = self._thread.submit(fitting_tensors, *what)

    def _at_hand(self, message: Weights) -> bool:
        """Return whether to load these weights takes no time, or nothing else can be done."""
        loaded = self.loaded.get(message.agent)
        if self._thread is None or loaded is None or loaded.path == message.path:
            return True
        reading = self._read[message.agent].get(message.path)
        return reading is not None and reading.done()

    def _put_in_place(self, message: Weights) -> None:
        """Load weights, from memory where they were read ahead.

        Raises:
            WeightsError: They cannot be used.
        """
        module, read = self.modules[message.agent], self._read[message.agent]
        reading = read.pop(message.path, None)
        if reading is None:
            load_into(module, Path(message.path), message.checksum)
            return
        module.load_state_dict(reading.result(), assign=True)
        for path in [path for path, older in read.items() if older.done()]:
            del read[path]


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
