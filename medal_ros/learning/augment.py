"""Random shift, on the bytes: cheaper than on floats, and the same for every camera of a frame."""

from __future__ import annotations

import numpy as np


def random_shift(
    frames: np.ndarray, pad: int, rng: np.random.Generator, offsets: np.ndarray | None = None
) -> np.ndarray:
    """Shift each frame by up to `pad` pixels, repeating its edge (DrQ-v2's augmentation).

    Args:
        frames: `(batch, height, width, channels)` uint8.
        pad: Greatest shift in pixels, in both directions; 0 returns the frames as they are.
        rng: Draws the shifts.
        offsets: `(batch, 2)` rows and columns from 0 to `2 * pad` instead of drawn ones;
            `pad` leaves a frame where it is.

    Returns:
        Shifted frames of the same shape.
    """
    if pad == 0:
        return frames
    batch, height, width, _ = frames.shape
    if offsets is None:
        offsets = rng.integers(0, 2 * pad + 1, (batch, 2))
    # Further than its own size, a frame is its edge alone.
    rows = np.clip(offsets[:, 0] - pad, 1 - height, height - 1).tolist()
    columns = np.clip(offsets[:, 1] - pad, 1 - width, width - 1).tolist()
    shifted = np.empty_like(frames)
    for i in range(batch):
        _shift(frames[i], shifted[i], rows[i], columns[i])
    return shifted


def _shift(frame: np.ndarray, out: np.ndarray, down: int, right: int) -> None:
    """Write into `out` the frame as seen from a window moved down and right.

    Only what lies outside is filled from the edge: a padded copy would be read and written whole.
    """
    height, width, _ = frame.shape
    top, bottom = max(-down, 0), height - max(down, 0)
    first, last = max(-right, 0), width - max(right, 0)
    inside = out[top:bottom]
    inside[:, first:last] = frame[top + down : bottom + down, first + right : last + right]
    inside[:, :first] = inside[:, first : first + 1]
    inside[:, last:] = inside[:, last - 1 : last]
    out[:top] = out[top]
    out[bottom:] = out[bottom - 1]
