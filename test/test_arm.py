"""What the arm executes: one source, a clip, a finite check, a hold."""

from __future__ import annotations

import pytest

from medal_ros.robot.arm import Arm, Order


def order(sequence: int = 0, mode: str = 'practice', agent: str = 'forward') -> Order:
    return Order(sequence, mode, agent, segment=3, index=7)


def test_an_action_is_due_once_it_and_its_order_are_here():
    for order_first in (True, False):
        arm = Arm(3)
        if order_first:
            arm.order(order())
        else:
            assert arm.propose(0, 'policy', 'forward', [0.5, -2.0, 1.0]) == ''
        assert arm.due() is None
        if order_first:
            assert arm.propose(0, 'policy', 'forward', [0.5, -2.0, 1.0]) == ''
        else:
            arm.order(order())
        due = arm.due()
        assert (due.sequence, due.source, due.agent) == (0, 'policy', 'forward')
        assert (due.segment, due.index, due.boundary) == (3, 7, False)
        assert due.action.tolist() == [0.5, -1.0, 1.0], 'clipped to [-1, 1]'


def test_each_observation_has_one_step():
    arm = Arm(3)
    arm.order(order())
    arm.propose(0, 'policy', 'forward', [0.0, 0.0, 0.0])
    arm.executed(arm.due())
    assert arm.sequence == 1
    assert arm.due() is None
    assert arm.propose(0, 'policy', 'forward', [1.0, 1.0, 1.0]) == '', 'late is no mistake'
    arm.order(order(1))
    assert arm.due() is None, 'the action was for another observation'
    assert (arm.ignored, arm.refused) == (1, 0)


@pytest.mark.parametrize(
    'bad', [[0.0, float('nan'), 0.0], [float('inf'), 0.0, 0.0], [0.0, 0.0], [], [[0.0] * 3]]
)
def test_an_action_that_is_not_numbers_is_refused(bad):
    arm = Arm(3)
    arm.order(order())
    sentence = arm.propose(0, 'policy', 'forward', bad)
    assert 'must be 3 finite numbers' in sentence
    assert 'action 0 of the forward policy' in sentence
    assert arm.due() is None
    assert arm.refused == 1
    arm.propose(0, 'policy', 'forward', [0.0, 0.0, 0.0])
    assert arm.due() is not None, 'a good one is still taken'


def test_an_agent_that_is_not_in_control_does_not_act():
    arm = Arm(3)
    arm.propose(0, 'policy', 'forward', [1.0, 0.0, 0.0])
    arm.order(order(agent='backward'))
    assert arm.due() is None
    assert arm.ignored == 1
    arm.propose(0, 'policy', 'backward', [0.0, 1.0, 0.0])
    assert arm.due().agent == 'backward'


@pytest.mark.parametrize('mode', ['paused', 'help', 'intervention', 'done'])
def test_nothing_is_due_while_practice_waits(mode):
    arm = Arm(3)
    arm.order(order(mode=mode))
    arm.propose(0, 'policy', 'forward', [1.0, 0.0, 0.0])
    assert arm.due() is None
    assert mode in arm.waits_for()
    arm.order(order())
    assert arm.due() is not None


def test_arm_reset_is_a_scripted_boundary():
    arm = Arm(3)
    arm.order(order(mode='arm_reset'))
    due = arm.due()
    assert (due.source, due.agent, due.boundary) == ('script', '', True)
    assert due.action.tolist() == [0.0, 0.0, 0.0]
    assert (due.segment, due.index) == (3, 7)


def test_hold_keeps_the_gripper_as_commanded():
    arm = Arm(3)
    assert arm.hold().action.tolist() == [0.0, 0.0, -1.0], 'open at first'
    arm.order(order())
    arm.propose(0, 'policy', 'forward', [1.0, 1.0, 0.75])
    arm.executed(arm.due())
    hold = arm.hold()
    assert hold.action.tolist() == [0.0, 0.0, 0.75]
    assert (hold.sequence, hold.source, hold.agent, hold.boundary) == (1, 'hold', '', False)
    arm.executed(hold)
    assert arm.hold().action.tolist() == [0.0, 0.0, 0.75]
    arm.executed(arm.reset())
    assert arm.hold().action.tolist() == [0.0, 0.0, -1.0], 'a reset opens the gripper'


def test_it_says_what_it_waits_for():
    arm = Arm(3)
    assert arm.waits_for() == 'waiting for the state of observation 0'
    arm.order(order())
    assert arm.waits_for() == 'waiting for the action of forward for observation 0'
