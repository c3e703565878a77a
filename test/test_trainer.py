"""trainer as a real process: what it stores, when it learns, and what it announces.

The arm, the reward node and the supervisor are messages of the test.
"""

from __future__ import annotations

import signal
import time
from array import array
from pathlib import Path

import numpy as np
import pytest
import toy
from diagnostic_msgs.msg import DiagnosticArray
from medal_ros.msg import Learner, Observation, State, Step, Stored, Weights
from ros import Nodes, Probe, wait_until
from safetensors.torch import load
from small import SPACES, agent_config, classifier_config
from std_srvs.srv import Trigger

from medal_ros.learning.classifier import Classifier
from medal_ros.learning.demonstrations import load_demonstration
from medal_ros.learning.policy import Policy
from medal_ros.learning.recovery import last_record
from medal_ros.learning.states import States
from medal_ros.learning.weights import load_into, load_tensors, save_tensors
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.run_folder import RunFolder
from medal_ros.spaces import AGENTS

LAG, EVERY, CLASSIFIER_EVERY, LEARN_AFTER, UTD, CHECKPOINT_EVERY = 4, 5, 10, 2, 2, 10
PARAMETERS = {
    'agent.utd': UTD,
    'agent.learn_after': LEARN_AFTER,
    'classifier.every': CLASSIFIER_EVERY,
    'graph.lag': LAG,
    'graph.publish_every': EVERY,
    'evaluation.every': CHECKPOINT_EVERY,
}


class World:
    """A trainer, and everything around it: made-up frames, actions and decisions."""

    def __init__(self, nodes: Nodes, probe: Probe, folder: RunFolder) -> None:
        self.nodes, self.probe, self.folder = nodes, probe, folder
        rng = np.random.default_rng(1)
        self.frames = rng.integers(1, 256, (200, *SPACES.frame_shape), np.uint8)
        self.proprio = rng.uniform(-1, 1, (200, SPACES.proprio)).astype(np.float32)
        self.actions = rng.uniform(-1, 1, (200, SPACES.action)).astype(np.float32)

    def start(self, **changes) -> None:
        probe, qos = self.probe, HISTORY
        parameters = {**PARAMETERS, **{k.replace('__', '.'): v for k, v in changes.items()}}
        self.nodes.start('trainer', **toy.parameters(self.folder, **parameters))
        self.weights = probe.record(Weights, 'weights/policy', qos)
        self.checkpoints = probe.record(Weights, 'weights/checkpoint', qos)
        self.stored = probe.record(Stored, 'stored', qos)
        self.reports = probe.record(Learner, 'learner', LATCHED)
        self.health = probe.record(DiagnosticArray, '/diagnostics', STREAM)
        kinds = {
            'observation': Observation,
            'step': Step,
            'weights/classifier': Weights,
            'state': State,
        }
        self.publishers = {
            topic: toy.publisher(probe, kind, topic, qos) for topic, kind in kinds.items()
        }
        toy.connected(*self.publishers.values())

    def see(self, first: int, last: int) -> None:
        """Send the observations of some sequence numbers."""
        for n in range(first, last + 1):
            message = toy.observation(n, self.frames[n], self.proprio[n])
            self.publishers['observation'].publish(message)

    def do(self, sequence: int, agent: str = 'forward', **changes) -> None:
        """Send one step, by default of a policy and with the action that belongs to it."""
        action = changes.pop('action', self.actions[sequence])
        self.publishers['step'].publish(toy.step(sequence, agent, action, **changes))

    def announce_classifier(self, agent: str, version: int, bad: bool = False) -> None:
        path = self.folder.weights / f'given_{agent}_{version}.safetensors'
        state = Classifier(classifier_config(), SPACES, agent).state_dict()
        written = save_tensors(state, path)
        written = toy.damage(written) if bad else written
        message = toy.weights(agent, written, version=version)
        self.publishers['weights/classifier'].publish(message)

    def report(self, test) -> Learner:
        """Wait for a report of the learner that passes a test."""
        found = lambda: next((r for r in self.reports if test(r)), None)  # noqa: E731
        return wait_until(found, 15.0, 'a report of the learner')

    def waits(self, words: str) -> None:
        def said() -> bool:
            return any(words == status.message for array in self.health for status in array.status)

        wait_until(said, 10.0, f'the trainer waiting {words!r}')

    def stop(self) -> float:
        began = time.monotonic()
        toy.stopped_well(self.nodes)
        return time.monotonic() - began

    def column(self, name: str, dtype: type, shape: tuple[int, ...] = ()) -> np.ndarray:
        return np.fromfile(self.folder.replay / f'{name}.bin', dtype).reshape(-1, *shape)


@pytest.fixture
def world(tmp_path):
    with Nodes(tmp_path) as nodes, Probe() as probe:
        yield World(nodes, probe, toy.run_folder(tmp_path / 'run'))


