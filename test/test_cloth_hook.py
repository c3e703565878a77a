"""Hanging a cloth on a hook: what counts as done, starts, experts, pictures."""

import math

import numpy as np
import pytest

from medal_ros.sim.cloth import COUNT, THICK, rolled, turned
from medal_ros.sim.cloth_hook import HOOK_Y, HOOK_Z, MIDDLE, REST, ROD, TIP, ClothHook
from medal_ros.sim.cloth_task import PLATFORM

FLAT = rolled(np.zeros(COUNT - 1))
OPEN = np.array([0.0, 0.0, 0.0, -1.0])


@pytest.fixture(scope='module')
def world():
    environment = ClothHook()
    yield environment
    environment.close()


@pytest.fixture
def env(world, monkeypatch):
    monkeypatch.setattr(world, 'observe', dict)
    return world


def put(env, vertices, tool=REST, settle=0):
    env.arm.restart()
    env.cloth.put(vertices)
    env.arm.put(np.array(tool), opening=1.0)
    env._stay(settle, closed=False)


def hung(aside=0.0, yaw=0.0):
    """A cloth that hangs down straight from the hook, its middle `aside` from the arm."""
    x, along, _ = turned(FLAT, yaw).T
    drop = np.abs(along - aside)
    top = HOOK_Z + ROD + THICK
    return np.stack([MIDDLE + x, HOOK_Y + np.sign(along - aside) * ROD, top - drop], axis=1)


def test_a_cloth_on_the_hook_is_done_and_one_on_the_platform_undone(env):
    put(env, hung(), settle=12)
    assert env.hangs() and env.succeeded() and not env.undone()
    put(env, FLAT + [*PLATFORM, 0.01], settle=5)
    assert env.undone() and not env.succeeded()


@pytest.mark.parametrize(('aside', 'done'), [(0.0, True), (0.04, True), (0.08, False)])
def test_a_cloth_that_hangs_down_to_the_tray_is_a_failure(env, aside, done):
    """From the hook's top at 24.4 cm, half a diagonal of 17 cm reaches down to 7 cm."""
    put(env, hung(aside, yaw=math.pi / 4))
    lowest = HOOK_Z + ROD + THICK - 0.12 * math.sqrt(2) - aside
    assert env.cloth.vertices[:, 2].min() == pytest.approx(lowest, abs=1e-3)
    assert env.succeeded() == done and not env.undone()


def test_neither_done_nor_undone_while_the_gripper_is_at_the_cloth(env):
    put(env, hung(), tool=[MIDDLE, HOOK_Y, HOOK_Z + 0.04])
    assert env.hangs() and not env.succeeded()
    put(env, FLAT + [*PLATFORM, 0.01], tool=[*PLATFORM, 0.03])
    assert not env.undone()


def test_a_cloth_beside_platform_and_hook_is_neither(env):
    put(env, FLAT + [PLATFORM[0], PLATFORM[1] - 0.1, 0.01])
    assert not env.succeeded() and not env.undone()


def test_starts(env):
    spans = []
    for seed in range(12):
        env.reset(seed=seed)
        assert env.undone()
        spans.append(np.prod(np.ptp(env.cloth.vertices[:, :2], axis=0)))
    assert max(spans) > 1.3 * min(spans)
    for seed in range(3):
        env.reset(seed=seed, options={'start': 'done'})
        assert env.succeeded()
        for _ in range(10):
            env.step(OPEN)
        assert env.succeeded()


def test_hangs_and_unhooks_in_turn_and_is_done_only_when_let_go(env):
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for turn in range(2):
        held = 0
        for action in env.expert('backward' if turn else 'forward', rng):
            assert env.action_space.contains(action)
            env.step(action)
            if env._held():
                held += 1
                assert not env.succeeded() and not env.undone()
        assert held > 20
        assert env.undone() if turn else env.succeeded()


def test_friction_alone_holds_the_cloth(env):
    """What an open jaw lets go falls, wherever it is."""
    env.reset(seed=1)
    for action in env.expert('forward', np.random.default_rng(1)):
        env.step(action)
        if env._held() and env.cloth.vertices[:, 2].min() > 0.05:
            break
    assert env.cloth.centre[2] > 0.1
    for _ in range(12):
        env.step(OPEN)
    assert env.cloth.vertices[:, 2].max() < 0.09


def blue(image):
    image = image.astype(int)
    return (image[..., 2] > 90) & (image[..., 2] > 1.6 * image[..., 0])


def red(image):
    image = image.astype(int)
    return (image[..., 0] > 90) & (image[..., 0] > 2 * image[..., 1])


def test_cameras_see_cloth_and_hook(world):
    put(world, FLAT + [*PLATFORM, 0.01], tool=[TIP, PLATFORM[1], REST[2]])
    seen = world.observe()
    assert blue(seen['third']).sum() > 250 and red(seen['third']).sum() > 40
    assert blue(seen['wrist']).sum() > 300
    bare = red(seen['third']).sum()
    put(world, hung(), tool=[TIP, HOOK_Y, HOOK_Z + 0.15], settle=12)
    seen = world.observe()
    assert red(seen['third']).sum() < bare and blue(seen['third']).sum() > 250
    assert blue(seen['wrist']).sum() > 300
