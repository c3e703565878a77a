"""The supervisor as a real process: every service answers at once, in every state.

The arm, its cameras and the people are messages of the test. Measured on two cores, 120 requests
in each mode, seen from another process: median 1.6 ms, longest 20 ms; with twenty busy processes
on the same two cores: median 16 ms, longest 80 ms. `pytest -s` prints the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from medal_ros.msg import Label as LabelMessage
from medal_ros.msg import Observation, State, Step, Teleop
from medal_ros.srv import Label, SwitchPolicy
from ros import Nodes, Probe, wait_until
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from medal_ros.learning.note import forget
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM, TELEOP
from medal_ros.run_folder import RunFolder

LONGEST = 2.0  # seconds; a busy machine is no failure, and the figures are printed
IMAGE = np.zeros((100, 100, 3), np.uint8)
WHAT = {
    'switch_policy': (SwitchPolicy, {'policy': 'sideways'}),  # refused everywhere
    'pause': (SetBool, {'data': True}),
    'intervene': (SetBool, {'data': False}),
    'reset_done': (Trigger, {}),
    'home': (Trigger, {}),
    'label': (Label, {'label': 'success'}),
}


class World:
    """An arm that takes every step at once, and says what the test tells it to."""

    def __init__(self, nodes: Nodes, probe: Probe, **parameters) -> None:
        self.probe, self.sequence = probe, 0
        nodes.start('supervisor', **parameters)
        self.states = probe.record(State, 'state', STREAM)
        self.labels = probe.record(LabelMessage, 'label', HISTORY)
        self.step = probe.publisher(Step, 'step', HISTORY)
        self.observation = probe.publisher(Observation, 'observation', HISTORY)
        self.teleop = probe.publisher(Teleop, 'teleop', TELEOP)
        self.help = probe.publisher(String, 'arm/help', LATCHED)
        self.clients = {
            name: probe.node.create_client(kind, name) for name, (kind, _) in WHAT.items()
        }
        for client in self.clients.values():
            assert client.wait_for_service(10.0)
        self.see()

    @property
    def state(self) -> State:
        return self.states[-1]

    def see(self) -> None:
        """Show the next observation, and wait for what is decided on it."""
        images = [image_from_array(IMAGE)]
        self.observation.publish(
            Observation(sequence=self.sequence, names=['third'], images=images, proprio=[0.0])
        )
        self.sequence += 1
        wanted = self.sequence - 1
        wait_until(lambda: self.states and self.state.sequence == wanted, 20.0, f'state {wanted}')

    def go(self, source: str = 'policy', times: int = 1) -> State:
        for _ in range(times):
            segment = self.state.segment
            self.step.publish(Step(sequence=self.sequence - 1, source=source, segment=segment))
            self.see()
        return self.state

    def ask(self, name: str, **request) -> tuple[bool, str]:
        kind, usual = WHAT[name]
        answer = self.probe.call(kind, name, **(request or usual))
        return answer.success, answer.message

    def until(self, test: Callable[[State], bool], what: str) -> State:
        wait_until(lambda: test(self.state), 10.0, what)
        return self.state

    def time(self, name: str) -> float:
        """Return the seconds that a service takes to answer, seen from another process."""
        kind, request = WHAT[name]
        future, began = self.clients[name].call_async(kind.Request(**request)), time.perf_counter()
        self.probe.executor.wake()
        while not future.done():
            assert time.perf_counter() - began < 10.0, f'{name} does not answer'
            time.sleep(0.0005)
        assert future.result().message
        return time.perf_counter() - began


@pytest.fixture
def world(tmp_path):
    with Nodes(tmp_path) as nodes, Probe() as probe:
        yield lambda **parameters: World(nodes, probe, **parameters)


def into(world: World, mode: str) -> None:
    """Bring the supervisor into a mode by what leads there in practice."""
    if mode == 'arm_reset':
        world.ask('home')
    elif mode == 'paused':
        world.ask('pause')
    elif mode == 'intervention':
        world.teleop.publish(Teleop(engaged=True))
    elif mode == 'help':
        world.help.publish(String(data='a reflex'))
    elif mode == 'done':
        world.go(times=40)
    world.until(lambda state: state.mode == mode, mode)


MODES = ('practice', 'arm_reset', 'paused', 'intervention', 'help', 'done')


@pytest.mark.parametrize('mode', MODES)
def test_every_service_answers_at_once_in_every_state(world, mode):
    it = world(steps=40 if mode == 'done' else 0, ask_for_help__after_steps=0)
    assert it.go(times=2).mode == 'practice'
    into(it, mode)
    took: dict[str, list[float]] = {}
    for name in ('switch_policy', 'label', 'reset_done', 'intervene', 'home', 'pause'):
        for _ in range(20):
            if it.state.mode == mode == 'practice':
                it.go()  # it answers while it decides
            took.setdefault(name, []).append(it.time(name))
            if name == 'home' and mode == 'practice':
                it.go('script')  # the arm is there
    every = np.array([seconds for times in took.values() for seconds in times])
    print(f'{mode}: median {1e3 * np.median(every):.1f} ms, longest {1e3 * every.max():.1f} ms')
    assert every.max() < LONGEST


def test_a_person_takes_over_and_hands_back(world):
    it = world(ask_for_help__after_steps=0, segment_steps=3)
    assert it.go(times=4).agent == 'backward'
    assert it.go('teleop').mode == 'intervention', 'the arm knew it first'
    it.teleop.publish(Teleop(engaged=True))
    wanted = 'practice goes on when the button of the teleoperation is let go'
    wait_until(lambda: it.ask('reset_done') == (True, wanted), 10.0, 'the button seen')
    assert it.go('teleop').mode == 'intervention'
    it.teleop.publish(Teleop(engaged=False))
    state = it.until(lambda state: state.mode == 'practice', 'practice')
    assert (state.agent, state.segment, state.index, state.interventions) == ('forward', 2, 0, 1)


def test_a_silent_teleoperation_is_said(world):
    it = world(ask_for_help__after_steps=0)
    it.teleop.publish(Teleop(engaged=True))
    it.until(lambda state: state.mode == 'intervention', 'the intervention')
    it.until(lambda state: 'fell silent' in state.reason, 'the silence')


def test_an_arm_that_asks_before_anything_was_seen_is_heard(tmp_path):
    """`arm/help` is latched: it does not matter who starts first."""
    with Nodes(tmp_path) as nodes, Probe() as probe:
        asking = probe.publisher(String, 'arm/help', LATCHED, readers=0)
        asking.publish(String(data='the user stop is pressed'))
        it = World(nodes, probe, ask_for_help__after_steps=0)
        wait = it.until(lambda state: state.mode == 'help', 'the call for help')
        assert wait.reason == 'the arm asks for help: the user stop is pressed'
        assert it.ask('reset_done') == (
            False,
            'practice cannot go on: the arm asks for help: the user stop is pressed',
        )
        asking.publish(String(data=''))
        it.until(lambda state: 'ready again' in state.reason, 'the arm ready')
        assert it.ask('reset_done')[0]
        assert it.until(lambda state: state.mode == 'practice', 'practice').interventions == 1


def test_labels_say_what_they_are_about(world):
    it = world(ask_for_help__after_steps=0, segment_steps=3)
    it.go(times=4)
    assert it.ask('label', label='good') == (
        False,
        "there is no label 'good'; there are success, failure, invalid",
    )
    assert it.ask('label', label='invalid') == (True, 'segment 1 is labelled invalid')
    (label,) = wait_until(lambda: list(it.labels), 10.0, 'the label')
    found = label.label, label.sequence, label.mode, label.agent, label.segment
    assert found == ('invalid', 4, 'practice', 'backward', 1)
    assert label.header.stamp.sec > 0


@pytest.mark.parametrize('heard', [True, False])
def test_the_last_step_of_an_arm_that_ended_is_not_counted(world, heard):
    it = world(segment_steps=50, ask_for_help__after_steps=0)
    before = it.go(times=3)
    if heard:
        it.step.publish(Step(sequence=it.sequence - 1, source='policy', segment=before.segment))
    it.sequence += 1  # who takes the arm's place uses neither that number nor the next
    state = it.go('restart')
    assert (state.steps, state.interventions) == (before.steps, before.interventions + 1)


def test_nor_is_it_if_the_next_arm_was_not_heard_and_ended_too(world):
    """The one after that tells of both, and whoever did hear the first does not count it."""
    it = world(segment_steps=50, ask_for_help__after_steps=0)
    before = it.go(times=3)
    it.step.publish(Step(sequence=it.sequence - 1, source='policy', segment=before.segment))
    it.step.publish(Step(sequence=it.sequence, source='restart'))
    it.sequence += 10  # holds of an arm that nobody heard
    state = it.go('restart')
    assert (state.steps, state.interventions) == (before.steps, before.interventions + 2)


def test_who_takes_its_place_does_as_it_did(tmp_path):
    """A pause that a person asked for outlives the process, and steps are counted on."""
    folder = RunFolder(tmp_path)
    folder.lock.write_text('held')
    values = {'folder': str(tmp_path), 'ask_for_help__after_steps': 0, 'segment_steps': 5}
    with Nodes(tmp_path) as nodes, Probe() as probe:
        it = World(nodes, probe, **values)
        it.go(times=7)
        assert it.ask('pause')[0]
        before = it.until(lambda state: state.mode == 'paused', 'the pause')
        nodes.processes['supervisor'].kill()
        nodes.processes['supervisor'].wait(10.0)
        it.step.publish(Step(sequence=it.sequence - 1, source='policy', segment=before.segment))
        it.sequence += 3  # shown to nobody
        nodes.start('supervisor', resume=True, **values)
        message = Observation(sequence=it.sequence, names=['third'], proprio=[0.0])

        def decided() -> bool:
            it.observation.publish(message)  # a reader that was killed still counts as one
            time.sleep(0.1)
            return it.state.sequence == it.sequence

        wait_until(decided, 30.0, 'a decision of the new one')
        assert (it.state.mode, it.state.agent, it.state.segment) == ('paused', 'backward', 1)
        assert it.state.steps == before.steps + 1, 'a step that was made before the end counts'
    forget(folder)
