"""What both tasks with a cloth have in common: they repeat, and rough handling breaks nothing."""

import numpy as np
import pytest

from medal_ros.sim.bowl_cover import BowlCover
from medal_ros.sim.cloth_hook import ClothHook


@pytest.fixture(scope='module', params=[BowlCover, ClothHook])
def world(request):
    environment = request.param()
    yield environment
    environment.close()


@pytest.fixture
def env(world, monkeypatch):
    monkeypatch.setattr(world, 'observe', dict)
    return world


def test_same_seed_same_world(env):
    ends = []
    for _ in range(2):
        env.reset(seed=5)
        rng = np.random.default_rng(5)
        for _ in range(25):
            env.step(np.sign(rng.uniform(-1, 1, 4)))
        ends.append(env.snapshot())
    for name in ends[0]:
        np.testing.assert_array_equal(ends[0][name], ends[1][name])


def test_pushing_into_the_table_and_what_stands_there_breaks_nothing(env):
    env.reset(seed=2)
    rng = np.random.default_rng(2)
    for step in range(200):
        if step % 5 == 0:
            action = np.sign(rng.uniform(-1, 1, 4))
            action[2] = -1.0 if rng.random() < 0.6 else action[2]
        env.step(action)
        assert env.arm.position[2] > 0.010  # the fingertips reach 10 mm below the tool
    assert np.isfinite(env.arm.data.qpos).all()
    assert sum(warning.number for warning in env.arm.data.warning) == 0


def test_the_expert_counts_its_attempts(env, monkeypatch):
    env.reset(seed=0)
    monkeypatch.setattr(env, '_attempt', lambda hand, forward: iter(()))
    monkeypatch.setattr(env, '_rise', lambda hand: iter(()))
    for needed in (0, 1, 3):
        answers = iter([False] * needed + [True])
        monkeypatch.setattr(env, '_content', lambda forward, answers=answers: next(answers))
        assert list(env.expert('forward', np.random.default_rng(0)))
        assert env.attempts == needed
