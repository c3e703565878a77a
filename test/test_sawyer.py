"""The Sawyer door and peg: EARL's definitions, the hand, physics, pictures."""

import numpy as np
import pytest

from medal_ros.sim.sawyer import HIGH, LOW, OPEN, SawyerTask
from medal_ros.sim.sawyer_door import SawyerDoor
from medal_ros.sim.sawyer_peg import GOAL, HALF, HEAD, TRAY, WIDE, SawyerPeg

ZERO = np.array([0.0, 0.0, 0.0, -1.0])


@pytest.fixture(scope='module')
def worlds():
    environments = SawyerDoor(), SawyerPeg()
    yield environments
    for environment in environments:
        environment.close()


@pytest.fixture
def door(worlds, monkeypatch):
    monkeypatch.setattr(worlds[0], 'observe', dict)
    worlds[0].reset(seed=0)
    return worlds[0]


@pytest.fixture
def peg(worlds, monkeypatch):
    monkeypatch.setattr(worlds[1], 'observe', dict)
    worlds[1].reset(seed=0)
    return worlds[1]


@pytest.fixture(params=['door', 'peg'])
def env(request):
    return request.getfixturevalue(request.param)


def turn(env, angle, hand=(0.0, 0.4, 0.2)):
    env.hand.restart()
    env.hand.data.joint('door').qpos[0] = angle
    env.hand.put(np.array(hand))


def lay(env, centre, hand=(0.0, 0.6, 0.3)):
    env.hand.restart()
    env.hand.data.qpos[5:8] = centre
    env.hand.put(np.array(hand))


def run(env, direction, seed=0):
    for action in env.expert(direction, np.random.default_rng(seed)):
        env.step(action)


# -- the hand --------------------------------------------------------------------------------


def test_episode_lengths_are_earls():
    assert (SawyerDoor.control_steps, SawyerPeg.control_steps) == (300, 200)
    assert SawyerTask.spaces.cameras == ('third',) and SawyerTask.spaces.frame_shape == (84, 84, 3)


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_an_action_of_one_moves_a_centimetre(env, axis):
    env.hand.put(np.array([0.1, 0.9, 0.35]))
    action = ZERO.copy()
    for value, steps in ((1.0, 7), (-0.5, 4)):  # 7 cm forth, 2 cm back
        action[axis] = value
        for _ in range(steps):
            env.step(action)
    for _ in range(10):
        env.step(ZERO)
    expected = np.array([0.1, 0.9, 0.35])
    expected[axis] += 0.05
    np.testing.assert_allclose(env.hand.position, expected, atol=2e-4)


def test_a_control_step_lasts_an_eightieth_of_a_second(env):
    env.step(ZERO)
    before = env.hand.data.time
    env.step(ZERO)
    assert env.hand.data.time - before == pytest.approx(0.0125)


def test_the_hand_stays_in_its_box(env):
    for sign in (1, -1):
        for _ in range(130):
            env.step(np.array([sign, sign, 1.0, -1.0]))
        for _ in range(10):
            env.step(ZERO)
        corner = HIGH if sign > 0 else np.array([*LOW[:2], HIGH[2]])
        np.testing.assert_allclose(env.hand.position, corner, atol=2e-3)


def test_positive_grip_closes_and_all_else_opens(env):
    for grip, opening in ((0.01, 0.0), (-0.01, 1.0), (1.0, 0.0), (0.0, 1.0)):
        for _ in range(16):
            env.step(np.array([0.0, 0.0, 0.0, grip]))
        assert env.hand.opening == pytest.approx(opening, abs=0.02)


def test_proprioception_by_hand(worlds):
    world = worlds[1]
    world.reset(seed=0)
    world.hand.put(LOW + [0.25, 0.5, 0.75] * (HIGH - LOW))
    world.hand.data.qpos[3:5] = 0.25 * OPEN
    np.testing.assert_allclose(world.observe()['proprio'], [-0.5, 0, 0.5, -0.5], atol=1e-6)


