"""Practice without ROS: what it does in which order, and that it goes on bit for bit."""

import numpy as np
import pytest
import torch
from small import flat

from medal_ros.bench.job import shown
from medal_ros.bench.methods import Job
from medal_ros.bench.practice import Practice
from medal_ros.run_folder import RunFolder
from medal_ros.spaces import AGENTS

TINY = {
    'pixels': 32,
    'segment_steps': 6,
    'world_reset_every': 20,
    'demonstrations.count': 2,
    'agent.hidden': 16,
    'agent.encoder.filters': 4,
    'agent.encoder.feature': 6,
    'agent.critics': 2,
    'agent.batch': 8,
    'agent.demonstrations': 2,
    'agent.learn_after': 4,
    'agent.utd': 1,
    'arm_reset.every_steps': 0,
    'agent.cloning.warm_up': 2,
    'classifier.filters': 4,
    'classifier.hidden': 8,
    'classifier.positives': 8,
    'classifier.negatives': 8,
    'classifier.every': 5,
    'agent.encoder.vae.frames': 20,
    'agent.encoder.vae.steps': 3,
    'agent.encoder.vae.filters': 4,
    'novelty.steps': 3,
    'novelty.every': 5,
}


def practice(tmp_path, method='medalpp', steps=40, resume=False, task='tabletop', **changes):
    values = {k.replace('__', '.'): v for k, v in changes.items()}
    config = Job('laptop', task, method, 3).config({**TINY, 'steps': steps, **values})
    folder = RunFolder(tmp_path)
    return Practice(config, folder, shown(config, folder), resume)


def go(it, turns=None):
    while not it.done and turns != 0:
        it.turn()
        turns = turns and turns - 1
    return it


def everything(it):
    agents = it.learner.agents.values()
    modules = [m for a in agents for m in (a.policy, a.deployed, a.critics, a.targets)]
    return torch.cat([flat(m) for m in [*modules, *it.learner.classifiers.values()]])


def stored(it):
    replay = it.learner.replay
    arrays = [replay.store.frames, replay.store.actions, replay.store.task_rewards]
    return replay.counts, [np.array(array[: replay.counts.frames]) for array in arrays]


def test_agents_take_turns_and_the_world_is_put_back_on_schedule(tmp_path):
    it = go(practice(tmp_path))
    # Segments of 6: a reset is due at 20 steps, and comes at the end of the segment, at 24.
    # Afterwards forward begins again.
    assert it.resets == [24]
    assert it.learner.replay.counts.forward == 12 + 6 + 4
    assert it.learner.replay.counts.backward == 12 + 6
    assert [n for _, n in it.segments.values()] == [3, 3]
    for name in AGENTS:  # one update for every stored step from the fourth on
        assert it.learner.agents[name].updates == it.learner.agents[name].steps - 3
        assert it.trainers[name].events == it.learner.agents[name].steps // 5


def test_oracle_is_put_back_after_every_segment_and_naive_is_not(tmp_path):
    oracle = go(practice(tmp_path / 'oracle', 'oracle', 30, world_reset_every=1))
    assert oracle.resets == [6, 12, 18, 24]
    naive = go(practice(tmp_path / 'naive', 'naive', 19))
    assert naive.resets == []
    for it in (oracle, naive):
        assert set(it.learner.agents) == {'forward'}
        assert it.learner.replay.counts.backward == 0
        assert not it.trainers  # the task's own reward needs no classifier


def test_the_goal_stays_for_a_forward_and_a_backward_segment(tmp_path):
    it = practice(tmp_path, steps=60, world_reset_every=0)
    goals = []
    while not it.done:
        it.turn()
        goals.append(tuple(it.environment.goal))
    cycles = [goals[i : i + 12] for i in range(0, 60, 12)]
    assert all(len(set(cycle)) == 1 for cycle in cycles)
    assert len(set(goals)) > 1
    replay = it.learner.replay
    batch = replay.batch(np.concatenate([replay.store.steps[n][:30] for n in AGENTS]))
    assert (batch.frames[..., 3:] == batch.next_frames[..., 3:]).all()  # no step spans a new goal


def test_rewards_of_both_directions_are_stored(tmp_path):
    it = go(practice(tmp_path, 'fbrl'))
    replay = it.learner.replay
    rows = np.sort(np.concatenate([replay.store.steps[n][: replay.counts.of(n)] for n in AGENTS]))
    rewards = replay.store.task_rewards[rows]
    assert set(np.unique(rewards)) <= {0.0, 1.0}
    assert rewards[:, 1].any()  # the mug starts away from every goal: undone
    assert it.rewarded == rewards[:, 0].sum()


@pytest.mark.parametrize('method', ['medalpp', 'medal', 'r3l', 'shared_encoder'])
def test_going_on_is_bit_equal(tmp_path, method):
    whole = go(practice(tmp_path / 'whole', method))
    part = go(practice(tmp_path / 'part', method), 17)  # in the midst of a segment
    part.save({'minutes': 1.5})
    part.close()
    resumed = practice(tmp_path / 'part', method, resume=True)
    assert (resumed.steps, resumed.saved_text()) == (17, {'minutes': 1.5})
    go(resumed)
    assert torch.equal(everything(resumed), everything(whole))
    counts, arrays = stored(resumed)
    expected, same = stored(whole)
    assert counts == expected
    assert all((a == b).all() for a, b in zip(arrays, same, strict=True))
    assert (resumed.resets, resumed.segments) == (whole.resets, whole.segments)


def test_what_came_after_the_last_save_is_taken_again(tmp_path):
    """A killed process has written to the store what its saved state does not know."""
    whole = go(practice(tmp_path / 'whole'))
    part = go(practice(tmp_path / 'part'), 9)
    part.save({})
    go(part, 11)
    resumed = go(practice(tmp_path / 'part', resume=True))
    assert torch.equal(everything(resumed), everything(whole))
    assert all((a == b).all() for a, b in zip(stored(resumed)[1], stored(whole)[1], strict=True))


def test_help_is_asked_for_when_the_object_stays(tmp_path):
    it = practice(
        tmp_path,
        world_reset_every=0,
        ask_for_help__after_steps=12,
        agent__policy__noise__start=0.0,
        agent__policy__noise__end=0.0,
    )
    it.environment._move = lambda action: None  # nothing ever moves
    go(it, 17)
    it.save({})
    it.close()
    resumed = practice(tmp_path, resume=True, world_reset_every=0, ask_for_help__after_steps=12)
    assert len(resumed.supervisor.stall.truth) == len(it.supervisor.stall.truth) == 5
    assert it.resets == resumed.resets == [12]  # judged when a segment ends
