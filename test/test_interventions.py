"""What a person drives: stored as such, joins demonstrations, is never learned as a policy's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small import SPACES, agent_config, classifier_config, demonstration

from medal_ros.learning import interventions
from medal_ros.learning.classifier import goal_states
from medal_ros.learning.config import SideConfig
from medal_ros.learning.demonstrations import load_demonstration
from medal_ros.learning.interventions import NOBODY, save_stretches
from medal_ros.learning.joiner import StepJoiner, StepRecord
from medal_ros.learning.learner import Learner
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.spaces import AGENTS

KINDS = {'f': ('policy', 'forward'), 'b': ('policy', 'backward'), 't': ('teleop', ''),
         'h': ('hold', ''), 's': ('script', '')}  # fmt: skip


def frame(n):
    return np.full(SPACES.frame_shape, n, np.uint8)


def steps_of(n, letter):
    """Return what the arm says of one step: `x` is a policy's, interrupted by a person."""
    action = np.array([n, -n], np.float32) / 100
    if letter == 'x':
        return [StepRecord(n, *KINDS['f'], action), StepRecord(n, *KINDS['t'], action / 2)]
    if letter == 'X':
        return [StepRecord(n, *KINDS['t'], action, boundary=True)]
    return [StepRecord(n, *KINDS[letter], action, task_rewards=(n, 0.0))]


def play(course, joiner, settle=None, first=0):
    """Feed a course of steps, one letter each, and return the stretches that were final."""
    driven = []
    for n, letter in enumerate(course, first):
        joiner.add_observation(n, frame(n), np.array([n / 100, 0], np.float32))
        for step in steps_of(n, letter):
            joiner.add_step(step)
        while (resolved := (settle or joiner.settle)()) is not None:
            driven += resolved.driven
    return driven


def joiner():
    return StepJoiner(Replay(FrameStore(SPACES, 5000)))


def numbers(stretch):
    """Return `(agent, steps)`; every array of the stretch must agree on them."""
    n = np.rint(stretch.actions[:, 0] * 100).astype(int)
    seen = [*n, n[-1] + 1]
    assert (stretch.actions[:, 1] == -stretch.actions[:, 0]).all()
    assert (stretch.frames[:, 0, 0, 0] == seen).all()
    assert np.allclose(stretch.proprio[:, 0] * 100, seen)
    assert (stretch.task_rewards[:, 0] == n).all()
    return stretch.agent, n.tolist()


@pytest.mark.parametrize(
    ('course', 'wanted'),
    [
        ('ffttff', [('forward', [2, 3])]),
        ('fbbtttff', [('backward', [3, 4, 5])]),
        ('ffhhtthff', [('forward', [4, 5])]),  # asked first, drove then
        ('ffthtff', [('forward', [2]), ('forward', [4])]),  # let go in between
        ('ffxttff', [('forward', [3, 4])]),  # two sources: that step is nobody's
        ('ffXttff', [('forward', [3, 4])]),
        ('ffttxff', [('forward', [2, 3])]),
        ('ttff', [(NOBODY, [0, 1])]),
        ('ffsttff', [(NOBODY, [3, 4])]),  # during a reset nobody was in control
        ('ffttsbb', [('forward', [2, 3])]),
        ('ffttbtbb', [('forward', [2, 3]), ('backward', [5])]),
        ('fftt', []),  # nobody has said yet that this is all
    ],
)
def test_whose_place_a_person_took(course, wanted):
    it = joiner()
    assert [numbers(stretch) for stretch in play(course, it)] == wanted


def test_the_interrupted_transition_and_a_persons_steps_stay_out_of_replay():
    it = joiner()
    play('ffxttfff', it)
    counts, store = it.replay.counts, it.replay.store
    assert (counts.forward, counts.backward) == (4, 0)
    starts = store.frames[store.steps['forward'][:4], 0, 0, 0].tolist()
    after = store.frames[store.steps['forward'][:4] + 1, 0, 0, 0].tolist()
    assert (starts, after) == ([0, 1, 5, 6], [1, 2, 6, 7])
    assert it.refused == 1, 'the interrupted one'


def test_what_is_driven_after_a_call_for_help_is_nobodys():
    it = joiner()
    it.interventions.asked_for_help(2)
    assert [numbers(s) for s in play('ffhttffttff', it)] == [
        (NOBODY, [3, 4]),
        ('forward', [7, 8]),
    ]


@pytest.mark.parametrize(
    ('label', 'at', 'whose'),
    [
        ('failure', 4, NOBODY),
        ('invalid', 3, NOBODY),
        ('success', 4, 'forward'),
        ('failure', 1, 'forward'),  # of the policy's segment, before the person came
    ],
)
def test_a_person_may_reject_what_he_drove(label, at, whose):
    it = joiner()
    assert play('fftt', it) == []
    it.interventions.judge(at, label)
    assert [numbers(s) for s in play('hff', it, first=4)] == [(whose, [2, 3])]
    assert [s.agent for s in play('ttfff', it, first=7)] == ['forward'], 'that is another one'


def test_a_long_intervention_is_final_in_parts(monkeypatch):
    monkeypatch.setattr(interventions, 'LONGEST', 5)
    found = [numbers(s) for s in play('f' + 't' * 12 + 'ff', joiner())]
    assert found == [('forward', [*range(1, 6)]), ('forward', [*range(6, 11)]),
                     ('forward', [11, 12])]  # fmt: skip


