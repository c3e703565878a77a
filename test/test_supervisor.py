"""The course of a run: segments, resets, calls for help, people. The table is another test's."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from medal_ros.options import build
from medal_ros.robot.supervisor import Decision, Supervisor, SupervisorConfig, Taken

PROPRIO = np.zeros(3, np.float32)
IMAGE = np.zeros((8, 8, 3), np.uint8)


class Run:
    """A supervisor that sees one observation after the other."""

    def __init__(self, **values) -> None:
        quiet = {'steps': 0, 'segment_steps': 4, 'arm_reset.every_steps': 0}
        keys = {k.replace('__', '.'): v for k, v in values.items()}
        help_off = {'ask_for_help.after_steps': 0}
        self.supervisor = Supervisor(build(SupervisorConfig, {**quiet, **help_off, **keys}))
        self.sequence = count()

    def go(self, steps: int = 1, **more) -> Decision:
        for _ in range(steps):
            decision = self.supervisor.observe(next(self.sequence), IMAGE, PROPRIO, **more)
        return decision

    def course(self, steps: int) -> list[tuple[str, str, int, int]]:
        made = [self.go() for _ in range(steps)]
        return [(d.mode, d.agent, d.segment, d.index) for d in made]


def test_forward_alone_never_hands_over():
    course = Run(alternate=False).course(12)
    assert {agent for _, agent, _, _ in course} == {'forward'}
    assert [segment for _, _, segment, _ in course] == [0] * 4 + [1] * 4 + [2] * 4


def test_a_snapshot_goes_on_as_the_original_would():
    values = {'world_reset_every': 6, 'arm_reset__every_steps': 4}
    one, other = Run(**values), Run(**values)
    one.go(7)
    other.supervisor.restore(one.supervisor.snapshot())
    other.sequence = count(7)
    assert other.supervisor.decision == one.supervisor.decision
    assert one.course(5) == other.course(5)


def in_mode(mode: str) -> Run:
    """Return a run that has just entered a mode, in the ordinary way."""
    if mode == 'help':
        run = Run(world_reset_every=4)
        run.go(5)
    elif mode == 'arm_reset':
        run = Run(arm_reset__every_steps=4)
        run.go(5)
    elif mode == 'done':
        run = Run(steps=2)
        run.go(3)
    else:
        run = Run()
        run.go(2)
        if mode != 'practice':
            ask = run.supervisor.pause if mode == 'paused' else run.supervisor.intervene
            assert ask(True)[0]
    assert run.supervisor.mode == mode
    return run


def test_a_run_alternates_from_forward():
    assert Run(segment_steps=3).course(8) == [
        ('practice', 'forward', 0, 0),
        ('practice', 'forward', 0, 1),
        ('practice', 'forward', 0, 2),
        ('practice', 'backward', 1, 0),
        ('practice', 'backward', 1, 1),
        ('practice', 'backward', 1, 2),
        ('practice', 'forward', 2, 0),
        ('practice', 'forward', 2, 1),
    ]


def test_arm_reset_at_the_first_switch_after_enough_steps():
    """Due after 3 steps, it waits for the switch after 4, ends the segment and counts again."""
    run = Run(segment_steps=2, arm_reset__every_steps=3)
    assert run.course(11) == [
        ('practice', 'forward', 0, 0),
        ('practice', 'forward', 0, 1),
        ('practice', 'backward', 1, 0),
        ('practice', 'backward', 1, 1),
        ('arm_reset', 'forward', 1, 2),
        ('practice', 'forward', 2, 0),
        ('practice', 'forward', 2, 1),
        ('practice', 'backward', 3, 0),
        ('practice', 'backward', 3, 1),
        ('arm_reset', 'forward', 3, 2),
        ('practice', 'forward', 4, 0),
    ]
    assert run.supervisor.decision.interventions == 0
    assert run.supervisor.decision.steps == 8


def test_an_arm_reset_before_forward_waits_until_backward_is_over():
    run = Run(segment_steps=2, arm_reset__every_steps=2, arm_reset__before='forward')
    assert [(mode, agent) for mode, agent, _, _ in run.course(10)] == [
        *[('practice', 'forward')] * 2,
        *[('practice', 'backward')] * 2,
        ('arm_reset', 'forward'),
        *[('practice', 'forward')] * 2,
        *[('practice', 'backward')] * 2,
        ('arm_reset', 'forward'),
    ]


def test_done_after_all_steps_even_where_a_segment_ends():
    run = Run(steps=4, segment_steps=4)
    assert [run.go().mode for _ in range(4)] == ['practice'] * 4
    last = run.go()
    assert (last.mode, last.steps, last.reason) == ('done', 4, 'all 4 steps are taken')
    assert run.go().mode == 'done'


def test_the_same_observation_again_changes_nothing():
    run = Run()
    run.go(3)
    decision = run.supervisor.decision
    for _ in range(3):
        assert run.supervisor.observe(2, IMAGE, PROPRIO) == decision
    assert run.go().steps == 3


def test_switch_starts_a_segment_at_the_newest_observation():
    run = Run()
    run.go(2)
    assert run.supervisor.switch('backward') == (True, 'backward takes over now')
    d = run.supervisor.observe(1, IMAGE, PROPRIO)
    assert (d.sequence, d.agent, d.segment, d.index, d.steps) == (1, 'backward', 1, 0, 1)
    assert run.course(4)[-1] == ('practice', 'forward', 2, 0)


def test_a_step_made_before_the_switch_arrived_belongs_to_the_old_segment():
    run = Run()
    run.go(2)
    run.supervisor.switch('backward')
    d = run.go(taken=Taken('policy', segment=0))
    assert (d.agent, d.segment, d.index, d.steps) == ('backward', 1, 0, 2)


def test_switch_of_an_unknown_policy_names_what_there_is():
    run = Run()
    run.go()
    before = run.supervisor.decision
    assert run.supervisor.switch('up') == (
        False,
        "there is no policy 'up'; there are forward and backward",
    )
    assert run.supervisor.decision == before


def test_an_intervention_counts_once_and_forward_starts_afresh():
    run = Run()
    run.go(6)
    assert run.supervisor.decision.agent == 'backward'
    run.supervisor.intervene(True)
    assert run.supervisor.decision.interventions == 1
    held = run.go(3)
    assert (held.mode, held.steps) == ('intervention', 5)
    run.supervisor.intervene(False)
    d = run.supervisor.decision
    assert (d.mode, d.agent, d.segment, d.index) == ('practice', 'forward', 2, 0)
    assert d.interventions == 1
    assert run.course(4)[-1] == ('practice', 'backward', 3, 0)


def test_help_counts_when_it_is_answered():
    run = in_mode('help')
    d = run.supervisor.decision
    assert (d.reason, d.interventions, d.agent) == ('scheduled reset', 0, 'forward')
    assert run.go(taken=Taken('script', d.segment)).mode == 'help'
    run.supervisor.reset_done()
    d = run.supervisor.decision
    assert (d.mode, d.agent, d.segment, d.index) == ('practice', 'forward', 1, 0)
    assert d.interventions == 1
    assert [run.go().mode for _ in range(4)] == ['practice'] * 3 + ['help'], 'every four steps'


def test_scheduled_resets_count_from_the_last_one():
    run = Run(world_reset_every=6)
    assert [run.go().mode for _ in range(9)] == ['practice'] * 8 + ['help'], 'at a switch'
    run.supervisor.reset_done()
    assert [run.go().mode for _ in range(8)] == ['practice'] * 7 + ['help']


def test_help_answered_by_intervening_counts_once():
    run = in_mode('help')
    run.supervisor.intervene(True)
    run.supervisor.reset_done()
    assert run.supervisor.decision.interventions == 1


def test_an_answer_before_the_reset_shows_does_not_depend_on_order():
    """The world's reset and the word that it is done may arrive in either order."""
    early, late = in_mode('help'), in_mode('help')
    reset = Taken('script', segment=0)
    early.supervisor.reset_done()
    early.go(taken=reset)
    late.go(taken=reset)
    late.supervisor.reset_done()
    assert early.supervisor.decision == late.supervisor.decision


