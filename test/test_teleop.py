"""From a pad and from keys to actions: what moves the arm, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medal_ros.options import OptionError, build
from medal_ros.robot.keyboard import Keyboard, KeyboardConfig
from medal_ros.robot.teleop import Output, Pad, PadConfig

LB, START, A, B = 9, 6, 0, 1
LX, LY, RX, RY, LT, RT = range(6)


class Hand:
    """A person's hands on a pad with a clock of its own; 20 messages a second."""

    def __init__(self, size: int = 5, **changes) -> None:
        self.pad = Pad(build(PadConfig, changes), size)
        self.now = 100.0
        self.rest = [0.0] * 6
        self.send()

    def send(self, *held: int, axes: dict[int, float] | None = None) -> np.ndarray | None:
        self.now += 0.05
        values = list(self.rest)
        for axis, value in (axes or {}).items():
            values[axis] = value
        self.pad.take(values, [int(i in held) for i in range(15)], self.now)
        return self.pad.action(self.now)


def near(action, expected) -> bool:
    return action is not None and np.allclose(action, expected, atol=1e-6)


# -- the dead man ----------------------------------------------------------------------------------


def test_nothing_moves_without_the_dead_man():
    hand = Hand()
    assert hand.send(axes={LY: 1.0}) is None
    assert near(hand.send(LB, axes={LY: 1.0}), [1, 0, 0, 0, -1])
    assert hand.send(axes={LY: 1.0}) is None


def test_a_dead_man_that_was_down_from_the_start_counts_once_it_was_let_go():
    hand = Hand()
    hand.pad = Pad(PadConfig(), 5)
    assert hand.send(LB, axes={LY: 1.0}) is None
    assert 'dead man' in hand.pad.waits_for(hand.now)
    hand.send()
    assert hand.send(LB) is not None


def test_a_pad_that_goes_silent_has_let_go():
    hand = Hand(silent_after=0.25)
    hand.send(LB, axes={LY: 1.0})
    assert hand.pad.action(hand.now + 0.24) is not None
    assert hand.pad.action(hand.now + 0.26) is None
    assert hand.pad.waits_for(hand.now + 0.26) == 'no pad: nothing comes on joy'
    hand.now += 1.0
    assert hand.send(LB, axes={LY: 1.0}) is None, 'held all the while: let go first'
    hand.send()
    assert hand.send(LB, axes={LY: 1.0}) is not None


@pytest.mark.parametrize(
    ('axes', 'buttons', 'sentence'),
    [
        ([0.0] * 5, [0] * 15, 'the pad has 5 axes, and the mapping uses axis 5'),
        ([0.0] * 6, [1] * 9, 'the pad has 9 buttons, and the mapping uses button 9'),
        ([0.0, np.nan, 0, 0, 0, 0], [1] * 15, 'the pad sends an axis that is not a number'),
        ([], [], 'the pad has 0 axes, and the mapping uses axis 5'),
    ],
)
def test_a_message_that_cannot_be_used_lets_go_and_says_why(axes, buttons, sentence):
    hand = Hand()
    assert hand.send(LB) is not None
    hand.pad.take(axes, buttons, hand.now + 0.01)
    assert hand.pad.action(hand.now + 0.01) is None
    assert hand.pad.waits_for(hand.now + 0.01) == sentence
    assert hand.send(LB) is None, 'let go first'


# -- sticks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('axis', 'expected'),
    [(LY, [1, 0, 0, 0]), (LX, [0, 1, 0, 0]), (RY, [0, 0, 1, 0]), (RX, [0, 0, 0, 1])],
)
def test_sticks_drive_the_axes_of_the_base(axis, expected):
    """joy: up and left are +1, as x forward and y left are."""
    assert near(Hand().send(LB, axes={axis: 1.0}), [*expected, -1])
    assert near(Hand().send(LB, axes={axis: -1.0}), [*np.negative(expected), -1])


def test_signs_and_speeds_and_axes_are_parameters():
    hand = Hand(axes=[RX, -1, LY, LX], scales=[-0.5, 1, 1, 0.25])
    assert near(hand.send(LB, axes={RX: 1.0, RY: 1.0, LX: 1.0}), [-0.5, 0, 0, 0.25, -1])


