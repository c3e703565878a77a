"""policy_server as a real process: which weights it acts with, what it refuses, when it is silent.

The robot and the trainer are messages of the test. Forward policies have no noise and one fixed
action, so that an action says which weights made it.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
import toy
from diagnostic_msgs.msg import DiagnosticArray
from medal_ros.msg import Action, Observation, State, Weights
from rclpy.duration import Duration
from ros import NAMESPACE, Nodes, Probe, wait_until
from safetensors.torch import save
from small import AGENT, SPACES, agent_config

from medal_ros.learning.policy import Policy
from medal_ros.learning.weights import Written, save_tensors
from medal_ros.nodes.qos import HISTORY, STREAM

LAG, EVERY, SEED_STEPS, NOISE = 4, 2, 5, 0.3
PERIOD = 1.0  # seconds, by the clock
CONFIG = agent_config(policy__form='noise')
PARAMETERS = {
    'agent.policy.form': 'noise',
    'forward.agent.seed_steps': SEED_STEPS,
    'forward.agent.policy.noise.start': 0.0,
    'forward.agent.policy.noise.end': 0.0,
    'backward.agent.policy.noise.start': NOISE,
    'backward.agent.policy.noise.end': NOISE,
    'graph.lag': LAG,
    'graph.act_at': 0.5,
    'graph.publish_every': EVERY,
}


class Server:
    """One policy_server, seen from the topics around it."""

    def __init__(
        self, nodes: Nodes, probe: Probe, folder: Path, name: str, rate: float, setting: str = ''
    ) -> None:
        self.nodes, self.probe, self.folder, self.name = nodes, probe, folder, name
        topics = ('observation', 'state', 'action', 'weights/policy')
        remaps = [f'{topic}:={NAMESPACE}/{name}/{topic}' for topic in topics]
        parameters = toy.parameters(toy.RunFolder(folder), **PARAMETERS, graph__rate=rate)
        nodes.start('policy_server', f'__node:={name}', *remaps, setting=setting, **parameters)
        self.actions = probe.record(Action, f'{name}/action', STREAM)
        self.health = probe.record(DiagnosticArray, '/diagnostics', STREAM)

        self.observations = toy.publisher(probe, Observation, f'{name}/observation', STREAM)
        self.states = toy.publisher(probe, State, f'{name}/state', STREAM)
        self.weights = toy.publisher(probe, Weights, f'{name}/weights/policy', HISTORY)

    def announce(
        self, sequence: int, value: float = 0.0, agent: str = 'forward', steps: int = SEED_STEPS
    ) -> None:
        """Announce weights whose mean action is one value."""
        path = self.folder / f'{agent}_{sequence}.safetensors'
        written = toy.constant(CONFIG, value, path)
        self.weights.publish(toy.weights(agent, written, sequence, steps=steps))

    def show(self, sequence: int, agent: str = 'forward', mode: str = 'practice') -> None:
        """Publish an observation and who is to answer it."""
        self.observations.publish(toy.observation(sequence))
        self.states.publish(State(sequence=sequence, agent=agent, mode=mode))

    def ask(self, sequence: int, agent: str = 'forward') -> Action:
        known = len(self.actions)
        self.show(sequence, agent)
        return self.next_action(known)

    def begin(self, sequence: int, ahead: float = 0.0) -> float:
        """Publish the observation of a period that began now, or seconds ahead; return when."""
        message, now = toy.observation(sequence), self.probe.node.get_clock().now()
        message.tick = (now + Duration(seconds=ahead)).to_msg()
        self.observations.publish(message)
        return 1e-9 * now.nanoseconds

    def answered_after(self, sequence: int, ahead: float = 0.0) -> float:
        """Return the seconds that an answer took."""
        known, began = len(self.actions), self.begin(sequence, ahead)
        self.states.publish(State(sequence=sequence, agent='forward', mode='practice'))
        stamp = self.next_action(known).header.stamp
        return stamp.sec + 1e-9 * stamp.nanosec - began

    def next_action(self, known: int) -> Action:
        wait_until(lambda: len(self.actions) > known, 10.0, 'an action')
        return self.actions[known]

    def settle(self) -> None:
        toy.settle(self.probe, self.name)

    def diagnosed(self, test) -> dict[str, str]:
        """Wait for a report of the node that passes a test; return its values and `message`."""

        def reported():
            for array in reversed(self.health):
                for status in array.status:
                    if status.hardware_id.endswith(f'/{self.name}'):
                        values = {v.key: v.value for v in status.values}
                        return test(status.message, values) and (values or {'': ''})
            return None

        return wait_until(reported, 10.0, 'a report on /diagnostics')


@pytest.fixture(scope='module')
def servers(tmp_path_factory):
    """A server in lockstep and one on a wall clock."""
    folders = [tmp_path_factory.mktemp(name) for name in ('lockstep', 'clock')]
    with Nodes(folders[0]) as one, Nodes(folders[1]) as other, Probe() as probe:
        lockstep = Server(one, probe, folders[0], 'lockstep', 0.0)
        clock = Server(other, probe, folders[1], 'clock', 1 / PERIOD)
        for server in (lockstep, clock):
            toy.connected(server.observations, server.states, server.weights)
        yield lockstep, clock
        toy.stopped_well(one)
        toy.stopped_well(other)


@pytest.fixture
def hasty(tmp_path):
    """A server in lockstep that waits for the right weights for two seconds instead of sixty."""
    with Nodes(tmp_path) as nodes, Probe() as probe:
        server = Server(nodes, probe, tmp_path, 'hasty', 0.0, 'node.PATIENCE = 2.0')
        toy.connected(server.observations, server.states, server.weights)
        yield server


@pytest.fixture
def server(servers) -> Server:
    return servers[0]


@pytest.fixture
def clock(servers) -> Server:
    return servers[1]


def values(action: Action) -> list[float]:
    return pytest.approx(list(action.action), abs=1e-6)


def test_lockstep_acts_with_the_weights_of_a_fixed_earlier_step(server):
    for sequence in (0, 2, 4, 6):
        server.announce(sequence, sequence / 100)
    for sequence, wanted in enumerate((0, 0, 0, 0, 0, 0, 2, 2, 4, 4, 6)):
        action = server.ask(sequence)
        assert (action.sequence, action.source, action.agent) == (sequence, 'policy', 'forward')
        assert action.weights_sequence == wanted
        assert values(action) == [wanted / 100, wanted / 100]


def test_lockstep_waits_for_exactly_those_weights(server):
    known = len(server.actions)
    server.show(117)  # 117 - 4 = 113, and weights come every 2 steps: 112
    server.announce(110, 0.1)
    server.announce(114, 0.3)
    server.diagnosed(lambda message, _: message == 'for weights')
    assert len(server.actions) == known
    server.announce(112, 0.2)
    action = server.next_action(known)
    assert (action.sequence, action.weights_sequence) == (117, 112)
    assert values(action) == [0.2, 0.2]
    server.diagnosed(lambda message, _: message == 'ok')


def test_a_person_in_control_does_not_use_up_the_patience(hasty):
    hasty.announce(0, 0.1)
    hasty.show(7)  # 7 - 4 = 3, and weights come every 2 steps: 2
    hasty.diagnosed(lambda message, _: message == 'for weights')
    hasty.states.publish(State(sequence=7, agent='forward', mode='intervention'))
    hasty.diagnosed(lambda message, _: message == 'ok')
    time.sleep(3.0)  # it is of no use to have waited longer than its patience
    hasty.show(7)
    hasty.diagnosed(lambda message, _: message == 'for weights')
    assert not hasty.actions
    hasty.announce(2, 0.2)
    assert hasty.next_action(0).weights_sequence == 2


def test_once_it_went_on_with_the_newest_weights_it_does_not_wait_for_older_ones(hasty):
    for sequence in (0, 8):
        hasty.announce(sequence, sequence / 100)
    hasty.show(7)  # of the weights of 2 nothing was ever heard
    assert hasty.next_action(0).weights_sequence == 8
    began = time.monotonic()
    for sequence in range(8, 14):  # these would be 4 to 8: the first of them are gone, too
        assert hasty.ask(sequence).weights_sequence == 8
    assert time.monotonic() - began < 2.0  # all of them, within the patience for one
    hasty.announce(10, 0.3)
    assert hasty.ask(14).weights_sequence == 10


def test_on_a_clock_the_newest_weights_count(clock):
    clock.announce(0, 0.1)
    assert values(clock.ask(50)) == [0.1, 0.1]
    clock.announce(6, 0.2)
    sequences = itertools.count(51)
    newest = lambda: clock.ask(next(sequences)).weights_sequence == 6  # noqa: E731
    wait_until(newest, 10.0, 'an action of the newest weights')  # a thread reads them
    clock.announce(4, 0.3)  # late, and older than what it has
    clock.settle()
    action = clock.ask(next(sequences))
    assert (values(action), action.weights_sequence) == ([0.2, 0.2], 6)


def test_on_a_clock_an_action_waits_for_its_moment_of_the_period(clock):
    clock.announce(0, 0.1)
    clock.ask(2000)
    late = clock.diagnosed(lambda _, values: values)['late']
    for sequence, ahead in ((2001, 0.0), (2002, 3600.0)):  # the other one by a clock of its own
        assert clock.answered_after(sequence, ahead) >= 0.49 * PERIOD
    assert clock.diagnosed(lambda _, values: values)['late'] == late
    clock.answered_after(2003, -5.0)  # too late for its moment
    clock.diagnosed(lambda _, values: values['late'] == str(int(late) + 1))


def test_an_action_that_waits_is_withdrawn_when_a_person_takes_over(clock):
    clock.announce(0, 0.1)
    clock.ask(2100)
    known = len(clock.actions)
    clock.begin(2101)
    for mode in ('practice', 'intervention'):
        clock.states.publish(State(sequence=2101, agent='forward', mode=mode))
    time.sleep(PERIOD)
    clock.settle()
    assert len(clock.actions) == known
    assert clock.ask(2102).sequence == 2102


def test_exploration_depends_on_seed_and_sequence_alone(server, clock):
    server.announce(296, 0.1, 'backward')
    clock.announce(296, 0.1, 'backward')
    first, second, again = (server.ask(sequence, 'backward') for sequence in (300, 301, 300))
    assert list(first.action) == list(again.action) != list(second.action)
    assert list(clock.ask(300, 'backward').action) == list(first.action)
    drawn = np.random.default_rng([toy.SEED, 300]).standard_normal(2, np.float32)
    assert values(first) == (0.1 + NOISE * drawn).clip(-1, 1).tolist()


def test_the_first_steps_of_an_agent_are_random(server):
    server.announce(396, 0.5, steps=SEED_STEPS - 1)
    server.announce(398, 0.5, steps=SEED_STEPS)
    random = np.array([server.ask(sequence).action for sequence in (400, 401)])
    assert np.abs(random).max() <= 1 and np.unique(random).size == 4
    assert values(server.ask(402)) == [0.5, 0.5]


def test_a_repeated_observation_repeats_the_answer(server):
    server.announce(496, 0.1)
    answer = server.ask(500)
    known = len(server.actions)
    server.observations.publish(toy.observation(500))
    assert server.next_action(known) == answer  # its stamp too: nothing was computed again
    server.states.publish(State(sequence=500, agent='forward', mode='practice'))
    server.settle()
    assert len(server.actions) == known + 1


def test_a_switch_is_answered_by_the_other_agent(server):
    server.announce(596, 0.1)
    server.announce(596, 0.1, 'backward')
    server.ask(600)
    known = len(server.actions)
    server.states.publish(State(sequence=600, agent='backward', mode='practice', index=0))
    action = server.next_action(known)
    assert (action.sequence, action.agent) == (600, 'backward')
    server.states.publish(State(sequence=600, agent='forward', mode='practice', index=0))
    assert server.next_action(known + 1).agent == 'forward'


@pytest.mark.parametrize(
    ('mode', 'sequence'),
    [('paused', 700), ('help', 702), ('arm_reset', 704), ('intervention', 706), ('done', 708)],
)
def test_it_acts_in_practice_only(server, mode, sequence):
    server.announce(sequence - LAG, 0.1)
    known = len(server.actions)
    server.show(sequence, mode=mode)
    server.settle()
    assert len(server.actions) == known
    server.states.publish(State(sequence=sequence, agent='forward', mode='practice'))
    assert server.next_action(known).sequence == sequence
    server.states.publish(State(sequence=sequence, agent='forward', mode=mode))
    server.settle()
    server.observations.publish(toy.observation(sequence))  # the arm waits for something else
    server.settle()
    assert len(server.actions) == known + 1


def truncated(path: Path) -> Written:
    return toy.damage(toy.constant(CONFIG, 0.9, path))


def not_finite(path: Path) -> Written:
    tensors = Policy(CONFIG, SPACES).state_dict()
    tensors['actor.network.0.bias'][0] = float('nan')
    return toy.replaced(path, save({k: v.contiguous() for k, v in tensors.items()}))


def of_other_networks(path: Path) -> Written:
    config = agent_config(policy__form='noise', hidden=AGENT['hidden'] + 1)
    return save_tensors(Policy(config, SPACES).state_dict(), path)


def not_as_announced(path: Path) -> Written:
    written = toy.constant(CONFIG, 0.9, path)
    return Written(path, written.size, written.checksum ^ 1)


def missing(path: Path) -> Written:
    return Written(path, 100, 0)


@pytest.mark.parametrize(
    'make', [truncated, not_finite, of_other_networks, not_as_announced, missing]
)
def test_weights_that_cannot_be_used_are_refused_and_the_old_ones_kept(server, make):
    server.announce(796, 0.1)
    assert values(server.ask(800)) == [0.1, 0.1]
    path = server.folder / f'{make.__name__}.safetensors'
    server.weights.publish(toy.weights('forward', make(path), 798, steps=SEED_STEPS))
    server.settle()
    action = server.ask(802)
    assert (values(action), action.weights_sequence) == ([0.1, 0.1], 796)
    said = toy.wait_for_line(server.nodes, 'policy_server', '.safetensors')
    assert '[ERROR]' in said
    server.announce(800, 0.2)
    assert values(server.ask(804)) == [0.2, 0.2]


def bad_observations(sequence: int) -> list[Observation]:
    wide = np.zeros((SPACES.height, SPACES.width + 1, 3), np.uint8)
    encoded, named, doubled = (toy.observation(sequence) for _ in range(3))
    encoded.images[0].encoding = 'mono16'
    named.names = ['wrist']
    doubled.images = [*doubled.images, *doubled.images]
    return [
        toy.observation(sequence, frame=wide),
        toy.observation(sequence, proprio=np.array([0.0, np.nan])),
        toy.observation(sequence, proprio=np.zeros(3)),
        encoded,
        named,
        doubled,
    ]


def test_observations_of_another_run_are_refused_and_counted(server):
    server.announce(896, 0.1)
    known, before = len(server.actions), server.nodes.output('policy_server')
    bad = bad_observations(900)
    server.states.publish(State(sequence=900, agent='forward', mode='practice'))
    for message in bad:
        server.observations.publish(message)
    server.diagnosed(lambda _, values: values.get('refused') == str(len(bad)))
    assert len(server.actions) == known
    said = server.nodes.output('policy_server')[len(before) :].splitlines()
    assert 'observation 900: image third is 13x12, not 12x12' in said[0]
    assert len(said) < len(bad)  # one warning in five seconds is enough
    assert server.ask(900).sequence == 900
