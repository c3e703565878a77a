"""Cameras and clocks that go wrong, and those that only seem to."""

from __future__ import annotations

import numpy as np
import pytest

from medal_ros.robot.health import SECOND, Alarm, FrozenCamera, SwappedCameras, TimeJump

STILL, AWAY = np.zeros(2, np.float32), np.full(2, 0.2, np.float32)


@pytest.mark.parametrize(
    ('pictures', 'places', 'frozen'),
    [
        ('aaaaaa', '0-----', [False] * 4 + [True] * 2),  # from the fifth on
        ('aaaaaa', '000000', [False] * 6),  # nothing moves, so nothing changes
        ('aaabbb', '0-0-0-', [False] * 6),
        ('aaaaaab', '0------', [False] * 4 + [True, True, False]),
        ('aaaaaa', '0-0000', [False] * 4 + [True] * 2),  # it moved and came back
    ],
)
def test_a_camera_is_frozen_when_its_picture_stays_while_the_arm_moves(pictures, places, frozen):
    camera = FrozenCamera(after=5, moved=0.1)
    proprio = [STILL if place == '0' else AWAY for place in places]
    found = [bool(camera.take(p, a)) for p, a in zip(pictures, proprio, strict=True)]
    assert found == frozen


def scene(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (8, 8, 3)).astype(np.uint8)


def seen(seed: int, rng: np.random.Generator) -> np.ndarray:
    """Return a picture of a scene in which something is different every time."""
    return np.clip(scene(seed) + rng.integers(0, 50, (8, 8, 3)), 0, 255).astype(np.uint8)


def complaints(cameras: SwappedCameras, rng: np.random.Generator, count: int, **scenes: int):
    return [cameras.take({n: seen(s, rng) for n, s in scenes.items()}) for _ in range(count)]


def test_swapped_cameras_and_another_picture_altogether_are_noticed():
    rng, cameras = np.random.default_rng(0), SwappedCameras(reference=10, window=5, beyond=50)
    assert not any(complaints(cameras, rng, 30, wrist=1, third=2))
    *_, last = complaints(cameras, rng, 5, wrist=2, third=1)
    assert last == 'third and wrist show what the other one showed when the run began'
    *_, last = complaints(cameras, rng, 5, wrist=1, third=2)
    assert last == ''
    *_, last = complaints(cameras, rng, 5, wrist=1, third=3)
    assert last.startswith('third shows something else than when the run began (')


def test_cameras_that_look_alike_and_one_that_moves_prove_nothing():
    rng, cameras = np.random.default_rng(0), SwappedCameras(reference=10, window=5, beyond=20)
    complaints(cameras, rng, 10, third=1, goal=1)
    assert not any(complaints(cameras, rng, 30, third=1, goal=1))
    moving = SwappedCameras(reference=10, window=5, beyond=20)
    complaints(moving, rng, 10, wrist=1)
    assert not any(complaints(moving, rng, 30, wrist=2))


def test_a_camera_that_is_told_how_the_run_began_does_not_begin_anew():
    rng, first = np.random.default_rng(0), SwappedCameras(reference=10, window=5, beyond=50)
    complaints(first, rng, 10, third=1)
    second = SwappedCameras(reference=10, window=5, beyond=50)
    second.reference = first.reference
    assert complaints(second, rng, 5, third=2)[-1]


@pytest.mark.parametrize(
    ('stamps', 'arrivals', 'wrong'),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], None),
        ([0, 1, 2, 3], [0, 1, 9, 9], None),  # they waited
        ([0, 1, 9, 10], [0, 1, 9, 10], None),  # nothing came for a while
        ([0, 1, 9, 10], [0, 1, 2, 3], (2, 'leapt by 7.0 s')),  # and then the new time counts
        ([5, 6, 2, 3], [5, 6, 7, 8], (2, 'stamps went back by 4.0 s')),
        ([5, 5, 5], [5, 6, 7], None),  # shown again
        ([100, 101], [0, 1], None),  # another clock, from the beginning
    ],
)
def test_a_clock_that_was_set_is_noticed_once(stamps, arrivals, wrong):
    clock = TimeJump(beyond=0.5)
    pairs = zip(stamps, arrivals, strict=True)
    found = [clock.take(stamp * SECOND, now * SECOND) for stamp, now in pairs]
    expected = [''] * len(stamps)
    if wrong is not None:
        expected[wrong[0]] = wrong[1]
    assert found == expected


def test_an_alarm_lasts_until_all_was_well_for_a_while():
    told = []
    alarm = Alarm(3, told.append)
    assert alarm.take('') and told == []
    said = ['frozen', '', '', 'jumped', '', '', '', '']
    assert [alarm.take(words) for words in said] == [False] * 6 + [True, True]
    assert told == ['frozen', '']
