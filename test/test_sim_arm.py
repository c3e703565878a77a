"""A person at the controls of the simulated arm, resets to the joint pose, and new goals."""

from __future__ import annotations

import time
from array import array
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rclpy
from medal_ros.msg import Action, ArmState, Observation, State, Step, Teleop
from ros import Nodes, Probe, wait_until
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool, Trigger
from test_package import urdf_pose

from medal_ros.learning.note import forget
from medal_ros.nodes import sim_arm
from medal_ros.nodes.camera_input import nanoseconds
from medal_ros.nodes.qos import HISTORY, RAW, STREAM, TELEOP
from medal_ros.run_folder import RunFolder
from medal_ros.sim.cube_grasp import HIGH, LOW, CubeGrasp

ACTION = [0.1, -0.1, -1.0]
PANDA = Path(__file__).parent.parent / 'urdf' / 'panda.urdf'


class Person:
    """Holds the button: publishes at 50 Hz from a thread of the probe until it lets go."""

    def __init__(self, probe: Probe) -> None:
        self.publisher = probe.publisher(Teleop, 'teleop', TELEOP)
        self.timer = probe.node.create_timer(0.02, self.say)
        self.action: list[float] | None = None

    def say(self) -> None:
        if self.action is not None:
            self.publisher.publish(Teleop(engaged=True, action=array('f', self.action)))

    def press(self, action: list[float]) -> float:
        self.action = action
        self.say()
        return time.monotonic()

    def fall_silent(self) -> None:
        self.action = None

    def release(self) -> None:
        self.action = None
        self.publisher.publish(Teleop(engaged=False, action=array('f', [0.0] * 3)))


class Graph:
    """The arm, its camera and a supervisor as processes; policies answered from here."""

    def __init__(self, nodes: Nodes, probe: Probe, arm: dict, **supervisor) -> None:
        size = {'height': 84, 'width': 84} if arm.get('task') == 'tabletop' else {}
        cameras = ['third', 'goal'] if size else ['third']
        size = size or {'height': 48, 'width': 48}
        nodes.start('sim_arm', **{'task': 'tabletop_quick', **arm})
        nodes.start('camera_sync', cameras=cameras, **size)
        nodes.start('supervisor', ask_for_help__after_steps=0, steps=0, **supervisor)
        self.probe = probe
        self.action = ACTION
        self.states: list[State] = []
        self.observations: list[Observation] = []
        self.publisher = probe.publisher(Action, 'action', STREAM)
        self.steps = probe.record(Step, 'step', HISTORY)
        self.observations = probe.record(Observation, 'observation', HISTORY, self.act)
        self.states = probe.record(State, 'state', STREAM, self.act)

    def act(self, _: object) -> None:
        if not self.states or not self.observations:
            return
        state = self.states[-1]
        if state.mode == 'practice' and state.sequence == self.observations[-1].sequence:
            values = array('f', self.action)
            self.publisher.publish(
                Action(sequence=state.sequence, source='policy', agent=state.agent, action=values)
            )

    def wait_for(self, source: str, more: int = 1, known: int | None = None) -> list[Step]:
        """Return the steps since `known` (default: now) once so many of a source are among them."""
        since = len(self.steps) if known is None else known

        def enough() -> list[Step] | None:
            steps = self.steps[since:]
            return steps if sum(s.source == source for s in steps) >= more else None

        return wait_until(enough, 20.0, f'{more} steps of {source}')

    def mode(self, mode: str) -> State:
        return wait_until(
            lambda: self.states and self.states[-1].mode == mode and self.states[-1],
            20.0,
            f'mode {mode}',
        )


@pytest.fixture
def graph(tmp_path):
    with Nodes(tmp_path) as nodes, Probe() as probe:
        yield lambda arm, **supervisor: Graph(nodes, probe, arm, **supervisor)


@pytest.mark.parametrize('rate', [0.0, 10.0])
def test_a_person_takes_over_drives_and_hands_back(graph, rate):
    g = graph({'rate': rate})
    person = Person(g.probe)
    g.wait_for('policy', 3)
    person.press([0.0, 0.5, 1.0])
    driven = g.wait_for('teleop', 6)
    _check_driven(driven, g)
    person.fall_silent()
    held = g.wait_for('hold', 3)
    first = next(i for i, s in enumerate(held) if s.source == 'hold')
    assert {s.source for s in held[first:]} == {'hold'}, 'silence is no release'
    assert {tuple(s.action) for s in held[first:]} == {(0.0, 0.0, 1.0)}
    known = len(g.steps)
    person.press([0.0, -0.5, 1.0])
    g.wait_for('teleop', 2, known)
    person.release()
    g.mode('intervention')
    known = len(g.steps)
    assert g.probe.call(SetBool, 'intervene', data=False).success
    after = [s for s in g.wait_for('policy', 2, known) if s.source == 'policy']
    assert after[0].agent == 'forward' and after[0].segment > driven[0].segment
    sequences = [s.sequence for s in g.steps]
    assert sequences == list(range(len(sequences))), 'one step for each observation'
    seen, done = (
        [nanoseconds(t) for t in times]
        for times in zip(*((s.header.stamp, s.executed) for s in g.steps), strict=True)
    )
    assert all(a < b for a, b in zip(seen, done, strict=True)), 'seen, then executed'
    assert all(a <= b for a, b in zip(done, seen[1:], strict=False)), 'and then seen again'


