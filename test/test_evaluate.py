"""Evaluation: which starts, which moment counts, and what a rollout shows."""

import imageio.v2 as imageio
import numpy as np
import pytest

from medal_ros.sim import TASKS, make
from medal_ros.sim.evaluate import Rollout, evaluate, rollout
from medal_ros.sim.task import TaskEnv
from medal_ros.spaces import Spaces
from medal_ros.statistics import Evaluation
from medal_ros.videos import enlarge, write_mp4, write_rollouts

OPENED: list['Counter'] = []


class Counter(TaskEnv):
    """A world whose state is a number that actions add to; done when it is exactly 3.

    The number starts at the seed's tens (seed 7: at 3), and 100 higher for backward episodes,
    which are to bring it below 100.
    """

    spaces = Spaces(cameras=('a', 'b'), height=2, width=3, proprio=1, action=1)
    control_steps = 4

    def __init__(self, pixels=0, repeat=1):
        super().__init__(pixels=pixels, repeat=repeat)
        self.closed = False
        OPENED.append(self)

    def reset(self, *, seed=None, options=None):
        self.seed = seed
        return super().reset(seed=seed, options=options)

    def _place(self, done):
        self.value = 3 if self.seed == 7 else 10 * (self.seed // 10) + 100 * done

    def _move(self, action):
        self.value += round(float(action[0]))

    def observe(self):
        image = np.full((2, 3, 3), self.value, np.uint8)
        return {'a': image, 'b': image + 1, 'proprio': np.array([self.value], np.float32)}

    def reset_arm(self, pose):
        pass

    def succeeded(self):
        return self.value == 3

    def undone(self):
        return self.value < 100

    def object_position(self):
        return np.array([self.value])

    def expert(self, direction, rng):
        yield from ()

    def close(self):
        self.closed = True


class Constant:
    """A policy that always does the same, and remembers what it was shown."""

    def __init__(self, action):
        self.action, self.frames, self.proprio = action, [], []

    def act(self, frames, proprio):
        self.frames.append(frames)
        self.proprio.append(proprio)
        return np.full((len(frames), 1), self.action, np.float32)


@pytest.fixture(autouse=True)
def counter_task(monkeypatch):
    monkeypatch.setitem(TASKS, 'counter', f'{__name__}:Counter')
    OPENED.clear()


def test_success_counts_at_the_last_step_and_ever_at_any():
    # From 0 by ones: 1 2 3 4, done at the third of four steps only. From 10: never.
    assert evaluate(Constant(1), 'counter', 'forward', [0, 1, 10]) == Evaluation(0, 2, 3)


def test_a_success_that_lasts_counts_as_both():
    class StopAtThree(Constant):
        def act(self, frames, proprio):
            return (proprio < 3).astype(np.float32)

    assert evaluate(StopAtThree(0), 'counter', 'forward', [0, 10, 5]) == Evaluation(2, 2, 3)


def test_the_start_itself_is_no_success():
    class Leave(Constant):
        def act(self, frames, proprio):
            return np.ones((len(frames), 1), np.float32)

    Counter.value = 3
    policy = Leave(1)
    result = evaluate(policy, 'counter', 'forward', [30])
    assert result == Evaluation(0, 0, 1)


def test_backward_starts_with_the_task_done_and_is_judged_by_its_own_end():
    policy = Constant(-1)  # 100 99 98 97 96; 110 109 108 107 106
    assert evaluate(policy, 'counter', 'backward', [0, 10]) == Evaluation(1, 1, 2)
    assert policy.proprio[0].ravel().tolist() == [100, 110]


@pytest.mark.parametrize('batch', [1, 2, 5, 50])
def test_any_batch_gives_each_seed_its_own_episode(batch):
    policy = Constant(1)
    seeds = [0, 10, 20, 1, 30]
    assert evaluate(policy, 'counter', 'forward', seeds, batch) == Evaluation(0, 2, 5)
    starts = [p for shown in policy.proprio for p in shown.ravel() if p % 10 == 0]
    assert starts == [0, 10, 20, 0, 30]
    assert max(len(frames) for frames in policy.frames) == min(batch, 5)
    assert len(OPENED) == min(batch, 5)
    assert all(environment.closed for environment in OPENED)


def test_the_policy_sees_all_cameras_stacked():
    policy = Constant(0)
    evaluate(policy, 'counter', 'forward', [10, 20])
    frames = policy.frames[0]
    assert frames.shape == (2, 2, 3, 6) and frames.dtype == np.uint8
    assert frames[1, 0, 0].tolist() == [20, 20, 20, 21, 21, 21]


def test_environments_are_closed_when_the_policy_fails():
    class Broken(Constant):
        def act(self, frames, proprio):
            return np.full((len(frames), 1), np.nan, np.float32)

    with pytest.raises(ValueError, match='finite'):
        evaluate(Broken(0), 'counter', 'forward', [1, 2, 3])
    assert len(OPENED) == 3 and all(environment.closed for environment in OPENED)


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="forward, backward, not 'sideways'"):
        evaluate(Constant(0), 'counter', 'sideways', [1])
    with pytest.raises(ValueError, match="no task 'nothing'"):
        evaluate(Constant(0), 'nothing', 'forward', [1])
    with pytest.raises(ValueError, match='at least one seed'):
        evaluate(Constant(0), 'counter', 'forward', [])