def test_at_the_end_of_a_run_nothing_is_left_over():
    it = joiner()
    assert play('fftt', it) == []
    assert [numbers(s) for s in it.interventions.close()] == [('forward', [2])]


def test_stretches_are_files_that_can_be_read_as_demonstrations(tmp_path):
    driven = play('ffttfsttff', joiner()) + play('bbtb' + 'b', joiner()) + play('fftff', joiner())
    paths = save_stretches(driven, tmp_path, 'toy', SPACES)
    assert [p.stem for p in paths] == ['forward_000', 'nobody_000', 'backward_000', 'forward_001']
    first = load_demonstration(paths[0])
    assert (first.task, first.direction, first.source) == ('toy', 'forward', 'intervention')
    assert (first.frames == driven[0].frames).all() and (first.actions == driven[0].actions).all()


# -- learning --------------------------------------------------------------------------------------


def learner(**changes):
    side = SideConfig(agent_config(learn_after=1, **changes), classifier_config())
    shown = {name: [demonstration(6, name)] for name in AGENTS}
    return Learner(dict.fromkeys(AGENTS, side), SPACES, shown, FrameStore(SPACES, 500), 0), shown


@pytest.mark.parametrize('joins', [True, False])
def test_a_persons_steps_join_the_demonstrations_of_whose_place_he_took(joins):
    it, shown = learner(interventions=joins)
    driven = play('ffxttthf' + 'bb' + 'tb' + 'b' + 'stt' + 'ff', it.joiner, it.settle)
    assert [s.agent for s in driven] == ['forward', 'backward', NOBODY]
    counts = {n: a.demonstrations.counts.of(n) for n, a in it.agents.items()}
    assert counts == ({'forward': 6 + 3, 'backward': 6 + 1} if joins else dict.fromkeys(AGENTS, 6))
    assert it.steps == it.owed == 3 + 1 + 4, 'nothing is earned by what a person drove'
    demonstrations = it.agents['forward'].demonstrations
    batch = demonstrations.batch(demonstrations.store.steps['forward'][: counts['forward']])
    assert np.array_equal(batch.actions[:6], shown['forward'][0].actions)
    if joins:
        assert batch.frames[6:, 0, 0, 0].tolist() == [3, 4, 5]
        assert batch.next_frames[6:, 0, 0, 0].tolist() == [4, 5, 6]
        assert np.allclose(batch.actions[6:, 0], [0.03, 0.04, 0.05])
        assert batch.task_rewards[6:, 0].tolist() == [3, 4, 5]


def test_a_persons_steps_are_oversampled_and_cloned():
    """A person who always does the same in front of one picture is imitated."""
    it, _ = learner(demonstrations=6, hidden=32)
    play('f' + 't' * 60 + 'ff', it.joiner, it.settle)
    agent = it.agents['forward']
    batch, _ = agent.sample(it.replay, it.classifiers['forward'].reward)
    mine = batch.frames[-6:, 0, 0, 0]
    assert np.isin(mine, range(1, 61)).sum() >= 3, 'most demonstrated steps are his by now'
    likelihood = []
    for _ in range(60):
        batch, _ = agent.sample(it.replay, it.classifiers['forward'].reward)
        tensors = agent._augmented(batch)
        features = agent.policy.features(tensors['frames'], tensors['proprio'])
        likelihood.append(agent.update_actor(tensors, features.detach())['cloning'])
    assert np.mean(likelihood[-10:]) > np.mean(likelihood[:10]) + 0.5


def test_a_persons_steps_are_never_goal_states():
    """Classifiers are made of the demonstrations alone, whatever joins an agent's."""
    it, shown = learner()
    before = [goal_states(classifier_config(), shown, name) for name in AGENTS]
    play('f' + 't' * 20 + 'fb', it.joiner, it.settle)
    after = [goal_states(classifier_config(), shown, name) for name in AGENTS]
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one[0], other[0]) and len(one[0])
    indices = it.replay.store.steps['forward'][: it.replay.counts.forward]
    seen = it.replay.store.frames[indices][:, 0, 0, 0]
    assert not np.isin(seen, range(1, 21)).any(), 'nor states of the policy, the negatives'


def test_without_a_person_the_same_is_drawn():
    """An agent whose demonstrations may grow draws the same batches as long as they do not."""
    batches = []
    for joins in (True, False):
        torch.manual_seed(0)
        it, _ = learner(interventions=joins)
        play('ffbbff', it.joiner, it.settle)
        batches.append(it.agents['forward'].sample(it.replay, it.classifiers['forward'].reward)[0])
    for one, other in zip(*batches, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


def test_demonstrations_grow_whole():
    store = FrameStore(SPACES, 3)
    replay = Replay(store)
    for n in range(3):
        replay.add_frame(frame(n), np.array([n, 0]))
        if n < 2:
            replay.add_step('forward', np.array([n, n]), (n, n))
    before = replay.batch(np.array([0, 1]))
    store.grow(10)
    after = replay.batch(np.array([0, 1]))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    replay.add_step('backward', np.array([7, 7]))
    replay.add_frame(frame(9), np.array([9, 0]))
    assert dataclasses.asdict(replay.counts) == {'frames': 4, 'forward': 2, 'backward': 1}
    assert replay.batch(store.steps['backward'][:1]).next_frames[0, 0, 0, 0] == 9
