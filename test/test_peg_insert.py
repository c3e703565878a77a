"""Peg insertion: a tool that turns, a peg that gets up, a socket that wants it straight."""

import math

import numpy as np
import pytest

from medal_ros.sim.panda_task import MAX_TURN, REACH
from medal_ros.sim.peg_insert import (
    CLEAR,
    GRASP,
    HALF,
    HIGH,
    LENGTH,
    LOW,
    MOST_YAW,
    REST,
    SOCKET,
    SOCKET_YAW,
    SPOTS,
    PegInsert,
    fold,
)

FINGERTIP = 0.010  # metres that a fingertip lies below the tool
FAR = np.array([0.50, -0.10])


@pytest.fixture(scope='module')
def world():
    environment = PegInsert()
    yield environment
    environment.close()


@pytest.fixture
def env(world, monkeypatch):
    """The peg at FAR, the arm at rest and open; no pictures."""
    monkeypatch.setattr(world, 'observe', dict)
    world.reset(seed=0)
    put(world, REST, FAR)
    return world


def put(env, tool, peg, peg_yaw=0.0, yaw=0.0, opening=1.0):
    env.arm.restart()
    env._put_peg(peg, peg_yaw)
    env.arm.put(np.array(tool), opening, yaw)


def run(env, direction, seed=0):
    for action in env.expert(direction, np.random.default_rng(seed)):
        env.step(action)


# -- the tool turns --------------------------------------------------------------------------


@pytest.mark.parametrize('sign', [-1, 1])
def test_a_full_turn_is_nearly_a_fifth_of_a_radian(env, sign):
    env.step(np.array([0.0, 0.0, 0.0, sign, -1.0]))
    assert sign * env.arm.yaw == pytest.approx(0.93 * MAX_TURN, abs=0.02)
    np.testing.assert_allclose(env.arm.position, REST, atol=2e-3)


def test_a_positive_yaw_is_to_the_left_seen_from_above(env):
    for _ in range(3):
        env.step(np.array([0.0, 0.0, 0.0, 1.0, -1.0]))
    left, right = (env.arm.data.geom(f'{side}_finger').xpos for side in ('left', 'right'))
    jaw = (right - left)[:2]  # at yaw 0 along +y
    assert jaw[1] > 0.05 and jaw[0] < -0.03
    assert math.atan2(-jaw[0], jaw[1]) == pytest.approx(env.arm.yaw, abs=0.02)


def test_the_yaw_stays_in_its_range_and_where_it_is_left(env):
    for sign in (1, -1):
        for _ in range(15):
            env.step(np.array([0.0, 0.0, 0.0, sign, -1.0]))
        assert sign * env.arm.yaw == pytest.approx(MOST_YAW, abs=0.01)
    for _ in range(30):
        env.step(np.array([0.0, 0.0, 0.0, 0.0, -1.0]))
    assert env.arm.yaw == pytest.approx(-MOST_YAW, abs=0.01)
    np.testing.assert_allclose(env.arm.position, REST, atol=5e-3)


@pytest.mark.parametrize('corner', [LOW, HIGH, [LOW[0], HIGH[1], LOW[2]], [HIGH[0], LOW[1], 0.1]])
def test_every_yaw_is_reached_at_the_corners_of_the_box(env, corner):
    for yaw in (-MOST_YAW, MOST_YAW):
        env.arm.put(np.array(corner), 1.0, yaw)
        assert env.arm.yaw == pytest.approx(yaw, abs=2e-3)
        np.testing.assert_allclose(env.arm.position, corner, atol=2e-3)
        assert env.arm.data.site('tool').xmat[8] < -0.9999


def test_proprioception_by_hand():
    environment = PegInsert()
    tool = LOW + [0.25, 0.5, 0.75] * (HIGH - LOW)
    put(environment, tool, FAR, yaw=-0.5 * MOST_YAW, opening=0.5)
    seen = environment.observe()['proprio']
    np.testing.assert_allclose(seen, [-0.5, 0.0, 0.5, -0.5, 0.0], atol=1e-3)
    environment.close()


# -- the peg ---------------------------------------------------------------------------------


def test_a_square_looks_the_same_after_a_quarter_turn():
    assert fold(math.radians(100)) == pytest.approx(math.radians(10))
    assert fold(math.radians(-80)) == pytest.approx(math.radians(10))
    assert fold(math.radians(50)) == pytest.approx(math.radians(-40))


@pytest.mark.parametrize(
    'tumbled', [(1, 1, 0, 0), (1, 0, 1, 0), (0.05, 1, 0.02, 0), (1, 0.4, 0.9, 0.3)]
)
def test_a_peg_that_falls_gets_up(env, tumbled):
    joint = env._joint
    env.arm.data.qpos[joint + 2] = 0.1
    env.arm.data.qpos[joint + 3 : joint + 7] = np.array(tumbled) / np.linalg.norm(tumbled)
    env.arm.settle()
    assert not env.undone()
    env._stay(40, closed=False)
    assert env.undone()


def test_success_by_hand(env):
    for quarter in range(4):
        put(env, REST, SOCKET, SOCKET_YAW + quarter * math.pi / 2)
        assert env.succeeded() and not env.undone()
        env._stay(10, closed=False)
        assert env.succeeded()
    put(env, REST, SOCKET + [0.012, 0.0], SOCKET_YAW)
    assert not env.succeeded()
    put(env, REST, SOCKET, SOCKET_YAW)
    env.arm.data.qpos[env._joint + 2] = 0.015
    env.arm.settle()
    assert not env.succeeded()  # not at the bottom
    put(env, REST, FAR)
    assert not env.succeeded() and env.undone()