def _check_driven(steps: list[Step], g: Graph) -> None:
    first = next(i for i, s in enumerate(steps) if s.source == 'teleop')
    driven = steps[first:]
    assert {(s.source, s.agent, s.boundary) for s in driven} == {('teleop', '', False)}
    assert {tuple(s.action) for s in driven} == {(0.0, 0.5, 1.0)}
    stamps = {o.sequence: o.header.stamp for o in list(g.observations)}
    times = [stamps[s.sequence] for s in driven if s.sequence in stamps]
    gaps = [b.sec - a.sec + 1e-9 * (b.nanosec - a.nanosec) for a, b in pairwise(times)]
    assert np.median(gaps[1:]) == pytest.approx(0.1, abs=0.03), 'by the clock, in lockstep too'


def test_a_person_does_not_wait_for_the_next_tick(graph):
    """At one step a second: pressed right after a step, he would wait for nearly a second."""
    g = graph({'rate': 1.0})
    person = Person(g.probe)
    g.wait_for('policy', 2)
    known = len(g.steps)  # before: his first step may be there at once
    pressed = person.press([0.0, 0.5, 1.0])
    steps = g.wait_for('teleop', 1, known)
    driven = next(step for step in steps if step.source == 'teleop')
    assert time.monotonic() - pressed < 0.5
    found = lambda: [o for o in g.observations if o.sequence == driven.sequence]  # noqa: E731
    shown = wait_until(found, 5.0, 'the observation of his step')[0]
    assert shown.header.stamp == driven.header.stamp, 'he acts on what is shown then'
    person.release()


def test_a_person_is_obeyed_in_a_pause_and_bad_actions_only_hold(graph):
    g = graph({'rate': 0.0})
    person = Person(g.probe)
    g.wait_for('policy', 2)
    assert g.probe.call(SetBool, 'pause', data=True).success
    g.mode('paused')
    known = len(g.steps)
    person.press([float('nan'), 0.0, 0.0])
    held = g.wait_for('hold', 3, known)
    assert {s.source for s in held} <= {'policy', 'hold'}
    person.press([0.0, 0.5, -1.0])
    g.wait_for('teleop', 2)
    person.release()


def test_home_reaches_a_reset_to_the_joint_pose(graph):
    g = graph({'rate': 0.0, 'arm_reset_pose': 'fixed'}, arm_reset__every_steps=0)
    g.action = [0.9, 0.9, 1.0]
    g.wait_for('policy', 5)
    known = len(g.steps)
    assert g.probe.call(Trigger, 'home').success
    reset = next(s for s in g.wait_for('script', 1, known) if s.source == 'script')
    assert reset.boundary and list(reset.action) == [0.0, 0.0, 0.0]
    shown = lambda n: next((o for o in g.observations if o.sequence == n), None)  # noqa: E731
    after = wait_until(lambda: shown(reset.sequence + 1), 10.0, 'the observation after it')
    assert list(after.proprio) == [0.0, 0.0, -1.0], 'in the middle, open'
    assert list(shown(reset.sequence).proprio) != [0.0, 0.0, -1.0]
    assert g.wait_for('policy', 1, known)


def test_a_policy_never_acts_on_the_goal_of_the_segment_before(graph):
    """Four goals, and forward alone, so that every segment draws one, often a new one."""
    g = graph({'rate': 0.0, 'task': 'tabletop', 'seed': 3}, segment_steps=4, alternate=False)
    g.wait_for('policy', 30, 0)
    steps = {s.sequence: s for s in g.steps}
    goals = {o.sequence: bytes(o.images[1].data) for o in g.observations}
    changes = [n for n in goals if n + 1 in goals and goals[n] != goals[n + 1]]
    assert len(changes) >= 2, 'else this shows nothing'
    for n in changes:
        assert (steps[n].source, steps[n].boundary) == ('hold', True)
    held = [n for n, s in steps.items() if s.source == 'hold' and n + 1 in goals]
    assert held == changes, 'and holds for nothing else'
    segments = {s.segment for s in steps.values()}
    counts = [
        sum(s.segment == k and s.source == 'policy' for s in steps.values()) for k in segments
    ]
    assert set(counts[:-1]) == {4}, 'the hold is no step of the policy'