@pytest.mark.parametrize('press', [False, True])
def test_random_saturated_actions_break_nothing(env, press):
    rng = np.random.default_rng(1)
    hands, objects = [], []
    for step in range(2000):
        if step % 5 == 0:
            action = np.sign(rng.uniform(-1, 1, 4))
            action[2] = -1.0 if press and rng.random() < 0.6 else action[2]
        env.step(action)
        hands.append(env.hand.position)
        objects.append(env.object_position())
    assert np.isfinite(env.hand.data.qpos).all() and np.abs(env.hand.data.qvel).max() < 20
    assert sum(warning.number for warning in env.hand.data.warning) == 0
    assert (np.min(hands, axis=0) > LOW - 0.02).all() and (
        np.max(hands, axis=0) < HIGH + 0.02
    ).all()
    if isinstance(env, SawyerPeg):
        low, high = [*TRAY[0], HALF] + HEAD, [*TRAY[1], 0.5] + HEAD
        assert (np.min(objects, axis=0) > low - 0.02).all()
        assert (np.max(objects, axis=0) < high + 0.02).all()
    for direction in ('forward', 'backward'):  # and all can be put right again
        run(env, direction)
        assert env.succeeded() if direction == 'forward' else env.undone()


# -- the door --------------------------------------------------------------------------------


def test_the_handle_is_where_earl_has_it(door):
    turn(door, 0.0)
    np.testing.assert_allclose(door.object_position(), [0.29072163, 0.74286009, 0.10003595])
    turn(door, -np.pi / 3)
    np.testing.assert_allclose(
        door.object_position(), [0.01007495, 0.47104556, 0.10003595], atol=1e-3
    )


def test_door_starts(door):
    angles = []
    for seed in range(100):
        door.reset(seed=seed)
        angles.append(door.angle)
        np.testing.assert_allclose(door.hand.position, [0.0, 0.4, 0.2])
        assert door.undone() and not door.succeeded()
    assert -np.pi / 3 <= min(angles) < -np.pi / 3 + 0.02
    assert -np.pi / 3 + np.pi / 20 - 0.02 < max(angles) <= -np.pi / 3 + np.pi / 20


def test_door_is_closed_within_two_centimetres(door):
    # A chord of 2 cm at 0.3907 m from the hinge subtends 2 asin(0.01 / 0.3907) = 0.0512 rad.
    for angle, closed in ((0.0, True), (-0.0510, True), (-0.0514, False)):
        turn(door, angle)
        assert door.succeeded() == closed


def test_door_is_undone_where_it_starts(door):
    least = -np.pi / 3 + np.pi / 20
    for angle, undone in ((least + 0.01, False), (least - 0.01, True), (-1.39, True)):
        turn(door, angle)
        assert door.undone() == undone


def test_done_door_is_done_wherever_it_is_drawn(door):
    for seed in range(30):
        door.reset(seed=seed, options={'start': 'done'})
        assert door.succeeded() and not door.undone()


@pytest.mark.parametrize('angle', [-0.7, -np.pi / 3, -1.4])
def test_a_door_let_alone_stays(door, angle):
    turn(door, angle)  # the open hand is above its handle where that is nearest
    for _ in range(50):
        door.step(ZERO)
    assert door.angle == pytest.approx(angle, abs=2e-3)
    np.testing.assert_allclose(door.hand.position, [0.0, 0.4, 0.2], atol=1e-3)
    assert door.hand.opening > 0.98


def test_an_arm_reset_does_not_push_the_door_that_the_hand_touches(door):
    for direction in ('forward', 'backward'):
        run(door, direction)
        angle = door.angle
        door.reset_arm('fixed')
        assert door.angle == pytest.approx(angle, abs=0.03)
        np.testing.assert_allclose(door.hand.position, [0.0, 0.4, 0.2], atol=0.01)
        assert door.hand.opening > 0.98


def test_door_is_closed_from_its_stop(door):
    turn(door, -1.4)
    run(door, 'forward')
    assert door.succeeded()


# -- the peg ---------------------------------------------------------------------------------


def test_peg_starts(peg):
    centres = []
    for seed in range(100):
        peg.reset(seed=seed)
        centres.append(peg.object_position() - [-0.1, 0, 0])
        np.testing.assert_allclose(peg.hand.position, [0.0, 0.6, 0.2])
        assert peg.undone() and not peg.succeeded()
    low, high = np.min(centres, axis=0), np.max(centres, axis=0)
    assert (low >= [0.0, 0.5, 0.015]).all() and (high <= [0.2, 0.7, 0.0151]).all()
    assert (high - low > [0.18, 0.18, -1]).all()


def test_wide_peg_starts():
    environment = SawyerPeg(starts='wide')
    environment.observe = dict
    far, near = 0, 0
    for seed in range(60):
        environment.reset(seed=seed)
        head = environment.object_position()
        inside = (np.array([-0.1, 0.5]) <= head[:2]).all() and (head[:2] <= [0.1, 0.7]).all()
        near += inside
        distance = np.abs(np.clip(WIDE, TRAY[0] + HEAD[:2], TRAY[1] + HEAD[:2]) - head[:2])
        far += not inside
        assert inside or distance.max(axis=1).min() <= 0.02
    assert 15 <= near <= 45 and far + near == 60
    run(environment, 'forward')
    assert environment.succeeded()
    environment.close()


