"""Takes away what nodes that are killed leave in shared memory: Fast DDS leaves it to nobody.

No message between our nodes goes through it (`config/fastdds`), but rmw_fastrtps has every process
make some.
"""

from __future__ import annotations

import fcntl
import time
from contextlib import suppress
from pathlib import Path

SHARED = Path('/dev/shm')
LOCK = '_el'  # what a segment's lock file is called after it
YOUNG = 10.0  # seconds in which its process may not hold the lock yet


def sweep(folder: Path = SHARED, young: float = YOUNG) -> int:
    """Remove segments whose process is gone, and return how many.

    A living process holds the lock on its segment's lock file; the system lets go of it when the
    process ends, however it ends.

    Args:
        folder: Where they are.
        young: Age in seconds below which nothing is touched.
    """
    removed = 0
    for lock in folder.glob(f'fastrtps_*{LOCK}'):
        if 'port' in lock.name:  # shared by many
            continue
        with suppress(OSError), open(lock, 'rb') as file:
            if time.time() - lock.stat().st_mtime < young:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.with_name(lock.name.removesuffix(LOCK)).unlink(missing_ok=True)
            lock.unlink()
            removed += 1
    return removed
