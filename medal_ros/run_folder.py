"""Where a run keeps what: one place for every path below `runs/<name>/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNTIL_STOPPED = 1_000_000  # steps for which a run without an end has room


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / 'config.yaml'

    @property
    def summary(self) -> Path:
        return self.path / 'summary.json'

    @property
    def lock(self) -> Path:
        """Held by the process that runs the graph; written anew each time somebody takes it."""
        return self.path / 'lock'

    @property
    def demonstrations(self) -> Path:
        return self.path / 'demonstrations'

    @property
    def interventions(self) -> Path:
        """What a person drove during practice, in the format of demonstrations."""
        return self.path / 'interventions'

    @property
    def replay(self) -> Path:
        return self.path / 'replay'

    @property
    def weights(self) -> Path:
        """Weights on their way between nodes; each file lives for a few steps only."""
        return self.path / 'weights'

    @property
    def checkpoints(self) -> Path:
        return self.path / 'checkpoints'

    @property
    def tensorboard(self) -> Path:
        return self.path / 'tensorboard'

    @property
    def recordings(self) -> Path:
        """Bags of the run's topics, one for each time that it was started."""
        return self.path / 'recordings'

    def policy(self, agent: str, steps: int) -> Path:
        """Return the policy of an agent as it was after so many policy steps of the run."""
        return self.checkpoints / f'{agent}_{steps:08d}.safetensors'

    def state(self, node: str) -> Path:
        """Return the folder of a node's whole states, from which it goes on."""
        return self.path / 'state' / node

    def training_state(self, part: str) -> Path:
        """Return the state of a practice in one process (`medal bench`)."""
        return self.checkpoints / f'state_{part}.safetensors'

    @staticmethod
    def replay_capacity(steps: int) -> int:
        """Return how many frames fit the store of a run: at worst every step has its own two.

        Files are sparse, so a run until stopped (0 steps) costs what it stores.
        """
        return 2 * (steps or UNTIL_STOPPED) + 2
