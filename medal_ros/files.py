"""Files that appear whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a file; what was there stays until the new one is whole.

    Args:
        path: Where to.
        data: What.
        durable: Wait until it is on the disk, so that power may fail.

    Raises:
        OSError: The disk is full, or cannot be written to.
    """
    partial = path.with_suffix('.partial')
    try:
        partial.write_bytes(data)
        if durable:
            sync(partial)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
