"""What the trainer keeps: stored steps at once, its whole state now and then, policies for good."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rclpy.node import Node
from safetensors.torch import load

from medal_ros.config import NodeConfig
from medal_ros.learning.interventions import Stretch, load_stretches, save_stretches
from medal_ros.learning.joiner import Resolved
from medal_ros.learning.learner import Learner
from medal_ros.learning.learner_state import catch_up, learner_state, restore_learner
from medal_ros.learning.recovery import Opened
from medal_ros.learning.replay import Counts
from medal_ros.learning.states import States
from medal_ros.learning.weights import save_tensors, tensor_bytes
from medal_ros.msg import State, Weights
from medal_ros.nodes.qos import HISTORY
from medal_ros.nodes.weights import announcement
from medal_ros.run_folder import RunFolder

RECORD_SECONDS = 5.0  # by the clock: what is older must not depend on the topics' history


class Checkpoints:
    """Saves parts of a learner in the run's folder. Used by one thread at a time.

    Args:
        node: Announces and logs.
        config: The run.
        folder: Its folder.
        learner: What is saved.
        opened: The store of its replay.

    Attributes:
        warm: Whether the learner has what comes before practice: before that nothing is saved.
        whole: Whether it was restored as it was at the very end of its replay.
        saved: Stored steps of the learner when everything was saved last; None: it never was.
        stretches: How many stretches that a person drove were saved.
    """

    def __init__(
        self, node: Node, config: NodeConfig, folder: RunFolder, learner: Learner, opened: Opened
    ) -> None:
        self.node, self.config, self.folder, self.learner = node, config, folder, learner
        self.store, self.journal = opened.store, opened.journal
        self.states = States(folder.state('trainer'), config.storage.checkpoints)
        self.state = State()  # the supervisor's newest, for who must go on without it
        self.warm = self.whole = False
        self._about: dict[str, Any] = opened.about
        self.saved: int | None = None
        self.stretches = 0
        self._agent: str | None = None  # of the step settled last
        self._recorded = time.monotonic()
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        self.publisher = node.create_publisher(Weights, 'weights/checkpoint', HISTORY)
        if config.resume:
            self._go_on(opened)

    def _go_on(self, opened: Opened) -> None:
        """Put the learner where the store and the newest whole checkpoint say it was."""
        learner, log = self.learner, self.node.get_logger()
        opened.give(learner.replay)
        if opened.about:
            learner.joiner.restore(opened.about['joiner'])
            self.state = State(**opened.about['state'])
        for name, agent in learner.agents.items():
            if agent.config.interventions:
                for driven in load_stretches(self.folder.interventions, name):
                    agent.add_demonstration(driven)
        since, found = Counts(), self.states.load()
        if found is not None:
            parts = {name: load(found.part(name)) for name in learner.agents}
            since = restore_learner(learner, parts, found.values['learner'])
            self.warm, self.saved = True, since.forward + since.backward
        for complaint in [*opened.complaints, *self.states.complaints]:
            log.warning(complaint)
        missed = catch_up(learner, since)
        self.whole = self.warm and since == learner.replay.counts
        state = f'the networks of step {self.saved}' if self.warm else 'new networks'
        log.info(f'going on at step {learner.steps} with {state}: {missed} to be learned from')

    def settled(self, resolved: Resolved) -> None:
        """Keep what a person drove; record what was stored, where it is enough or a segment ends.

        Raises:
            OSError: The disk is full, or worse.
        """
        self.driven(resolved.driven)
        ended = self._agent not in (None, resolved.agent)
        self._agent = resolved.agent
        counts, end = self.learner.replay.counts, self.journal.end
        new = counts.forward + counts.backward - end.forward - end.backward
        old = self.config.graph.rate > 0 and time.monotonic() - self._recorded > RECORD_SECONDS
        if new and (ended or old or new >= self.config.storage.record_every):
            self.record()

    def record(self) -> None:
        """Make all that is stored safe.

        Raises:
            OSError: The disk is full, or worse.
        """
        s = self.state
        about = {
            'joiner': self.learner.joiner.snapshot(),
            'state': {'segment': s.segment, 'interventions': s.interventions},
        }
        if self.journal.end == self.learner.replay.counts and about == self._about:
            return
        self.journal.record(self.store, self.learner.replay.counts, about)
        self._about, self._recorded = about, time.monotonic()

    def on_time(self) -> None:
        """Save everything whenever that is due."""
        every = self.config.storage.checkpoint_every
        if every and self.learner.steps // every > (self.saved or 0) // every:
            self.everything()

    def policies(self, steps: int) -> None:
        """Save the policies that `steps` policy steps of the run have made, and announce them."""
        for name, agent in self.learner.agents.items():
            path = self.folder.policy(name, steps)
            written = save_tensors(agent.deployed.state_dict(), path)
            version, next_ = steps // self.config.evaluation.every, self.learner.joiner.next
            message = announcement(self.node, name, version, next_, steps, written)
            self.publisher.publish(message)

    def training_state(self) -> None:
        """Save all that training of the agents depends on, behind the steps it has learned from.

        Raises:
            OSError: The disk is full, or worse; what was saved before is still there.
        """
        self.record()
        if self.warm:
            parts, values = learner_state(self.learner)
            files = ((name, tensor_bytes(t, name)) for name, t in parts.items())
            self.states.save(files, {'learner': values})
            self.saved = self.learner.steps

    def everything(self) -> None:
        """Save replay and training state; a full disk is complained of, and training goes on."""
        try:
            self.training_state()
        except (OSError, ValueError) as error:
            self.saved = self.learner.steps  # not again at each step
            self.node.get_logger().error(f'the checkpoint was not saved: {error}')
            return
        self.node.get_logger().info(f'everything of {self.learner.steps} steps is saved')

    def driven(self, stretches: Iterable[Stretch]) -> None:
        """Save what a person drove, if anything; a full disk is complained of."""
        try:
            paths = save_stretches(
                stretches, self.folder.interventions, self.config.task, self.config.spaces
            )
        except OSError as error:
            self.node.get_logger().error(f'what a person drove was not saved: {error}')
            return
        self.stretches += len(paths)
