"""A batch of transitions, gathered from one replay or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from medal_ros.learning.replay import Replay

Array = TypeVar('Array')  # of numpy or of torch
Parts = Sequence[tuple['Replay', np.ndarray]]  # replays, and the frames where transitions begin


class Batch(NamedTuple, Generic[Array]):
    """Transitions. Frames `(batch, height, width, channels)` uint8; the rest float32.

    `task_rewards` are `(batch, 2)`: the stand-in's own, for doing and for undoing the task.
    """

    frames: Array
    proprio: Array
    actions: Array
    next_frames: Array
    next_proprio: Array
    task_rewards: Array


FIELDS = {  # of a batch: their column in a store, and how many frames later
    'frames': ('frames', 0),
    'proprio': ('proprio', 0),
    'actions': ('actions', 0),
    'next_frames': ('frames', 1),
    'next_proprio': ('proprio', 1),
    'task_rewards': ('task_rewards', 0),
}


def draw(parts: Parts, out: Batch[np.ndarray] | None = None) -> Batch[np.ndarray]:
    """Return the transitions that begin at these frames of several replays, in one batch.

    Args:
        parts: Each replay with the indices of its frames.
        out: Memory to write them to; None makes some.
    """
    for replay, indices in parts:
        replay.store.expect(indices)

    def gather(field: str) -> np.ndarray:
        column, after = FIELDS[field]
        arrays = [getattr(replay.store, column) for replay, _ in parts]
        rows = sum(len(indices) for _, indices in parts)
        if out is None:
            gathered = np.empty((rows, *arrays[0].shape[1:]), arrays[0].dtype)
        else:
            gathered = getattr(out, field)
        first = 0
        for array, (_, indices) in zip(arrays, parts, strict=True):
            # `raise`, the default, would write into a buffer first.
            np.take(array, indices + after, 0, gathered[first : first + len(indices)], 'clip')
            first += len(indices)
        return gathered

    return Batch(*map(gather, Batch._fields))
