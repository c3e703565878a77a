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
from safetensors.torch import load
from torch.utils.tensorboard import SummaryWriter

from medal_ros.config import NodeConfig, idles
from medal_ros.disk import store_capacity
from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.demonstrations import load_demonstrations
from medal_ros.learning.device import choose_device
from medal_ros.learning.health import classifier_complaint
from medal_ros.learning.learner_state import restore_reward, reward_state
from medal_ros.learning.performance import one_arena, tune
from medal_ros.learning.recovery import open_reader
from medal_ros.learning.replay import Counts, Replay
from medal_ros.learning.states import States
from medal_ros.learning.weights import tensor_bytes
from medal_ros.msg import Observation, Reward, State, Stored
from medal_ros.nodes.diagnostics import Diagnostics, Wrong
from medal_ros.nodes.messages import frame_of
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, STREAM
from medal_ros.nodes.run import run, say
from medal_ros.nodes.weights import WeightsPublisher
from medal_ros.nodes.worker import Worker
from medal_ros.run_folder import RunFolder
from medal_ros.scheduling import be_nice
from medal_ros.spaces import AGENTS

LIVE_PERIOD = 0.1  # seconds between two live rewards at most


class RewardNode(Node):
    """Turns `stored` into `weights/classifier`, and `observation` into `reward`."""

    def __init__(self) -> None:
        super().__init__('reward', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, NodeConfig)
        tune(1)
        self.folder = RunFolder(Path(c.folder))
        sides = {name: getattr(c, name) for name in AGENTS}
        least = max(side.classifier.goal_states for side in sides.values())
        demonstrations = load_demonstrations(self.folder.demonstrations, c.task, c.spaces, least)
        torch.manual_seed(c.seed)
        self.device = choose_device(c.graph.device)
        self.trainers = {
            name: ClassifierTrainer(
                sides[name].classifier,
                c.spaces,
                name,
                demonstrations,
                np.random.default_rng([c.seed, 2, i]),
                self.device,
            )
            for i, name in enumerate(AGENTS)
        }
        shortest = min(side.classifier.every for side in sides.values())
        self.weights = WeightsPublisher(
            self, 'weights/classifier', self.folder.weights, keep=c.graph.lag // shortest + 8
        )
        self.board = SummaryWriter(str(self.folder.tensorboard), filename_suffix='.reward')
        self.states = States(self.folder.state('reward'))
        self.sick = dict.fromkeys(AGENTS, '')  # what is wrong with each classifier
        self.saved = 0  # stored steps of both agents when the state was saved last
        self.over = False
        self.replay: Replay | None = None
        self.inbox: SimpleQueue[tuple[str, Stored | Observation]] = SimpleQueue()
        self.shown_at = 0.0
        self.publisher = self.create_publisher(Reward, 'reward', STREAM)
        self.create_subscription(Stored, 'stored', self.on_stored, HISTORY)
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(State, 'state', self.on_state, STREAM)
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

    def on_state(self, message: State) -> None:
        self.over = message.mode == 'done'

    # -- the worker thread ---------------------------------------------------------------------

    def serve(self) -> None:
        graph = self.config.graph
        be_nice(5, idles(graph), graph.learning_cores)  # this thread alone
        if self.config.resume:
            self.go_on()
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
            capacity = store_capacity(self.config, self.config.spaces)
            self.replay = open_reader(self.config.spaces, capacity, self.folder.replay)
        room, counts = self.replay.store.capacity, self.replay.counts
        new = Counts(stored.frames, stored.forward, stored.backward)
        if not counts.frames <= new.frames <= room or new.forward + new.backward > new.frames:
            self.get_logger().warning(
                f'stored says {new}, and the replay store has room for {room} frames',
                throttle_duration_sec=5.0,
            )
            return
        self.replay.counts = new
        for name, trainer in self.trainers.items():
            while trainer.events < trainer.events_due(self.replay.counts.of(name)):
                steps = (trainer.events + 1) * trainer.config.every
                metrics = trainer.event(self.replay, steps)
                self.notice(name, metrics)
                self.announce(name)
                for key, value in metrics.items():
                    self.board.add_scalar(f'{name}/classifier_{key}', value, steps)

        self.save_on_time(stored.forward + stored.backward)

    def notice(self, name: str, metrics: dict[str, float]) -> None:
        """Say when a classifier goes wrong, or is right again."""
        before = self.sick[name]
        health = self.config.health
        now = classifier_complaint(health, metrics['spread'], metrics['largest'])
        self.sick[name] = now
        if now and not before:
            self.get_logger().error(f'{name}: {now}: its last good weights stay in use')
        elif before and not now:
            self.get_logger().info(f'the classifier of {name} is right again')

    def go_on(self) -> None:
        """Put training where it was saved last: `stored` tells which events are due since."""
        found = self.states.load()
        for complaint in self.states.complaints:
            self.get_logger().warning(complaint)
        if found is not None:
            parts = {name: load(found.part(name)) for name in self.trainers}
            restore_reward(self.trainers, parts, found.values)
        events = {name: trainer.events for name, trainer in self.trainers.items()}
        self.weights.resume(lambda entry: entry['version'] < events[entry['agent']])
        self.weights.versions |= events

    def save_on_time(self, steps: int) -> None:
        every = self.config.storage.checkpoint_every
        if every and steps // every > self.saved // every:
            self.saved = steps
            self.save()

    def save(self) -> None:
        """Save all that training of the classifiers depends on; a full disk is complained of."""
        try:
            parts, values = reward_state(self.trainers)
            self.states.save(((n, tensor_bytes(t, n)) for n, t in parts.items()), values)
        except (OSError, ValueError) as error:
            say(f'the classifiers were not saved: {error}; what was saved before is still there')

    def announce(self, name: str) -> None:
        """Announce a classifier: its version is the number of its training events."""
        trainer = self.trainers[name]
        steps = trainer.events * trainer.config.every
        if self.sick[name]:
            self.weights.publish_again(name, 0, steps)
            return
        state = trainer.classifier.state_dict()
        self.weights.publish(name, state, trainer.events, 0, steps)

    def show(self, observation: Observation) -> None:
        """Publish the learned reward of one observation, for people."""
        try:
            frame, proprio = frame_of(observation, self.config.spaces)
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        inputs = [torch.from_numpy(a)[None].to(self.device) for a in (frame, proprio)]
        rewards = {n: t.classifier.reward(*inputs).item() for n, t in self.trainers.items()}
        message = Reward(header=observation.header, sequence=observation.sequence, **rewards)
        with torch.no_grad():
            classifier = self.trainers['forward'].classifier
            logit = classifier.logit(classifier.embed(*inputs))
        message.success_probability = torch.sigmoid(logit).item()
        self.publisher.publish(message)

    def describe(self) -> tuple[str, dict[str, object]]:
        waiting = 'for stored steps' if self.replay is None else ''
        sick = [f'{name}: {words}' for name, words in self.sick.items() if words]
        if sick:
            waiting = Wrong('; '.join(filter(None, [*sick, waiting])))
        return waiting, {f'{n}_events': t.events for n, t in self.trainers.items()}

    def close(self) -> None:
        """Stop training and keep the classifiers."""
        self.worker.stop()
        self.save()
        self.weights.close(keep=not self.over)
        self.board.close()


def main() -> None:
    one_arena()  # ROS has threads of its own
    run(RewardNode)


if __name__ == '__main__':
    main()
