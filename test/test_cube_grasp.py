"""The Franka cube grasp: control, physics, pictures."""

import numpy as np
import pytest

from medal_ros.sim import panda
from medal_ros.sim.cube_grasp import HALF, HIGH, LIFTED, LOW, REST, CubeGrasp
from medal_ros.sim.demonstrations import record
from medal_ros.sim.panda_task import MAX_STEP, REACH

FINGERTIP = 0.010  # metres that a fingertip lies below the tool
BLACK = np.zeros((100, 100, 3), np.uint8)


@pytest.fixture(scope='module')
def world():
    environment = CubeGrasp()
    yield environment
    environment.close()


@pytest.fixture
def env(world, monkeypatch):
    """A cube on the tray at (0.47, -0.08), the arm at rest and open; no pictures."""
    monkeypatch.setattr(world, 'observe', dict)
    world.reset(seed=0)
    put(world, REST, (0.47, -0.08))
    return world


def put(env, tool, cube, yaw=0.0, opening=1.0):
    env.arm.restart()
    env._put_cube(cube, yaw)
    env.arm.put(np.array(tool), opening)


def run(env, direction, seed=0):
    for action in env.expert(direction, np.random.default_rng(seed)):
        env.step(action)


# -- control ---------------------------------------------------------------------------------


def test_home_is_within_the_joints():
    assert (panda.LOWER < panda.HOME).all() and (panda.HOME < panda.UPPER).all()


def test_forward_kinematics_by_hand(env):
    """Forearm level, hand down: from the published lengths the tool's place adds up on paper."""
    # Up d1 + d3, the elbow's a4 forward; a4 up again and d5 forward along the level forearm;
    # a7 forward; then flange (0.107) and tool (0.145) straight down.
    joints = np.array([0.0, 0.0, 0.0, -np.pi / 2, 0.0, np.pi / 2, np.pi / 4])
    env.arm.data.qpos[:7] = env.arm.data.ctrl[:7] = joints
    env.arm.move_joints(joints, closed=False)
    x = 0.0825 + 0.384 + 0.088
    z = 0.333 + 0.316 + 0.0825 - 0.107 - 0.145
    np.testing.assert_allclose(env.arm.position, [x, 0.0, z], atol=2e-3)


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_a_full_action_moves_nearly_two_centimetres(env, axis):
    action = np.array([0.0, 0.0, 0.0, -1.0])
    action[axis] = -1.0
    before = env.arm.position
    env.step(action)
    moved = env.arm.position - before
    assert moved[axis] == pytest.approx(-0.0187, abs=0.0008)
    assert np.abs(np.delete(moved, axis)).max() < 5e-4


def test_poses_are_those_of_the_joints(env):
    """MuJoCo's step alone would leave the tool and the wrist camera one substep behind."""
    env.step(np.array([1.0, 0.0, 0.0, -1.0]))
    tool, eye = env.arm.position, env.arm.data.camera('wrist').xpos.copy()
    panda.mujoco.mj_forward(env.arm.model, env.arm.data)
    np.testing.assert_allclose(tool, env.arm.position, atol=1e-12)
    np.testing.assert_allclose(eye, env.arm.data.camera('wrist').xpos, atol=1e-12)


def test_norm_of_a_step_is_clipped(env):
    before = env.arm.position
    env.step(np.array([1.0, -1.0, 1.0, -1.0]))
    moved = env.arm.position - before
    assert 0.017 < np.linalg.norm(moved) <= MAX_STEP
    np.testing.assert_allclose(moved / np.linalg.norm(moved) * 3**0.5, [1, -1, 1], atol=0.03)


def test_tool_stays_where_it_is_and_in_its_box(env):
    for _ in range(50):
        env.step(np.array([0.0, 0.0, 0.0, -1.0]))
    np.testing.assert_allclose(env.arm.position, REST, atol=1e-4)
    for sign, corner in ((1, HIGH), (-1, LOW)):
        for _ in range(40):
            env.step(np.array([sign, sign, sign, -1.0]))
        assert (np.abs(env.arm.position - corner) < 0.006).all()


def test_positive_grip_closes_and_all_else_opens(env):
    for grip, opening in ((0.01, 0.0), (-0.01, 1.0), (1.0, 0.0), (0.0, 1.0)):
        for _ in range(6):
            env.step(np.array([0.0, 0.0, 0.0, grip]))
        assert env.arm.opening == pytest.approx(opening, abs=0.02)


def test_proprioception_by_hand():
    environment = CubeGrasp()
    put(environment, LOW + [0.25, 0.5, 0.75] * (HIGH - LOW), (0.5, 0.0), opening=0.5)
    np.testing.assert_allclose(environment.observe()['proprio'], [-0.5, 0, 0.5, 0], atol=1e-5)
    environment.close()


# -- physics ---------------------------------------------------------------------------------


