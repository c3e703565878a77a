"""A bag that is being written: files of a bounded size, the oldest of which make room. No ROS."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mcap.writer import Writer

from medal_ros.bags.metadata import HASH, QOS, files_of, write_metadata
from medal_ros.bags.record import RecordConfig
from medal_ros.errors import UserError

MIB, GIB = 1 << 20, 1 << 30
CHUNK = 64 << 10  # bytes that are compressed together: what a killed recorder loses, at most
PARTS = 4  # files, at least, that the limit has room for: less goes with the oldest of them


@dataclass(frozen=True)
class Topic:
    """A topic and what a bag says of it.

    Attributes:
        name: With its namespace.
        kind: Name of its message type.
        definition: Text of that, with all that it is made of.
        type_hash: Of the type; empty: not known.
        qos: What its publisher offers, as YAML.
    """

    name: str
    kind: str
    definition: str
    type_hash: str = ''
    qos: str = ''


class Bag:
    """A folder as rosbag2 makes it; whatever ends the writing, the files before the last are whole.

    Args:
        folder: Must not exist.
        topics: What may be written.
        config: How much of it is kept.

    Attributes:
        written: Messages so far.

    Raises:
        UserError: The folder exists.
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path, topics: Iterable[Topic], config: RecordConfig) -> None:
        self.folder, self.config = folder, config
        self.topics = {topic.name: topic for topic in topics}
        self.limit = config.limit_gib * GIB
        self.split = min(config.split_mib * MIB, self.limit / PARTS)
        self.written = self.files = 0
        self._file: IO[bytes] | None = None
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise UserError(f'{folder} exists: choose another name') from None

    def write(self, topic: str, data: bytes, received: int, published: int) -> None:
        """Append a message.

        Args:
            topic: Name of one of the topics.
            data: The message as CDR.
            received: When it came, in nanoseconds of the epoch.
            published: When it was sent.

        Raises:
            OSError: The disk is full, or worse.
        """
        if self._file is not None and self._is_full(received):
            self._finish()
            self._make_room()
        if self._file is None:
            self._begin(received)
        if topic not in self._channels:
            self._channels[topic] = self._register(self.topics[topic])
        self._writer.add_message(self._channels[topic], received, data, published)
        self.written += 1

    def flush(self) -> None:
        """Hand to the system what is compressed, so that it outlives this process.

        Raises:
            OSError: The disk is full, or worse.
        """
        if self._file is not None:
            self._file.flush()

    def crowded(self) -> bool:
        """Return whether the disk has no room to spare any more."""
        return shutil.disk_usage(self.folder).free < self.config.spare_gib * GIB

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(path.stat().st_size for path in files_of(self.folder))

    def close(self) -> None:
        """Make the last file whole, and say in metadata.yaml what there is.

        Raises:
            OSError: The disk is full, or worse.
        """
        if self._file is not None:
            self._finish()

    def _is_full(self, now: int) -> bool:
        age = (now - self._since) / 1e9
        return self._file.tell() >= self.split or age >= self.config.split_seconds

    def _begin(self, now: int) -> None:
        path = self.folder / f'{self.folder.name}_{self.files}.mcap'
        self._file = open(path, 'xb')  # noqa: SIM115  closed with the bag
        self.files, self._since = self.files + 1, now
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._writer = Writer(self._file, chunk_size=CHUNK)
        self._writer.start('ros2')

    def _register(self, topic: Topic) -> int:
        if topic.kind not in self._schemas:
            self._schemas[topic.kind] = self._writer.register_schema(
                topic.kind, 'ros2msg', topic.definition.encode()
            )
        about = {QOS: topic.qos, HASH: topic.type_hash}
        return self._writer.register_channel(
            topic.name, 'cdr', self._schemas[topic.kind], {k: v for k, v in about.items() if v}
        )

    def _finish(self) -> None:
        file, self._file = self._file, None
        with file:
            self._writer.finish()
        write_metadata(self.folder)

    def _make_room(self) -> None:
        """Let the oldest files go until another one fits."""
        files = files_of(self.folder)
        while files and self.size() + self.split > self.limit:
            files.pop(0).unlink()
            write_metadata(self.folder)
