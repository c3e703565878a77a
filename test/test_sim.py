"""What every stand-in task promises, and the wrapper that counts interventions."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from medal_ros.sim import TASKS, make
from medal_ros.sim.wrappers import PersistentWorld

# Where a step costs more; others: 20.
TRIALS = {'cube_grasp': 8, 'peg_insert': 8, 'bowl_cover': 3, 'cloth_hook': 3}
# Metres aside that an object falls when it is let go: a cloth that an edge held swings down.
ASIDE = {'cloth_hook': 0.05}  # others: 0.02
DIGEST = """
import hashlib, sys
import numpy as np
from medal_ros.sim import make

environment = make(sys.argv[1], seed=7)
rng = np.random.default_rng(7)
seen = hashlib.sha256()

def add(observation):
    for name in sorted(observation):
        seen.update(observation[name].tobytes())
    seen.update(environment.object_position().tobytes())

for start in ('initial', 'done'):
    add(environment.reset(options={'start': start})[0])
    for _ in range(10):
        add(environment.step(rng.uniform(-1, 1, environment.action_space.shape))[0])
    environment.reset_arm('random')
    add(environment.observe())
    observe, environment.observe = environment.observe, dict  # pictures in between cost time
    for action in environment.expert('forward', rng):
        environment.step(action)
    environment.observe = observe
    add(environment.observe())
