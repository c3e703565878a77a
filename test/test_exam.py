"""Examinations without ROS: the plan, what is kept of it, and what the outcomes say."""

import json

import pytest
from finished import make_run

from medal_ros.exam.compare import compare
from medal_ros.exam.plan import Start, load_plan, make_plan, read_starts
from medal_ros.exam.score import comparisons, document, markdown, mcnemar, score, titles
from medal_ros.exam.session import Outcome, Session
from medal_ros.options import OptionError


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / 'first')


def plan_of(*runs, episodes=3, policies=('forward', 'cloning'), **others):
    return make_plan(runs, policies=policies, episodes=episodes, **others)


def judge(session, verdicts):
    """Give verdicts by (candidate, start)."""
    for trial in session.plan.trials:
        if (trial.candidate, trial.start) in verdicts:
            verdict = verdicts[trial.candidate, trial.start]
            session.record(Outcome(trial.number, verdict, verdict == 'success'))


# -- the plan --------------------------------------------------------------------------------------


def test_every_candidate_is_tried_from_every_start_in_an_order_that_is_mixed(run):
    plan = plan_of(run, episodes=20)
    assert [(c.policy, c.steps) for c in plan.candidates] == [('forward', 40), ('cloning', 5)]
    pairs = [(trial.candidate, trial.start) for trial in plan.trials]
    assert sorted(pairs) == [(c, s) for c in range(2) for s in range(20)]
    assert pairs != sorted(pairs)
    first_half = [candidate for candidate, _ in pairs[:20]]
    assert 0 < sum(first_half) < 20  # not one policy after the other
    assert plan.trials == plan_of(run, episodes=20).trials
    assert plan.trials != plan_of(run, episodes=20, seed=4).trials


def test_checkpoints_are_chosen_for_each_policy(run):
    (run / 'summary.json').write_text(json.dumps({'best_steps': 20, 'bc_best_steps': 5}))
    plan = plan_of(run, checkpoints=('best', 'last'))
    chosen = [(c.policy, c.steps) for c in plan.candidates]
    assert chosen == [('forward', 20), ('forward', 40), ('cloning', 5)]  # best is last: once


def test_the_same_examination_has_the_same_name_and_other_weights_another(run):
    digest = plan_of(run).digest
    assert plan_of(run).digest == digest
    path = run / 'checkpoints' / 'forward_00000040.safetensors'
    path.write_bytes(path.read_bytes()[:-1] + b'x')
    assert plan_of(run).digest != digest


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'episodes': 0}, 'episodes must be at least 1, not 0'),
        ({'seed': -1}, 'seed must be from 0 to 2147483647, not -1'),
        ({'judge': 'me'}, "judge must be one of truth, person, not 'me'"),
        ({'sets': ['odd']}, "tabletop_quick has no start set 'odd'; it has default"),
        ({'policies': ['sideways']}, "policy must be forward, backward or cloning, not 'sideways'"),
        ({'checkpoints': ['30']}, "checkpoint must be last, best, all or one of 20, 40, not '30'"),
        ({'checkpoints': ['best']}, 'summary.json does not name a saved checkpoint as the best'),
        ({'listed': [Start('odd', 0)]}, "tabletop_quick has no start set 'odd'; it has default"),
    ],
)
def test_what_cannot_be_examined(run, changes, sentence):
    with pytest.raises(OptionError) as error:
        plan_of(run, **changes)
    assert str(error.value).endswith(sentence)


def test_runs_of_two_worlds_are_not_compared(run, tmp_path):
    other = make_run(tmp_path / 'other', pixels=24)
    with pytest.raises(OptionError, match='has the world tabletop_quick 24 px, repeat 1, not'):
        plan_of(run, other)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(OptionError, match=r'is not a run: it has no config\.yaml'):
        plan_of(tmp_path)


def test_listed_starts(tmp_path):
    path = tmp_path / 'starts.yaml'
    path.write_text('- cube at 0.50, 0.10\n- {set: ood, seed: 7}\n- {words: cube far left}\n')
    assert read_starts(path, 'cube_grasp') == (
        Start('default', 0, 'cube at 0.50, 0.10'),
        Start('ood', 7),
        Start('default', 2, 'cube far left'),
    )


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', 'must be a list of starts'),
        ('a: 1', 'must be a list of starts'),
        ('[', 'cannot be read as YAML'),
        ('- {place: 1}', "start 1 must be words, or have set, seed or words: not {'place': 1}"),
        ('- ok\n- 7', 'start 2 must be words, or have set, seed or words: not 7'),
        ('- {seed: -1}', 'start 1: seed must be from 0 to 4294967295'),
        ('- {seed: true}', "start 1 must be words, or have set, seed or words: not {'seed': True}"),
    ],
)
def test_a_list_of_starts_that_is_none(tmp_path, text, sentence):
    path = tmp_path / 'starts.yaml'
    path.write_text(text)
    with pytest.raises(OptionError, match=r'starts\.yaml') as error:
        read_starts(path, 'cube_grasp')
    assert sentence in str(error.value)


# -- what is kept ----------------------------------------------------------------------------------


def test_a_session_goes_on_where_it_was_stopped(run, tmp_path):
    plan = plan_of(run)
    session = Session(tmp_path / 'exam', plan)
    first, second, *rest = session.pending
    session.record(Outcome(first.number, 'success', True))
    session.record(Outcome(second.number, 'invalid'))
    for again in (session, Session(tmp_path / 'exam', plan), Session(tmp_path / 'exam')):
        assert again.pending == [*rest, second]  # what was invalid is tried again, last
        assert again.verdict(first.number) == 'success'


