"""Stored segments as films: the cameras side by side, and below them whose step it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from medal_ros.errors import UserError
from medal_ros.playback.judge import Judge
from medal_ros.playback.stored import Segment, StoredRun
from medal_ros.spaces import AGENTS
from medal_ros.videos import DONE, NOT_YET, side_by_side, with_caption, write_mp4

USUAL_RATE = 10.0  # steps per second, where a run had no clock


def rate_of(run: StoredRun) -> float:
    """Return the steps per second at which a run is shown."""
    return run.config.graph.rate or USUAL_RATE


def write_film(
    run: StoredRun,
    segments: Sequence[Segment],
    path: Path,
    speed: float = 1.0,
    judge: Judge | None = None,
) -> None:
    """Write segments, one after the other, as an mp4.

    Args:
        run: Whose they are.
        segments: Which.
        path: Where; folders that are missing are made.
        speed: How many times as fast as it was.
        judge: Says the learned reward; None: nothing is said of it.

    Raises:
        UserError: The file's name says no video.
        OSError: The file cannot be written.
    """
    if path.suffix != '.mp4':
        raise UserError(f'{path} is no name of a video: one in .mp4 is')
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = (frame for segment in segments for frame in pictures(run, segment, judge))
    write_mp4(path, frames, rate_of(run) * speed)


def pictures(run: StoredRun, segment: Segment, judge: Judge | None) -> Iterator[np.ndarray]:
    """Yield what was seen in a segment, from before its first step to after its last."""
    rows = slice(segment.row, segment.row + segment.steps + 1)
    frames, proprio = run.frames[rows], run.proprio[rows]
    learned = judge.scores(frames, proprio)[segment.agent] if judge is not None else None
    rewards = run.task_rewards[:, AGENTS.index(segment.agent)]
    judged = not np.isnan(rewards[segment.row])
    whole = run.segments[segment.number]
    for i, frame in enumerate(frames):
        taken = segment.index + i
        # What a step led to shows in the frame after it.
        done = taken and rewards[segment.row + i - 1] > 0.5
        shown = side_by_side(np.split(frame, len(run.spaces.cameras), axis=2))
        shown = with_caption(
            shown,
            f'{segment.agent}, segment {segment.number}',
            f'step {taken}/{whole.steps}',
            (DONE if done else NOT_YET) if judged else None,
        )
        words = f'reward {learned[i]:.2f}' if learned is not None else ''
        yield with_caption(shown, f'step {segment.first + i} of the run', words)
