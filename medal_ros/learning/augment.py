"""Random shift, on the bytes: cheaper than on floats, and the same for every camera of a frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


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
        offsets = draw_offsets(batch, pad, rng)
    # Further than its own size, a frame is its edge alone.
    rows = np.clip(offsets[:, 0] - pad, 1 - height, height - 1).tolist()
    columns = np.clip(offsets[:, 1] - pad, 1 - width, width - 1).tolist()
    shifted = np.empty_like(frames)
    for i in range(batch):
        _shift(frames[i], shifted[i], rows[i], columns[i])
    return shifted


def draw_offsets(batch: int, pad: int, rng: np.random.Generator) -> np.ndarray:
    """Return `(batch, 2)` rows and columns from 0 to `2 * pad`."""
    return rng.integers(0, 2 * pad + 1, (batch, 2))


def random_shift_tensor(frames: Tensor, pad: int, rng: np.random.Generator) -> Tensor:
    """Return what `random_shift` does, where the frames lie: the same draws give the same."""
    if pad == 0:
        return frames
    if frames.device.type == 'cpu':
        return torch.from_numpy(random_shift(frames.numpy(), pad, rng))
    offsets = torch.from_numpy(draw_offsets(len(frames), pad, rng))
    return shift_by_index(frames, pad, offsets.to(frames.device, non_blocking=True))


def shift_by_index(frames: Tensor, pad: int, offsets: Tensor) -> Tensor:
    """Shift frames in one pass over all of them: each pixel says where it comes from.

    Args:
        frames: `(batch, height, width, channels)`.
        pad: Greatest shift in pixels.
        offsets: `(batch, 2)` rows and columns from 0 to `2 * pad`, on the same device.
    """
    batch, height, width, _ = frames.shape
    moves = offsets - pad
    where = torch.arange(max(height, width), device=frames.device)
    rows = (where[:height] + moves[:, :1]).clamp(0, height - 1)
    columns = (where[:width] + moves[:, 1:]).clamp(0, width - 1)
    which = torch.arange(batch, device=frames.device)[:, None, None]
    return frames[which, rows[:, :, None], columns[:, None, :]]


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