def test_a_pause_keeps_the_segment():
    run = Run()
    run.go(3)
    run.supervisor.pause(True)
    assert run.supervisor.decision.reason == 'paused by a person'
    held = run.go(2, taken=Taken('hold', segment=0))
    assert (held.mode, held.steps, held.index) == ('paused', 2, 4)
    run.supervisor.pause(False)
    d = run.supervisor.decision
    assert (d.mode, d.agent, d.segment, d.steps) == ('practice', 'forward', 0, 2)
    assert run.course(2) == [('practice', 'forward', 0, 5), ('practice', 'backward', 1, 0)]


def test_a_pause_outlives_an_intervention():
    run = in_mode('paused')
    run.supervisor.intervene(True)
    run.supervisor.intervene(False)
    assert run.supervisor.mode == 'paused'


def test_home_resets_the_arm_and_the_same_policy_goes_on():
    run = Run()
    run.go(6)
    run.supervisor.home()
    d = run.supervisor.decision
    assert (d.mode, d.agent, d.segment) == ('arm_reset', 'backward', 1)
    assert run.go(taken=Taken('policy', segment=1)).mode == 'arm_reset', 'a step was on its way'
    d = run.go()
    assert (d.mode, d.agent, d.segment, d.index) == ('practice', 'backward', 2, 0)
    assert (d.steps, d.interventions) == (6, 0)


