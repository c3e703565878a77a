"""What LeRobot wants to know of each column: range, mean, deviation and quantiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

QUANTILES = {'q01': 0.01, 'q10': 0.1, 'q50': 0.5, 'q90': 0.9, 'q99': 0.99}


def statistics_of(episodes: Sequence[Mapping[str, np.ndarray]]) -> dict[str, dict[str, list]]:
    """Return the statistics of all columns, over all episodes.

    Args:
        episodes: `{column: (rows, ...)}` of each; uint8 `(rows, height, width, 3)` are images.

    Returns:
        `{column: {statistic: values}}`: of numbers one value for each; of images `(3, 1, 1)`, one
        for each channel, of pixels from 0 to 1.
    """
    found = {}
    for name, first in episodes[0].items():
        columns = [episode[name] for episode in episodes]
        found[name] = _of_images(columns) if first.ndim == 4 else _of_numbers(columns)
    return found


def _of_numbers(columns: Sequence[np.ndarray]) -> dict[str, list]:
    values = np.concatenate(columns).astype(float)
    values = values.reshape(len(values), -1)
    found = {'min': values.min(0), 'max': values.max(0), 'mean': values.mean(0)}
    found |= {'std': values.std(0), 'count': np.array([len(values)])}
    found |= {name: np.quantile(values, part, axis=0) for name, part in QUANTILES.items()}
    return {name: value.tolist() for name, value in found.items()}


def _of_images(columns: Sequence[np.ndarray]) -> dict[str, list]:
    """Count how often each of the 256 values occurs in each channel; all follows from that."""
    counts = np.zeros((3, 256), np.int64)
    for images in columns:
        for channel in range(3):
            counts[channel] += np.bincount(images[..., channel].reshape(-1), minlength=256)
    levels = np.arange(256) / 255
    shares = counts / counts.sum(1, keepdims=True)
    mean = shares @ levels
    found: dict[str, Any] = {
        'min': levels[(counts > 0).argmax(1)],
        'max': levels[255 - (counts[:, ::-1] > 0).argmax(1)],
        'mean': mean,
        'std': np.sqrt(np.maximum(shares @ levels**2 - mean**2, 0.0)),
    }
    below = shares.cumsum(1)
    found |= {n: levels[(below >= part - 1e-12).argmax(1)] for n, part in QUANTILES.items()}
    found = {name: value.reshape(3, 1, 1).tolist() for name, value in found.items()}
    return found | {'count': [sum(len(images) for images in columns)]}
