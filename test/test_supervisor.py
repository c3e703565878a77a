"""The supervisor's state machine: every mode with every request, and the course of a run."""

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


REQUESTS = {
    'switch': lambda s: s.switch('forward' if s.decision.agent == 'backward' else 'backward'),
    'pause': lambda s: s.pause(True),
    'resume': lambda s: s.pause(False),
    'intervene': lambda s: s.intervene(True),
    'release': lambda s: s.intervene(False),
    'reset_done': lambda s: s.reset_done(),
    'home': lambda s: s.home(),
}

# The mode after a request; None where it is refused and nothing changes.
TABLE = {
    'practice': {
        'switch': 'practice', 'pause': 'paused', 'resume': None, 'intervene': 'intervention',
        'release': None, 'reset_done': None, 'home': 'arm_reset',
    },
    'arm_reset': {
        'switch': 'arm_reset', 'pause': 'paused', 'resume': None, 'intervene': 'intervention',
        'release': None, 'reset_done': None, 'home': None,
    },
    'paused': {
        'switch': 'paused', 'pause': None, 'resume': 'practice', 'intervene': 'intervention',
        'release': None, 'reset_done': None, 'home': None,
    },
    'intervention': {
        'switch': None, 'pause': None, 'resume': None, 'intervene': None,
        'release': 'practice', 'reset_done': 'practice', 'home': None,
    },
    'help': {
        'switch': None, 'pause': None, 'resume': None, 'intervene': 'intervention',
        'release': None, 'reset_done': 'practice', 'home': None,
    },
    'done': dict.fromkeys(REQUESTS),
}  # fmt: skip


@pytest.mark.parametrize('request_name', REQUESTS)
@pytest.mark.parametrize('mode', TABLE)
def test_every_mode_with_every_request(mode, request_name):
    run = in_mode(mode)
    before = run.supervisor.decision
    accepted, sentence = REQUESTS[request_name](run.supervisor)
    wanted = TABLE[mode][request_name]
    assert sentence
    assert accepted == (wanted is not None)
    after = run.supervisor.decision
    assert after.sequence == before.sequence
    if wanted is None:
        assert after == before
    else:
        assert after.mode == wanted
        assert after != before


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