def test_holding_is_no_step_of_a_policy():
    run = Run(segment_steps=2)
    run.go()
    d = run.go(5, taken=Taken('hold', segment=0))
    assert (d.mode, d.agent, d.segment, d.index, d.steps) == ('practice', 'forward', 0, 5, 0)
    assert run.course(2) == [('practice', 'forward', 0, 6), ('practice', 'backward', 1, 0)]


def test_a_reset_world_in_the_middle_of_a_segment_starts_another():
    run = Run()
    run.go(3)
    d = run.go(taken=Taken('script', segment=0))
    assert (d.mode, d.agent, d.segment, d.index) == ('practice', 'forward', 1, 0)
    assert (d.steps, d.interventions) == (2, 0)


def test_an_arm_that_starts_again_starts_a_segment():
    run = Run()
    run.go(6)
    d = run.supervisor.observe(0, IMAGE, PROPRIO)
    assert (d.sequence, d.mode, d.agent, d.segment, d.index) == (0, 'practice', 'forward', 2, 0)


@pytest.mark.parametrize('seen', [True, False])  # the observation before the restart's step
def test_an_arm_that_took_anothers_place_is_an_intervention_and_forward_begins(seen):
    run = Run()
    run.go(6)  # observations 0 to 5, the backward agent acts
    restart = Taken('restart', segment=0)
    if not seen:
        run.supervisor.missed(Taken('policy', segment=1))
        run.supervisor.missed(restart)
    d = run.go(taken=restart if seen else Taken('hold', segment=0))
    assert (d.mode, d.agent, d.segment, d.index) == ('practice', 'forward', 2, 0)
    assert (d.steps, d.interventions) == (5 + (not seen), 1)


def test_an_arm_that_took_anothers_place_ends_neither_a_pause_nor_a_call_for_help():
    run = Run()
    run.go(2)
    run.supervisor.pause(True)
    assert run.go(taken=Taken('restart', segment=0)).mode == 'paused'
    run.supervisor.arm_asks('a reflex')
    assert run.go(taken=Taken('restart', segment=0)).mode == 'help'


