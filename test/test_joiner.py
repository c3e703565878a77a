"""Joining observations and steps: whatever happens to messages, only true steps are stored."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medal_ros.learning.joiner import PENDING, Resolved, StepJoiner, StepRecord
from medal_ros.learning.replay import NO_REWARDS, FrameStore, Replay
from medal_ros.spaces import Spaces

SPACES = Spaces(cameras=('third',), height=3, width=3, proprio=1, action=2)


def observation(n, proprio=None):
    """Return an observation whose every number says its sequence."""
    frame = np.full(SPACES.frame_shape, n, np.uint8)
    return n, frame, np.array([n if proprio is None else proprio], np.float32)


def step(n, source='policy', agent='forward', action=None, boundary=False, rewards=NO_REWARDS):
    action = np.array([n, -n] if action is None else action, np.float32)
    return StepRecord(n, source, agent, action, boundary, rewards)


def join(*messages):
    """Feed messages in order, settling after each; observations are numbers or tuples."""
    joiner = StepJoiner(Replay(FrameStore(SPACES, 100)))
    resolved = []
    for message in messages:
        if isinstance(message, StepRecord):
            joiner.add_step(message)
        else:
            joiner.add_observation(*(observation(message) if isinstance(message, int) else message))
        while (settled := joiner.settle()) is not None:
            resolved.append(settled)
    return joiner, resolved


def stored(joiner):
    """Return `(agent, n of s, n of a, n of s')` of every stored step; frames must agree."""
    replay, rows = joiner.replay, []
    for agent in ('forward', 'backward'):
        indices = replay.store.steps[agent][: replay.counts.of(agent)]
        batch = replay.batch(indices)
        for frame, proprio, action, after, after_proprio, _ in zip(*batch, strict=True):
            assert (frame == proprio[0]).all() and (after == after_proprio[0]).all()
            rows.append((agent, int(proprio[0]), int(action[0]), int(after_proprio[0])))
    return sorted(rows, key=lambda row: row[1])


def test_a_number_far_ahead_is_not_waited_for_and_changes_nothing():
    far = [(2**63, *observation(1)[1:]), StepRecord(2**40, 'policy', 'forward', step(0).action)]
    joiner, _ = join(0, step(0), *far, 1, step(1), *far, 2)
    assert stored(joiner) == [('forward', 0, 0, 1), ('forward', 1, 1, 2)]
    assert joiner.next == 2


def test_a_number_far_ahead_that_comes_first_is_no_beginning():
    joiner, _ = join(StepRecord(2**40, 'policy', 'forward', step(0).action), 0, step(0), 1)
    assert stored(joiner) == [('forward', 0, 0, 1)] and joiner.next == 1


def test_who_joins_late_begins_with_the_first_number_that_is_heard():
    frame = observation(1)[1:]
    late = [(n, *frame) for n in range(50_000, 50_003)]
    steps = [StepRecord(n, 'policy', 'forward', step(1).action) for n in range(50_000, 50_002)]
    joiner, resolved = join(late[0], steps[0], late[1], steps[1], late[2])
    assert [settled.sequence for settled in resolved] == [50_000, 50_001]
    assert joiner.replay.counts.of('forward') == 2


def test_observations_without_steps_do_not_pile_up():
    joiner = StepJoiner(Replay(FrameStore(SPACES, 10)))
    for n in range(PENDING + 50):
        joiner.add_observation(n, *observation(n % 200)[1:])
    assert len(joiner._observations) == PENDING


def test_a_plain_stream():
    joiner, resolved = join(0, step(0), 1, step(1, agent='backward'), 2, step(2), 3)
    assert stored(joiner) == [('forward', 0, 0, 1), ('backward', 1, 1, 2), ('forward', 2, 2, 3)]
    assert joiner.replay.counts.frames == 4  # every frame once, over the switch too
    assert resolved == [Resolved(0, 'forward'), Resolved(1, 'backward'), Resolved(2, 'forward')]
    assert joiner.refused == 0


def test_nothing_is_settled_before_its_result_is_there():
    joiner, resolved = join(0, step(0))
    assert not resolved and joiner.replay.counts.frames == 0
    assert join(0, 1, 2)[1] == []  # no step yet: it may still come
    assert [r.sequence for r in join(0, 1, 2, step(0), step(1))[1]] == [0, 1]


@pytest.mark.parametrize('late', [False, True])
def test_a_lost_observation_costs_two_steps_and_one_frame(late):
    messages = [0, step(0), step(1), 2, step(2), 3]
    if late:  # newer messages had proved it lost
        messages.insert(4, 1)
    joiner, _ = join(*messages)
    assert stored(joiner) == [('forward', 2, 2, 3)]
    assert joiner.refused == 2
    assert joiner.replay.counts.frames == 2


@pytest.mark.parametrize('heard', [True, False])
def test_the_last_step_of_an_arm_that_ended_is_not_counted(heard):
    """Whether it was heard of is a matter of luck; the supervisor does not count it either."""
    last = [step(1)] if heard else []
    joiner, _ = join(0, step(0), 1, *last, step(2, 'restart', ''), 3, step(3), 4)
    assert stored(joiner) == [('forward', 0, 0, 1), ('forward', 3, 3, 4)]
    assert joiner.refused == 0


def test_it_is_not_counted_either_by_who_goes_on_from_between_it_and_the_next_arm():
    joiner, _ = join(0, step(0), 1, step(1))
    joiner.add_step(step(2, 'restart', ''))
    joiner.add_observation(*observation(3))
    assert joiner.settle().sequence == joiner.refused == 1  # as the store's journal has it
    another = StepJoiner(joiner.replay)
    another.restore(joiner.snapshot())
    for following in (step(2, 'restart', ''), step(3)):
        another.add_step(following)
        another.add_observation(*observation(following.sequence + 1))
    while another.settle() is not None:
        pass
    assert stored(another) == [('forward', 0, 0, 1), ('forward', 3, 3, 4)]
    assert another.refused == 0


def test_a_lost_step_is_a_gap():
    joiner, resolved = join(0, step(0), 1, 2, step(2), 3)
    assert stored(joiner) == [('forward', 0, 0, 1), ('forward', 2, 2, 3)]
    assert joiner.replay.counts.frames == 4  # three would do without the gap
    assert resolved[1] == Resolved(1, None)


@pytest.mark.parametrize(
    'wrong',
    [
        {'source': 'script'},
        {'source': 'teleop'},
        {'source': 'hold', 'agent': ''},
        {'boundary': True},
        {'agent': ''},
        {'agent': 'sideways'},
        {'action': [float('nan'), 0.0]},
        {'action': [0.0, float('inf')]},
        {'action': []},
        {'action': [0.5]},
        {'action': [0.5, 0.5, 0.5]},
    ],
)
def test_what_no_policy_alone_did_is_left_out(wrong):
    joiner, resolved = join(0, step(0), 1, step(1, **wrong), 2, step(2), 3)
    assert stored(joiner) == [('forward', 0, 0, 1), ('forward', 2, 2, 3)]
    assert resolved[1] == Resolved(1, None)
    assert joiner.refused == (wrong.get('source', 'policy') == 'policy')


def test_a_state_that_is_not_finite_costs_both_steps_around_it():
    joiner, _ = join(0, step(0), observation(1, np.nan), step(1), 2, step(2), 3)
    assert stored(joiner) == [('forward', 2, 2, 3)]
    assert joiner.refused == 2


def test_repeated_messages_change_nothing():
    joiner, _ = join(0, 0, step(0), step(0), 1, 1, step(0), 0, step(1), step(1), 2, 1)
    assert stored(joiner) == [('forward', 0, 0, 1), ('forward', 1, 1, 2)]
    assert joiner.replay.counts.frames == 3
    assert joiner.refused == 0


@pytest.mark.parametrize(
    'other',
    [
        {'action': [0.5, 0.5]},
        {'source': 'teleop'},
        {'agent': 'backward'},
        {'boundary': True},
    ],
)
@pytest.mark.parametrize('order', [1, -1])
def test_two_different_steps_for_one_observation_are_both_refused(other, order):
    conflict = [step(0), step(0, **other)][::order]
    joiner, resolved = join(0, *conflict, 1, step(1), 2)
    assert stored(joiner) == [('forward', 1, 1, 2)]
    assert resolved[0] == Resolved(0, None) and not joiner._doubtful
    assert joiner.refused == 1


def test_the_first_of_two_different_observations_counts():
    other = 0, np.full(SPACES.frame_shape, 99, np.uint8), np.array([99], np.float32)
    assert stored(join(0, other, step(0), 1)[0]) == [('forward', 0, 0, 1)]


def test_nothing_that_is_settled_is_kept():
    joiner, _ = join(*[m for n in range(9) for m in (n, step(n))])
    for n in range(8):  # all of it once more, and too late
        joiner.add_observation(*observation(n))
        joiner.add_step(step(n))
        joiner.add_step(step(n, source='teleop'))
    assert set(joiner._observations) == {8} and set(joiner._steps) == {8}
    assert not joiner._doubtful and joiner.settle() is None


def test_topics_may_run_ahead_of_each_other():
    steps = [step(n) for n in range(4)]
    expected = [('forward', n, n, n + 1) for n in range(4)]
    assert stored(join(*steps, *range(5))[0]) == expected
    assert stored(join(*range(5), *steps)[0]) == expected


def test_the_task_reward_travels_along():
    joiner, _ = join(0, step(0, rewards=(1.0, 0.0)), 1, step(1), 2)
    assert joiner.replay.store.task_rewards[0].tolist() == [1.0, 0.0]
    assert np.isnan(joiner.replay.store.task_rewards[1]).all()


# -- whatever the order and the losses -------------------------------------------------------------

# A busy machine is no failure.
BUSY_OR_NOT = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
KINDS = st.sampled_from(
    ['forward', 'forward', 'backward', 'boundary', 'teleop', 'script', 'nan', 'conflict']
)


def step_messages(n, kind):
    agent = 'backward' if kind == 'backward' else 'forward'
    if kind in ('teleop', 'script'):
        return [step(n, source=kind, agent='')]
    if kind == 'nan':
        return [step(n, action=[n, np.nan])]
    if kind == 'conflict':
        return [step(n), step(n, action=[n, n + 0.5])]
    return [step(n, agent=agent, boundary=kind == 'boundary')]


@st.composite
def streams(draw, keep_order):
    """Return the kind of every step, which states are broken, and messages as they arrive."""
    kinds = draw(st.lists(KINDS, min_size=1, max_size=12))
    broken = draw(st.sets(st.integers(0, len(kinds)), max_size=2))
    observations = [observation(n, np.nan if n in broken else None) for n in range(len(kinds) + 1)]
    steps = [m for n, kind in enumerate(kinds) for m in step_messages(n, kind)]
    topics = []
    for topic in (observations, steps):
        copies = draw(
            st.lists(st.sampled_from([1, 1, 1, 0, 2]), min_size=len(topic), max_size=len(topic))
        )
        topics.append([m for m, count in zip(topic, copies, strict=True) for _ in range(count)])
    arriving = topics[0] + topics[1]
    if not keep_order:
        return kinds, broken, draw(st.permutations(arriving))
    turns = draw(st.permutations([0] * len(topics[0]) + [1] * len(topics[1])))
    queues = [iter(topic) for topic in topics]
    return kinds, broken, [next(queues[turn]) for turn in turns]


@BUSY_OR_NOT
@given(streams(keep_order=False))
def test_every_stored_step_is_true_whatever_the_order(stream):
    kinds, broken, messages = stream
    joiner, resolved = join(*messages)
    rows = stored(joiner)
    for agent, before, action, after in rows:
        assert before == action == after - 1
        assert kinds[before] in ('forward', 'backward', 'conflict')
        assert agent == ('backward' if kinds[before] == 'backward' else 'forward')
        assert not broken & {before, after}
    assert len({row[1] for row in rows}) == len(rows)
    assert [r.sequence for r in resolved] == list(range(len(resolved)))
    assert [(r.agent, r.sequence) for r in resolved if r.agent] == [row[:2] for row in rows]


@BUSY_OR_NOT
@given(streams(keep_order=True))
def test_where_topics_keep_their_order_nothing_else_is_lost(stream):
    """Losses, repetitions and any interleaving of the topics cost only what they must."""
    kinds, broken, messages = stream
    joiner, resolved = join(*messages)
    seen = {m[0] for m in messages if not isinstance(m, StepRecord)} - broken
    versions = Counter()
    for m in {
        (m.sequence, m.action.tobytes()): m for m in messages if isinstance(m, StepRecord)
    }.values():
        versions[m.sequence] += 1
    due = [
        n
        for n in range(len(resolved))
        if kinds[n] in ('forward', 'backward', 'conflict')
        and versions[n] == 1
        and {n, n + 1} <= seen
    ]
    rows = stored(joiner)
    assert [row[1] for row in rows if kinds[row[1]] != 'conflict'] == [
        n for n in due if kinds[n] != 'conflict'
    ]
    numbers = [row[1] for row in rows]
    runs = sum(n - 1 not in numbers for n in numbers)
    assert joiner.replay.counts.frames == len(rows) + runs  # a gap costs one frame
