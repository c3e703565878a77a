"""What a person drove: stretches of steps, whose place the person took, and when they are final.

A stretch is kept back until a policy acts again, so that the person can still reject it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medal_ros.learning.demonstrations import (
    Demonstration,
    load_demonstration,
    save_demonstration,
)
from medal_ros.spaces import Spaces

NOBODY = 'nobody'
LONGEST = 1000  # steps kept back; of a longer intervention the beginning is final already
REJECTED = ('failure', 'invalid')


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps that a person drove, whole in themselves.

    Attributes:
        agent: In whose place; `'nobody'` where no policy was in control, or after a rejection.
        frames: `(steps + 1, height, width, channels)` uint8.
        proprio: `(steps + 1, n)` float32.
        actions: `(steps, m)` float32.
        task_rewards: `(steps, 2)` float32, not a number where nobody knows.
    """

    agent: str
    frames: np.ndarray
    proprio: np.ndarray
    actions: np.ndarray
    task_rewards: np.ndarray

    def as_demonstration(self, task: str, spaces: Spaces) -> Demonstration:
        """Return the stretch in the form in which demonstrations are saved."""
        return Demonstration(
            task,
            self.agent,
            spaces.cameras,
            self.frames,
            self.proprio,
            self.actions,
            self.task_rewards,
            source='intervention',
        )


class Driven(NamedTuple):
    """One step that a person drove."""

    sequence: int
    before: tuple[np.ndarray, np.ndarray]  # frame and proprio
    action: np.ndarray
    task_rewards: tuple[float, float]
    after: tuple[np.ndarray, np.ndarray]


class Interventions:
    """Collects stretches; is told of every step in the order of the sequence numbers."""

    def __init__(self) -> None:
        self._agent = NOBODY  # whose policy acted last
        self._acted = self._helpless = -1
        self._label, self._labelled = '', -1
        self._stretch: list[Driven] = []
        self._ended: list[tuple[str, list[Driven]]] = []

    def snapshot(self) -> list[Any]:
        """Return, as plain values, all but the stretches that are not final yet."""
        return [self._agent, self._acted, self._helpless, self._label, self._labelled]

    def restore(self, snapshot: list[Any]) -> None:
        """Go on from a snapshot."""
        self._agent, self._acted, self._helpless, self._label, self._labelled = snapshot

    def asked_for_help(self, sequence: int) -> None:
        """Take note that from this observation on no policy was in control."""
        self._helpless = max(self._helpless, sequence)

    def judge(self, sequence: int, label: str) -> None:
        """Take a person's word, said at an observation, about the stretches before it."""
        self._label, self._labelled = label, sequence

    def drove(self, step: Driven) -> tuple[Stretch, ...]:
        """Take a step of a person; return what is final because there is too much of it."""
        self._stretch.append(step)
        if sum(len(steps) for _, steps in self._ended) + len(self._stretch) < LONGEST:
            return ()
        return self._finish()

    def broke(self) -> None:
        """End the stretch: what follows does not continue it."""
        if self._stretch:
            self._ended.append((self._whose(), self._stretch))
            self._stretch = []

    def reset(self) -> None:
        """Take note that the arm or the world was reset: no policy is in control now."""
        self.broke()
        self._agent = NOBODY

    def acted(self, sequence: int, agent: str) -> tuple[Stretch, ...]:
        """Take note that a policy acts; return the stretches before it, which are final now."""
        finished = self._finish()
        self._agent, self._acted = agent, sequence
        return finished

    def close(self) -> tuple[Stretch, ...]:
        """Return what is left when nothing more will come."""
        return self._finish()

    def _whose(self) -> str:
        return NOBODY if self._helpless > self._acted else self._agent

    def _finish(self) -> tuple[Stretch, ...]:
        self.broke()
        ended, self._ended = self._ended, []
        return tuple(_stretch(self._final(agent, steps[0]), steps) for agent, steps in ended)

    def _final(self, agent: str, first: Driven) -> str:
        rejected = self._label in REJECTED and first.sequence <= self._labelled
        return NOBODY if rejected else agent


def _stretch(agent: str, steps: list[Driven]) -> Stretch:
    seen = [step.before for step in steps] + [steps[-1].after]
    frames, proprio = zip(*seen, strict=True)
    return Stretch(
        agent,
        np.stack(frames),
        np.stack(proprio).astype(np.float32),
        np.stack([step.action for step in steps]).astype(np.float32),
        np.array([step.task_rewards for step in steps], np.float32),
    )


def load_stretches(folder: Path, agent: str) -> list[Demonstration]:
    """Return what a person drove in an agent's place, in the order in which it happened.

    Raises:
        DemonstrationError: One of the files is damaged.
    """
    paths = folder.glob(f'{agent}_*.safetensors')
    return [load_demonstration(p) for p in sorted(paths, key=lambda p: int(p.stem.split('_')[-1]))]


def save_stretches(
    stretches: Iterable[Stretch], folder: Path, task: str, spaces: Spaces
) -> list[Path]:
    """Write stretches beside those of a folder, and return their files.

    Raises:
        OSError: The folder cannot be written to.
    """
    paths = []
    for stretch in stretches:
        number = len(list(folder.glob(f'{stretch.agent}_*.safetensors')))
        paths.append(save_demonstration(stretch.as_demonstration(task, spaces), folder, number))
    return paths
