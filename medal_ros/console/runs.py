"""Past runs: what they came to, and which of their files a visitor may have."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medal_ros.run_folder import RunFolder

# What a run leaves for people (docs: README). Nothing else of a run is ever served.
FILES = ('learning_curve.png', 'forward.mp4', 'backward.mp4', 'summary.json', 'config.yaml')
NEWEST = 200  # runs in the list


@dataclass(frozen=True)
class PastRun:
    """One folder of runs.

    Attributes:
        name: Of the folder.
        changed: When its summary or configuration was written last, in seconds of the epoch.
        summary: Content of summary.json; empty where there is none yet.
        files: Which of `FILES` it has.
    """

    name: str
    changed: float
    summary: dict[str, Any]
    files: tuple[str, ...]


class Runs:
    """The folder in which runs are kept.

    Args:
        root: That folder; it may come into being later.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[Path, tuple[float, dict[str, Any]]] = {}

    def newest_first(self) -> list[PastRun]:
        """Return the runs there are; a folder without a configuration is none."""
        if not self.root.is_dir():
            return []
        found = [self._run(path) for path in self.root.iterdir() if self._is_run(path)]
        return sorted(found, key=lambda run: run.changed, reverse=True)[:NEWEST]

    def file(self, run: str, name: str) -> Path | None:
        """Return the path of a file of a run; None for whatever else was asked for."""
        if name not in FILES or run in ('', '.', '..') or '/' in run or '\0' in run:
            return None
        path, root = self.root / run / name, self.root.resolve()
        try:
            inside = path.resolve().is_relative_to(root) and path.is_file()
        except (OSError, ValueError):  # a name too long, a loop of links
            return None
        return path if inside else None

    def _is_run(self, path: Path) -> bool:
        return self.file(path.name, 'config.yaml') is not None

    def _run(self, path: Path) -> PastRun:
        folder = RunFolder(path)
        files = tuple(name for name in FILES if self.file(path.name, name))
        newest = folder.summary if 'summary.json' in files else folder.config
        summary = self._summary(folder.summary) if 'summary.json' in files else {}
        return PastRun(path.name, newest.stat().st_mtime, summary, files)

    def _summary(self, path: Path) -> dict[str, Any]:
        """Return the content of a summary; empty where it is not one."""
        changed = path.stat().st_mtime
        if path not in self._read or self._read[path][0] != changed:
            try:
                content = json.loads(path.read_text())
            except (OSError, ValueError):
                content = {}
            self._read[path] = changed, content if isinstance(content, dict) else {}
        return self._read[path][1]


def bytes_on_disk(folder: Path) -> int:
    """Return what a folder takes on the disk; the replay store's files are sparse."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except OSError:  # gone meanwhile
                continue
    return total


def free_on_disk(folder: Path) -> int:
    """Return the bytes that are free where a folder is or would be."""
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    return shutil.disk_usage(there).free
