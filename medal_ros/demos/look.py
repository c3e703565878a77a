"""Demonstrations to look at: a list of files, a table of steps, a sheet of pictures, a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from medal_ros.learning.demonstrations import (
    Demonstration,
    DemonstrationError,
    load_demonstration,
)
from medal_ros.spaces import AGENTS
from medal_ros.videos import write_mp4

RATE = 10.0  # control steps per second
COLUMNS, TILES = 6, 24  # of a sheet
GAP, BAR, DARK = 4, 16, 32


@dataclass(frozen=True)
class Listed:
    """One file of a list: what it holds, or why it cannot be used."""

    path: Path
    demonstration: Demonstration | None
    refusal: str = ''


def listed(folder: Path) -> list[Listed]:
    """Return what lies in a folder and the folders below it, in the order of the names.

    Raises:
        DemonstrationError: There is no such folder, or nothing in it.
    """
    if folder.is_file():
        return [_listed(folder)]
    if not folder.is_dir():
        raise DemonstrationError(f'there is no folder {folder}')
    found = [_listed(path) for path in sorted(folder.rglob('*.safetensors'))]
    if not found:
        raise DemonstrationError(f'{folder} holds no demonstrations')
    return found


def _listed(path: Path) -> Listed:
    try:
        return Listed(path, load_demonstration(path))
    except DemonstrationError as error:
        return Listed(path, None, str(error))


def verdict(d: Demonstration) -> str:
    """Return how the world of the stand-in judged the end; a robot's does not."""
    if d.task_rewards is None or d.direction not in AGENTS or not len(d):
        return '-'
    return 'done' if d.task_rewards[-1, AGENTS.index(d.direction)] > 0 else 'NOT done'


def summary(d: Demonstration) -> str:
    """Return what a demonstration is, in a few lines."""
    pauses = 0 if d.held is None else int(d.held.sum())
    lines = [
        f'task       {d.task}, {d.direction}',
        f'recorded   by {d.source or "an unnamed source"}',
        f'length     {len(d)} steps, {len(d) / RATE:.1f} s; pauses left out: {pauses} steps',
        f'end        {verdict(d)}',
        f'cameras    {", ".join(d.cameras)}, {d.frames.shape[2]}x{d.frames.shape[1]}',
        f'world      {"kept: it can be replayed" if d.start else "not kept"}',
    ]
    return '\n'.join(lines)


def table(d: Demonstration) -> Iterator[str]:
    """Yield a line for each step: proprioception before it, action, what the world judged."""
    proprio, action = d.proprio.shape[1], d.actions.shape[1]
    yield f'{"step":>5} {"held":>4}  {"proprio":<{8 * proprio}} {"action":<{8 * action}} rewards'
    for i in range(len(d)):
        held = 0 if d.held is None else d.held[i]
        rewards = '' if d.task_rewards is None else ' '.join(f'{r:g}' for r in d.task_rewards[i])
        numbers = (''.join(f'{x:8.3f}' for x in row[i]) for row in (d.proprio, d.actions))
        yield f'{i:5d} {held:4d} {" ".join(numbers)}  {rewards}'


def images(d: Demonstration) -> Iterator[np.ndarray]:
    """Yield each frame as one rgb image, the cameras side by side."""
    for frame in d.frames:
        yield np.concatenate(np.split(frame, len(d.cameras), axis=2), axis=1)


def write_sheet(d: Demonstration, path: Path) -> None:
    """Write a sheet of pictures, evenly spaced in time, each with its step.

    Raises:
        DemonstrationError: The file's name says no kind of picture, or it cannot be written.
    """
    chosen = np.unique(np.linspace(0, len(d), min(TILES, len(d) + 1)).round().astype(int))
    shown = list(images(d))
    tiles = [_tile(shown[step], f'{step}') for step in chosen]
    blank = np.full_like(tiles[0], DARK)
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[i : i + COLUMNS], 1) for i in range(0, len(tiles), COLUMNS)]
    try:
        written = cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])
    except cv2.error:
        written = False
    if not written:
        raise DemonstrationError(f'{path} cannot be written as a picture: a name in .png can')


def _tile(image: np.ndarray, words: str) -> np.ndarray:
    bar = np.full((BAR, image.shape[1], 3), DARK, np.uint8)
    cv2.putText(bar, words, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (245,) * 3, 1, cv2.LINE_AA)
    tile = np.concatenate([image, bar])
    return np.pad(tile, ((0, GAP), (0, GAP), (0, 0)), constant_values=DARK)


def write_video(d: Demonstration, path: Path) -> None:
    """Write all frames as an mp4 at the speed at which they were recorded."""
    if path.suffix != '.mp4':
        raise DemonstrationError(f'{path} is no name of a video: one in .mp4 is')
    write_mp4(path, images(d), RATE)
