"""reward: trains both classifiers on their slow clock and shows the learned reward live.

It reads the trainer's replay store, read-only, up to what has been announced as stored. An event
at an agent's own step n uses exactly the first n steps, so it is the same however late it runs.
"""

from __future__ import annotations

import time
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
import torch
from rclpy.node import Node
from torch.utils.tensorboard import SummaryWriter

from medal_ros.config import NodeConfig
from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.demonstrations import load_demonstrations
from medal_ros.learning.device import choose_device
from medal_ros.learning.performance import be_nice, tune
from medal_ros.learning.replay import Counts, FrameStore, Replay
from medal_ros.learning.weights import save_tensors
from medal_ros.msg import Observation, Reward, Stored
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.messages import frame_of
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, STREAM
from medal_ros.nodes.run import run
from medal_ros.nodes.weights import WeightsPublisher
from medal_ros.nodes.worker import Worker
from medal_ros.run_folder import RunFolder
from medal_ros.spaces import AGENTS

LIVE_PERIOD = 0.1  # seconds between two live rewards at most


class RewardNode(Node):
    """Turns `stored` into `weights/classifier`, and `observation` into `reward`."""

    def __init__(self) -> None:
        super().__init__('reward', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, NodeConfig)
        be_nice(5, on_clock=c.graph.rate > 0)
        tune(1)
        self.folder = RunFolder(Path(c.folder))
        sides = {name: getattr(c, name) for name in AGENTS}
        least = max(side.classifier.goal_states for side in sides.values())
        demonstrations = load_demonstrations(self.folder.demonstrations, c.task, c.spaces, least)
        torch.manual_seed(c.seed)
        device = choose_device(c.graph.device)
        self.trainers = {
            name: ClassifierTrainer(
                sides[name].classifier,
                c.spaces,
                name,
                demonstrations,
                np.random.default_rng([c.seed, 2, i]),
                device,
            )
            for i, name in enumerate(AGENTS)
        }
        shortest = min(side.classifier.every for side in sides.values())
        self.weights = WeightsPublisher(
            self, 'weights/classifier', self.folder.weights, keep=c.graph.lag // shortest + 8
        )
        self.board = SummaryWriter(str(self.folder.tensorboard), filename_suffix='.reward')
        self.replay: Replay | None = None
        self.inbox: SimpleQueue[tuple[str, Stored | Observation]] = SimpleQueue()
        self.shown_at = 0.0
        self.publisher = self.create_publisher(Reward, 'reward', STREAM)
        self.create_subscription(Stored, 'stored', self.on_stored, HISTORY)
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.diagnostics = Diagnostics(self, self.describe)
        self.worker = Worker(self, self.serve)
        self.worker.start()

    def on_stored(self, message: Stored) -> None:
        self.inbox.put(('stored', message))

    def on_observation(self, message: Observation) -> None:
        now = time.monotonic()
        if now - self.shown_at >= LIVE_PERIOD:
            self.shown_at = now
            self.inbox.put(('observation', message))

    # -- the worker thread ---------------------------------------------------------------------

    def serve(self) -> None:
        for name in AGENTS:
            self.announce(name)
        while not self.worker.stopping:
            try:
                topic, message = self.inbox.get(True, 0.1)
            except Empty:
                continue
            if topic == 'stored':
                self.train(message)
            else:
                self.show(message)

    def train(self, stored: Stored) -> None:
        """Run every event that the stored steps have made due."""
        if self.replay is None:
            capacity = self.folder.replay_capacity(self.config.steps)
            store = FrameStore(self.config.spaces, capacity, self.folder.replay, mode='r')
            self.replay = Replay(store)
        self.replay.counts = Counts(stored.frames, stored.forward, stored.backward)
        for name, trainer in self.trainers.items():
            while trainer.events < trainer.events_due(self.replay.counts.of(name)):
                steps = (trainer.events + 1) * trainer.config.every
                metrics = trainer.event(self.replay, steps)
                self.announce(name)
                for key, value in metrics.items():
                    self.board.add_scalar(f'{name}/classifier_{key}', value, steps)

    def announce(self, name: str) -> None:
        """Announce a classifier: its version is the number of its training events."""
        trainer = self.trainers[name]
        steps = trainer.events * trainer.config.every
        state = trainer.classifier.state_dict()
        self.weights.publish(name, state, trainer.events, 0, steps)

    def show(self, observation: Observation) -> None:
        """Publish the learned reward of one observation, for people."""
        try:
            frame, proprio = frame_of(observation, self.config.spaces)
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        inputs = torch.from_numpy(frame)[None], torch.from_numpy(proprio)[None]
        rewards = {n: t.classifier.reward(*inputs).item() for n, t in self.trainers.items()}
        message = Reward(header=observation.header, sequence=observation.sequence, **rewards)
        with torch.no_grad():
            classifier = self.trainers['forward'].classifier
            logit = classifier.logit(classifier.embed(*inputs))
        message.success_probability = torch.sigmoid(logit).item()
        self.publisher.publish(message)

    def describe(self) -> tuple[str, dict[str, object]]:
        waiting = 'for stored steps' if self.replay is None else ''
        return waiting, {f'{n}_events': t.events for n, t in self.trainers.items()}

    def close(self) -> None:
        """Stop training and keep the classifiers."""
        self.worker.stop()
        self.folder.checkpoints.mkdir(parents=True, exist_ok=True)
        for name, trainer in self.trainers.items():
            path = self.folder.training_state(f'classifier_{name}')
            save_tensors(trainer.classifier.state_dict(), path)
        self.weights.close()
        self.board.close()


def main() -> None:
    run(RewardNode)


if __name__ == '__main__':
    main()