def test_rollout_shows_the_start_and_every_step():
    shown = rollout(Constant(1), 'counter', 'forward', 0)
    assert shown.images.shape == (5, 2, 2, 3, 3)
    assert shown.images[:, 0, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert shown.images[2, 1, 0, 0, 0] == 3  # the second camera is brighter by one
    assert shown.succeeded == (False, False, False, True, False)
    assert OPENED[0].closed


class Imitator:
    """The scripted expert of one seed as a policy, by playing the same episode beside it."""

    def __init__(self, task, direction, seed):
        self.twin = make(task)
        self.twin.reset(
            seed=seed, options={'start': 'done' if direction == 'backward' else 'initial'}
        )
        self.actions = self.twin.expert(direction, np.random.default_rng(0))

    def act(self, frames, proprio):
        rest = np.array([0, 0, -1], np.float32)
        action = np.asarray(next(self.actions, rest), np.float32)
        self.twin.step(action)
        return action[None]


@pytest.mark.parametrize('direction', ['forward', 'backward'])
def test_an_expert_succeeds_and_standing_still_does_not(direction):
    for seed in range(3):
        expert = Imitator('tabletop_quick', direction, seed)
        assert evaluate(expert, 'tabletop_quick', direction, [seed]).successes == 1
    still = Constant(0)
    still.act = lambda frames, proprio: np.zeros((len(frames), 3), np.float32)
    assert evaluate(still, 'tabletop_quick', direction, range(5)) == Evaluation(0, 0, 5)


def test_mp4_has_every_frame_enlarged_and_in_its_colours(tmp_path):
    path = tmp_path / 'film.mp4'
    shades = [10, 120, 230]
    write_mp4(path, (np.full((48, 51, 3), shade, np.uint8) for shade in shades), 10)
    reader = imageio.get_reader(path)
    frames = list(reader.iter_data())
    assert [frame.shape for frame in frames] == [(384, 408, 3)] * 3
    assert [round(float(frame.mean())) for frame in frames] == pytest.approx(shades, abs=4)
    assert 'yuv420p' in reader.get_meta_data()['pix_fmt']
    assert reader.get_meta_data()['codec'] == 'h264'
    assert reader.get_meta_data()['fps'] == 10
    assert [p.name for p in tmp_path.iterdir()] == ['film.mp4']


def test_a_film_that_fails_leaves_the_old_one_alone(tmp_path):
    path = tmp_path / 'film.mp4'
    path.write_bytes(b'old')
    black = np.zeros((400, 400, 3), np.uint8)
    with pytest.raises(ValueError, match='one size'):
        write_mp4(path, [black, black[:100]], 10)
    with pytest.raises(ValueError, match='no images'):
        write_mp4(path, [], 10)
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['film.mp4']


def test_rollouts_follow_each_other_with_a_pause_and_a_caption(tmp_path):
    images = np.zeros((4, 2, 48, 48, 3), np.uint8)
    images[:, 0] = 200
    film = tmp_path / 'film.mp4'
    shown = [Rollout(images, (False, False, False, end)) for end in (False, True)]
    write_rollouts(film, 'forward', shown, fps=10)
    frames = list(imageio.get_reader(film).iter_data())
    assert len(frames) == 2 * (4 + 8)
    assert frames[0].shape == (384 + 40, 2 * 384 + 8, 3)
    assert frames[0][100, 100].mean() > 190 and frames[0][100, 600].mean() < 10
    # Failed and succeeded ends differ below the images only.
    change = np.abs(frames[11].astype(int) - frames[-1].astype(int)).max(-1) > 60
    assert change[384:].any() and not change[:380].any()


@pytest.mark.parametrize(
    ('size', 'large'), [((48, 48), (384, 384)), ((84, 84), (420, 420)), ((101, 33), (404, 132)),
                        ((405, 301), (406, 302))]
)  # fmt: skip
def test_enlarging_keeps_pixels_sharp_and_sizes_even(size, large):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    result = enlarge(image)
    assert result.shape == (*large, 3)
    factor = large[0] // size[0]
    assert (result[::factor, ::factor][: size[0], : size[1]] == image).all()