print(seen.hexdigest())
"""


@pytest.fixture(params=list(TASKS))
def task(request):
    return request.param


@pytest.fixture
def env(task):
    environment = make(task, seed=0)
    yield environment
    environment.close()


@pytest.fixture
def blind(env, monkeypatch):
    """The task without its pictures, which only cost time where nobody looks."""
    monkeypatch.setattr(env, 'observe', dict)
    return env


def attempt(env, direction, rng):
    """Execute a demonstration; return whether its task is done, and its length."""
    steps = 0
    for action in env.expert(direction, rng):
        assert env.action_space.contains(np.asarray(action, np.float32))
        env.step(action)
        steps += 1
        assert steps < 500, 'the expert does not end'
    return (env.succeeded() if direction == 'forward' else env.undone()), steps


def test_gymnasium_accepts_it(env):
    check_env(env, skip_render_check=True)


def test_registered_under_its_name(task):
    name = ''.join(word.capitalize() for word in task.split('_'))
    environment = gym.make(f'medal_ros/{name}-v0')
    spaces = environment.unwrapped.spaces
    observation, _ = environment.reset(seed=0)
    assert observation[spaces.cameras[0]].shape == (spaces.height, spaces.width, 3)
    assert environment.unwrapped.frame(observation).shape == spaces.frame_shape
    environment.close()


def test_unknown_task_is_refused_by_name():
    with pytest.raises(ValueError, match='tabletop_quick') as refusal:
        make('tablecloth')
    assert 'tablecloth' in str(refusal.value)


def test_step_never_ends_nor_resets(blind, task, monkeypatch):
    monkeypatch.setattr(blind, '_place', lambda done: pytest.fail('the step reset the world'))
    rng = np.random.default_rng(0)
    for _ in range(100 if task in TRIALS else 3 * blind.horizon):
        _, reward, terminated, truncated, info = blind.step(rng.uniform(-1, 1, blind.spaces.action))
        assert terminated is False and truncated is False
        assert reward == float(info['success'])
    for action in blind.expert('forward', rng):  # success does not end it either
        _, reward, terminated, truncated, _ = blind.step(action)
        assert terminated is False and truncated is False
    assert reward == 1.0


def test_two_processes_see_the_same(task):
    command = [sys.executable, '-c', DIGEST, task]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (run.communicate(timeout=240)[0].strip() for run in runs)
    assert len(first) == 64
    assert first == second


def test_other_seeds_see_something_else(env):
    first, second = (env.reset(seed=seed)[0] for seed in (1, 2))
    assert any((first[name] != second[name]).any() for name in env.spaces.cameras)


@pytest.mark.parametrize(('direction', 'start'), [('forward', 'initial'), ('backward', 'done')])
def test_expert_succeeds(blind, task, direction, start):
    done, lengths = [], []
    trials = TRIALS.get(task, 20)
    for trial in range(trials):
        blind.reset(seed=trial, options={'start': start})
        assert blind.succeeded() == (start == 'done')
        success, steps = attempt(blind, direction, np.random.default_rng(100 + trial))
        done.append(success)
        lengths.append(steps)
    assert sum(done) >= trials - 1
    assert max(lengths) <= 2 * blind.horizon


@pytest.mark.parametrize('arm_reset', [False, True])
def test_done_and_undone_in_turn_without_a_reset(blind, task, arm_reset):
    rng = np.random.default_rng(3)
    done = []
    turns = TRIALS.get(task, 20)
    for turn in range(turns):
        if arm_reset:
            blind.reset_arm('random')
        done.append(attempt(blind, ('forward', 'backward')[turn % 2], rng)[0])
    assert sum(done) >= turns - 1


@pytest.mark.parametrize('pose', ['fixed', 'random'])
def test_arm_reset_leaves_the_object_and_opens_the_gripper(env, pose):
    opened = env.reset(seed=4)[0]['proprio'][-1]
    place = env.object_position()
    close = np.zeros(env.spaces.action)
    close[-1] = 1.0
    for _ in range(5):
        closed = env.step(close)[0]['proprio'][-1]
    assert abs(closed - opened) > 1.5
    env.reset_arm(pose)
    assert env.observe()['proprio'][-1] == pytest.approx(opened, abs=0.1)
    np.testing.assert_allclose(env.object_position(), place, atol=1e-3)


def test_arm_reset_lets_go_of_a_held_object_where_it_is(blind, task):
    blind.reset(seed=6)
    start = blind.object_position()
    for action in blind.expert('forward', np.random.default_rng(6)):
        blind.step(action)
        if np.linalg.norm(blind.object_position() - start) > 0.06:  # on its way
            break
    for _ in range(5):  # what moves comes to rest
        blind.step(np.array([*np.zeros(blind.spaces.action - 1), 1.0]))
    held = blind.object_position()
    blind.reset_arm('fixed')
    dropped = blind.object_position()
    np.testing.assert_allclose(dropped[:2], held[:2], atol=ASIDE.get(task, 0.02))
    for _ in range(3):
        blind.step(np.ones(blind.spaces.action))
    np.testing.assert_allclose(blind.object_position(), dropped, atol=1e-3)


def test_arm_resets_are_fixed_or_random(env):
    where = {'fixed': [], 'random': []}
    for pose in where:
        for _ in range(3):
            env.reset_arm(pose)
            where[pose].append(env.observe()['proprio'][:-1])
    assert np.ptp(where['fixed'], axis=0).max() < 0.02
    assert np.ptp(where['random'], axis=0).max() > 0.1


def test_arm_reset_refuses_other_poses(env):
    with pytest.raises(ValueError, match=r"'fixed' or 'random'.*'home'"):
        env.reset_arm('home')


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_action_that_is_not_finite_is_refused_and_changes_nothing(env, value):
    action = np.zeros(env.spaces.action)
    action[0] = value
    before = env.observe()
    with pytest.raises(ValueError, match=f'{env.spaces.action} finite numbers') as refusal:
        env.step(action)
    assert '\n' not in str(refusal.value)
    for name, after in env.observe().items():
        np.testing.assert_array_equal(before[name], after)


def test_action_of_a_wrong_shape_is_refused(env):
    for shape in ((env.spaces.action + 1,), (1, env.spaces.action), ()):
        with pytest.raises(ValueError, match='finite numbers'):
            env.step(np.zeros(shape))


@pytest.mark.parametrize('options', [{'start': 'middle'}, {'begin': 'done'}])
def test_reset_refuses_other_options(env, options):
    with pytest.raises(ValueError, match="'initial' or 'done'") as refusal:
        env.reset(options=options)
    assert str(options) in str(refusal.value)


def test_actions_are_clipped(blind):
    rng = np.random.default_rng(5)
    actions = rng.uniform(-3, 3, (20, blind.spaces.action))
    ends = []
    for sequence in (actions, np.clip(actions, -1, 1)):
        blind.reset(seed=5)
        for action in sequence:
            blind.step(action)
        ends.append(type(blind).observe(blind)['proprio'])
    np.testing.assert_array_equal(*ends)


# -- the wrapper -----------------------------------------------------------------------------


@pytest.fixture
def quick():
    environment = gym.make('medal_ros/TabletopQuick-v0', disable_env_checker=True).unwrapped
    yield environment
    environment.close()


def steps(world, count):
    return [world.step(np.zeros(3, np.float32))[4] for _ in range(count)]


def test_the_first_reset_is_no_intervention(quick):
    world = PersistentWorld(quick)
    world.reset(seed=0)
    assert world.interventions == 0
    world.reset()
    world.reset()
    assert world.interventions == 2
    assert steps(world, 1)[0]['interventions'] == 2


def test_forced_reset_comes_before_the_step_that_is_due(quick):
    world = PersistentWorld(quick, reset_every=3)
    world.reset(seed=0)
    infos = steps(world, 8)
    assert [step for step, info in enumerate(infos) if info['forced_reset']] == [3, 6]
    assert [info['interventions'] for info in infos] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert world.interventions == 2


def test_forced_reset_moves_the_object(quick):
    world = PersistentWorld(quick, reset_every=2)
    world.reset(seed=0)
    places = []
    for _ in range(3):
        steps(world, 1)
        places.append(quick.object_position())
    np.testing.assert_array_equal(places[0], places[1])
    assert (places[1] != places[2]).all()


def test_a_reset_asked_for_starts_the_count_anew(quick):
    world = PersistentWorld(quick, reset_every=3)
    world.reset(seed=0)
    steps(world, 2)
    world.reset()
    assert [info['forced_reset'] for info in steps(world, 4)] == [False, False, False, True]


def test_zero_never_forces(quick):
    world = PersistentWorld(quick)
    world.reset(seed=0)
    assert not any(info['forced_reset'] for info in steps(world, 500))


def test_negative_interval_is_refused(quick):
    with pytest.raises(ValueError, match=r'reset_every.*-1'):
        PersistentWorld(quick, reset_every=-1)
