"""franka_arm as a real process against a fake robot that speaks as the real one's software does.

docs/hardware.md says where the interfaces come from that PyPI does not have.
"""

from __future__ import annotations

import signal
import time
from array import array

import numpy as np
import pytest

pytest.importorskip('franka_msgs', reason='not on PyPI: see docs/hardware.md')
pytest.importorskip('control_msgs', reason='not on PyPI: see docs/hardware.md')
pytest.importorskip('controller_manager_msgs', reason='not on PyPI: see docs/hardware.md')

from fake_robot import BROADCASTERS, HOME, IMPEDANCE, TRAJECTORY, FakeRobot, running
from geometry_msgs.msg import PoseStamped
from medal_ros.msg import Action, ArmState, State, Step, Teleop
from ros import Nodes, Probe, wait_until
from std_msgs.msg import String
from std_srvs.srv import Trigger

from medal_ros.nodes.franka_clients import Clients
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM, TELEOP
from medal_ros.robot.franka_config import FrankaConfig
from medal_ros.robot.franka_procedure import Ask

LOW, HIGH = [0.40, -0.20, 0.02], [0.65, 0.20, 0.30]
TAKE_OVER = ['target', f'switch {IMPEDANCE}']
LOOK = ['FrankaHardwareInterface active', f'switch {"+".join(BROADCASTERS)}']
RECOVERY = ['clear', *LOOK, *TAKE_OVER]


class Graph:
    """What stands around the arm: a supervisor and a policy that we are, and the fake robot."""

    def __init__(self, probe: Probe, nodes: Nodes, robot: FakeRobot) -> None:
        self.probe, self.nodes, self.robot = probe, nodes, robot
        self.action, self.mode = [0.0, 0.0, 0.0, -1.0], 'practice'
        self.states = probe.publisher(State, 'state', HISTORY, readers=0)
        self.actions = probe.publisher(Action, 'action', STREAM, readers=0)
        self.teleop = probe.publisher(Teleop, 'teleop', TELEOP, readers=0)
        self.steps = probe.record(Step, 'step', HISTORY)
        self.help = probe.record(String, 'arm/help', LATCHED)
        self.shown = probe.record(ArmState, 'robot_state', STREAM, self.act)

    def start(self, **parameters) -> None:
        # A machine that is busy with something else is no silent robot.
        values = {'recovery__silent_after': 2.0, 'recovery__look_after': 3.0, **parameters}
        values = {'recovery__pause': 0.2, 'frames__stale_after': 1.0, **values}
        values = {'home__least_seconds': 0.3, **values}
        self.nodes.start('franka_arm', **values)
        self.wait_for_steps(3, 60.0)

    def act(self, message: ArmState) -> None:
        n = message.sequence
        self.states.publish(State(sequence=n, mode=self.mode, agent='forward', segment=2))
        if self.mode == 'practice':
            values = array('f', self.action)
            self.actions.publish(Action(sequence=n, agent='forward', action=values))

    def wait_for_steps(self, more: int, deadline: float = 20.0, source: str = 'policy') -> None:
        count = lambda: sum(step.source == source for step in self.steps)  # noqa: E731
        wanted = count() + more
        wait_until(lambda: count() >= wanted, deadline, f'{more} steps of {source}')

    def asked(self, what: list[str], deadline: float = 30.0) -> list[str]:
        """Wait until these were the last things asked of the robot but for its gripper."""
        own = lambda: [a for a in self.robot.asked if not a.startswith('gripper')]  # noqa: E731
        wait_until(lambda: own()[-len(what) :] == what, deadline, f'{what}, after {own()[-9:]}')
        return own()

    def wait_for_help(self, words: str, deadline: float = 30.0) -> None:
        told = lambda: self.help and words in self.help[-1].data  # noqa: E731
        wait_until(told, deadline, f'a call for help with {words!r}')


@pytest.fixture
def graph(tmp_path):
    with running() as robot, Nodes(tmp_path) as nodes, Probe() as probe:
        yield Graph(probe, nodes, robot)
        targets = np.array([place for _, place, _ in robot.targets])
        assert robot.ignored == 0, 'there is one publisher of the target'
        assert (targets >= np.array(LOW) - 1e-9).all() and (targets <= np.array(HIGH) + 1e-9).all()
        assert {frame for _, _, frame in robot.targets} == {'base'}


def test_practice(graph):
    graph.start()
    first = graph.asked(TAKE_OVER)[0]
    assert first == 'target', 'the present pose, before the controller runs'
    _check_motion(graph)
    _check_gripper(graph)
    _check_arm_reset(graph)
    _check_take_over(graph)
    _check_that_it_ends(graph)


