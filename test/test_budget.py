"""The update-to-data ratio is never exceeded, and catching up is bounded."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medal_ros.learning.budget import UpdateBudget


def take(budget):
    """Do what is due now."""
    due = budget.due
    budget.spend(due)
    return due


def taken(budget, steps=1):
    """Credit steps one by one and take what is due after each, as lockstep does."""
    rounds = []
    for _ in range(steps):
        budget.add()
        takes = []
        while due := take(budget):
            takes.append(due)
        rounds.append(takes)
    return rounds


@pytest.mark.parametrize(
    ('utd', 'expected'),
    [
        (1, [[1], [1], [1], [1]]),
        (3, [[3], [3], [3], [3]]),  # three critic steps, then one actor step
        (0.5, [[], [1], [], [1]]),
        (0.25, [[], [], [], [1]]),
        (2.5, [[2], [3], [2], [3]]),  # never two actor steps for one stored step
        (1.5, [[1], [2], [1], [2]]),
        (0, [[], [], [], []]),
    ],
)
def test_updates_for_each_stored_step(utd, expected):
    budget = UpdateBudget(utd, max_owed=10)
    assert taken(budget, 4) == expected
    assert budget.owed == budget.dropped == 0


@pytest.mark.parametrize('utd', [0.1, 0.3, 1 / 3, 0.7])
def test_fractions_add_up(utd):
    rounds = taken(UpdateBudget(utd, max_owed=10), 3000)
    assert sum(map(sum, rounds)) == pytest.approx(3000 * utd, abs=1)


@pytest.mark.parametrize(('utd', 'kept'), [(1, 6), (3, 18), (0.5, 3)])
def test_what_is_too_far_behind_is_given_up_and_counted(utd, kept):
    budget = UpdateBudget(utd, max_owed=6)
    for _ in range(100):
        budget.add()
    assert budget.owed == kept
    assert budget.owed + budget.dropped == 100 * utd
    rounds = []
    while due := take(budget):
        rounds.append(due)
    assert sum(rounds) == kept
    assert max(rounds) == max(utd, 1)


def test_nothing_is_given_up_within_the_bound():
    budget = UpdateBudget(3, max_owed=5)
    budget.add(5)
    assert (budget.owed, budget.dropped) == (15, 0)
    budget.add()
    assert (budget.owed, budget.dropped) == (15, 3)


@settings(deadline=None)  # a busy machine is no failure
@given(
    utd=st.floats(0, 8),
    max_owed=st.integers(1, 20),
    moves=st.lists(st.one_of(st.integers(1, 5), st.just('take')), max_size=60),
)
@example(utd=math.nextafter(2, 0), max_owed=1, moves=[2])  # what is left over rounds up
def test_the_ratio_holds_whatever_happens(utd, max_owed, moves):
    budget = UpdateBudget(utd, max_owed)
    steps = updates = actor_steps = 0
    for move in moves:
        if move == 'take':
            due = take(budget)
            updates += due
            actor_steps += due > 0
            assert 0 <= due <= max(math.ceil(utd), 1)
        else:
            budget.add(move)
            steps += move
        assert updates + budget.dropped + budget.owed <= steps * utd + 1e-6
        assert updates + budget.dropped + budget.owed > steps * utd - 1 - 1e-6
        assert budget.owed <= max(max_owed * utd, 1) + 1
        assert actor_steps <= steps
