"""What the classifiers of a run say today of what it saw then. No ROS import."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from safetensors.torch import load

from medal_ros.config import RunConfig
from medal_ros.errors import UserError
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.states import States
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of
from medal_ros.spaces import AGENTS

TOGETHER = 64  # frames that are judged in one pass


class Judge:
    """Both classifiers as they were saved last.

    Args:
        classifiers: By the name of the agent.
    """

    def __init__(self, classifiers: Mapping[str, Classifier]) -> None:
        self.classifiers = classifiers

    @torch.no_grad()
    def scores(self, frames: np.ndarray, proprio: np.ndarray) -> dict[str, np.ndarray]:
        """Return the rewards of both agents, and the `success_probability`, for each frame.

        Args:
            frames: `(n, height, width, channels)` uint8.
            proprio: `(n, numbers)` float32.
        """
        names = (*AGENTS, 'success_probability')
        found: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for first in range(0, len(frames), TOGETHER):
            part = slice(first, first + TOGETHER)
            # Copied: torch does not take what is mapped for reading only.
            inputs = [torch.from_numpy(np.array(a[part])) for a in (frames, proprio)]
            for name, classifier in self.classifiers.items():
                found[name].append(classifier.reward(*inputs).numpy())
            classifier = self.classifiers[AGENTS[0]]
            logit = classifier.logit(classifier.embed(*inputs))
            found['success_probability'].append(torch.sigmoid(logit).numpy())
        return {name: np.concatenate(parts).ravel() for name, parts in found.items()}


def newest_judge(config: RunConfig, folder: RunFolder) -> Judge | None:
    """Return the classifiers that a run saved last; None where it saved none that fit."""
    state, spaces = States(folder.state('reward')).load(), spaces_of(config.task, config.pixels)
    if state is None:
        return None
    classifiers = {}
    try:
        for name in AGENTS:
            made = Classifier(getattr(config, name).classifier, spaces, name)
            saved = load(state.part(name))
            made.load_state_dict({key: saved[key] for key in made.state_dict()})
            classifiers[name] = made.eval()
    except (UserError, OSError, KeyError, RuntimeError):  # of other networks, or gone meanwhile
        return None
    return Judge(classifiers)
