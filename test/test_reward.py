"""reward as a real process: training events at an agent's own steps, and the live reward.

The trainer is played by the test: it writes the replay store and says how much of it is there.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
import toy
from medal_ros.msg import Observation, Reward, Stored, Weights
from ros import NAMESPACE, Nodes, Probe, wait_until
from safetensors.torch import load
from small import SPACES, classifier_config

from medal_ros.learning.classifier import Classifier
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.learning.states import States
from medal_ros.learning.weights import load_into
from medal_ros.nodes.qos import HISTORY, STREAM
from medal_ros.run_folder import RunFolder
from medal_ros.spaces import AGENTS

EVERY, STEPS = 10, 60


class Node:
    """One reward node and the store that it reads."""

    def __init__(self, nodes: Nodes, probe: Probe, folder: RunFolder, name: str) -> None:
        self.nodes, self.probe, self.folder, self.name = nodes, probe, folder, name
        store = FrameStore(SPACES, folder.replay_capacity(STEPS), folder.replay)
        self.replay, self.rng = Replay(store), np.random.default_rng(3)
        self.replay.add_frame(*self.draw())
        topics = ('stored', 'observation', 'weights/classifier', 'reward')
        remaps = [f'{topic}:={NAMESPACE}/{name}/{topic}' for topic in topics]
        values = toy.parameters(folder, steps=STEPS, classifier__every=EVERY)
        nodes.start('reward', f'__node:={name}', *remaps, **values)
        self.weights = probe.record(Weights, f'{name}/weights/classifier', HISTORY)
        self.rewards = probe.record(Reward, f'{name}/reward', STREAM)
        self.stored = toy.publisher(probe, Stored, f'{name}/stored', HISTORY)
        self.observations = toy.publisher(probe, Observation, f'{name}/observation', STREAM)

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        frame = self.rng.integers(0, 256, SPACES.frame_shape, np.uint8)
        return frame, self.rng.uniform(-1, 1, SPACES.proprio).astype(np.float32)

    def store(self, agents: str) -> None:
        """Store one step for each letter: f(orward) or b(ackward)."""
        for letter in agents:
            action = np.zeros(SPACES.action, np.float32)
            self.replay.add_step('forward' if letter == 'f' else 'backward', action)
            self.replay.add_frame(*self.draw())

    def say(self) -> None:
        """Announce what is stored."""
        c = self.replay.counts
        self.stored.publish(Stored(forward=c.forward, backward=c.backward, frames=c.frames))

    def events(self) -> list[tuple[str, int, int]]:
        return [(w.agent, w.version, w.steps) for w in self.weights]

    def wait_for(self, *events: tuple[str, int, int]) -> None:
        wait_until(lambda: len(self.weights) >= len(events), 10.0, f'{events[-1]}')
        assert self.events() == list(events)

    def show(self, observation: Observation) -> Reward:
        """Publish an observation until its reward comes: not every one is shown."""

        def shown() -> list[Reward]:
            self.observations.publish(observation)
            toy.settle(self.probe, self.name)
            return [r for r in self.rewards if r.sequence == observation.sequence]

        return wait_until(shown, 10.0, f'the reward of observation {observation.sequence}')[0]


@pytest.fixture(scope='module')
def both(tmp_path_factory):
    """Two nodes with the same seed and, in the end, the same steps."""
    folders = [tmp_path_factory.mktemp(name) for name in ('first', 'second')]
    with Nodes(folders[0]) as one, Nodes(folders[1]) as other, Probe() as probe:
        first = Node(one, probe, toy.run_folder(folders[0] / 'run'), 'first')
        second = Node(other, probe, toy.run_folder(folders[1] / 'run'), 'second')
        for node in (first, second):
            toy.connected(node.stored, node.observations)
        yield first, second


BEGINNING = [('forward', 0, 0), ('backward', 0, 0)]


def test_an_event_uses_exactly_the_steps_up_to_it(both):
    first, second = both
    for node in both:
        node.wait_for(*BEGINNING)
    happened = [*BEGINNING]
    for steps, events in (
        ('f' * (EVERY - 1) + 'b', []),
        ('f', [('forward', 1, EVERY)]),
        ('fb' * (EVERY - 1), [('backward', 1, EVERY)]),
        (
            'bf' * (2 * EVERY),
            [('forward', 2, 20), ('forward', 3, 30), ('backward', 2, 20), ('backward', 3, 30)],
        ),
    ):
        first.store(steps)  # later steps are not even written yet
        first.say()
        happened += events
        first.wait_for(*happened)
    second.store(''.join('f' if n in set(_steps(first, 'forward')) else 'b' for n in range(69)))
    second.say()  # all at once
    wait_until(lambda: len(second.weights) >= len(happened), 10.0, 'all events')
    checksums = [{(w.agent, w.version): w.checksum for w in node.weights} for node in both]
    assert checksums[0] == checksums[1]
    assert len(set(checksums[0].values())) == len(happened)  # each event changed something


def _steps(node: Node, agent: str) -> list[int]:
    return node.replay.store.steps[agent][: node.replay.counts.of(agent)].tolist()


def test_what_is_announced_can_be_loaded(both):
    newest = {message.agent: message for message in both[0].weights}
    for agent in AGENTS:
        classifier = Classifier(classifier_config(), SPACES, agent)
        load_into(classifier, both[0].folder.weights / newest[agent].path, newest[agent].checksum)


def test_the_live_reward_is_that_of_the_newest_classifier(both):
    node = both[0]
    frame, proprio = node.draw()
    message = toy.observation(77, frame, proprio)
    message.header.stamp.sec = 5
    reward = node.show(message)
    assert (reward.sequence, reward.header.stamp.sec) == (77, 5)
    probability = reward.success_probability
    assert 0 < probability < 1
    assert reward.forward == pytest.approx(-np.log(1 - probability), rel=1e-4)
    assert reward.backward > 0
    newest = {m.agent: m for m in node.weights}['forward']
    classifier = Classifier(classifier_config(), SPACES, 'forward').eval()
    load_into(classifier, node.folder.weights / newest.path, newest.checksum)
    inputs = torch.from_numpy(frame)[None], torch.from_numpy(proprio)[None]
    assert reward.forward == pytest.approx(classifier.reward(*inputs).item(), rel=1e-5)


def test_live_rewards_are_few(both):
    node = both[0]
    known, began = len(node.rewards), time.monotonic()
    for n in range(100):
        node.observations.publish(toy.observation(100 + n))
    node.show(toy.observation(300))  # handled after all of them
    most = 1 + (time.monotonic() - began) / 0.1
    assert len([r for r in node.rewards[known:] if r.sequence < 300]) <= most


def test_an_observation_of_another_run_is_refused(both):
    node = both[0]
    known = len(node.rewards)
    wide = np.zeros((SPACES.height, 2 * SPACES.width, 3), np.uint8)

    def refused() -> bool:
        node.observations.publish(toy.observation(400, wide))
        toy.settle(node.probe, node.name)
        return 'observation 400: image third is 24x12, not 12x12' in node.nodes.output('reward')

    wait_until(refused, 10.0, 'a warning')
    assert node.show(toy.observation(401)).sequence == 401
    assert 400 not in [r.sequence for r in node.rewards[known:]]


def test_an_interrupt_leaves_the_classifiers(both):
    for node in both:
        toy.stopped_well(node.nodes)
        for agent in AGENTS:
            saved = load(States(node.folder.state('reward')).load().part(agent))
            classifier = Classifier(classifier_config(), SPACES, agent)
            classifier.load_state_dict({k: saved[k] for k in classifier.state_dict()})
        assert list(node.folder.weights.glob('*.partial')) == []
