"""The safety box: whatever comes in, what goes out is inside, near, finite and steady."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medal_ros.options import OptionError
from medal_ros.robot.gripper import GripperFilter
from medal_ros.robot.pose import Pose
from medal_ros.robot.safety import Refused, SafetyBox, SafetyConfig

CONFIG = SafetyConfig(low=(0.4, -0.2, 0.0), high=(0.6, 0.2, 0.3), yaw_low=-1.0, yaw_high=1.0)
LOW, HIGH = np.array(CONFIG.low), np.array(CONFIG.high)
CENTRE = Pose(np.array([0.5, 0.0, 0.15]), 0.0)
TINY = 1e-9

nasty = st.one_of(
    st.floats(-1.5, 1.5),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, math.nan, math.inf, 1e300, -1e300, 5e-324]),
)
actions = st.lists(nasty, min_size=3, max_size=6)
offsets = st.tuples(*[st.one_of(st.floats(-0.03, 0.03), nasty)] * 4)


def at(x: float, y: float, z: float, yaw: float = 0.0) -> Pose:
    return Pose(np.array([x, y, z]), yaw)


@settings(max_examples=150, deadline=None)
@given(
    size=st.sampled_from([4, 5]),
    steps=st.lists(st.tuples(actions, offsets, st.floats(0, 0.3)), max_size=20),
)
def test_no_sequence_of_inputs_leaves_the_box_or_jumps(size, steps):
    """The arm follows each target up to an error that may be anything at all."""
    box, measured, now, changes, closed = SafetyBox(CONFIG, size), CENTRE, 0.0, [], False
    for action, offset, wait in steps:
        now += wait
        try:
            move = box.step(now, measured, action)
        except Refused as refusal:
            assert '\n' not in str(refusal)
            measured = CENTRE
            continue
        target = move.target
        assert target.finite
        assert (target.position >= LOW).all() and (target.position <= HIGH).all()
        assert np.linalg.norm(target.position - measured.position) <= CONFIG.step + TINY
        assert CONFIG.yaw_low <= target.yaw <= CONFIG.yaw_high
        turn = abs(math.remainder(target.yaw - measured.yaw, 2 * math.pi))
        assert turn <= CONFIG.turn + TINY * max(1.0, abs(measured.yaw))
        assert move.action.shape == (size,) and (abs(move.action) <= 1).all()
        if move.closed != closed:
            closed = move.closed
            changes.append(now)
        measured = Pose(target.position + offset[:3], target.yaw + offset[3])
    assert all(gap >= CONFIG.gripper_dwell for gap in np.diff(changes)), 'the gripper chatters'


@settings(max_examples=100, deadline=None)
@given(size=st.sampled_from([4, 5]), data=st.data())
def test_the_executed_action_is_the_motion(size, data):
    """Executed again from the same place it commands the same target: nothing is hidden in it."""
    box = SafetyBox(CONFIG, size)
    place = [data.draw(st.floats(a, b)) for a, b in zip(LOW, HIGH, strict=True)]
    measured = at(*place, data.draw(st.floats(-1.0, 1.0)))
    motion = data.draw(st.lists(st.floats(-1, 1), min_size=size, max_size=size))
    move = box.step(0.0, measured, motion)
    again = box.step(9.0, measured, move.action)
    assert again.target.position == pytest.approx(move.target.position, abs=1e-8)
    assert again.target.yaw == pytest.approx(move.target.yaw, abs=1e-7)
    assert again.closed == move.closed


def test_an_action_of_one_is_two_centimetres_and_a_fifth_of_a_radian():
    move = SafetyBox(CONFIG, 5).step(0.0, at(0.5, 0.0, 0.1, 0.3), [0.5, 0.0, -0.25, 1.0, 1.0])
    assert move.target.position == pytest.approx([0.51, 0.0, 0.095])
    assert move.target.yaw == pytest.approx(0.5)
    assert move.closed
    assert move.action == pytest.approx([0.5, 0.0, -0.25, 1.0, 1.0])


def test_the_norm_of_the_translation_is_clipped_and_its_direction_kept():
    move = SafetyBox(CONFIG, 4).step(0.0, CENTRE, [1.0, 1.0, -7.0, -1.0])
    delta = move.target.position - CENTRE.position
    assert delta == pytest.approx(0.02 / math.sqrt(3) * np.array([1, 1, -1]))
    assert move.action == pytest.approx([0.57735, 0.57735, -0.57735, -1.0], abs=1e-5)


def test_at_the_edge_what_is_executed_is_what_is_left_of_the_action():
    move = SafetyBox(CONFIG, 4).step(0.0, at(0.595, 0.0, 0.1), [1.0, 0.0, 0.0, -1.0])
    assert move.target.position == pytest.approx([0.6, 0.0, 0.1])
    assert move.action == pytest.approx([0.25, 0.0, 0.0, -1.0])
    move = SafetyBox(CONFIG, 4).step(0.0, at(0.595, 0.0, 0.1), [1.0, 1.0, 0.0, -1.0])
    assert move.target.position == pytest.approx([0.6, 0.02 / math.sqrt(2), 0.1]), 'not faster'


def test_a_tool_that_sags_below_the_box_can_still_move_along_its_floor():
    move = SafetyBox(CONFIG, 4).step(0.0, at(0.5, 0.0, -0.012), [1.0, 0.0, 0.0, -1.0])
    assert move.target.position == pytest.approx([0.516, 0.0, 0.0]), '12 up and 16 along: 20 mm'


def test_a_tool_further_outside_than_a_step_is_not_commanded():
    box = SafetyBox(CONFIG, 4)
    for inside in (at(0.6199, 0.0, 0.1), at(0.5, 0.0, 0.1, 1.199)):
        box.step(0.0, inside, [0.0] * 4)
    for outside, words in (
        (at(0.6201, 0.0, 0.1), r'0\.0201 m outside the workspace'),
        (at(0.615, 0.215, 0.1), 'outside the workspace'),
        (at(0.5, 0.0, 0.1, 1.21), r'turned to 1\.21 rad'),
        (at(0.5, math.nan, 0.1), 'not four finite numbers'),
        (at(0.5, 0.0, 0.1, math.inf), 'not four finite numbers'),
    ):
        with pytest.raises(Refused, match=words):
            box.step(0.0, outside, [-1.0, 0.0, 0.0, -1.0])
        with pytest.raises(Refused, match=words):
            box.hold(outside)


@pytest.mark.parametrize(
    'bad', [[0.0, math.nan, 0.0, 0.0], [math.inf, 0.0, 0.0, 0.0], [0.0] * 3, [0.0] * 5, []]
)
def test_a_bad_action_is_refused_and_does_not_touch_the_gripper(bad):
    box = SafetyBox(CONFIG, 4)
    box.step(0.0, CENTRE, [0.0, 0.0, 0.0, 1.0])
    with pytest.raises(Refused, match='an action must be 4 finite numbers, not'):
        box.step(5.0, CENTRE, bad)
    assert box.gripper.closed


def test_yaw_is_the_nearest_turn_and_is_kept_where_actions_have_none():
    move = SafetyBox(CONFIG, 5).step(0.0, at(0.5, 0.0, 0.1, 4 * math.pi - 0.5), [0, 0, 0, -0.5, 0])
    assert move.target.yaw == pytest.approx(-0.6)
    for measured, target in ((0.05, 0.0), (0.5, 0.3), (-0.9, -0.7)):
        move = SafetyBox(CONFIG, 4).step(0.0, at(0.5, 0.0, 0.1, measured), [0.0] * 4)
        assert move.target.yaw == pytest.approx(target)


def test_hold_stays_at_the_target_unless_the_arm_was_moved():
    box = SafetyBox(CONFIG, 4)
    target = at(0.5, 0.0, 0.1)
    assert box.hold(at(0.5, 0.0, 0.09), target) is target, 'sagging is not followed'
    assert box.hold(at(0.5, 0.0, 0.05), target).position.tolist() == [0.5, 0.0, 0.05]
    assert box.hold(at(0.5, 0.0, -0.01)).position.tolist() == [0.5, 0.0, 0.0]


def test_the_gripper_changes_beyond_its_band_and_not_too_soon():
    gripper = GripperFilter(0.2, 0.5)
    values = [(0.0, 0.2), (0.1, 0.21), (0.2, -1.0), (0.59, -1.0), (0.61, -0.2), (0.7, -0.3)]
    closed = [gripper.update(now, value) for now, value in values]
    assert closed == [False, True, True, True, True, False]
    assert gripper.update(0.8, math.nan) is False
    assert gripper.update(0.8, 1.0) is False, 'too soon'
    gripper.moved(False)
    assert gripper.update(0.8, 1.0) is True, 'a reset moved it: it may change at once'


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.3, 0.3), max_size=50))
def test_noise_inside_the_band_never_moves_the_gripper(values):
    for closed in (False, True):
        gripper = GripperFilter(0.3, 0.0)
        gripper.moved(closed)
        assert all(gripper.update(float(i), v) is closed for i, v in enumerate(values))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'low': (0.4, 0.0)}, 'three numbers low'),
        ({'low': (0.7, -0.2, 0.0)}, 'three higher ones high'),
        ({'yaw_low': -3.0, 'yaw_high': 3.0}, 'at most pi'),
        ({'yaw_low': 1.5, 'yaw_high': 1.2}, 'at most pi'),
        ({'yaw': 1.3}, 'yaw must be from -1.2 to 1.2, not 1.3'),
    ],
)
def test_limits_that_are_no_box_are_refused(change, words):
    with pytest.raises(OptionError, match=words):
        SafetyBox(SafetyConfig(**change), 4)
    with pytest.raises(OptionError, match='4 or 5 numbers, not 3'):
        SafetyBox(SafetyConfig(), 3)
