"""Write docs/tasks.png: for each task, moments of a forward demonstration, and its other image."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from medal_ros.sim import TASKS, make

TARGET = Path(__file__).parent.parent / 'docs' / 'tasks.png'
MOMENTS = 5
SIZE = 168  # of each picture, twice EARL's


def enlarge(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)


def row(task: str) -> np.ndarray:
    """Return a task's pictures side by side: the demonstration, then the goal or the wrist."""
    environment = make(task, seed=0)
    seen = [environment.observe()]
    for action in environment.expert('forward', np.random.default_rng(0)):
        seen.append(environment.step(action)[0])
    environment.close()
    chosen = [seen[i] for i in np.linspace(0, len(seen) - 1, MOMENTS).astype(int)]
    views = environment.spaces.cameras
    pictures = [enlarge(moment['third']) for moment in chosen]
    other = [enlarge(chosen[-2][view]) for view in views if view != 'third']
    return np.hstack([*pictures, *(other or [np.full((SIZE, SIZE, 3), 255, np.uint8)])])


if __name__ == '__main__':
    picture = Image.fromarray(np.vstack([row(task) for task in TASKS]))
    picture.quantize(200).save(TARGET, optimize=True)
