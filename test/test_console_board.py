"""What the console shows, without ROS and without a browser."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
from console_clock import Clock

from medal_ros.console import words
from medal_ros.console.board import Board, View
from medal_ros.console.health import Health
from medal_ros.console.segments import Segments


@pytest.fixture
def clock() -> Clock:
    return Clock()


def state(**changes):
    usual = {
        'sequence': 0, 'mode': 'practice', 'agent': 'forward', 'segment': 0, 'index': 0,
        'steps': 0, 'total_steps': 1000, 'interventions': 0, 'reason': '',
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **changes})


def practise(board: Board, clock: Clock, steps: int, first: int = 0, **changes) -> None:
    for i in range(first, first + steps):
        board.take_state(state(sequence=i, steps=i, index=i, **changes))
        clock.now += 0.1


def test_the_time_to_the_next_switch_follows_the_rate_of_steps(clock):
    board = Board(clock)
    practise(board, clock, 51)
    assert board.view().until_switch is None  # nobody has said how long a segment is
    board.take_facts(segment_steps=200)
    clock.now += 0.2
    board.take_state(state(sequence=51, steps=51, index=51))
    view = board.view()
    assert view.in_segment == 51 and view.following == 'backward'
    assert view.control_rate == pytest.approx(10.0, rel=0.1)
    assert view.until_switch == pytest.approx(149 / 10, rel=0.1)
    assert words.switch(view) == f'backward in {round(view.until_switch)} s (149 steps)'
    assert words.segment_step(view) == 'step 51 of 200'


def test_a_segment_counts_from_where_it_began(clock):
    board = Board(clock)
    board.take_facts(segment_steps=50)
    # Joined in the middle; holding has made the index grow faster than the policy's steps.
    board.take_state(state(sequence=500, segment=3, steps=120, index=20))
    assert board.view().in_segment == 20
    clock.now += 1
    board.take_state(state(sequence=560, segment=4, steps=150, index=0))
    clock.now += 1
    board.take_state(state(sequence=570, segment=4, steps=157, index=12))
    assert board.view().in_segment == 7


def test_while_nothing_is_practised_no_time_is_promised(clock):
    board = Board(clock)
    board.take_facts(segment_steps=200)
    practise(board, clock, 30)
    board.take_state(state(sequence=30, steps=30, index=30, mode='paused'))
    assert board.view().until_switch is None
    assert words.switch(board.view()) == '170 steps until backward'


def test_silence_is_shown_and_no_rate(clock):
    board = Board(clock)
    practise(board, clock, 30)
    clock.now += 10
    view = board.view()
    assert view.stale and view.control_rate == 0.0
    assert words.control(view, 'medal').title == 'Silence'


def test_another_run_begins_anew(clock):
    board = Board(clock)
    evaluation = SimpleNamespace(agent='forward', steps=10, success=0.5, low=0.2, high=0.8,
                                 episodes=4)  # fmt: skip
    board.take_evaluation(evaluation)
    practise(board, clock, 5, first=100)
    assert board.view().curves['forward'][0].success == 0.5
    clock.now += 1
    board.take_state(state(steps=0))
    assert board.view().curves == {} and board.view().in_segment == 0


def test_evaluations_are_in_order_and_counted_once(clock):
    board = Board(clock)
    for steps, success in ((20, 0.4), (10, 0.1), (20, 0.5)):
        point = {'agent': 'forward', 'steps': steps, 'success': success, 'low': 0.0, 'high': 1.0}
        board.take_evaluation(SimpleNamespace(episodes=4, **point))
    assert [(p.steps, p.success) for p in board.view().curves['forward']] == [(10, 0.1), (20, 0.5)]


def test_the_trace_holds_a_minute_of_finite_rewards_and_the_score_of_each(clock):
    board = Board(clock)
    for i in range(1000):
        backward = math.inf if i == 990 else -math.log(1 - 0.75)
        board.take_reward(SimpleNamespace(forward=0.1, backward=backward, success_probability=0.2))
        clock.now += 0.1
    trace = board.view().trace
    assert 180 <= len(trace) <= 241
    assert trace[-1].at - trace[0].at <= 60.5
    assert trace[0].scores == pytest.approx((0.2, 0.75))
    assert all(math.isfinite(p.rewards[1]) for p in trace)


def test_interventions_are_marked_where_they_happened(clock):
    board = Board(clock)
    practise(board, clock, 10, interventions=2)  # of before
    practise(board, clock, 10, first=10, interventions=3)
    assert board.view().interventions == (10,)


def test_pages_share_a_view(clock):
    board = Board(clock)
    assert board.view() is board.view()
    clock.now += 0.3
    assert board.view().now == clock.now


@pytest.mark.parametrize(
    ('mode', 'title'),
    [
        ('practice', 'Backward policy'), ('arm_reset', 'Arm reset'), ('paused', 'Paused'),
        ('intervention', 'Person in control'), ('help', 'Help is needed'), ('done', 'Done'),
        ('something new', 'something new'),
    ],
)  # fmt: skip
def test_every_mode_has_words_an_icon_and_a_colour(mode, title):
    view = View(0.0, state=state(mode=mode, agent='backward', reason='why'), stale=False)
    look = words.control(view, 'medal')
    assert look.title == title and look.icon and look.colour
    if mode in ('help', 'intervention'):
        assert look.detail == 'why'


def test_without_a_graph_the_namespace_is_named():
    assert words.control(View(0.0), 'lab/arm').detail == (
        'nothing is heard from a supervisor in /lab/arm'
    )


def test_how_segments_ended_by_whoever_knows():
    segments = Segments()
    segments.step(1, 'forward', 'policy', [0, 1], [])
    segments.step(1, 'forward', 'policy', [1, 0], [])  # judged at the last step
    segments.step(2, 'backward', 'policy', [1, 0], [])
    segments.step(3, 'forward', 'policy', [], [0.9, 0.1])  # a robot: no reward of the task
    segments.step(3, 'forward', 'hold', [], [0.0, 0.0])  # not the policy's
    segments.step(4, '', 'script', [0, 0], [])  # nobody's
    segments.step(5, 'backward', 'policy', [], [0.9, 0.1])
    segments.step(6, 'forward', 'policy', [], [])
    segments.label(6, 'success')
    segments.step(7, 'forward', 'policy', [], [])
    segments.step(8, 'forward', 'policy', [], [])
    assert [(s.number, s.agent, s.outcome, s.judge) for s in segments.ended] == [
        (1, 'forward', 'success', 'task'),
        (2, 'backward', 'failure', 'task'),
        (3, 'forward', 'success', 'classifier'),
        (5, 'backward', 'failure', 'classifier'),
        (6, 'forward', 'success', 'person'),
        (7, 'forward', '', ''),
    ]
    segments.label(2, 'invalid')  # afterwards, too
    assert words.segment_mark(segments.ended[1])[0] == 'B⊘'
    assert words.segment_mark(segments.ended[0])[0] == 'F✓'


def test_which_nodes_are_missing_silent_and_waiting():
    health = Health()
    for name, level, message in (
        ('franka_arm', 0, 'ok'), ('supervisor', 1, 'waits for x'), ('reward', 2, 'broken'),
        ('camera_sync', 0, 'ok'), ('policy_server', 0, 'ok'),
    ):  # fmt: skip
        health.take(name, level, message, [('a', '1')], now=0.0)
    health.take('supervisor', 1, 'waits for x', [('a', '1'), ('b', 'c')], now=9.0)
    rows = {row.name: row for row in health.rows(9.5)}
    assert rows['supervisor'].state == 'waits' and rows['supervisor'].values == 'a 1, b c'
    assert rows['franka_arm'].state == 'silent'
    assert rows['franka_arm'].message == 'said nothing for 10 s'
    assert rows['trainer'].state == 'missing'
    assert rows['trainer'].message == 'nothing is stored or learned'
    assert 'sim_arm or franka_arm' not in rows  # one of them is enough
    assert {row.name for row in health.absent(0.5)} == {'trainer'}
    assert health.rows(9.5)[0].name == 'trainer'  # what somebody should look at comes first


def test_who_may_leave_is_not_missed():
    health = Health()
    for name in ('teleop_keyboard', 'supervisor'):
        health.take(name, 0, 'ok', [], now=0.0)
    assert {'teleop_keyboard', 'supervisor'} <= {row.name for row in health.rows(1.0)}
    assert 'teleop_keyboard' not in {row.name for row in health.rows(9.5)}
    assert 'supervisor' in {row.name for row in health.absent(9.5)}


def test_numbers_in_words():
    assert words.size(0) == '0 B' and words.size(999) == '999 B'
    assert words.size(1500) == '1.5 kB' and words.size(999_600) == '1.0 MB'
    assert words.size(2.5e12) == '2.5 TB'
    assert words.duration(59.6) == '1 min 00 s' and words.duration(7.2) == '7 s'
    assert words.duration(3725) == '1 h 02 min'


def test_charts_are_plain_data_and_lines_differ_by_more_than_colour(clock):
    from medal_ros.console import charts

    board = Board(clock)
    board.take_reward(SimpleNamespace(forward=0.1, backward=0.2, success_probability=0.2))
    for agent in ('forward', 'backward', 'cloning'):
        board.take_evaluation(
            SimpleNamespace(agent=agent, steps=5, success=0.5, low=0.1, high=0.9, episodes=9)
        )
    for options in (charts.traces(board.view()), charts.curve(board.view())):
        assert json.loads(json.dumps(options)) == options
        lines = {s['name']: s for s in options['series'] if s['type'] == 'line'}
        kinds = [lines[name]['lineStyle']['type'] for name in ('forward', 'backward')]
        assert kinds == ['solid', 'dashed']
    assert charts.curve(board.view())['series'][0]['data'] == [[5, 0.5]]
