"""What is recorded of a graph, and how much of it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from medal_ros.options import option


@dataclass(frozen=True)
class RecordConfig:
    """What is recorded of a run's topics, and how much of it is kept."""

    enabled: bool = option(False, "whether to record the run's topics (docs/seeing.md)")
    images_every: int = option(
        0, 'one of so many observations is recorded, with its images; 0: none', low=0
    )
    split_seconds: float = option(300.0, 'what a file of the recording spans', low=1.0)
    split_mib: float = option(256.0, 'size of a file of the recording, MiB', low=0.1)
    limit_gib: float = option(
        4.0, 'size of the whole recording, GiB: its oldest file makes room', low=0.001
    )
    spare_gib: float = option(
        1.0, 'what is left free of the disk, GiB: recording ends before', low=0.0
    )


def bag_name() -> str:
    """Return a name for a recording that begins now."""
    return f'bag_{datetime.now():%Y%m%d-%H%M%S}'