def test_motion_begins_at_nothing_where_the_dead_zone_ends():
    hand = Hand(dead_zones=[0.2, 0.2, 0.2, 0.2])
    assert near(hand.send(LB, axes={LY: 0.2}), [0, 0, 0, 0, -1])
    assert near(hand.send(LB, axes={LY: -0.6}), [-0.5, 0, 0, 0, -1])
    assert near(hand.send(LB, axes={LY: 1.3}), [1, 0, 0, 0, -1]), 'clipped'


@pytest.mark.parametrize(('size', 'motions'), [(3, [1, 1]), (4, [1, 1, 1]), (5, [1, 1, 1, 1])])
def test_an_action_has_what_the_task_takes(size, motions):
    pushed = dict.fromkeys((LX, LY, RX, RY), 1.0)
    assert near(Hand(size).send(LB, axes=pushed), [*motions, -1])


# -- triggers and gripper --------------------------------------------------------------------------


def test_triggers_close_and_open_and_the_gripper_stays():
    hand = Hand()
    assert hand.send(LB, axes={RT: -0.4})[-1] == -1, 'not yet pressed'
    assert hand.send(LB, axes={RT: -1.0})[-1] == 1
    assert hand.send(LB)[-1] == 1
    assert hand.send(LB, axes={RT: -1.0, LT: -1.0})[-1] == 1, 'both: neither'
    assert hand.send(LB, axes={LT: -1.0})[-1] == -1
    hand.send(axes={RT: -1.0})
    assert hand.send(LB)[-1] == -1, 'without the dead man a trigger is nothing'


def test_a_trigger_counts_only_once_it_was_seen_at_rest():
    """joy_node says 0.0 of a trigger that never moved, although it rests at 1.0."""
    hand = Hand(trigger_rest=1.0)
    assert hand.send(LB)[-1] == -1, '0.0 would be half pressed'
    assert hand.pad.waits_for(hand.now) == 'waiting for trigger 5 to be let go once'
    hand.rest[LT] = hand.rest[RT] = 1.0
    hand.send()
    assert hand.pad.waits_for(hand.now) == ''
    assert hand.send(LB, axes={RT: -1.0})[-1] == 1


def test_who_takes_over_goes_on_with_the_gripper_as_it_is():
    hand = Hand()
    hand.pad.executed([0, 0, 0, 0, 1.0])
    assert hand.send(LB)[-1] == 1
    hand.pad.executed([0, 0, 0, 0, -1.0])
    assert hand.send(LB)[-1] == 1, 'who drives decides'
    hand.send()
    hand.pad.executed([0.0] * 5)
    assert hand.send(LB)[-1] == -1, 'a reset opens it'


# -- buttons ---------------------------------------------------------------------------------------


def test_a_button_asks_once_for_each_press():
    hand = Hand()
    for held in ((START,), (START,), (), (START, A), (A,), (B,)):
        hand.send(*held)
    assert hand.pad.requests() == ['start', 'start', 'save', 'discard']
    assert hand.pad.requests() == []


def test_a_button_that_is_down_in_the_first_message_was_not_pressed():
    hand = Hand()
    hand.now += 5.0  # silent: the next message is a first one
    hand.send(A)
    assert hand.pad.requests() == []


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'save': 9}, 'button 9 cannot be both dead_man and save'),
        ({'axes': [1, 0]}, 'parameter axes must be four numbers: for x, y, z and yaw'),
        ({'trigger_rest': -1.0}, 'trigger_pressed must be well away from trigger_rest'),
    ],
)
def test_a_mapping_that_cannot_be(changes, sentence):
    with pytest.raises(OptionError, match=sentence):
        Hand(**changes)


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(), min_size=4, max_size=7),
            st.lists(st.integers(0, 1), min_size=8, max_size=15),
            st.floats(0.0, 0.5),
        ),
        max_size=20,
    )
)
def test_whatever_a_pad_sends_an_action_is_one_and_needs_the_dead_man(messages):
    pad, now = Pad(PadConfig(), 5), 0.0
    for axes, buttons, passed in messages:
        now += passed
        pad.take(axes, buttons, now)
        action = pad.action(now)
        if action is not None:
            assert buttons[LB] and np.isfinite(axes).all()
            assert action.shape == (5,) and np.abs(action).max() <= 1.0