def test_other_starts_are_refused():
    with pytest.raises(ValueError, match="'narrow' or 'wide', not 'middle'"):
        SawyerPeg(starts='middle')


def test_peg_is_in_within_five_centimetres(peg):
    for shift, inside in ((0.0, True), (0.049, True), (0.051, False), (-0.051, False)):
        lay(peg, GOAL - HEAD + [shift, 0, 0])
        assert peg.succeeded() == inside
    lay(peg, GOAL - HEAD + [0.035, 0.0, 0.036])  # 5.02 cm
    assert not peg.succeeded()


def test_peg_is_undone_where_it_starts_and_was_let_go(peg):
    for centre, undone in (
        ((0.1, 0.6, HALF), True),
        ((-0.01, 0.6, HALF), False),
        ((0.1, 0.71, HALF), False),
        ((0.1, 0.6, 0.05), False),
    ):
        lay(peg, centre)
        assert peg.undone() == undone
    lay(peg, (0.1, 0.6, HALF), hand=(0.15, 0.6, 0.05))
    for _ in range(15):
        peg.step(np.array([0.0, 0.0, 0.0, 1.0]))
    assert not peg.undone()  # in the closed jaw


def test_done_peg_lies_in_the_hole_and_stays(peg):
    for seed in range(10):
        peg.reset(seed=seed, options={'start': 'done'})
        before = peg.object_position()
        for _ in range(20):
            peg.step(ZERO)
        assert peg.succeeded() and not peg.undone()
        np.testing.assert_allclose(peg.object_position(), before, atol=3e-3)


def test_the_box_is_solid_but_for_its_hole(peg):
    """The peg, held and driven along -x, goes in at the hole's height and nowhere else."""
    for height, y, enters in ((0.13, 0.6, True), (0.06, 0.6, False), (0.13, 0.67, False)):
        lay(peg, (-0.05, y, height), hand=(0.0, y, height + 0.035))
        for step in range(60):
            peg.step(np.array([-0.5 if step > 15 else 0.0, 0.0, 0.0, 1.0]))
            if step < 10:  # until the jaw has closed
                peg.hand.data.qpos[5:8], peg.hand.data.qvel[5:8] = (-0.05, y, height), 0.0
        tip = peg.object_position()[0] - 0.02
        assert (tip < -0.25) == enters
        assert enters or tip > -0.21


def test_backward_lays_the_peg_down_at_random(peg):
    places = []
    for seed in range(6):
        run(peg, 'backward', seed)
        assert peg.undone()
        places.append(peg.object_position()[:2])
    assert (np.ptp(places, axis=0) > 0.05).all()


def test_expert_goes_back_for_a_peg_that_slipped(peg):
    dropped = False
    for action in peg.expert('forward', np.random.default_rng(0)):
        if not dropped and peg.object_position()[2] > 0.08:
            dropped = True
            for _ in range(10):
                peg.step(ZERO)
        peg.step(action)
    assert dropped and peg.succeeded()


# -- pictures --------------------------------------------------------------------------------


def colour(image, channel):
    image = image.astype(int)
    return image[..., channel] - np.delete(image, channel, axis=-1).max(axis=-1) > 40


@pytest.mark.parametrize('pixels', [84, 48])
@pytest.mark.parametrize('start', ['initial', 'done'])
@pytest.mark.parametrize('kind', [SawyerDoor, SawyerPeg])
def test_hand_object_and_goal_are_seen(kind, start, pixels):
    environment = kind(pixels=pixels)
    image = environment.reset(seed=0, options={'start': start})[0]['third']
    environment.close()
    share = pixels**2 / 84**2
    red, green, blue = (colour(image, channel).sum() for channel in range(3))
    assert blue > 60 * share  # the hand
    assert green > (35 if kind is SawyerPeg else 10) * share  # the peg, the door's goal
    head_is_hidden = kind is SawyerPeg and start == 'done'
    assert (red < 3) if head_is_hidden else (red > 12 * share)  # the handle, the peg's head
    if kind is SawyerPeg and start == 'initial':
        dark = image.max(axis=-1) < 60
        assert dark[:, : pixels // 2].sum() > 10 * share  # the hole


def test_looking_changes_nothing(worlds):
    for world in worlds:
        world.reset(seed=1)
        state = world.hand.state
        first = world.observe()
        np.testing.assert_array_equal(world.hand.state, state)
        np.testing.assert_array_equal(world.observe()['third'], first['third'])