@pytest.mark.parametrize('privileged', [False, True])
def test_help_is_asked_for_when_nothing_moves(privileged):
    run = Run(
        segment_steps=5,
        ask_for_help__after_steps=12,
        ask_for_help__min_pairs=2,
        ask_for_help__privileged=privileged,
    )
    made = [run.go(truth=np.zeros(2)) for _ in range(16)]
    assert [d.mode for d in made] == ['practice'] * 15 + ['help'], 'at the end of a segment'
    assert made[-1].reason == 'nothing has moved for 12 steps'
    run.supervisor.reset_done()
    made = [run.go(truth=np.zeros(2)) for _ in range(15)]
    assert [d.mode for d in made] == ['practice'] * 14 + ['help'], 'a full window after it'


def test_no_help_while_something_moves():
    run = Run(segment_steps=5, ask_for_help__after_steps=12, ask_for_help__min_pairs=2)
    rng = np.random.default_rng(0)
    for sequence in range(40):
        image = rng.integers(0, 256, (8, 8, 3), np.uint8)
        assert run.supervisor.observe(sequence, image, PROPRIO).mode == 'practice'


# -- a person at the controls ----------------------------------------------------------------------


def test_a_take_over_is_seen_in_a_step_and_counts_once():
    run = Run()
    run.go(6)
    d = run.go(taken=Taken('teleop', segment=1))
    assert (d.mode, d.reason, d.interventions) == ('intervention', 'a person is in control', 1)
    assert (d.steps, d.index) == (5, 2), 'a step of a person is none of a policy'
    d = run.go(3, taken=Taken('teleop', segment=1))
    assert (d.mode, d.interventions, d.steps) == ('intervention', 1, 5)
    run.supervisor.teleop(True)
    run.supervisor.teleop(False)
    assert run.supervisor.mode == 'intervention', 'letting go alone gives nothing back'
    assert run.supervisor.intervene(False)[0]
    d = run.supervisor.decision
    assert (d.mode, d.agent, d.segment, d.interventions) == ('practice', 'forward', 2, 1)
    assert run.go(taken=Taken('teleop', segment=1)).mode == 'practice', 'it was on its way'
    assert run.go(taken=Taken('teleop', segment=2)).interventions == 2


@pytest.mark.parametrize('order', ['let go first', 'word first'])
def test_practice_waits_for_both_the_button_and_the_word(order):
    run = Run()
    run.go(2)
    s = run.supervisor
    s.teleop(True)
    first, second = (lambda: s.teleop(False)), s.reset_done
    if order == 'word first':
        first, second = second, first
    first()
    assert s.mode == 'intervention'
    second()
    assert (s.mode, s.decision.segment, s.decision.reason) == ('practice', 1, '')


def test_a_silent_teleoperation_takes_the_word_back():
    run = Run()
    run.go(2)
    s = run.supervisor
    s.teleop(True)
    assert s.intervene(False)[0]
    s.teleop_silent()
    assert 'fell silent' in s.decision.reason
    s.teleop(False)
    assert (s.mode, s.decision.reason) == ('intervention', 'a person is in control')


def test_the_person_keeps_control_by_saying_so():
    run = Run()
    run.go(2)
    s = run.supervisor
    s.teleop(True)
    s.intervene(False)
    assert s.intervene(True) == (
        True,
        'you are in control; intervene false or reset_done gives it back',
    )
    s.teleop(False)
    assert (s.mode, s.decision.interventions) == ('intervention', 1)


# -- calls for help --------------------------------------------------------------------------------


def test_the_arm_asks_and_a_person_says_that_it_is_over():
    run = Run()
    run.go(2)
    s = run.supervisor
    s.arm_asks('user stop pressed')
    d = s.decision
    assert (d.mode, d.reason) == ('help', 'the arm asks for help: user stop pressed')
    assert (d.segment, d.interventions) == (0, 0)
    assert s.reset_done() == (
        False,
        'practice cannot go on: the arm asks for help: user stop pressed',
    )
    s.arm_asks('')
    d = s.decision
    assert d.mode == 'help', 'nobody knows where that person stands'
    assert d.reason == 'the arm asked for help and is ready again: user stop pressed'
    s.reset_done()
    assert (s.mode, s.decision.agent, s.decision.interventions) == ('practice', 'forward', 1)