@pytest.mark.parametrize(('off', 'goes_in'), [(0, True), (0.2, True), (0.3, False), (0.5, False)])
def test_the_socket_takes_a_peg_of_its_own_yaw_only(env, off, goes_in):
    """30 mm (cos + sin) of the yaw is 36 mm at 0.23 rad."""
    put(env, [*SOCKET, 0.06 + GRASP], SOCKET, SOCKET_YAW + off, yaw=SOCKET_YAW + off)
    env.arm.data.qpos[env._joint + 2] = 0.06
    env._stay(4, closed=True)
    assert env._held()
    for _ in range(12):
        env.step(np.array([0.0, 0.0, -0.4, 0.0, 1.0]))
    assert env.succeeded() == goes_in


def test_undone_needs_the_gripper_off_the_peg(env):
    put(env, [*FAR, GRASP], FAR)
    assert not env.undone()  # around it, though open
    env._stay(5, closed=True)
    assert env._held() and not env.undone()
    env._stay(5, closed=False)
    env._go([*FAR, GRASP + CLEAR + 0.01], closed=False)
    assert env.undone()


def test_starts(env):
    feet, yaws, turned = [], [], []
    for seed in range(30):
        env.reset(seed=seed)
        assert env.undone() and env.arm.opening > 0.98
        feet.append(env.object_position()[:2])
        yaws.append(env.peg_yaw())
        turned.append(env.arm.yaw)
    assert (SPOTS[0] <= feet).all() and (feet <= SPOTS[1]).all()
    assert (np.ptp(feet, axis=0) > 0.7 * (SPOTS[1] - SPOTS[0])).all()
    assert np.ptp(yaws) > 1.2 and np.ptp(turned) > 1.2


def test_backward_puts_the_peg_down_anywhere_at_any_yaw(env):
    feet, yaws = [], []
    for seed in range(6):
        env.reset(seed=seed, options={'start': 'done'})
        run(env, 'backward', seed)
        assert env.undone()
        feet.append(env.object_position()[:2])
        yaws.append(env.peg_yaw())
    assert (np.ptp(feet, axis=0) > 0.04).all() and np.ptp(yaws) > 0.5


def test_the_expert_goes_back_for_a_peg_that_slipped(env):
    dropped = False
    for action in env.expert('forward', np.random.default_rng(0)):
        if not dropped and env.object_position()[2] > 0.06:
            dropped = True
            for _ in range(4):
                env.step(np.array([0.0, 0.0, 0.0, 0.0, -1.0]))
        env.step(action)
    assert dropped and env.succeeded()


def test_the_expert_counts_its_attempts(env, monkeypatch):
    run(env, 'forward')
    assert env.succeeded() and env.attempts == 1
    monkeypatch.setattr(env, 'undone', lambda: env.attempts == 2)
    run(env, 'backward')
    assert env.attempts == 2


@pytest.mark.parametrize('press', [False, True])
def test_random_saturated_actions_break_nothing(env, press):
    rng = np.random.default_rng(1)
    lowest, leaning, places = [], [], []
    for step in range(600):
        if step % 5 == 0:
            action = np.sign(rng.uniform(-1, 1, 5))
            action[2] = -1.0 if press and rng.random() < 0.6 else action[2]
        env.step(action)
        lowest.append(env.arm.position[2] - FINGERTIP)
        leaning.append(env.arm.data.site('tool').xmat[8])
        places.append(env.object_position())
    assert np.isfinite(env.arm.data.qpos).all()
    assert sum(warning.number for warning in env.arm.data.warning) == 0
    assert min(lowest) > -0.001
    assert max(leaning) < -np.cos(np.radians(15))
    assert (np.min(places, axis=0)[:2] > LOW[:2] - REACH).all()
    assert (np.max(places, axis=0)[:2] < HIGH[:2] + REACH).all()
    env.reset_arm('random')
    run(env, 'forward')
    assert env.succeeded()


# -- pictures --------------------------------------------------------------------------------


def orange(image):
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    return (red > 120) & (green < 0.75 * red) & (blue < 0.4 * red)


def green(image):
    red, green, _ = np.moveaxis(image.astype(int), -1, 0)
    return (green > 60) & (green > 1.7 * red)


def test_both_cameras_see_peg_socket_and_fingers(world):
    put(world, [*FAR, GRASP + 0.02], FAR, yaw=0.3)
    seen = world.observe()
    assert orange(seen['third']).sum() > 40 and green(seen['third']).sum() > 60
    assert orange(seen['wrist']).sum() > 200
    dark = seen['wrist'].max(axis=-1) < 70
    assert 0.03 < dark.mean() < 0.25
    put(world, [SOCKET[0] - 0.02, SOCKET[1], 0.2], SOCKET, SOCKET_YAW)
    seen = world.observe()
    assert green(seen['wrist']).sum() > 100 and orange(seen['wrist']).sum() > 20
    assert orange(seen['third']).sum() > 20  # its upper half


def test_the_peg_fits_the_jaw():
    assert 2 * math.hypot(HALF, HALF) < 0.085 and LENGTH > GRASP + FINGERTIP
