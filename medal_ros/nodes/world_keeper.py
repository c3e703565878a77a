"""How sim_arm keeps its world: for a run that goes on, and for whoever takes its place."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
from safetensors.numpy import load, save

from medal_ros.learning.moment import Moment, moment_of, state_of
from medal_ros.learning.note import Note
from medal_ros.learning.states import States
from medal_ros.nodes.run import say
from medal_ros.run_folder import RunFolder
from medal_ros.sim import TaskEnv

NODE = 'sim_arm'
KEPT = 16  # arms that ended of which the note still tells: some may not have been heard


class WorldKeeper:
    """Saves, restores and puts back a world.

    Args:
        folder: The run's.
        seed: Of the run; where a world is put back follows from it and from the moment.
        log: Told what became of the world.
    """

    def __init__(self, folder: RunFolder, seed: int, log: RcutilsLogger) -> None:
        self.folder, self.seed, self.log = folder, seed, log
        self.note = Note(folder, NODE)
        self._restarts: list[int] = []

    def shown(self, sequence: int) -> None:
        """Note which observation is shown, for whoever takes this arm's place."""
        self.note.write({'sequence': sequence, 'restarts': self._restarts})

    def restarts(self) -> list[int]:
        """Return where arms of this graph ended and another took their place, as one does now.

        Each is the number after the observation that an arm showed last, the newest is the last.
        There are none if no arm ended while its graph went on.
        """
        noted = self.note.read()
        if noted is not None:
            self._restarts = [*noted['restarts'], noted['sequence'] + 1][-KEPT:]
        return self._restarts

    def save(self, world: TaskEnv, values: dict[str, Any]) -> None:
        """Keep the world, and values of the arm's, as they are at the present observation."""
        try:
            arrays = {k: np.ascontiguousarray(v) for k, v in world.snapshot().items()}
            States(self.folder.state(NODE)).save([('world', save(arrays))], values)
        except OSError as error:
            say(f'the world was not saved: {error}')

    def restore(self, world: TaskEnv) -> tuple[int, dict[str, Any]]:
        """Bring the world to where the run rests, or put it back where it ended otherwise.

        Returns:
            The observation that is next, and the values saved with the world; none: put back.
        """
        moment = moment_of(self.folder) or Moment()
        state = state_of(self.folder, NODE, moment.sequence)
        if state is None:
            self.put_back(world, moment.sequence)
            return moment.sequence, {}
        world.restore(load(state.part('world')))
        self.log.info(f'the world goes on at observation {moment.sequence}')
        return moment.sequence, state.values

    def put_back(self, world: TaskEnv, sequence: int) -> None:
        """Reset the world as the seed draws it for this moment."""
        seeds = np.random.SeedSequence([self.seed, sequence])
        world.reset(seed=int(seeds.generate_state(1)[0] >> 1))
        self.log.info(f'the world is put back at observation {sequence}')
