"""Between messages and what the method works on."""

from __future__ import annotations

import numpy as np

from medal_ros.bounded import plain
from medal_ros.learning.joiner import StepRecord
from medal_ros.learning.replay import NO_REWARDS
from medal_ros.msg import Observation, Step
from medal_ros.nodes.images import array_from_image
from medal_ros.spaces import AGENTS, Spaces


def frame_of(message: Observation, spaces: Spaces) -> tuple[np.ndarray, np.ndarray]:
    """Return the frame and the proprioception of an observation.

    Raises:
        ValueError: Its cameras, image sizes, encodings or proprioception are not the run's.
    """
    if tuple(message.names) != spaces.cameras or len(message.images) != len(message.names):
        raise ValueError(
            f'observation {message.sequence} has images {plain(str(list(message.names[:9])))}, '
            f'not {list(spaces.cameras)}'
        )
    images = [array_from_image(image) for image in message.images]
    for name, image in zip(message.names, images, strict=True):
        if image.shape != (spaces.height, spaces.width, 3):
            raise ValueError(
                f'observation {message.sequence}: image {name} is {image.shape[1]}x'
                f'{image.shape[0]}, not {spaces.width}x{spaces.height}'
            )
    proprio = np.array(message.proprio, np.float32)
    if proprio.shape != (spaces.proprio,) or not np.isfinite(proprio).all():
        raise ValueError(
            f'observation {message.sequence}: proprio must be {spaces.proprio} finite numbers'
        )
    frame = images[0] if len(images) == 1 else np.concatenate(images, -1)
    return frame, proprio


def record_of(message: Step) -> StepRecord:
    """Return a step message as the record that replay is built from."""
    m, action = message, np.array(message.action, np.float32)
    rewards = tuple(m.task_rewards) if len(m.task_rewards) == len(AGENTS) else NO_REWARDS
    return StepRecord(m.sequence, m.source, m.agent, action, m.boundary, rewards)