def test_a_line_that_was_being_written_is_tried_again(run, tmp_path):
    session = Session(tmp_path / 'exam', plan_of(run))
    session.record(Outcome(0, 'success', True))
    whole = session.path.read_bytes()
    session.path.write_bytes(whole + b'{"trial": 1, "verd')
    again = Session(tmp_path / 'exam')
    assert [t.number for t in again.pending] == [1, 2, 3, 4, 5]
    assert session.path.read_bytes() == whole
    again.record(Outcome(1, 'failure', False))
    assert Session(tmp_path / 'exam').verdict(1) == 'failure'


@pytest.mark.parametrize('line', ['nonsense', '[]', '{"trial": 99, "verdict": "success"}', '{}'])
def test_a_damaged_line_is_named(run, tmp_path, line):
    session = Session(tmp_path / 'exam', plan_of(run))
    session.path.write_text(f'{line}\n')
    with pytest.raises(OptionError, match=r'trials\.jsonl, line 1 is not the outcome of a trial'):
        Session(tmp_path / 'exam')


def test_a_folder_keeps_to_one_examination(run, tmp_path):
    Session(tmp_path / 'exam', plan_of(run))
    with pytest.raises(OptionError, match='holds another examination: choose another folder'):
        Session(tmp_path / 'exam', plan_of(run, episodes=4))


@pytest.mark.parametrize('text', ['', '{}', '[]', '{"format": "medal_ros examination 1"}'])
def test_a_plan_that_is_none(tmp_path, text):
    (tmp_path / 'plan.json').write_text(text)
    with pytest.raises(OptionError, match='is not the plan of an examination'):
        load_plan(tmp_path / 'plan.json')


# -- what it says ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('first', 'second', 'p'),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 / 2
        (3, 1, 0.625),  # 2 (1 + 4) / 16
        (1, 8, 0.0390625),  # 2 (1 + 9) / 512
        (5, 0, 0.0625),  # 2 / 32
        (2, 2, 1.0),
    ],
)
def test_mcnemar_by_hand(first, second, p):
    assert mcnemar(first, second) == p


def test_policies_are_compared_start_by_start(run, tmp_path):
    session = Session(tmp_path / 'exam', plan_of(run, episodes=4))
    yes, no = 'success', 'failure'
    judge(
        session,
        {(0, 0): yes, (0, 1): yes, (0, 2): no, (0, 3): yes}
        | {(1, 0): no, (1, 1): yes, (1, 2): yes, (1, 3): 'invalid'},
    )
    (c,) = comparisons(session)
    assert (c.starts, c.first_only, c.second_only) == (3, 1, 1)  # the invalid one counts nowhere
    assert (score(session, 0, 'default').successes, score(session, 0, 'default').trials) == (3, 4)
    assert (score(session, 1, 'default').successes, score(session, 1, 'default').trials) == (2, 3)
    assert titles(session) == ['MEDAL++', 'BC']
    text = markdown(session)
    assert '| task | starts | MEDAL++ | BC |' in text
    assert '| tabletop_quick | default | 3/4 = 0.75 (0.30 to 0.95), ever 0.75 | 2/3' in text
    assert 'of 3 default starts, only the first succeeded on 1, only the second on 1; p = 1' in text
    held = document(session)
    assert held['left'] == 1
    assert [(s['title'], s['successes'], s['trials']) for s in held['scores']] == [
        ('MEDAL++', 3, 4),
        ('BC', 2, 3),
    ]


def test_directions_are_not_compared_with_each_other(run, tmp_path):
    session = Session(tmp_path / 'exam', plan_of(run, policies=('forward', 'backward')))
    judge(session, {(c, s): 'success' for c in (0, 1) for s in range(3)})
    assert comparisons(session) == []
    assert titles(session) == ['MEDAL++', 'MEDAL++ backward']


def test_names_tell_candidates_apart(run, tmp_path):
    other = make_run(tmp_path / 'second')
    plan = plan_of(run, other, checkpoints=('all',), policies=('forward',))
    assert titles(Session(tmp_path / 'exam', plan)) == [
        'MEDAL++ at 20 of first',
        'MEDAL++ at 40 of first',
        'MEDAL++ at 20 of second',
        'MEDAL++ at 40 of second',
    ]


# -- curves ----------------------------------------------------------------------------------------

SUMMARY = {
    'task': 'tabletop_quick',
    'seed': 3,
    'steps': 40,
    'success': 0.5,
    'success_interval': [0.3, 0.7],
    'bc_success': 0.25,
    'interventions': 2,
    'minutes': 1.5,
    'curve': [[20, 0.4], [40, 0.6]],
}


def test_curves_of_several_runs_are_one_picture(run, tmp_path):
    other = make_run(tmp_path / 'second')
    for path, values in ((run, {}), (other, {'success': None, 'bc_success': None})):
        (path / 'summary.json').write_text(json.dumps({**SUMMARY, **values}))
    text = compare([run, other], tmp_path / 'curves.png')
    assert '| first | tabletop_quick | 3 | 40 | 0.25 | 0.50 (0.30 to 0.70) | 2 | 1.5 |' in text
    assert '| second | tabletop_quick | 3 | 40 | - | 0.60 so far | 2 | 1.5 |' in text
    assert (tmp_path / 'curves.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('text', [None, '{', '[]', '{"curve": []}', '{"curve": [[1, "x"]]}'])
def test_a_run_without_a_curve(run, tmp_path, text):
    if text is not None:
        (run / 'summary.json').write_text(text)
    with pytest.raises(OptionError, match='first has measured nothing yet'):
        compare([run], tmp_path / 'curves.png')
    assert not (tmp_path / 'curves.png').exists()
