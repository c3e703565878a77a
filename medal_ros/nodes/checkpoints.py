"""What the trainer saves: policies for good, the whole state when asked to, what people drove."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.node import Node

from medal_ros.config import NodeConfig
from medal_ros.learning.checkpoint import agent_tensors
from medal_ros.learning.interventions import Stretch, save_stretches
from medal_ros.learning.learner import Learner
from medal_ros.learning.weights import save_tensors
from medal_ros.msg import Weights
from medal_ros.nodes.qos import HISTORY
from medal_ros.nodes.weights import announcement
from medal_ros.run_folder import RunFolder


class Checkpoints:
    """Saves parts of a learner in the run's folder. Used by one thread at a time.

    Args:
        node: Announces and logs.
        config: The run.
        learner: What is saved.

    Attributes:
        saved: Stored steps of the learner when everything was saved last; None: it never was.
        stretches: How many stretches that a person drove were saved.
    """

    def __init__(self, node: Node, config: NodeConfig, folder: RunFolder, learner: Learner) -> None:
        self.node, self.config, self.folder, self.learner = node, config, folder, learner
        self.saved: int | None = None
        self.stretches = 0
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        self.publisher = node.create_publisher(Weights, 'weights/checkpoint', HISTORY)

    def policies(self, steps: int) -> None:
        """Save the policies that `steps` policy steps of the run have made, and announce them."""
        for name, agent in self.learner.agents.items():
            path = self.folder.policy(name, steps)
            written = save_tensors(agent.deployed.state_dict(), path)
            version, next_ = steps // self.config.evaluation.every, self.learner.joiner.next
            message = announcement(self.node, name, version, next_, steps, written)
            self.publisher.publish(message)

    def training_state(self) -> None:
        """Save all that training of the agents depends on."""
        for name, agent in self.learner.agents.items():
            save_tensors(agent_tensors(agent), self.folder.training_state(name))

    def everything(self) -> None:
        """Save replay and training state; a full disk is complained of, and training goes on."""
        try:
            self.learner.replay.store.flush()
            self.training_state()
        except OSError as error:
            self.node.get_logger().error(f'the checkpoint was not saved: {error}')
            return
        self.saved = self.learner.steps
        self.node.get_logger().info(f'everything of {self.saved} steps is saved')

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