def test_the_arm_and_the_world_may_both_need_help():
    run = in_mode('help')
    run.supervisor.arm_asks('a reflex')
    assert run.supervisor.decision.reason == 'scheduled reset; the arm asks for help: a reflex'
    run.supervisor.arm_asks('')
    assert run.supervisor.decision.reason == 'scheduled reset'


def test_a_lost_object_is_noticed_in_the_middle_of_a_segment():
    bounds = {'ask_for_help__workspace_low': [0, 0], 'ask_for_help__workspace_high': [1, 1]}
    run = Run(segment_steps=100, ask_for_help__lost_after=3, **bounds)
    inside, outside = np.array([0.5, 1.0, 9.0]), np.array([0.5, 1.1, 0.0])
    assert run.go(5, truth=inside).mode == 'practice', 'no bound for the third coordinate'
    assert run.go(2, truth=outside).mode == 'practice', 'it may come back'
    assert run.go(1, truth=inside).mode == 'practice'
    assert run.go(2, truth=outside).mode == 'practice', 'counted from the start'
    d = run.go(truth=outside)
    assert (d.mode, d.steps) == ('help', 10)
    assert d.reason == 'the object is lost: it is at (0.50, 1.10, 0.00), outside the workspace'
    run.supervisor.reset_done()
    assert run.go(2, truth=outside).mode == 'practice', 'a full look after the reset'
    assert run.go(truth=outside).mode == 'help'


def test_without_bounds_or_truth_nothing_is_lost():
    far = np.array([1e9, -1e9])
    assert Run().go(40, truth=far).mode == 'practice'
    assert Run(ask_for_help__workspace_high=[1.0]).go(40).mode == 'practice'


# -- requested resets ------------------------------------------------------------------------------


def resets_at(steps: int, **values) -> list[int]:
    """Return the policy steps at which a reset was asked for, each answered at once."""
    run, asked = Run(arm_reset__every_steps=0, **values), []
    while run.supervisor.decision.steps < steps:
        if run.go().mode == 'help':
            asked.append(run.supervisor.decision.steps)
            assert run.supervisor.decision.reason.startswith('scheduled reset, ')
            run.supervisor.reset_done()
    return asked


def test_resets_are_frequent_at_first_and_then_hourly():
    """One step a second: 60 steps are a minute. Segments of 60 steps end with every minute."""
    schedule = {'resets__scheduled': True, 'resets__rate': 1.0, 'segment_steps': 60}
    asked = resets_at(9100, **schedule)
    assert [steps / 60 for steps in asked] == [5, 10, 15, 20, 25, 30, 90, 150]
    assert resets_at(2000, segment_steps=60) == [], 'only where it is asked for'


def test_a_reset_that_was_late_moves_those_after_it():
    """With segments of 7 minutes: at 7 (5 are over), 14, 21, 28; from 28 on an hour, at 91."""
    schedule = {'resets__scheduled': True, 'resets__rate': 1.0, 'segment_steps': 420}
    assert [steps / 60 for steps in resets_at(5600, **schedule)] == [7, 14, 21, 28, 91]


def test_a_reset_that_nobody_asked_for_counts():
    run = Run(resets__scheduled=True, resets__rate=0.1, segment_steps=6)  # one minute each
    run.go(25)
    run.supervisor.pause(True)
    assert run.supervisor.reset_done()[0]
    run.supervisor.pause(False)
    made = [run.go().mode for _ in range(30)]
    assert made == ['practice'] * 29 + ['help'], '30 steps, five minutes, after that one'
