"""Who commands: one source at a time, a person before all, silence holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medal_ros.robot.mux import CommandMux

POLICY, PERSON = [0.1, 0.2, 1.0], [-0.5, 0.0, -0.5]
STILL = [0.0, 0.0, 0.0]


def source(mux: CommandMux, now: float) -> str:
    return mux.command(now).source


def test_a_person_takes_over_at_the_first_message_and_hands_back_on_release_alone():
    mux = CommandMux(3)
    mux.policy(0.0, 'forward', POLICY)
    assert source(mux, 0.0) == 'policy'
    mux.teleop(0.01, True, PERSON)
    command = mux.command(0.01)
    assert (command.source, command.agent, command.action.tolist()) == ('teleop', '', PERSON)
    mux.policy(0.02, 'forward', POLICY)
    assert source(mux, 0.02) == 'teleop'
    assert mux.ignored == 1
    mux.teleop(0.05, False, STILL)
    assert source(mux, 0.05) == 'hold', 'the policy acts on what it sees now, not on the past'
    mux.policy(0.06, 'forward', POLICY)
    assert source(mux, 0.06) == 'policy'


def test_a_silent_person_is_still_in_control_and_the_arm_holds():
    mux = CommandMux(3, stale_after=0.2)
    mux.executed('policy', 0.7)
    mux.teleop(1.0, True, PERSON)
    assert [source(mux, t) for t in (1.0, 1.2, 1.21, 99.0)] == ['teleop', 'teleop', 'hold', 'hold']
    assert mux.command(99.0).action.tolist() == pytest.approx([0.0, 0.0, 0.7])
    assert 'silent' in mux.silence(99.0)
    mux.policy(99.0, 'forward', POLICY)
    assert not mux.begin_script()
    assert source(mux, 99.0) == 'hold'
    mux.teleop(99.1, True, PERSON)
    assert source(mux, 99.1) == 'teleop'
    assert mux.silence(99.1) == ''


def test_an_old_action_of_a_policy_is_not_executed():
    mux = CommandMux(3, stale_after=0.2)
    mux.policy(1.0, 'backward', POLICY)
    assert [source(mux, t) for t in (1.2, 1.21)] == ['policy', 'hold']
    mux.policy(2.0, 'backward', POLICY)
    mux.executed('policy', 1.0)
    assert source(mux, 2.0) == 'hold', 'an action is used once'


def test_a_script_keeps_the_policy_out_until_it_ends_or_a_person_cuts_it():
    mux = CommandMux(3)
    mux.policy(0.0, 'forward', POLICY)
    assert mux.begin_script()
    assert source(mux, 0.0) == 'script'
    mux.policy(0.0, 'forward', POLICY)
    mux.end_script()
    assert source(mux, 0.0) == 'hold'
    mux.begin_script()
    mux.teleop(1.0, True, PERSON)
    assert (mux.scripted, source(mux, 1.0)) == (False, 'teleop')
    mux.teleop(1.1, False, STILL)
    assert source(mux, 1.1) == 'hold', 'the script does not go on'
    mux.executed('script', 0.0)
    assert mux.hold().action[-1] == -1, 'scripts open the gripper'


@pytest.mark.parametrize(
    'bad', [[0.0, math.nan, 0.0], [math.inf, 0.0, 0.0], [1e300] * 3, [0.0], []]
)
def test_what_is_not_numbers_is_refused_and_a_person_still_takes_control(bad):
    mux = CommandMux(3)
    mux.policy(0.0, 'forward', POLICY)
    assert 'must be 3 finite numbers' in mux.policy(0.0, 'forward', bad, 'action 7')
    assert mux.command(0.0).action.tolist() == pytest.approx(POLICY), 'the good one still counts'
    sentence = mux.teleop(0.0, True, bad)
    assert sentence.startswith('the action of the person at the controls is refused: it must be 3')
    assert (mux.engaged, source(mux, 0.0), mux.refused) == (True, 'hold', 2)
    assert mux.teleop(0.1, False, bad) == ''
    assert not mux.engaged


numbers = st.one_of(
    st.lists(st.floats(-2, 2), min_size=3, max_size=3), st.just([math.nan] * 3), st.just([])
)
events = st.one_of(
    st.tuples(st.just('policy'), numbers),
    st.tuples(st.sampled_from(['press', 'press', 'release']), numbers),
    st.tuples(st.sampled_from(['begin_script', 'end_script', 'executed']), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.15), events), max_size=20))
def test_whatever_happens_one_source_that_may_commands(steps):
    """A model that looks back over all that was said: who may command, with how old a word."""
    mux, now, held, scripted, said = CommandMux(3, stale_after=0.2), 0.0, False, False, None
    for wait, (event, action) in steps:
        now += wait
        good = action is not None and len(action) == 3 and np.isfinite(action).all()
        if event in ('press', 'release'):
            mux.teleop(now, event == 'press', action)
            if event == 'press':
                held, scripted, said = True, False, (now, 'teleop') if good else None
            elif held:
                held, said = False, None
        elif event == 'policy':
            mux.policy(now, 'forward', action)
            said = (now, 'policy') if good and not held and not scripted else said
        elif event == 'executed':
            mux.executed('policy', 1.0)
            said = said if held else None
        elif event == 'begin_script':
            assert mux.begin_script() is not held
            scripted, said = not held, said if held else None
        else:
            mux.end_script()
            scripted = False
        fresh = said is not None and now - said[0] <= 0.2
        expected = said[1] if fresh else 'hold'
        command = mux.command(now)
        assert command.source == ('script' if scripted else expected)
        assert np.isfinite(command.action).all() and (abs(command.action) <= 1).all()
        assert command.source in ('policy', 'teleop') or not command.action[:-1].any()
