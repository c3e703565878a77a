"""Rollouts as mp4 files that play everywhere. No ROS import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

import cv2
import imageio.v2 as imageio
import numpy as np

from medal_ros.sim.evaluate import Rollout

HEIGHT = 384  # pixels that a small image is enlarged to, about
GAP = 8  # pixels between two cameras
BAR = 40  # pixels of the caption below them
PAUSE = 0.8  # seconds that the last image of an episode stays
DARK, WHITE = (32, 32, 32), (245, 245, 245)
DONE, NOT_YET = (0, 158, 115), (120, 120, 120)


def write_mp4(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write images as H.264 in yuv420p, enlarged to about `HEIGHT` rows where they are smaller.

    The file appears under its name only once it is whole.

    Args:
        path: Where; its folder exists.
        frames: `(height, width, 3)` uint8 rgb images of one size.
        fps: Images per second.

    Raises:
        ValueError: There are no images, or they are not of one size.
        OSError: The file cannot be written.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError(f'no images to write to {path}')
    part = path.with_name(f'.{path.name}.part.mp4')
    try:
        # imageio's own context manager would leave ffmpeg running after an error.
        with closing(_writer(part, fps)) as writer:
            for frame in chain([first], frames):
                if frame.shape != first.shape:
                    raise ValueError(f'the images of {path} must all be of one size')
                writer.append_data(enlarge(frame))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_rollouts(path: Path, title: str, rollouts: Sequence[Rollout], fps: float = 10.0) -> None:
    """Write episodes one after the other, with a caption that says which and how it stands.

    Raises:
        ValueError: There are no episodes.
        OSError: The file cannot be written.
    """
    frames = (
        frame
        for number, rollout in enumerate(rollouts, 1)
        for frame in _episode(rollout, f'{title} {number}/{len(rollouts)}', round(PAUSE * fps))
    )
    write_mp4(path, frames, fps)


def enlarge(image: np.ndarray) -> np.ndarray:
    """Return an image of at least about `HEIGHT` rows and even sizes, its pixels sharp."""
    factor = max(1, round(HEIGHT / image.shape[0]))
    large = image.repeat(factor, 0).repeat(factor, 1)
    odd = [(0, size % 2) for size in large.shape[:2]]
    return np.pad(large, [*odd, (0, 0)], mode='edge')


def _writer(path: Path, fps: float) -> imageio.core.format.Writer:
    return imageio.get_writer(
        path,
        fps=fps,
        codec='libx264',
        pixelformat='yuv420p',
        quality=8,
        macro_block_size=2,  # yuv420p needs even sizes, and has them from `enlarge`
        output_params=['-preset', 'veryfast', '-movflags', '+faststart'],
    )


def _episode(rollout: Rollout, title: str, pause: int) -> Iterator[np.ndarray]:
    last = len(rollout.images) - 1
    for step, (images, done) in enumerate(zip(rollout.images, rollout.succeeded, strict=True)):
        word = 'done' if done else f'step {step}'
        frame = with_caption(side_by_side(images), title, word, DONE if done else NOT_YET)
        yield from [frame] * (1 + pause if step == last else 1)


def side_by_side(images: Iterable[np.ndarray]) -> np.ndarray:
    """Join `(height, width, 3)` images of one size, one a camera, to an enlarged one with gaps."""
    large = [enlarge(image) for image in images]
    gap = np.full((large[0].shape[0], GAP, 3), DARK, np.uint8)
    return np.concatenate([part for image in large for part in (gap, image)][1:], axis=1)


def with_caption(
    image: np.ndarray, title: str, word: str, colour: tuple[int, int, int] | None = None
) -> np.ndarray:
    """Return an image with a bar below it: a title, a word at the right, a dot of a colour."""
    bar = np.full((BAR, image.shape[1], 3), DARK, np.uint8)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.55
    (width, _), _ = cv2.getTextSize(word, font, scale, 1)
    right = image.shape[1] - 10 - width
    cv2.putText(bar, title, (10, 26), font, scale, WHITE, 1, cv2.LINE_AA)
    cv2.putText(bar, word, (right, 26), font, scale, WHITE, 1, cv2.LINE_AA)
    if colour is not None:
        cv2.circle(bar, (right - 16, 20), 7, colour, -1, cv2.LINE_AA)
    return np.concatenate([image, bar])
