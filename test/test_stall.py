"""Whether a stall is seen in rendered pictures, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from medal_ros.robot.stall import StallConfig, StallDetector
from medal_ros.sim import make

WINDOW, SEGMENT = 300, 50


def aimless(seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield what a policy sees that wanders, opens and closes, but never holds the mug."""
    environment, rng = make('tabletop_quick', seed), np.random.default_rng(seed)
    mug = environment.mug.copy()
    aims = rng.uniform(-0.9, 0.9, (2, 2))
    seen, step = environment.observe(), 0
    while True:
        yield seen['third'], seen['proprio'], environment.object_position()
        action = rng.normal(0, 0.4, 3)
        action[:2] += 2.0 * (aims[step // SEGMENT % 2] - seen['proprio'][:2])
        environment.step(np.clip(action, -1, 1))
        environment.attached, environment.mug = False, mug.copy()
        seen, step = environment.observe(), step + 1
        if step % SEGMENT == 0:
            environment.reset_arm('random')


def skilled(seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield what is seen while the expert does the task and undoes it, a segment each."""
    environment, rng = make('tabletop_quick', seed), np.random.default_rng(seed)
    step = 0
    while True:
        if step % SEGMENT == 0:
            environment.reset_arm('random')
            expert = environment.expert(('forward', 'backward')[step // SEGMENT % 2], rng)
        seen = environment.observe()
        yield seen['third'], seen['proprio'], environment.object_position()
        environment.step(next(expert, np.array([*rng.normal(0, 0.1, 2), -0.8])))
        step += 1


def judge(course: Iterator, steps: int, noise: float = 0.0, **config) -> list[bool]:
    """Return the judgement at the end of every segment that ends a full window."""
    detector = StallDetector(StallConfig(after_steps=WINDOW, **config))
    rng, judged = np.random.default_rng(0), []
    for step, (image, proprio, truth) in zip(range(1, steps + 1), course, strict=False):
        if noise:
            image = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
        detector.add(image, proprio, truth)
        if step % SEGMENT == 0 and step >= WINDOW:
            judged.append(detector.still())
    return judged


@pytest.mark.parametrize('noise', [0.0, 4.0])
def test_a_stall_is_seen(noise):
    judged = [j for seed in range(6) for j in judge(aimless(seed), 500, noise)]
    assert len(judged) == 30
    assert np.mean(judged) > 0.9


@pytest.mark.parametrize('noise', [0.0, 4.0])
def test_success_is_never_taken_for_a_stall(noise):
    judged = [j for seed in range(6) for j in judge(skilled(seed), 500, noise)]
    assert len(judged) == 30
    assert not any(judged)


def test_privileged_judges_by_the_position():
    assert judge(aimless(0), WINDOW, privileged=True) == [True]
    assert judge(skilled(0), WINDOW, privileged=True) == [False]


def parked(places: list[tuple[int, tuple[int, int]]], arm: float = 0.0) -> Iterator:
    """Yield a still arm, and an object that stays so many steps at each place (row, column)."""
    proprio = np.full(3, arm, np.float32)
    for steps, (row, column) in places:
        image = np.full((48, 48, 3), 180, np.uint8)
        image[row : row + 6, column : column + 6] = (200, 40, 35)
        for _ in range(steps):
            yield image, proprio, np.array([row, column], float)


def test_an_arm_parked_in_a_corner():
    assert judge(parked([(WINDOW, (10, 10))]), WINDOW) == [True]


def test_an_object_that_was_moved_and_then_left():
    assert judge(parked([(60, (10, 10)), (240, (10, 30))]), WINDOW) == [False]
    later = judge(parked([(60, (10, 10)), (340, (10, 30))]), 400)
    assert later == [False, False, True], 'once it has stayed for a whole window'


def test_a_carried_object_is_no_stall():
    """It is in the same place whenever the arm is, except when it has been put down."""
    detector = StallDetector(StallConfig(after_steps=WINDOW))
    for step in range(WINDOW):
        column = 2 + step % 40
        holds = step < 200
        image = np.full((48, 48, 3), 180, np.uint8)
        place = column if holds else 20
        image[20:26, place : place + 6] = (200, 40, 35)
        proprio = np.array([column / 24 - 1, 0.0, 0.0], np.float32)
        detector.add(image, proprio)
    assert not detector.still()


def test_nothing_is_claimed_where_the_arm_never_returns():
    detector = StallDetector(StallConfig(after_steps=WINDOW, tolerance=0.001))
    image = np.zeros((8, 8, 3), np.uint8)
    for step in range(WINDOW):
        detector.add(image, np.array([step / WINDOW], np.float32))
    assert len(detector.changes()) == 0
    assert not detector.still()


def test_a_window_must_be_full_and_is_forgotten_when_told():
    detector = StallDetector(StallConfig(after_steps=30))
    course = parked([(100, (10, 10))])
    for _ in range(29):
        detector.add(*next(course))
    assert not detector.still()
    detector.add(*next(course))
    assert detector.still()
    detector.clear()
    assert not detector.still()
    assert not StallDetector(StallConfig(after_steps=0)).still()


def test_changes_by_hand():
    """Six frames, a third is two: frames 2 to 5 are compared with 0 to 3 at least 2 before."""
    detector = StallDetector(StallConfig(after_steps=6, grey_levels=40))
    values, places = [0, 40, 41, 0, 100, 0], [0.0, 0.5, 0.0, 0.55, 0.02, 0.9]
    for value, place in zip(values, places, strict=True):
        image = np.zeros((2, 2, 3), np.uint8)
        image[0, 0, 1] = value
        detector.add(image, np.array([place], np.float32))
    # 2 with 0: 41 apart; 3 with 1: 40 apart; 4 with 0 or 2 (both 0.02 off); 5 with nothing.
    assert detector.changes().tolist() == [0.25, 0.0, 0.25]


def test_a_long_window_costs_no_more_memory_than_a_short_one():
    detector = StallDetector(StallConfig(after_steps=5000))
    for image, proprio, truth in parked([(5000, (10, 10))]):
        detector.add(image, proprio, truth)
    assert detector.still()
    assert len(detector.images) <= 300


def test_images_of_another_size_begin_a_new_window():
    detector = StallDetector(StallConfig(after_steps=9, min_pairs=1))
    for size in [8] * 9 + [12] * 8:
        detector.add(np.zeros((size, size, 3), np.uint8), np.zeros(2, np.float32))
    assert not detector.still()
    detector.add(np.zeros((12, 12, 3), np.uint8), np.zeros(2, np.float32))
    assert detector.still()
    detector.add(np.zeros((12, 12, 3), np.uint8), np.zeros(5, np.float32))
    assert not detector.still()