@pytest.mark.parametrize('press', [False, True])
def test_random_saturated_actions_break_nothing(env, press):
    rng = np.random.default_rng(1)
    lowest, leaning, places = [], [], []
    for step in range(1500):
        if step % 5 == 0:
            action = np.sign(rng.uniform(-1, 1, 4))
            action[2] = -1.0 if press and rng.random() < 0.6 else action[2]
        env.step(action)
        lowest.append(env.arm.position[2] - FINGERTIP)
        leaning.append(env.arm.data.site('tool').xmat[8])
        places.append(env.object_position())
    assert np.isfinite(env.arm.data.qpos).all()
    assert sum(warning.number for warning in env.arm.data.warning) == 0
    assert min(lowest) > -0.001
    assert max(leaning) < -np.cos(np.radians(10))  # the tool points down throughout
    assert (np.min(places, axis=0)[:2] > LOW[:2] - REACH).all()
    assert (np.max(places, axis=0)[:2] < HIGH[:2] + REACH).all()


@pytest.mark.parametrize('side', [(-1, 0), (1, 0), (0, -1), (0, 1), (1, 1)])
def test_a_cube_on_a_wall_slides_back_to_where_it_can_be_grasped(env, side):
    middle, half = (LOW + HIGH)[:2] / 2, (HIGH - LOW)[:2] / 2
    put(env, REST, middle + side * (half + 0.04))
    env.arm.data.qpos[env._cube_joint + 2] = 0.06
    env._stay(15, closed=False)
    assert (np.abs(env.object_position()[:2] - middle) < half).all()
    assert env.object_position()[2] == pytest.approx(HALF, abs=0.002)
    run(env, 'forward')
    assert env.succeeded()


@pytest.mark.parametrize('side', [(-1, 0), (1, 0), (0, -1), (0, 1), (1, 1)])
def test_a_cube_that_is_thrown_comes_back(env, side):
    middle, half = (LOW + HIGH)[:2] / 2, (HIGH - LOW)[:2] / 2
    put(env, REST, middle + side * half)
    env.arm.data.qpos[env._cube_joint + 2] = HIGH[2]
    start = env.arm.model.joint('cube').dofadr[0]
    env.arm.data.qvel[start : start + 2] = np.array(side) * 1.5  # the arm's tool makes 0.2
    for _ in range(25):
        env._stay(1, closed=False)
        assert (np.abs(env.object_position()[:2] - middle) < half + REACH).all()
    assert (np.abs(env.object_position()[:2] - middle) < half).all()
    assert env.object_position()[2] == pytest.approx(HALF, abs=0.002)


def test_success_needs_height_and_both_fingers(env):
    put(env, [0.5, 0.0, 0.2], (0.5, 0.0))
    env.arm.data.qpos[env._cube_joint + 2] = 0.2
    env.arm.put(np.array([0.5, 0.1, 0.2]), 1.0)
    assert env.object_position()[2] > LIFTED and not env.succeeded()  # in the air, not held
    put(env, [0.5, 0.0, 0.02], (0.5, 0.0))
    env._stay(5, closed=True)
    assert env.arm.fingers_on(env._cube) == 2 and not env.succeeded()  # held, not in the air
    env._go([0.5, 0.0, LIFTED + 0.02], closed=True)
    assert env.succeeded()


def test_undone_needs_the_gripper_off_the_cube(env):
    assert env.undone()
    put(env, [0.5, 0.0, 0.02], (0.5, 0.0))
    assert not env.undone()  # around it, though open
    env._stay(5, closed=True)
    assert not env.undone()
    env._go([0.5, 0.0, 0.06], closed=True)
    assert not env.undone()


def test_done_start_is_a_real_grasp(env):
    for seed in range(5):
        env.reset(seed=seed, options={'start': 'done'})
        assert env.succeeded() and not env.undone()
        for _ in range(30):
            env.step(np.array([0.0, 0.0, 0.0, 1.0]))
        assert env.succeeded()
        env.reset_arm('fixed')
        assert env.undone()


def test_initial_starts_are_wide(env):
    cubes, tools = [], []
    for seed in range(30):
        env.reset(seed=seed)
        cubes.append(env.object_position())
        tools.append(env.arm.position)
        assert env.undone() and env.arm.opening > 0.98
    assert (np.ptp(cubes, axis=0)[:2] > 0.7 * (HIGH - LOW - 0.08)[:2]).all()
    assert (np.ptp(tools, axis=0)[:2] > 0.7 * (HIGH - LOW)[:2]).all()


@pytest.mark.parametrize(('name', 'low', 'high'), [
    ('default', (0.46, -0.12), (0.60, 0.12)),
    ('id', (0.46, -0.12), (0.60, -0.02)),
    ('ood', (0.46, 0.02), (0.60, 0.12)),
    ('ood_edge', (0.45, -0.13), (0.61, 0.13)),
    ('ood_arm', (0.46, -0.12), (0.60, -0.02)),
])  # fmt: skip
def test_where_each_set_has_the_cube(env, name, low, high):
    for start in ('initial', 'done'):
        spots, tools = [], []
        for seed in range(20 if start == 'initial' else 3):
            env.reset(seed=seed, options={'start': start, 'set': name})
            spots.append(env.object_position()[:2])
            tools.append(env.arm.position)
            assert env.start_set == name
        if start == 'initial':
            assert (np.array(low) <= spots).all() and (spots <= np.array(high)).all()
            assert (np.ptp(spots, axis=0) > 0.7 * np.subtract(high, low)).all()
            far = np.array(tools)[:, 1] > 0.04
            low_down = np.array(tools)[:, 2] < 0.09
            assert (far & low_down).all() == (name == 'ood_arm')
            beyond = np.abs(np.array(spots) - [0.53, 0.0]) > [0.07, 0.12]
            assert beyond.any(axis=1).all() == (name == 'ood_edge')


