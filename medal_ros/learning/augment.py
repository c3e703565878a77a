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
    padded = np.pad(frames, ((0, 0), (pad, pad), (pad, pad), (0, 0)), 'edge')
    if offsets is None:
        offsets = rng.integers(0, 2 * pad + 1, (batch, 2))
    shifted = np.empty_like(frames)
    for i, (row, column) in enumerate(offsets.tolist()):
        shifted[i] = padded[i, row : row + height, column : column + width]
    return shifted