def _check_motion(graph: Graph) -> None:
    before = graph.robot.position.copy()
    graph.action = [0.5, 0.0, 0.0, -1.0]
    graph.wait_for_steps(5)
    graph.action = [0.0, 0.0, 0.0, -1.0]
    moved = graph.robot.position - before
    assert 0.01 < moved[0] < 0.08 and abs(moved[1]) < 0.005, moved
    one_each = [step.sequence for step in graph.steps]
    assert one_each == list(range(one_each[0], one_each[0] + len(one_each)))
    assert len(graph.shown[-1].proprio) == 4
    x = 2 * (graph.robot.position[0] - LOW[0]) / (HIGH[0] - LOW[0]) - 1
    assert graph.shown[-1].proprio[0] == pytest.approx(x, abs=0.2)
    assert graph.shown[-1].proprio[3] == pytest.approx(1.0, abs=0.01), 'open'


def _check_gripper(graph: Graph) -> None:
    graph.action = [0.0, 0.0, 0.0, 1.0]
    wait_until(lambda: 'gripper 0.7929' in graph.robot.asked, 20.0, 'the gripper closes')
    wait_until(lambda: graph.shown[-1].proprio[3] < -0.9, 20.0, 'its width is seen')
    assert graph.robot.asked.count('gripper 0.7929') == 1, 'asked once'


def _check_arm_reset(graph: Graph) -> None:
    graph.mode = 'arm_reset'
    graph.wait_for_steps(1, source='script')
    graph.mode, graph.action = 'practice', [0.0, 0.0, 0.0, -1.0]
    graph.asked([f'switch {TRAJECTORY}', 'move', *TAKE_OVER])
    step = next(step for step in graph.steps if step.source == 'script')
    assert step.boundary and list(step.action) == [0.0] * 4
    np.testing.assert_allclose(graph.robot.position, HOME, atol=0.03)
    wait_until(lambda: graph.robot.knuckle < 0.01, 10.0, 'the gripper is open')
    graph.wait_for_steps(2)


def _check_take_over(graph: Graph) -> None:
    before, count = graph.robot.position[1], len(graph.robot.targets)
    for _ in range(15):
        graph.teleop.publish(Teleop(engaged=True, action=array('f', [0, 1, 0, -1])))
        time.sleep(0.02)
    graph.wait_for_steps(1, source='teleop')
    graph.teleop.publish(Teleop(engaged=False, action=array('f', [0, 0, 0, -1])))
    wait_until(lambda: graph.robot.position[1] > before + 0.005, 10.0, 'the arm follows')
    assert len(graph.robot.targets) > count
    graph.wait_for_steps(2)


def _check_that_it_ends(graph: Graph) -> None:
    assert graph.nodes.stop(20.0) == {'franka_arm': 0}
    assert 'Traceback' not in graph.nodes.output('franka_arm')


def test_a_reflex_is_recovered_without_a_person(graph):
    graph.start()
    before = len(graph.robot.asked)
    graph.robot.reflex()  # the broadcaster falls silent before it can tell
    graph.asked([*LOOK, *RECOVERY])
    assert graph.robot.asked[before] in ('target', LOOK[0])
    graph.wait_for_steps(3)
    graph.robot.reflex_seen()
    graph.asked(RECOVERY)
    graph.wait_for_steps(3)
    assert {message.data for message in graph.help} == {''}, 'nobody was called'
    script = [step for step in graph.steps if step.source == 'script']
    assert len(script) >= 2 and all(step.boundary for step in script)


def test_a_reflex_that_stays_calls_a_person_who_resumes(graph):
    graph.start(recovery__tries=2)
    graph.robot.refuse_switch()
    graph.robot.reflex_seen()
    graph.wait_for_help('after 2 of 2 attempts')
    assert graph.robot.asked.count('clear') == 2
    quiet = len(graph.robot.asked)
    time.sleep(1.0)
    assert len(graph.robot.asked) == quiet, 'and then nothing'
    graph.robot.allow_switch()
    assert graph.probe.call(Trigger, 'arm/resume').success
    graph.wait_for_steps(2)
    graph.wait_for_help('')
    answer = graph.probe.call(Trigger, 'arm/resume')
    assert not answer.success and 'it is ready' in answer.message