def test_what_a_segment_stored_is_recorded_when_it_ends(world):
    """Else a crash would cost parts of two segments."""
    world.start(agent__learn_after=1000)
    for n in range(6):
        world.do(n)
    world.see(0, 6)
    wait_until(lambda: world.stored and world.stored[-1].forward == 6, 15.0, 'six stored steps')
    assert last_record(world.folder.replay) is None

    def recorded(forward: int, backward: int) -> None:
        def there() -> bool:
            record = last_record(world.folder.replay)
            return record is not None and (record.end.forward, record.end.backward) == (
                forward,
                backward,
            )

        wait_until(there, 10.0, f'a record of {forward} and {backward} steps')

    world.do(6, agent='', source='script', boundary=True)  # the arm is put back
    world.see(7, 7)
    recorded(6, 0)
    for n in range(7, 10):
        world.do(n)
    world.do(10, 'backward')  # or it goes on at once
    world.see(8, 11)
    recorded(9, 1)


def test_the_store_holds_what_was_sent_and_nothing_that_is_doubtful(world):
    world.start(agent__learn_after=1000)
    nothing = np.array([0.1, np.nan], np.float32)
    for n in range(10):
        world.do(n, 'forward' if n < 5 else 'backward', task_rewards=array('f', [n % 2, 0.5]))
    world.see(0, 10)  # steps may come before their observations
    world.do(10, action=nothing)
    world.do(11)
    world.do(12)
    world.do(12, source='teleop', action=world.actions[0])  # two sources
    world.do(13)
    world.do(14)  # observation 15 is lost, and with it steps 14 and 15
    world.do(15)
    world.do(16)
    world.do(17, agent='', source='script', boundary=True)  # a reset of the arm: not refused
    world.do(18)
    world.do(18)  # said twice
    world.do(19, source='teleop')  # a person's: not refused either, and kept elsewhere
    world.do(20, action=world.actions[20][:1])
    world.do(21)  # observation 22 is of another camera
    world.do(22)
    world.do(23)
    world.see(11, 14)
    world.see(16, 21)
    wide = np.zeros((SPACES.height, SPACES.width + 2, 3), np.uint8)
    world.publishers['observation'].publish(toy.observation(22, wide))
    world.see(23, 24)
    expected = [*range(10), 11, 13, 16, 18, 23]
    report = world.report(lambda r: r.stored == len(expected))
    assert report.refused == 7  # 10, 12, 14, 15, 20, 21, 22
    assert report.updates == report.owed == 0
    assert 'image third is 14x12, not 12x12' in world.nodes.output('trainer')
    counts = world.stored[-1]
    assert (counts.sequence, counts.forward, counts.backward) == (24, 10, 5)
    assert counts.frames == 11 + 5 * 2  # each of the five later steps stands alone
    world.stop()
    _check_store(world, expected)
    (path,) = world.folder.interventions.iterdir()
    driven = load_demonstration(path)
    assert (path.name, driven.source) == ('forward_000.safetensors', 'intervention')
    assert (driven.frames == world.frames[19:21]).all()
    assert (driven.actions == world.actions[19:20]).all()


def _check_store(world: World, expected: list[int]) -> None:
    """Every stored step lies between the two frames that were sent around it."""
    frames = world.column('frames', np.uint8, SPACES.frame_shape)
    actions = world.column('actions', np.float32, (SPACES.action,))
    proprio = world.column('proprio', np.float32, (SPACES.proprio,))
    rewards = world.column('task_rewards', np.float32, (2,))
    lists = {name: world.column(name, np.int64) for name in AGENTS}
    forward = [n for n in expected if not 5 <= n < 10]
    for name, numbers in (('forward', forward), ('backward', range(5, 10))):
        indices = lists[name][: len(numbers)]
        assert not lists[name][len(numbers) :].any()
        for i, n in zip(indices, numbers, strict=True):
            assert (frames[i] == world.frames[n]).all(), n
            assert (frames[i + 1] == world.frames[n + 1]).all(), n
            assert (proprio[i] == world.proprio[n]).all()
            assert (actions[i] == world.actions[n]).all()
            assert (rewards[i] == [n % 2, 0.5]).all() if n < 10 else np.isnan(rewards[i]).all()
    assert not frames[21:].any()


def test_lockstep_learns_what_was_earned_and_waits_for_the_right_classifier(world):
    world.start(steps=25)
    wait_until(lambda: len(world.weights) == 2, 10.0, 'the first weights')
    world.see(0, 14)
    for n in range(14):
        world.do(n)
    world.waits('for classifier 0 of forward')
    # Settling goes no further than the first step that earns an update.
    assert [s.forward for s in world.stored] == list(range(1, LEARN_AFTER + 1))
    world.announce_classifier('forward', 0)
    # Fourteen steps minus the lag are ten: from there on it needs the next classifier.
    world.waits('for classifier 1 of forward')
    assert world.stored[-1].forward == LAG + CLASSIFIER_EVERY
    waiting = world.report(lambda r: r.stored == 14 and r.owed == UTD)
    assert waiting.updates == UTD * (14 - LEARN_AFTER)
    world.announce_classifier('forward', 1, bad=True)  # refused; it goes on with the one it has
    done = world.report(lambda r: r.updates == UTD * (14 - LEARN_AFTER + 1))
    assert (done.owed, done.dropped) == (0, 0)
    toy.wait_for_line(world.nodes, 'trainer', 'given_forward_1.safetensors is damaged')
    _check_announcements(world)
    _check_saving(world)
    _check_the_end(world)


