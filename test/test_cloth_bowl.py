"""Covering a bowl with a cloth: what counts as done, starts, experts, pictures."""

import numpy as np
import pytest

from medal_ros.sim.bowl_cover import BOWL, DOUGH, ENOUGH, RADIUS, REST, RIM, BowlCover
from medal_ros.sim.cloth import COUNT, SIDE, THICK, rolled
from medal_ros.sim.cloth_task import JAW, PLATFORM

FLAT = rolled(np.zeros(COUNT - 1))
OPEN = np.array([0.0, 0.0, 0.0, -1.0])


@pytest.fixture(scope='module')
def world():
    environment = BowlCover()
    yield environment
    environment.close()


@pytest.fixture
def env(world, monkeypatch):
    monkeypatch.setattr(world, 'observe', dict)
    return world


def put(env, spot, height=0.01, tool=REST, settle=0):
    """A flat cloth with its middle at `spot`, the arm open at `tool`."""
    env.arm.restart()
    env.cloth.put(FLAT + [*spot, height])
    env.arm.put(np.array(tool), opening=1.0)
    env._stay(settle, closed=False)


def test_a_covered_bowl_is_done_and_one_on_the_platform_undone(env):
    put(env, BOWL, RIM + 0.015, settle=12)
    assert env.coverage() == 1.0 and env.succeeded() and not env.undone()
    put(env, PLATFORM, settle=5)
    assert env.coverage() == 0.0 and env.undone() and not env.succeeded()


def test_the_rim_bears_the_cloth(env):
    """Walls that are too soft cut through it: then it lies on the tray, round the bowl."""
    put(env, BOWL, RIM + 0.015, settle=30)
    vertices = env.cloth.vertices
    over = np.linalg.norm(vertices[:, :2] - BOWL, axis=1) < RADIUS
    assert over.sum() >= 5
    assert vertices[over, 2].min() > RIM - 0.015


@pytest.mark.parametrize(
    ('aside', 'done'), [(0.0, True), (0.085, True), (0.095, False), (0.12, False)]
)
def test_partial_cover_is_a_failure(env, aside, done):
    """The cloth's edge less than 29 mm beyond the bowl's middle leaves 15 % of it open."""
    put(env, BOWL + [0.0, aside], RIM + 0.006)
    edge = SIDE / 2 - aside
    assert (env.coverage() >= ENOUGH) == done == (edge > 0.0293)
    assert env.succeeded() == done
    assert not env.undone()


def test_cloth_on_the_dough_does_not_cover_it(env):
    """Seen from above it does; but it has to lie on the rim."""
    put(env, BOWL, DOUGH + THICK)
    assert env.cloth.covered(env._opening) == 1.0
    assert env.coverage() == 0.0 and not env.succeeded() and not env.undone()
    put(env, BOWL, RIM + THICK)
    assert env.coverage() == 1.0 and env.succeeded()


def test_neither_done_nor_undone_while_the_gripper_is_at_the_cloth(env):
    put(env, BOWL, RIM + 0.015, tool=[*BOWL, 0.06], settle=2)
    assert env.coverage() == 1.0 and not env.succeeded()
    put(env, PLATFORM, tool=[*PLATFORM, 0.03], settle=2)
    assert env.coverage() == 0.0 and not env.undone()


def test_a_cloth_beside_the_platform_is_not_undone(env):
    put(env, PLATFORM + [0.1, 0.0])
    assert env.coverage() == 0.0 and not env.undone()


def test_the_jaw_opens_across_the_way_to_the_bowl(env):
    put(env, PLATFORM)
    left, right = (env.arm.data.geom_xpos[finger] for finger in env._fingers)
    np.testing.assert_allclose(np.abs(left - right)[:2], [2 * JAW, 0.0], atol=2e-3)
    np.testing.assert_allclose(
        np.sort(env._fingers_at(REST[:2])[:, 0]), np.sort([left[0], right[0]]), atol=2e-3
    )
    assert env.arm.yaw == pytest.approx(0.0, abs=1e-3)
    env.step(OPEN)
    assert env.arm.yaw == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(('where', 'goal', 'edge'), [
    (PLATFORM, BOWL, -1), (BOWL, PLATFORM, 1),
])  # fmt: skip
def test_the_edge_that_is_grasped_is_the_one_towards_the_goal(env, where, goal, edge):
    put(env, where, RIM + 0.01 if where is not PLATFORM else 0.01)
    for seed in range(5):
        x, y = env._edge(np.asarray(goal), np.random.default_rng(seed))
        assert edge * (y - where[1]) > 0.04
        assert not env._blocked(np.array([[x, y]])).any()
        assert env.cloth.covered(np.array([[x + JAW, y], [x - JAW, y]])) == 1.0


def test_object_position_is_the_middle_of_the_cloth(env):
    put(env, [0.47, 0.05], 0.02)
    np.testing.assert_allclose(env.object_position(), [0.47, 0.05, 0.02], atol=1e-9)


def test_starts(env):
    spans = []
    for seed in range(12):
        env.reset(seed=seed)
        assert env.undone()
        spans.append(np.ptp(env.cloth.vertices[:, 0]) * np.ptp(env.cloth.vertices[:, 1]))
    assert max(spans) > 1.3 * min(spans)
    for seed in range(3):
        env.reset(seed=seed, options={'start': 'done'})
        assert env.succeeded()
        for _ in range(10):
            env.step(OPEN)
        assert env.succeeded()


def test_experts_cover_and_uncover_in_turn(env):
    """From a start, then from where the other one left the world: nothing is ever reset."""
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for direction in ('forward', 'backward'):
        steps = 0
        for action in env.expert(direction, rng):
            assert env.action_space.contains(action)
            env.step(action)
            steps += 1
        assert env.succeeded() if direction == 'forward' else env.undone()
        assert steps < 2 * env.control_steps  # a second attempt at most


def blue(image):
    image = image.astype(int)
    return (image[..., 2] > 90) & (image[..., 2] > 1.6 * image[..., 0])


def yellow(image):
    image = image.astype(int)
    return (image[..., 0] > 120) & (image[..., 1] > 80) & (image[..., 2] < 90)


def test_cameras_see_cloth_and_bowl(world):
    put(world, PLATFORM)
    seen = world.observe()
    assert blue(seen['third']).sum() > 300 and yellow(seen['third']).sum() > 60
    assert blue(seen['wrist']).sum() > 300
    put(world, BOWL, RIM + 0.015, settle=12)
    assert yellow(world.observe()['third']).sum() < 30  # covered, also to the eye