def test_a_pressed_stop_waits_for_a_person(graph):
    graph.start()
    graph.robot.press_stop()
    graph.wait_for_help('the stop is pressed')
    assert not graph.probe.call(Trigger, 'arm/resume').success, 'it is still pressed'
    graph.robot.release_stop()
    before, steps = len(graph.robot.asked), len(graph.steps)
    time.sleep(2.0)
    assert (len(graph.robot.asked), len(graph.steps)) == (before, steps), 'nothing by itself'
    assert 'clear' not in graph.robot.asked
    assert graph.probe.call(Trigger, 'arm/resume').success
    graph.asked(RECOVERY)
    graph.wait_for_steps(2)


def test_silence_stops_the_targets_and_lost_reports_do_not(graph):
    graph.start(recovery__look_after=30.0)
    graph.robot.drop(0.3)
    graph.action = [0.0, 0.2, 0.0, -1.0]
    graph.wait_for_steps(5)
    graph.robot.drop(0.0)
    graph.robot.silence()
    time.sleep(3.0)
    targets, shown = len(graph.robot.targets), len(graph.shown)
    time.sleep(0.5)
    assert (len(graph.robot.targets), len(graph.shown)) == (targets, shown)
    graph.robot.speak()
    graph.wait_for_steps(2)


def test_a_node_that_dies_leaves_the_controller_with_its_last_target(graph):
    graph.start()
    graph.action = [0.3, 0.0, 0.0, -1.0]
    graph.wait_for_steps(3)
    process = graph.nodes.processes['franka_arm']
    process.send_signal(signal.SIGKILL)
    process.wait(5.0)
    time.sleep(0.3)
    last = graph.robot.targets[-1][1]
    time.sleep(1.0)
    assert graph.robot.active >= {IMPEDANCE}, 'nobody stops the controller'
    np.testing.assert_array_equal(graph.robot.targets[-1][1], last)
    np.testing.assert_allclose(graph.robot.position, last, atol=1e-3)  # it holds, and no further
    graph.robot.position = graph.robot.position + np.array([0.0, 0.03, 0.0])  # pushed meanwhile
    graph.robot.target = graph.robot.position.copy()
    before = len(graph.robot.targets)
    graph.action = [0.0, 0.0, 0.0, -1.0]
    graph.start()
    wait_until(lambda: len(graph.robot.targets) > before, 60.0, 'the dead node is forgotten')
    graph.robot.ignored = 0  # until then the controller counted two publishers
    first = graph.robot.targets[before][1]
    np.testing.assert_allclose(first, graph.robot.position, atol=5e-3)


def test_the_other_type_of_gripper(tmp_path):
    with running('gripper_command') as robot, Nodes(tmp_path) as nodes, Probe() as probe:
        graph = Graph(probe, nodes, robot)
        graph.action = [0.0, 0.0, 0.0, 1.0]
        graph.start(gripper__kind='gripper_command')
        wait_until(lambda: 'gripper 0.7929' in robot.asked, 30.0, 'the gripper closes')


def test_a_second_publisher_of_the_target_stops_practice_until_it_is_gone(graph):
    """The controller then ignores both: nothing that is said to be executed would be."""
    graph.start()
    rival = graph.probe.publisher(PoseStamped, '/target_pose', 1)
    graph.wait_for_help('1 more publish /target_pose')
    shown = len(graph.shown)
    time.sleep(1.0)
    assert len(graph.shown) == shown
    graph.probe.node.destroy_publisher(rival)
    graph.wait_for_help('')
    graph.wait_for_steps(3)
    graph.robot.ignored = 0


def test_joints_that_are_told_no_longer_stop_the_arm(graph):
    """By them an arm reset knows how long its motion has to take."""
    graph.start()
    graph.robot.active.discard('joint_state_broadcaster')
    time.sleep(2.0)
    shown = len(graph.shown)
    time.sleep(0.5)
    assert len(graph.shown) == shown
    graph.robot.active.add('joint_state_broadcaster')
    graph.wait_for_steps(2)


def test_a_request_that_nobody_awaits_any_more_is_never_sent():
    with Probe() as probe:
        clients = Clients(probe.node, FrankaConfig(), lambda: '', lambda *answer: None)
        ask = Ask('clear', 5.0)
        clients.ask(ask)
        clients.poll(ask)  # there is no server yet
        with running() as robot:
            wait_until(clients.recovery.server_is_ready, 30.0, 'the server of the recovery')
            clients.poll(None)  # a stop was pressed meanwhile
            clients.poll(ask)
            time.sleep(0.5)
            assert robot.asked == []
            clients.ask(ask)
            clients.poll(ask)
            wait_until(lambda: robot.asked == ['clear'], 10.0, 'one that is awaited')