def test_forward_is_shown_on_one_side_of_the_tray(env, monkeypatch):
    spots = []
    begin = env.begin_segment

    def note(direction):
        begin(direction)
        if direction == 'forward':
            spots.append(env.object_position()[1])

    nothing = {'wrist': BLACK, 'third': BLACK, 'proprio': np.zeros(4, np.float32)}
    monkeypatch.setattr(env, 'begin_segment', note)
    monkeypatch.setattr(env, 'observe', lambda: nothing)
    shown = list(record(env, 'cube_grasp', 4, seed=0))
    assert len(spots) == 4 and max(spots) < -0.015
    for demonstration in shown:
        env.restore(demonstration.start)
        # Backward begins with the cube that forward holds: no arm reset has dropped it.
        assert env.succeeded() == (demonstration.direction == 'backward')


def test_a_set_that_does_not_exist_is_refused(env):
    with pytest.raises(ValueError, match=r"one of default, id, ood, .*, not 'odd'"):
        env.reset(options={'set': 'odd'})


def test_a_snapshot_keeps_the_set(env):
    env.reset(seed=0, options={'set': 'ood'})
    snapshot = env.snapshot()
    env.reset(seed=0)
    env.restore(snapshot)
    assert env.start_set == 'ood'


def test_backward_puts_the_cube_anywhere_on_the_tray(env):
    env.reset(seed=0, options={'set': 'id'})
    places = []
    for seed in range(6):
        run(env, 'backward', seed)  # the cube is not held: it is picked up first
        assert env.undone()
        places.append(env.object_position()[:2])
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).mean() > 0.04
    beside = np.array(places)[:, 1]
    assert beside.min() < -0.03 and beside.max() > 0.03


def test_forward_expert_keeps_a_cube_that_it_holds(env):
    env.reset(seed=0, options={'start': 'done'})
    for action in env.expert('forward', np.random.default_rng(0)):
        env.step(action)
        assert env.succeeded()


def test_arm_reset_leaves_a_grasped_cube_on_the_table(env):
    put(env, [0.5, 0.0, 0.02], (0.5, 0.0))
    env._stay(5, closed=True)
    env.reset_arm('random')
    np.testing.assert_allclose(env.object_position(), [0.5, 0.0, HALF], atol=2e-3)


def test_expert_goes_back_for_a_cube_that_slipped(env):
    dropped = False
    for action in env.expert('forward', np.random.default_rng(0)):
        if not dropped and env.object_position()[2] > 0.05:
            dropped = True
            action = np.array([0.0, 0.0, 0.0, -1.0])
            for _ in range(4):
                env.step(action)
        env.step(action)
    assert dropped and env.succeeded()


# -- pictures --------------------------------------------------------------------------------


@pytest.fixture
def pictures(world):
    put(world, [0.53, 0.0, 0.06], (0.53, 0.0), yaw=0.3)
    return world.observe()


def red(image):
    image = image.astype(int)
    return (image[..., 0] > 100) & (image[..., 1:].max(axis=-1) < 70)


def dark(image):
    return image.max(axis=-1) < 70


def test_both_cameras_see_cube_and_fingers(pictures):
    for name, smallest in (('wrist', 200), ('third', 30)):
        assert red(pictures[name]).sum() > smallest, name
    wrist = dark(pictures['wrist'])
    assert 0.03 < wrist.mean() < 0.25  # the hand is seen, and hides little
    columns = np.nonzero(red(pictures['wrist']))[1]
    assert abs(columns.mean() - 49.5) < 5  # the cube, between the fingers
    fingers = np.nonzero(wrist[60:])[1]
    assert (fingers < 35).any() and (fingers > 65).any()


@pytest.mark.parametrize('x', [LOW[0], HIGH[0]])
@pytest.mark.parametrize('y', [LOW[1], HIGH[1]])
def test_third_camera_sees_the_whole_tray_and_the_gripper_above_it(world, x, y):
    put(world, [x, y, HIGH[2]], (x, y))
    image = world.observe()['third']
    assert red(image).sum() > 30
    assert dark(image).sum() > 40


def test_looking_changes_nothing_and_closing_is_not_the_end(world):
    put(world, REST, (0.5, 0.05))
    state = world.arm.data.qpos.copy()
    first = world.observe()
    world.close()
    second = world.observe()
    np.testing.assert_array_equal(state, world.arm.data.qpos)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