def test_a_steadied_gripper_in_the_graph(graph):
    g = graph({'rate': 0.0, 'gripper_hysteresis': 0.3})
    g.action = [0.0, 0.0, 0.2]
    assert g.wait_for('policy', 2)[-1].action[-1] == -1.0
    g.action = [0.0, 0.0, 0.4]
    wait_until(lambda: g.steps[-1].action[-1] == 1.0, 5.0, 'the gripper closes')
    g.action = [0.0, 0.0, -0.2]
    assert g.wait_for('policy', 3)[-1].action[-1] == 1.0


def test_a_step_is_said_before_its_result_is_drawn(monkeypatch):
    """A person's control, and whoever learns, need not wait for the cameras."""
    happened, make = [], sim_arm.make

    def noted(*args):
        world = make(*args)
        observe, execute = world.observe, world.execute
        world.observe = lambda: (happened.append('drawn'), observe())[1]
        world.execute = lambda action: (happened.append('executed'), execute(action))[1]
        return world

    monkeypatch.setattr(sim_arm, 'make', noted)
    rclpy.init()
    try:
        arm = sim_arm.SimArm()
        publish = arm.steps.publish
        arm.steps.publish = lambda step: (happened.append('said'), publish(step))[1]
        arm.commands.put(State(sequence=0, mode='practice', agent='forward'))
        arm.commands.put(
            Action(sequence=0, source='policy', agent='forward', action=array('f', ACTION))
        )
        wait_until(lambda: 'said' in happened and happened[-1] == 'drawn', 20.0, 'a step')
        arm.close()
        arm.destroy_node()
    finally:
        rclpy.shutdown()
    assert happened[-3:] == ['executed', 'said', 'drawn']


def test_who_takes_an_arms_place_tells_of_those_before_too(tmp_path):
    """One that ended may not have found all of its readers: then they hear of it from the next."""
    folder = RunFolder(tmp_path)
    folder.lock.write_text('held')
    shown = []
    with Nodes(tmp_path) as nodes, Probe() as probe:
        images = probe.record(Image, 'camera/third/image_raw', RAW)
        states = probe.record(ArmState, 'robot_state', STREAM)
        for _ in range(2):
            known = len(states)
            nodes.start('sim_arm', folder=str(tmp_path), resume=True, rate=10.0)
            wait_until(lambda known=known: len(states) > known + 2 and images, 30.0, 'an image')
            nodes.processes['sim_arm'].kill()
            nodes.processes['sim_arm'].wait(10.0)
            shown.append(states[-1].sequence)
        steps = probe.record(Step, 'step', HISTORY)
        nodes.start('sim_arm', folder=str(tmp_path), resume=True, rate=10.0)
        wait_until(lambda: len(steps) > 3, 30.0, 'steps of the third arm')
    forget(folder)
    restarts = [step.sequence for step in steps if step.source == 'restart']
    assert len(restarts) == 2, 'of the first and of the second arm'
    for restart, last in zip(restarts, shown, strict=True):
        assert last + 1 <= restart <= last + 2  # one may have been shown that we did not hear of
    assert [step.sequence for step in steps[2:4]] == [restarts[1] + 1, restarts[1] + 2]


def test_the_joints_of_the_panda_are_those_of_its_description(tmp_path):
    """By them and the description robot_state_publisher tells where the tool is."""
    with Nodes(tmp_path) as nodes, Probe() as probe:
        nodes.start('sim_arm', task='cube_grasp', rate=10.0)
        states = probe.record(ArmState, 'robot_state', STREAM)
        joints = probe.record(JointState, 'joint_states', RAW)
        person = Person(probe)
        wait_until(lambda: joints, 30.0, 'joints')
        person.press([0.5, 0.5, -0.5, 1.0])
        moved = lambda: states[-1].proprio[3] < 0 and len(joints) > 10  # noqa: E731
        wait_until(moved, 20.0, 'the gripper closes')
        person.fall_silent()
    assert {tuple(message.name) for message in joints} == {CubeGrasp.joint_names}
    by_stamp = {(s.header.stamp.sec, s.header.stamp.nanosec): s for s in states}
    pairs = [(j, by_stamp.get((j.header.stamp.sec, j.header.stamp.nanosec))) for j in joints]
    pairs = [(j, s) for j, s in pairs if s is not None]
    assert len(pairs) > 5
    urdf = ElementTree.parse(PANDA).getroot()
    for j, state in pairs:
        tool = urdf_pose(urdf, 'panda_tool', dict(zip(j.name, j.position, strict=True)))
        place = (np.array(state.proprio[:3]) + 1) / 2 * (HIGH - LOW) + LOW
        np.testing.assert_allclose(tool[:3, 3], place, atol=1e-4)
        opening = sum(j.position[-2:]) / 0.085
        assert 2 * opening - 1 == pytest.approx(state.proprio[3], abs=1e-4)
    assert pairs[0][0].position != pairs[-1][0].position


def test_nothing_about_joints_is_published_where_there_is_no_arm(graph):
    g = graph({'rate': 0.0})
    g.wait_for('policy', 1)
    topics = dict(g.probe.node.get_topic_names_and_types())
    assert '/medal/robot_state' in topics and '/medal/joint_states' not in topics
