"""Image size, action repeat, snapshots, segments and demonstrations of every stand-in task."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load, save

from medal_ros.sim import TASKS, make, task_class
from medal_ros.sim.demonstrations import record
from medal_ros.sim.evaluate import evaluate, rollout
from medal_ros.sim.tabletop import TabletopQuick
from medal_ros.spaces import AGENTS

OTHER = {'pixels': 32, 'repeat': 3}


@pytest.fixture(params=list(TASKS))
def task(request):
    return request.param


@pytest.fixture
def env(task):
    environment = make(task, seed=0)
    yield environment
    environment.close()


@pytest.fixture
def other(task):
    environment = make(task, seed=0, **OTHER)
    yield environment
    environment.close()


def test_image_size(other):
    observation = other.step(np.zeros(other.spaces.action))[0]
    assert other.observation_space.contains(observation)
    for name in other.spaces.cameras:
        assert observation[name].shape == (32, 32, 3)
        assert np.ptp(observation[name]) > 50  # there is something in it
    assert other.frame(observation).shape == other.spaces.frame_shape == (32, 32, 3 * len(
        other.spaces.cameras))  # fmt: skip
    assert task_class('tabletop').spaces.height == 84  # what a task shows by itself is the same


def test_repeat_executes_an_action_that_often(task, env, other):
    rng = np.random.default_rng(0)
    for action in rng.uniform(-1, 1, (5, env.spaces.action)):
        for _ in range(3):
            once = env.step(action)
        repeated = other.step(action)
    np.testing.assert_array_equal(once[0]['proprio'], repeated[0]['proprio'])
    assert once[1:] == repeated[1:]
    for name, value in env.snapshot().items():
        np.testing.assert_array_equal(value, other.snapshot()[name])


def test_horizon_counts_steps_of_repeated_actions(env, other):
    assert env.horizon == env.control_steps
    assert 3 * (other.horizon - 1) < env.control_steps <= 3 * other.horizon
    assert task_class('sawyer_door')(repeat=7).horizon == 43  # 300 / 7 = 42.9


@pytest.mark.parametrize('given', [{'pixels': -1}, {'pixels': 4096}, {'pixels': 8.0},
                                   {'repeat': 0}, {'repeat': 1.5}])  # fmt: skip
def test_bad_sizes_are_refused(task, given):
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=rf'^{name} must be .*, not {value}$'):
        make(task, **given)


def test_experts_repeat_their_actions_too(task, monkeypatch):
    repeat = 2 if task == 'tabletop_quick' else 4
    environment = make(task, seed=0, repeat=repeat)
    monkeypatch.setattr(environment, 'observe', dict)
    rng = np.random.default_rng(5)
    lengths = []
    cloth = task in ('bowl_cover', 'cloth_hook')  # a step of it takes its time
    for turn in range(2 if cloth else 10):
        steps = [environment.step(action) for action in environment.expert(AGENTS[turn % 2], rng)]
        done = environment.undone() if turn % 2 else environment.succeeded()
        assert done
        lengths.append(len(steps))
    assert np.mean(lengths) < 30 + 120 / repeat


@pytest.mark.parametrize('start', ['initial', 'done'])
def test_info_says_done_and_undone(env, start):
    info = env.reset(seed=3, options={'start': start})[1]
    assert info['success'] == (start == 'done')
    if start == 'initial':
        assert info['undone']
    info = env.step(np.zeros(env.spaces.action))[4]
    assert (info['success'], info['undone']) == (env.succeeded(), env.undone())


def go_on(environment, actions):
    """Return all that is seen while actions are executed, and after everything random."""
    seen = [environment.observe()] + [environment.step(action)[0] for action in actions]
    environment.begin_segment('forward')
    environment.reset_arm('random')
    return [*seen, environment.observe(), environment.reset()[0]]


def test_a_restored_world_goes_on_bit_for_bit(task, other):
    rng = np.random.default_rng(2)
    actions = np.sign(rng.uniform(-1, 1, (40, other.spaces.action)))
    for action in actions[:20]:
        other.step(action)
    # As the arm, recorders and practice keep it: a number by itself comes back as an array.
    snapshot = load(save({k: np.ascontiguousarray(v) for k, v in other.snapshot().items()}))
    judged = other.info()
    expected = go_on(other, actions[20:])
    copy = make(task, seed=99, **OTHER)
    copy.restore(snapshot)
    assert copy.info() == judged
    for there, here in zip(expected, go_on(copy, actions[20:]), strict=True):
        for name in there:
            np.testing.assert_array_equal(there[name], here[name])
    copy.restore(snapshot)  # what came after it left the snapshot as it was
    for name, value in copy.snapshot().items():
        np.testing.assert_array_equal(value, snapshot[name])
    copy.close()


RESTORE = """
import sys
import numpy as np
from medal_ros.sim import make

environment = make(sys.argv[1])
with np.load(sys.argv[2]) as file:
    environment.restore(dict(file))
for _ in range(20):
    environment.step(np.ones(environment.spaces.action))
