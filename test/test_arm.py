"""What the arm executes: one source, a clip, a finite check, a hold, a person before all."""

from __future__ import annotations

import numpy as np
import pytest

from medal_ros.robot.arm import Arm, Order
from medal_ros.robot.gripper import GripperFilter


def order(sequence: int = 0, mode: str = 'practice', agent: str = 'forward') -> Order:
    return Order(sequence, mode, agent, segment=3, index=7)


def test_an_action_is_due_once_it_and_its_order_are_here():
    for order_first in (True, False):
        arm = Arm(3)
        if order_first:
            arm.order(order())
        else:
            assert arm.propose(0.0, 0, 'forward', [0.5, -2.0, 1.0]) == ''
        assert arm.due(0.0) is None
        if order_first:
            assert arm.propose(0.0, 0, 'forward', [0.5, -2.0, 1.0]) == ''
        else:
            arm.order(order())
        due = arm.due(0.0)
        assert (due.sequence, due.source, due.agent) == (0, 'policy', 'forward')
        assert (due.segment, due.index, due.boundary) == (3, 7, False)
        assert due.action.tolist() == [0.5, -1.0, 1.0], 'clipped to [-1, 1]'


def test_each_observation_has_one_step():
    arm = Arm(3)
    arm.order(order())
    arm.propose(0.0, 0, 'forward', [0.0, 0.0, 0.0])
    arm.executed(arm.due(0.0))
    assert arm.sequence == 1
    assert arm.due(0.0) is None
    assert arm.propose(0.0, 0, 'forward', [1.0, 1.0, 1.0]) == '', 'late is no mistake'
    arm.order(order(1))
    assert arm.due(0.0) is None, 'the action was for another observation'
    assert (arm.ignored, arm.refused) == (1, 0)


@pytest.mark.parametrize(
    'bad', [[0.0, float('nan'), 0.0], [float('inf'), 0.0, 0.0], [0.0, 0.0], [], [[0.0] * 3]]
)
def test_an_action_that_is_not_numbers_is_refused(bad):
    arm = Arm(3)
    arm.order(order())
    sentence = arm.propose(0.0, 0, 'forward', bad)
    assert 'must be 3 finite numbers' in sentence
    assert 'action 0 of the forward policy' in sentence
    assert arm.due(0.0) is None
    assert arm.refused == 1
    arm.propose(0.0, 0, 'forward', [0.0, 0.0, 0.0])
    assert arm.due(0.0) is not None, 'a good one is still taken'


def test_an_agent_that_is_not_in_control_does_not_act():
    arm = Arm(3)
    arm.propose(0.0, 0, 'forward', [1.0, 0.0, 0.0])
    arm.order(order(agent='backward'))
    assert arm.due(0.0) is None
    assert arm.ignored == 1
    arm.propose(0.0, 0, 'backward', [0.0, 1.0, 0.0])
    assert arm.due(0.0).agent == 'backward'


@pytest.mark.parametrize('mode', ['paused', 'help', 'intervention', 'done'])
def test_nothing_is_due_while_practice_waits(mode):
    arm = Arm(3)
    arm.order(order(mode=mode))
    arm.propose(0.0, 0, 'forward', [1.0, 0.0, 0.0])
    assert arm.due(0.0) is None
    assert mode in arm.waits_for(0.0)
    arm.order(order())
    assert arm.due(0.0) is not None


def test_arm_reset_is_a_scripted_boundary():
    arm = Arm(3)
    arm.order(order(mode='arm_reset'))
    due = arm.due(0.0)
    assert (due.source, due.agent, due.boundary) == ('script', '', True)
    assert due.action.tolist() == [0.0, 0.0, 0.0]
    assert (due.segment, due.index) == (3, 7)


def test_hold_keeps_the_gripper_as_commanded():
    arm = Arm(3)
    assert arm.hold().action.tolist() == [0.0, 0.0, -1.0], 'open at first'
    arm.order(order())
    arm.propose(0.0, 0, 'forward', [1.0, 1.0, 0.75])
    arm.executed(arm.due(0.0))
    hold = arm.hold()
    assert hold.action.tolist() == [0.0, 0.0, 0.75]
    assert (hold.sequence, hold.source, hold.agent, hold.boundary) == (1, 'hold', '', False)
    arm.executed(hold)
    assert arm.hold().action.tolist() == [0.0, 0.0, 0.75]
    arm.executed(arm.reset())
    assert arm.hold().action.tolist() == [0.0, 0.0, -1.0], 'a reset opens the gripper'


def test_it_says_what_it_waits_for():
    arm = Arm(3)
    assert arm.waits_for(0.0) == 'waiting for the state of observation 0'
    arm.order(order())
    assert arm.waits_for(0.0) == 'waiting for the action of forward for observation 0'
    arm.mux.teleop(0.0, True, [0.0, 0.0, 0.0])
    assert arm.waits_for(0.0) == ''
    assert 'the person in control is silent' in arm.waits_for(0.3)


@pytest.mark.parametrize('mode', ['practice', 'arm_reset', 'paused', 'help', 'done', None])
def test_a_person_is_obeyed_in_every_mode_and_without_an_order(mode):
    arm = Arm(3)
    if mode:
        arm.order(order(mode=mode))
    arm.propose(0.0, 0, 'forward', [1.0, 0.0, 0.0])
    arm.mux.teleop(0.0, True, [0.0, 0.5, 1.0])
    due = arm.due(0.0)
    assert (due.sequence, due.source, due.agent, due.boundary) == (0, 'teleop', '', False)
    assert due.action.tolist() == [0.0, 0.5, 1.0]


def test_a_silent_person_is_waited_for_and_what_the_policy_wanted_is_forgotten():
    arm = Arm(3)
    arm.order(order())
    arm.propose(0.0, 0, 'forward', [1.0, 0.0, 0.0])
    arm.mux.teleop(0.1, True, [0.0, 0.5, 1.0])
    assert arm.due(0.3).source == 'teleop'
    assert arm.due(0.31) is None, 'silent for longer than 0.2 s: nothing, not the policy'
    arm.propose(0.31, 0, 'forward', [1.0, 0.0, 0.0])
    assert arm.due(0.32) is None
    arm.mux.teleop(9.0, False, [0.0, 0.0, 0.0])
    assert arm.due(9.0) is None, 'the policy has to act on what it sees now'
    arm.propose(9.0, 0, 'forward', [1.0, 0.0, 0.0])
    assert arm.due(9.0).source == 'policy'


def test_an_action_that_waited_too_long_for_its_order_is_not_executed():
    arm = Arm(3)
    arm.propose(0.0, 0, 'forward', [1.0, 0.0, 0.0])
    arm.order(order())
    assert arm.due(0.19) is not None
    assert arm.due(0.21) is None


def test_a_steadied_gripper_is_reported_as_it_is_commanded():
    arm, seen = Arm(3, gripper=GripperFilter(0.3, 0.0)), []
    for n, value in enumerate([0.2, 0.4, -0.2, 0.1, -0.4, 0.4]):
        arm.order(order(n))
        arm.propose(float(n), n, 'forward', [0.5, 0.0, value])
        due = arm.due(float(n))
        seen.append(due.action.tolist())
        arm.executed(due)
    assert np.array(seen)[:, 2].tolist() == [-1, 1, 1, 1, -1, 1]
    assert np.array(seen)[:, 0].tolist() == [0.5] * 6
    arm.executed(arm.reset())
    arm.order(order(7))
    arm.propose(8.0, 7, 'forward', [0.0, 0.0, 0.2])
    assert arm.due(8.0).action[-1] == -1, 'the reset opened it'
