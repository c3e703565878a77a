"""The Franka's control steps: whose they are, what is commanded, and what is shown to whom."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medal_ros.options import build
from medal_ros.robot.arm import Order
from medal_ros.robot.franka_config import HomeConfig
from medal_ros.robot.franka_control import FrankaArmConfig, FrankaControl, Measured
from medal_ros.robot.franka_guard import IDLE, MOVE, REFLEX
from medal_ros.robot.pose import Pose

MIDDLE = np.array([0.525, 0.0, 0.16])  # of the box
HOME = HomeConfig().joints


class Arm:
    """An arm that is where it was told to be, its software, and a clock."""

    def __init__(self, **changes) -> None:
        self.config = build(FrankaArmConfig, {'recovery.pause': 0.1, **changes})
        self.control = FrankaControl(self.config)
        self.now, self.mode = 50.0, IDLE
        self.pose, self.tilt, self.width = Pose(MIDDLE, 0.0), 0.0, 0.085
        self.joints = HOME
        self.lost = False  # whether nobody knows where it is
        self.shown: list[int] = []
        self.asked: list[str] = []
        self.targets: list[Pose] = []
        self.ticks = 0

    def run(self, seconds: float) -> None:
        """Let time pass in turns of 20 ms; every fifth begins a control step."""
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            self.ticks += 1
            self.control.guard.see(self.mode, self.now)
            if (ask := self.control.guard.tick(self.now)) is not None:
                self.take(ask)
            if self.ticks % 5 == 0 and self.control.tick(self.measure(), self.now):
                self.shown.append(self.control.sequence)
            target = self.control.target(self.now)
            if target is not None:
                self.targets.append(target)
                self.pose = target

    def take(self, ask) -> None:
        self.asked.append(ask.what)
        if ask.what == 'clear':
            self.mode = IDLE
        if self.config.controllers.impedance in ask.activate:
            self.mode = MOVE
        if ask.what != 'see' and not (ask.what == 'move' and self.lost):
            self.control.guard.answer(ask, True)

    def measure(self) -> Measured | None:
        return None if self.lost else Measured(self.pose, self.tilt, self.width, self.joints)

    def practise(self, action, agent='forward', mode='practice') -> int:
        """Have a policy act on the observation that waits; return its sequence number."""
        sequence = self.control.sequence
        self.control.order(Order(sequence, mode, agent, 3, 7), self.now)
        self.control.action(sequence, agent, action, self.now)
        return sequence

    def steps(self):
        taken = list(self.control.executions)
        self.control.executions.clear()
        return taken


@pytest.fixture
def arm():
    arm = Arm()
    arm.run(0.3)
    assert arm.control.guard.state == 'ready' and arm.shown
    arm.steps()
    return arm


def test_a_policy_moves_two_centimetres_in_one_step(arm):
    sequence = arm.practise([1, 0, 0, 1])
    (step,) = arm.steps()
    assert (step.sequence, step.source, step.agent, step.boundary) == (
        sequence, 'policy', 'forward', False,
    )  # fmt: skip
    assert (step.segment, step.index) == (3, 7)
    np.testing.assert_allclose(step.action, [1, 0, 0, 1])
    before = len(arm.targets)
    arm.run(0.1)
    moved = [target.position[0] - MIDDLE[0] for target in arm.targets[before:]]
    np.testing.assert_allclose(moved, [0.004, 0.008, 0.012, 0.016, 0.020], atol=1e-9)
    assert arm.control.closed


def test_an_action_for_another_observation_or_of_the_other_agent_moves_nothing(arm):
    control = arm.control
    control.order(Order(control.sequence, 'practice', 'forward', 0, 0), arm.now)
    control.action(control.sequence - 1, 'forward', [1, 0, 0, 0], arm.now)
    control.action(control.sequence, 'backward', [1, 0, 0, 0], arm.now)
    assert arm.steps() == []
    arm.run(0.1)
    (step,) = arm.steps()
    assert (step.source, list(step.action[:3])) == ('hold', [0, 0, 0])


def test_one_step_for_every_observation_whatever_comes(arm):
    for i in range(10):
        if i % 3:
            arm.practise([0.1, 0, 0, -1])
        arm.run(0.1)
    sequences = [step.sequence for step in arm.steps()]
    assert sequences == list(range(arm.shown[-1] - 10, arm.shown[-1]))


@pytest.mark.parametrize(('ended', 'shown', 'breaks'), [(7, 8, [7]), (0, 0, [])])
def test_an_arm_of_a_run_that_goes_on_counts_behind_its_end_after_a_break(ended, shown, breaks):
    arm = Arm()
    arm.control.go_on(ended)
    arm.run(0.5)
    assert arm.shown[0] == shown
    steps = [s for s in arm.steps() if s.source == 'script' and s.boundary]
    assert [step.sequence for step in steps] == breaks


def test_numbers_that_are_none_are_refused_and_the_arm_holds(arm):
    refusal = None
    control = arm.control
    control.order(Order(control.sequence, 'practice', 'forward', 0, 0), arm.now)
    refusal = control.action(control.sequence, 'forward', [np.nan, 0, 0, 0], arm.now)
    assert 'must be 4 finite numbers' in refusal
    arm.run(0.5)
    assert {step.source for step in arm.steps()} == {'hold'}
    np.testing.assert_allclose(arm.targets[-1].position, MIDDLE, atol=1e-12)


def test_a_silent_policy_leaves_the_arm_where_its_last_step_ends(arm):
    arm.practise([1, 0, 0, -1])
    arm.run(3.0)
    np.testing.assert_allclose(arm.targets[-1].position, MIDDLE + np.array([0.02, 0, 0]), atol=1e-9)


def test_a_person_takes_over_at_once_and_the_step_has_two_sources(arm):
    sequence = arm.practise([1, 0, 0, -1])
    arm.run(0.04)
    before = arm.pose.position
    arm.control.teleop(True, [0, 1, 0, -1], arm.now)
    assert [(s.sequence, s.source) for s in arm.steps()] == [
        (sequence, 'policy'), (sequence, 'teleop'),
    ]  # fmt: skip
    arm.run(0.02)
    assert arm.pose.position[1] > before[1], 'moved within 20 ms'
    arm.run(0.04)
    for _ in range(10):
        arm.control.teleop(True, [0, 1, 0, -1], arm.now)
        arm.practise([-1, 0, 0, 1])  # nobody listens to a policy now
        arm.run(0.02)
    steps = arm.steps()
    assert [s.source for s in steps] == ['teleop'] * len({s.sequence for s in steps})
    assert not arm.control.closed


def test_after_the_release_the_arm_stays_and_the_policy_goes_on(arm):
    arm.control.teleop(True, [0, 1, 0, -1], arm.now)
    arm.run(0.04)
    arm.control.teleop(False, [0, 0, 0, 0], arm.now)
    there = arm.pose.position
    arm.run(1.0)
    np.testing.assert_allclose(arm.pose.position, there, atol=1e-9)
    arm.steps()
    arm.practise([0, 0, 1, -1])
    assert [s.source for s in arm.steps()] == ['policy']


def test_a_person_who_falls_silent_while_engaged_means_hold_and_no_policy(arm):
    arm.control.teleop(True, [0, 1, 0, -1], arm.now)
    arm.run(0.5)
    arm.steps()
    for _ in range(5):
        arm.practise([1, 0, 0, -1])
        arm.run(0.1)
    assert {s.source for s in arm.steps()} == {'hold'}


def test_a_reflex_shows_nothing_and_what_led_to_it_is_never_learned_from(arm):
    executed = arm.practise([1, 0, 0, -1])
    arm.mode = REFLEX
    arm.run(0.1)
    seen = len(arm.targets)
    shown = len(arm.shown)
    arm.run(0.06)
    assert arm.targets[seen:] == [] and len(arm.shown) == shown
    arm.run(1.0)
    assert arm.control.guard.recovered == 1
    first = arm.shown[shown]
    assert first == executed + 2, 'the observation between is shown to nobody'
    steps = {s.sequence: s for s in arm.steps()}
    assert steps[executed + 1].boundary and steps[executed + 1].source == 'script'
    np.testing.assert_allclose(arm.targets[seen].position, arm.targets[seen - 1].position)


def test_a_pose_that_is_lost_stops_the_arm(arm):
    arm.practise([1, 0, 0, -1])
    arm.run(0.06)
    arm.lost = True
    shown = len(arm.shown)
    arm.run(1.0)
    assert len(arm.shown) == shown
    arm.lost = False
    arm.run(0.3)
    assert arm.shown[shown] == arm.shown[shown - 1] + 2


def test_an_arm_reset_is_one_step_with_an_open_gripper(arm):
    arm.practise([0, 0, 0, 1])
    arm.run(0.1)
    assert arm.control.closed
    arm.steps()
    sequence = arm.practise([1, 0, 0, 1], mode='arm_reset')
    assert not arm.control.closed
    arm.run(1.0)
    step = arm.steps()[0]
    assert (step.sequence, step.source, step.boundary) == (sequence, 'script', True)
    assert list(step.action) == [0, 0, 0, 0]
    assert 'move' in arm.asked and arm.control.mux.gripper < 0


def test_the_joints_move_no_faster_than_allowed(arm):
    arm.joints = (1.0, *HOME[1:])
    arm.lost = True  # the motion takes its time
    control = arm.control
    control.order(Order(control.sequence, 'arm_reset', 'forward', 0, 0), arm.now)
    ask = None
    while ask is None or ask.what != 'move':
        arm.now += 0.02
        control.guard.see(MOVE, arm.now)
        if (ask := control.guard.tick(arm.now)) is not None and ask.what != 'move':
            control.guard.answer(ask, True)
    # The measurement before was of the home pose: one second, the shortest.
    assert ask.seconds - arm.config.home.grace_seconds == 1.0
    again = Arm()
    again.joints = (1.0, *HOME[1:])
    again.run(0.3)
    again.control.order(Order(again.control.sequence, 'arm_reset', '', 0, 0), again.now)
    (ask,) = [a for a in again.control.guard.procedure._left if a.what == 'move']
    assert ask.seconds - again.config.home.grace_seconds == pytest.approx(1.0 / 0.5)


def test_an_arm_reset_to_anywhere_ends_in_the_box():
    arm = Arm(arm_reset_pose='random')
    arm.run(0.3)
    places = []
    for _ in range(3):
        arm.steps()
        arm.practise([0, 0, 0, 0], mode='arm_reset')
        arm.run(8.0)
        assert [s.source for s in arm.steps()].count('script') == 1
        places.append(arm.pose.position)
        assert (places[-1] >= arm.config.safety.low).all()
        assert (places[-1] <= arm.config.safety.high).all()
    assert np.linalg.norm(places[0] - places[1]) > 0.001
    speeds = np.diff([t.position for t in arm.targets], axis=0) / 0.02
    assert np.linalg.norm(speeds, axis=1).max() <= 0.2 + 1e-6


def test_an_arm_reset_ends_in_the_box_although_home_lies_outside(arm):
    """Else nothing could be commanded from there."""
    arm.practise([0, 0, 0, 0], mode='arm_reset')
    arm.pose = Pose(np.array([0.31, 0.0, 0.44]), 0.0)  # where the joints end
    arm.run(6.0)
    np.testing.assert_allclose(arm.pose.position, [0.40, 0.0, 0.30], atol=1e-6)
    assert [s.source for s in arm.steps()].count('script') == 1
    arm.practise([1, 0, 0, -1])
    assert [s.source for s in arm.steps()] == ['policy']


def test_a_person_cuts_an_arm_reset_short(arm):
    control = arm.control
    sequence = arm.practise([0, 0, 0, 0], mode='arm_reset')
    assert control.guard.state == 'homing'
    control.teleop(True, [0, 0, 1, -1], arm.now)
    assert control.guard.state == 'starting', 'the joints are not moved any longer'
    for _ in range(10):
        arm.run(0.02)
        control.teleop(True, [0, 0, 1, -1], arm.now)
    steps = arm.steps()
    assert (steps[0].sequence, steps[0].source, steps[0].boundary) == (sequence, 'script', True)
    assert steps[-1].source == 'teleop'
    assert arm.pose.position[2] > MIDDLE[2]


def test_an_arm_outside_its_workspace_holds_and_says_so(arm):
    arm.pose = Pose(np.array([0.3, 0.0, 0.16]), 0.0)
    arm.control.measured = arm.measure()
    arm.practise([1, 0, 0, -1])
    assert 'outside the workspace' in arm.control.waits_for()
    (step,) = arm.steps()
    assert step.source == 'hold'


def test_a_gripper_that_leans_is_not_driven(arm):
    arm.tilt = 0.3
    arm.run(0.1)
    arm.steps()
    arm.practise([1, 0, 0, -1])
    assert [s.source for s in arm.steps()] == ['hold']
    assert 'leans 0.3 rad' in arm.control.waits_for()


def test_proprioception_is_scaled_by_the_box(arm):
    arm.control.measured = Measured(Pose(np.array([0.65, -0.2, 0.16]), 0.5), 0, 0.0, HOME)
    np.testing.assert_allclose(arm.control.proprio(), [1, -1, 0, -1], atol=1e-6)
    turning = Arm(action=5)
    # A yaw beyond half a turn is the same as one on the other side.
    pose = Pose(np.array([0.525, 0.1, 0.9]), 0.6 + 2 * np.pi)
    turning.control.measured = Measured(pose, 0, 0.06375, HOME)
    np.testing.assert_allclose(turning.control.proprio(), [0, 0.5, 1, 0.5, 0.5], atol=1e-6)


numbers = st.floats(-1e3, 1e3) | st.sampled_from([np.nan, np.inf])
events = st.lists(
    st.tuples(
        st.sampled_from(['policy', 'teleop', 'release', 'reset', 'reflex', 'lost', 'nothing']),
        st.lists(numbers, min_size=5, max_size=5),
    ),
    max_size=25,
)


@given(events)
@settings(max_examples=40, deadline=None)
def test_no_sequence_of_events_gets_a_target_outside_the_box_or_a_jump(sequence):
    arm = Arm(action=5)
    arm.run(0.3)
    low, high = np.array(arm.config.safety.low), np.array(arm.config.safety.high)
    for what, values in sequence:
        arm.lost = what == 'lost'
        if what == 'reflex':
            arm.mode = REFLEX
        elif what in ('teleop', 'release'):
            arm.control.teleop(what == 'teleop', values, arm.now)
        elif what != 'nothing' and not arm.lost:
            arm.practise(values, mode='arm_reset' if what == 'reset' else 'practice')
        arm.run(0.1)
    positions = np.array([t.position for t in arm.targets])
    assert (positions >= low - 1e-9).all() and (positions <= high + 1e-9).all()
    # Never faster than the stream allows in a turn of 20 ms.
    assert np.linalg.norm(np.diff(positions, axis=0), axis=1).max(initial=0) <= 0.3 * 0.02 + 1e-9
    steps = [s.sequence for s in arm.steps()]
    assert sorted(set(steps)) == list(range(arm.control.sequence)) or set(steps) == set(
        range(arm.control.sequence + 1)
    )