def _check_announcements(world: World) -> None:
    """Weights at sequences 0, 5 and 10, of both agents, and one checkpoint at ten steps."""
    wait_until(lambda: len(world.weights) == 6, 5.0, 'the weights of sequence 10')
    for agent in AGENTS:
        mine = [w for w in world.weights if w.agent == agent]
        assert [(w.version, w.sequence) for w in mine] == [(0, 0), (1, 5), (2, 10)]
        assert [w.steps for w in mine] == ([0, 5, 10] if agent == 'forward' else [0, 0, 0])
        tensors = [load_tensors(Path(w.path), w.checksum) for w in mine]
        changed = any((tensors[0][key] != tensors[2][key]).any() for key in tensors[0])
        assert changed == (agent == 'forward')  # only who has practised has learned
    assert [(w.agent, w.steps) for w in world.checkpoints] == [(a, 10) for a in AGENTS]
    for message in world.checkpoints:
        path = world.folder.policy(message.agent, 10)
        assert message.path == str(path)
        load_into(Policy(agent_config(), SPACES), path, message.checksum)


def _check_saving(world: World) -> None:
    states = States(world.folder.state('trainer'))
    assert states.load() is None
    answer = world.probe.call(Trigger, 'save_checkpoint')
    assert answer.success and str(world.folder.checkpoints) in answer.message
    saved = wait_until(states.load, 5.0, 'the saved state')
    assert load(saved.part('forward'))['counters'].tolist() == [14, UTD * (14 - LEARN_AFTER + 1)]


def _check_the_end(world: World) -> None:
    """When practice is over it saves once more, and an interrupt leaves the run whole."""
    world.see(15, 16)
    for n in (14, 15):
        world.do(n)
    world.publishers['state'].publish(State(sequence=16, mode='done', agent='forward', steps=25))
    last = wait_until(lambda: world.checkpoints[2:4], 30.0, 'the last checkpoint')
    wait_until(lambda: len(world.checkpoints) == 4, 5.0)
    assert [(w.agent, w.steps) for w in world.checkpoints[2:]] == [(a, 25) for a in AGENTS]
    assert last[0].sequence == 16
    toy.wait_for_line(world.nodes, 'trainer', 'practice is over: 16 steps are stored')
    assert world.stop() < 3.0
    assert 'run saved in ' in world.nodes.output('trainer')
    assert list(world.folder.weights.glob('policy_*')) == []
    saved = States(world.folder.state('trainer')).load()
    assert load(saved.part('forward'))['counters'].tolist() == [16, UTD * (16 - LEARN_AFTER + 1)]


def test_on_a_clock_nothing_waits_and_catching_up_is_bounded(world):
    world.start(graph__rate=10.0, agent__max_owed=5)
    wait_until(lambda: len(world.weights) == 2, 10.0, 'the first weights')
    count = 150
    for n in range(count):
        world.do(n, AGENTS[n % 2])
    world.see(0, count)
    earned = 2 * UTD * (count // 2 - LEARN_AFTER + 1)
    report = world.report(lambda r: r.updates + r.dropped == earned)  # without any classifier
    assert (report.stored, report.refused, report.owed) == (count, 0, 0)
    assert report.dropped > 0 < report.updates
    assert all(r.updates <= UTD * r.stored for r in world.reports)
    assert world.weights[-1].sequence % EVERY == 0 < world.weights[-1].sequence
    world.stop()


def test_a_killed_trainer_goes_on_as_if_nothing_had_been(world):
    """It stores what was shown while it was away, each step once, and learns what that earned."""
    steps, half = 60, 37
    world.start(storage__record_every=10)
    for version in range(steps // CLASSIFIER_EVERY):
        world.announce_classifier('forward', version)
    world.see(0, half)
    for n in range(half):
        world.do(n)
    world.report(lambda r: r.stored == half and r.updates > 0)
    world.nodes.processes['trainer'].send_signal(signal.SIGKILL)
    world.nodes.processes['trainer'].wait(10.0)
    world.see(half + 1, steps)
    for n in range(half, steps):
        world.do(n)
    values = {**PARAMETERS, 'storage.record_every': 10, 'resume': True}
    world.nodes.start('trainer', **toy.parameters(world.folder, **values))
    world.reports.clear()
    report = world.report(lambda r: r.stored == steps and r.owed == 0)
    assert report.updates == UTD * (steps - LEARN_AFTER + 1)
    toy.wait_for_line(world.nodes, 'trainer', 'at step 30 with new networks: 30 to be learned from')
    world.stop()
    assert (world.column('frames', np.uint8, SPACES.frame_shape) == world.frames[:61]).all()
    assert (world.column('proprio', np.float32, (2,)) == world.proprio[:61]).all()
    assert (world.column('actions', np.float32, (2,))[:60] == world.actions[:60]).all()
    assert world.column('forward', np.int64).tolist() == list(range(steps))
