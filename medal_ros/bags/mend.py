"""Make a bag whole whose recorder was killed: all that reached the disk is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mcap.records import Channel, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import Writer

from medal_ros.bags.metadata import files_of, is_whole, write_metadata
from medal_ros.errors import UserError


def mend(bag: Path) -> list[Path]:
    """Give an end to the files of a bag that have none, and return them.

    Raises:
        UserError: It is no bag.
        OSError: It cannot be written to.
    """
    files = files_of(bag) if bag.is_dir() else []
    if not files:
        raise UserError(f'{bag} holds no recording')
    torn = [path for path in files if not is_whole(path)]
    for path in torn:
        part = path.with_name(f'.{path.name}.part')
        try:
            _copy(path, part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    if torn:
        write_metadata(bag)
    return torn


def mend_all(folder: Path) -> None:
    """Mend the bags that lie in a folder; what cannot be mended stays as it is."""
    for bag in sorted(folder.glob('*')):
        with suppress(UserError, OSError):
            mend(bag)


def _copy(source: Path, target: Path) -> None:
    """Write what is whole of one file into another, with an end."""
    schemas: dict[int, int] = {0: 0}
    channels: dict[int, int] = {}
    with open(target, 'wb') as file:
        writer = Writer(file)
        writer.start('ros2')
        for record in _records(source):
            if isinstance(record, Schema) and record.id not in schemas:
                schemas[record.id] = writer.register_schema(
                    record.name, record.encoding, record.data
                )
            elif isinstance(record, Channel) and record.schema_id in schemas:
                if record.id not in channels:
                    channels[record.id] = writer.register_channel(
                        record.topic,
                        record.message_encoding,
                        schemas[record.schema_id],
                        record.metadata,
                    )
            elif isinstance(record, Message) and record.channel_id in channels:
                channel = channels[record.channel_id]
                writer.add_message(channel, record.log_time, record.data, record.publish_time)
        writer.finish()


def _records(path: Path) -> Iterator[McapRecord]:
    """Yield the records of a file up to where it was torn or, by a failure of power, damaged."""
    with open(path, 'rb') as file:
        try:
            yield from StreamReader(file, validate_crcs=True).records
        except Exception:  # what is said of half a record depends on who decompresses it
            return
