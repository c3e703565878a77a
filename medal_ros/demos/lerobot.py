"""Demonstrations as a LeRobotDataset (v3) and back, through the library `datasets`.

A row holds what was seen and what was done then. A demonstration saw one moment more than it did
steps, so the export adds a last row whose action moves nothing, and the import takes the last
row of an episode as what was seen at its end. Images are PNG inside the parquet files, so that
nothing is lost.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from medal_ros.errors import UserError
from medal_ros.learning.demonstrations import DemonstrationError

INFO, STATISTICS, TASKS = 'meta/info.json', 'meta/stats.json', 'meta/tasks.parquet'
IMAGE, STATE, ACTION = 'observation.images.', 'observation.state', 'action'
REWARDS = 'next.task_rewards'


def library() -> ModuleType:
    """Return the library `datasets`.

    Raises:
        UserError: It is not installed.
    """
    try:
        import datasets
    except ImportError:
        raise UserError(
            'LeRobot datasets need the library datasets: pip install "medal_ros[lerobot]"'
        ) from None
    datasets.disable_progress_bars()
    return datasets


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """Give a folder that appears as `out` once all in it is written, and else not at all.

    Raises:
        DemonstrationError: `out` exists.
    """
    if out.exists():
        raise DemonstrationError(f'{out} exists: choose another name')
    out.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', dir=out.parent))
    try:
        yield place
        place.chmod(0o755)
        place.rename(out)
    finally:
        shutil.rmtree(place, ignore_errors=True)