# -- what goes out ---------------------------------------------------------------------------------


def test_one_release_and_then_nothing():
    output, action = Output(3), np.array([0.5, -0.5, 1.0], np.float32)
    assert output.next(None) is None
    engaged, sent = output.next(action)
    assert engaged and sent.tolist() == [0.5, -0.5, 1.0]
    engaged, sent = output.next(None)
    assert not engaged and sent.tolist() == [0.0, 0.0, 1.0], 'still, the gripper as it is'
    assert output.next(None) is None


# -- keys ------------------------------------------------------------------------------------------


def keyboard(size: int = 5, **changes) -> Keyboard:
    made = Keyboard(build(KeyboardConfig, changes), size)
    made.take(' ', 0.0)
    return made


def test_a_key_moves_for_one_pulse_however_it_repeats():
    keys = keyboard(pulse=0.1, speed=0.5)
    assert keys.action(0.0) is None
    keys.take('w', 1.0)
    assert near(keys.action(1.09), [0.5, 0, 0, 0, -1])
    assert keys.action(1.11) is None, 'one press, one pulse'
    for tick in range(30):  # held: a burst of presses does not queue up
        keys.take('w', 2.0 + tick * 0.01)
    assert keys.action(2.29 + 0.09) is not None
    assert keys.action(2.29 + 0.11) is None


def test_keys_drive_only_while_the_keyboard_is_live():
    keys = Keyboard(KeyboardConfig(live_for=5.0), 5)
    keys.take('w', 0.0)
    assert keys.action(0.0) is None
    keys.take(' ', 1.0)
    keys.take('w', 5.9)
    assert keys.action(5.9) is not None
    assert keys.live and keys.action(11.0) is None and not keys.live
    keys.take('w', 11.1)
    assert keys.action(11.1) is None, 'lapsed: the space bar first'
    keys.take(' ', 12.0)
    keys.take('w', 12.1)
    keys.take(' ', 12.12)
    assert keys.action(12.12) is None, 'the space bar stops at once'


@pytest.mark.parametrize('text', ['\x1b[A', '\x1bOA', '\x1b[1;5C', '\x1b', 'wwww', 'hello was', ''])
def test_arrows_pastes_and_stalled_lines_move_nothing(text):
    keys = keyboard()
    keys.take(text, 1.0)
    assert keys.action(1.0) is None and keys.requests() == [] and not keys.ended


@pytest.mark.parametrize(
    ('key', 'expected'),
    [
        ('w', [1, 0, 0, 0]),
        ('s', [-1, 0, 0, 0]),
        ('a', [0, 1, 0, 0]),
        ('d', [0, -1, 0, 0]),
        ('r', [0, 0, 1, 0]),
        ('f', [0, 0, -1, 0]),
        ('q', [0, 0, 0, 1]),
        ('e', [0, 0, 0, -1]),
    ],
)
def test_keys_drive_the_axes_of_the_base(key, expected):
    keys = keyboard(speed=1.0)
    keys.take(key, 1.0)
    assert near(keys.action(1.0), [*expected, -1])
    planar = keyboard(3, speed=1.0)
    planar.take(key, 1.0)
    assert near(planar.action(1.0), [*expected[:2], -1])


def test_the_gripper_key_turns_it_over_from_where_the_arm_has_it():
    keys = Keyboard(KeyboardConfig(), 4)
    keys.executed([0, 0, 0, 1.0])
    keys.take(' ', 1.0)
    keys.take('g', 1.0)
    assert near(keys.action(1.0), [0, 0, 0, -1])
    keys.take('g', 2.0)
    assert near(keys.action(2.0), [0, 0, 0, 1])


def test_other_keys():
    keys = keyboard(speed=0.5)
    keys.take('12', 1.0)
    keys.take('3', 1.0)
    assert keys.requests() == ['start', 'save', 'discard'] and keys.requests() == []
    keys.take('++', 1.0)
    assert keys.speed == 1.0
    keys.take('---', 1.0)
    assert keys.speed == 0.125
    keys.take('W', 1.0)
    assert keys.action(1.0) is None
    keys.take('x', 1.0)
    assert keys.ended