print(environment.snapshot()['physics'].tobytes().hex())
"""


def test_a_world_is_restored_in_another_process(tmp_path):
    environment = make('sawyer_peg', seed=1)
    for action in environment.expert('forward', np.random.default_rng(0)):
        environment.step(action)
        if environment.object_position()[2] > 0.08:
            break
    np.savez(tmp_path / 'snapshot.npz', **environment.snapshot())
    command = [sys.executable, '-c', RESTORE, 'sawyer_peg', str(tmp_path / 'snapshot.npz')]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(20):
            environment.step(np.ones(4))
        assert process.communicate(timeout=60)[0].strip() == (
            environment.snapshot()['physics'].tobytes().hex()
        )
    environment.close()


def test_a_snapshot_of_another_task_is_refused(env, task):
    stranger = make('tabletop' if task != 'tabletop' else 'sawyer_door', seed=0)
    if task == 'tabletop_quick':
        stranger = make('cube_grasp', seed=0)
    with pytest.raises(ValueError, match=f'not one of {type(env).__name__}$'):
        env.restore(stranger.snapshot())
    stranger.close()


# -- segments and demonstrations -------------------------------------------------------------


def test_a_forward_segment_draws_a_goal_and_backward_keeps_it():
    environment = make('tabletop', seed=0)
    goals, images = [], []
    for _ in range(20):
        environment.begin_segment('forward')
        goals.append(tuple(environment.goal))
        images.append(environment.observe()['goal'])
        environment.begin_segment('backward')
        assert tuple(environment.goal) == goals[-1]
        np.testing.assert_array_equal(environment.observe()['goal'], images[-1])
    assert set(goals) == set(environment.goals)
    for goal, image in zip(goals, images, strict=True):
        np.testing.assert_array_equal(image, images[goals.index(goal)])
    assert len({image.tobytes() for image in images}) == 4


def test_a_segment_changes_nothing_where_there_is_one_goal(env, task):
    before = env.snapshot()
    for direction in ('forward', 'backward'):
        env.begin_segment(direction)
        if task != 'tabletop':
            for name, value in env.snapshot().items():
                np.testing.assert_array_equal(value, before[name])


def test_demonstration_counts_are_those_of_earl():
    counts = {task: tuple(task_class(task).demonstration_counts.values()) for task in TASKS}
    assert counts == {
        'tabletop_quick': (10, 10),
        'tabletop': (12, 12),
        'cube_grasp': (50, 50),
        'peg_insert': (50, 50),
        'bowl_cover': (50, 50),
        'cloth_hook': (50, 50),
        'sawyer_door': (5, 5),
        'sawyer_peg': (10, 20),
    }


@pytest.mark.parametrize(('count', 'forward', 'backward'), [
    (2, 2, 2), ({'forward': 1, 'backward': 3}, 1, 3), ({'forward': 2, 'backward': 0}, 2, 0),
])  # fmt: skip
def test_as_many_demonstrations_as_asked_for(count, forward, backward):
    kept = list(record(make('tabletop', pixels=16), 'tabletop', count, seed=0))
    directions = [demonstration.direction for demonstration in kept]
    assert (directions.count('forward'), directions.count('backward')) == (forward, backward)


class Clumsy(TabletopQuick):
    """Its expert says how many attempts it needed, in turn and at last always the last number."""

    def __init__(self, *needed):
        super().__init__(pixels=16)
        self.needed = list(needed)

    def expert(self, direction, rng):
        self.attempts = self.needed.pop(0) if len(self.needed) > 1 else self.needed[0]
        yield from super().expert(direction, rng)


def test_a_second_attempt_is_not_shown():
    at_once = list(record(Clumsy(1), 'tabletop_quick', 2, seed=0))
    kept = list(record(Clumsy(2, 1), 'tabletop_quick', {'forward': 1, 'backward': 1}, seed=0))
    # The first of all is missing, and nothing else is different.
    assert [d.frames.tobytes() for d in kept] == [d.frames.tobytes() for d in at_once[1:3]]


def test_an_expert_that_never_succeeds_at_once_is_given_up():
    with pytest.raises(RuntimeError, match='tabletop_quick hardly ever succeeds at once'):
        list(record(Clumsy(2), 'tabletop_quick', {'forward': 1, 'backward': 0}, 0))


def test_demonstrations_carry_the_rewards_of_both_directions():
    forward, backward = record(make('tabletop_quick'), 'tabletop_quick', 1, seed=0)
    for demonstration, own in ((forward, 0), (backward, 1)):
        rewards = demonstration.task_rewards
        assert rewards.shape == (len(demonstration), 2) and rewards.dtype == np.float32
        assert rewards[-1, own] == 1 and rewards[-1, 1 - own] == 0
        assert rewards[0, own] == 0
        assert set(np.unique(rewards)) == {0, 1}


def test_demonstrations_of_the_tabletop_show_several_goals():
    counts = {'forward': 8, 'backward': 0}
    kept = list(record(make('tabletop', pixels=16), 'tabletop', counts, seed=0))
    assert len({demonstration.frames[0, ..., 3:].tobytes() for demonstration in kept}) >= 3


class Still:
    """A policy that does nothing, and remembers what it was shown."""

    def __init__(self):
        self.shapes = []

    def act(self, frames, proprio):
        self.shapes.append(frames.shape)
        return np.zeros((len(frames), 4), np.float32)


def test_evaluation_at_another_size_and_repeat():
    policy = Still()
    evaluate(policy, 'sawyer_door', 'forward', [1, 2], pixels=16, repeat=50)
    assert policy.shapes == [(2, 16, 16, 3)] * 6  # 300 control steps
    seen = rollout(policy, 'sawyer_door', 'forward', 1, pixels=16, repeat=100)
    assert seen.images.shape == (4, 1, 16, 16, 3)


def test_pictures_need_no_display_whoever_imported_mujoco_first():
    code = (
        'import mujoco; from medal_ros.sim import make; '
        "print(make('sawyer_door', 0).observe()['third'].std() > 20)"
    )
    hidden = {k: v for k, v in os.environ.items() if k not in ('MUJOCO_GL', 'DISPLAY')}
    done = subprocess.run(
        [sys.executable, '-c', code], env=hidden, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == 'True', done.stderr
