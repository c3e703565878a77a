"""metadata.yaml of a bag, in the form of rosbag2's version 9 (Jazzy), read out of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from mcap.reader import make_reader
from mcap.records import Channel, Statistics
from mcap.summary import Summary

from medal_ros.bounded import MAX_RECORD, parse_yaml, read_bytes
from medal_ros.files import write_whole

NAME, VERSION, DISTRO = 'metadata.yaml', 9, 'jazzy'
MAGIC = b'\x89MCAP0\r\n'
QOS, HASH = 'offered_qos_profiles', 'topic_type_hash'  # what rosbag2 notes of a channel


def files_of(bag: Path) -> list[Path]:
    """Return the files of a bag in the order in which they were written."""
    numbered = [p for p in bag.glob('*_*.mcap') if p.stem.rsplit('_', 1)[1].isdigit()]
    return sorted(numbered, key=lambda path: int(path.stem.rsplit('_', 1)[1]))


def is_whole(path: Path) -> bool:
    """Return whether a file was closed: one whose recorder was killed has no end."""
    size = path.stat().st_size
    with open(path, 'rb') as file:
        file.seek(max(size - len(MAGIC), 0))
        return size > 2 * len(MAGIC) and file.read() == MAGIC


def write_metadata(bag: Path) -> None:
    """Write metadata.yaml about the whole files of a bag; without one there is nothing to say.

    Raises:
        OSError: It cannot be written.
    """
    found = {path: _summary(path) for path in files_of(bag) if is_whole(path)}
    summaries = {
        p: s for p, s in found.items() if s and s.statistics and s.statistics.message_count
    }
    if summaries:
        text = yaml.safe_dump({'rosbag2_bagfile_information': _about(summaries)}, sort_keys=False)
        write_whole(bag / NAME, text.encode())


def count(bag: Path) -> int:
    """Return how many messages metadata.yaml says there are."""
    try:
        about = parse_yaml(read_bytes(bag / NAME, MAX_RECORD))['rosbag2_bagfile_information']
        return int(about['message_count'])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _summary(path: Path) -> Summary | None:
    """Return what a file says of itself; None where it is damaged or empty."""
    try:
        with open(path, 'rb') as file:
            found = make_reader(file).get_summary()
    except Exception:  # what is said of a damaged file depends on where the damage is
        return None
    statistics = found.statistics if found is not None else None
    return found if statistics is not None and statistics.message_count else None


def _about(summaries: dict[Path, Summary]) -> dict[str, Any]:
    statistics = [s.statistics for s in summaries.values()]
    first = min(s.message_start_time for s in statistics)
    last = max(s.message_end_time for s in statistics)
    return {
        'version': VERSION,
        'storage_identifier': 'mcap',
        **_span(first, last, sum(s.message_count for s in statistics)),
        'topics_with_message_count': _topics(summaries),
        'compression_format': '',  # MCAP compresses by itself: rosbag2 need not know
        'compression_mode': '',
        'relative_file_paths': [path.name for path in summaries],
        'files': [{'path': path.name, **_span_of(s.statistics)} for path, s in summaries.items()],
        'custom_data': None,
        'ros_distro': DISTRO,
    }


def _topics(summaries: dict[Path, Summary]) -> list[dict[str, Any]]:
    about: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for summary in summaries.values():
        for channel in summary.channels.values():
            counts.setdefault(channel.topic, 0)
            counts[channel.topic] += summary.statistics.channel_message_counts.get(channel.id, 0)
            about[channel.topic] = {
                'name': channel.topic,
                'type': summary.schemas[channel.schema_id].name,
                'serialization_format': channel.message_encoding,
                'offered_qos_profiles': _profiles(channel),
                'type_description_hash': channel.metadata.get(HASH, ''),
            }
    return [
        {'topic_metadata': about[name], 'message_count': counts[name]} for name in sorted(about)
    ]


def _profiles(channel: Channel) -> list[Any]:
    try:
        return parse_yaml(channel.metadata.get(QOS, '')) or []
    except ValueError:
        return []


def _span_of(s: Statistics) -> dict[str, Any]:
    return _span(s.message_start_time, s.message_end_time, s.message_count)


def _span(first: int, last: int, messages: int) -> dict[str, Any]:
    return {
        'duration': {'nanoseconds': last - first},
        'starting_time': {'nanoseconds_since_epoch': first},
        'message_count': messages,
    }
