"""The target stream: never jumps, never hurries, ends where it is aimed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medal_ros.robot.interpolation import TargetStream
from medal_ros.robot.pose import Pose

SPEED, TURN_RATE = 0.3, 3.0
coordinate = st.floats(-1, 1)
poses = st.builds(
    lambda x, y, z, yaw: Pose(np.array([x, y, z]), yaw),
    *[coordinate] * 3,
    st.floats(-10, 10),
)


def at(x: float, yaw: float = 0.0) -> Pose:
    return Pose(np.array([x, 0.0, 0.0]), yaw)


def angle(a: float, b: float) -> float:
    return abs(math.remainder(a - b, 2 * math.pi))


def stream(start: Pose) -> TargetStream:
    return TargetStream(start, period=0.1, speed=SPEED, turn_rate=TURN_RATE)


@settings(max_examples=150, deadline=None)
@given(
    start=poses,
    events=st.lists(
        st.tuples(st.floats(0, 0.25), st.one_of(poses, st.just('stop'), st.none())), max_size=12
    ),
)
def test_it_never_jumps_and_never_hurries(start, events):
    """Aimed anywhere at any time, and looked at in between, it moves no faster than allowed."""
    targets, now = stream(start), 5.0
    seen = targets.at(now)
    corners = [start]
    for wait, event in events:
        now += wait
        here = targets.at(now)
        assert np.linalg.norm(here.position - seen.position) <= SPEED * wait + 1e-9
        assert angle(here.yaw, seen.yaw) <= TURN_RATE * wait + 1e-9
        spans = np.array([pose.position for pose in corners])
        assert (spans.min(0) - 1e-9 <= here.position).all(), 'it stays between its aims'
        assert (here.position <= spans.max(0) + 1e-9).all()
        seen = here
        if event == 'stop':
            targets.stop(now)
        elif event is not None:
            targets.aim(now, event)
            corners.append(event)
        if event is not None:
            after = targets.at(now)
            assert after.position == pytest.approx(here.position, abs=1e-12), 'no jump'
            assert angle(after.yaw, here.yaw) < 1e-9


@settings(max_examples=100, deadline=None)
@given(start=poses, target=poses)
def test_it_ends_at_the_target(start, target):
    targets = stream(start)
    targets.aim(2.0, target)
    distance = float(np.linalg.norm(target.position - start.position))
    time = max(0.1, distance / SPEED, angle(start.yaw, target.yaw) / TURN_RATE)
    for late in (time + 1e-6, time + 100.0):
        assert targets.at(2.0 + late).position.tolist() == target.position.tolist()
        assert targets.at(2.0 + late).yaw == target.yaw


def test_fifty_targets_a_second_lead_evenly_to_the_next_step():
    targets = stream(at(0.5, yaw=0.1))
    targets.aim(1.0, at(0.52, yaw=0.3))
    shown = [targets.at(1.0 + 0.02 * k) for k in range(7)]
    assert [p.position[0] for p in shown] == pytest.approx(
        [0.5, 0.504, 0.508, 0.512, 0.516, 0.52, 0.52]
    )
    assert [p.yaw for p in shown] == pytest.approx([0.1, 0.14, 0.18, 0.22, 0.26, 0.3, 0.3])


def test_a_new_target_midway_starts_from_where_the_stream_is():
    targets = stream(at(0.0))
    targets.aim(0.0, at(0.02))
    targets.aim(0.05, at(-0.01))
    assert targets.at(0.05).position[0] == pytest.approx(0.01)
    assert targets.at(0.10).position[0] == pytest.approx(0.0)
    assert targets.at(0.15).position[0] == pytest.approx(-0.01)


def test_yaw_turns_the_shorter_way():
    targets = stream(at(0.0, yaw=3.1))
    targets.aim(0.0, at(0.0, yaw=-3.1))
    middle = targets.at(0.05).yaw
    assert angle(middle, math.pi) < 1e-9
    targets = stream(at(0.0, yaw=0.0))
    targets.aim(0.0, at(0.0, yaw=-0.2))
    assert targets.at(0.05).yaw == pytest.approx(-0.1)


def test_a_far_target_takes_longer_and_stop_stays():
    targets = stream(at(0.0))
    targets.aim(0.0, at(0.3))
    assert targets.at(0.5).position[0] == pytest.approx(0.15), 'a second at 0.3 m/s'
    targets.stop(0.5)
    assert targets.at(9.0).position[0] == pytest.approx(0.15)
    targets.aim(10.0, at(0.15, yaw=-0.9))
    assert targets.at(10.1).yaw == pytest.approx(-0.3), 'three radians a second'


@pytest.mark.parametrize('bad', [at(math.nan), at(0.0, math.inf), Pose(np.zeros(2), 0.0)])
def test_a_target_that_is_no_pose_is_refused_and_changes_nothing(bad):
    targets = stream(at(0.0))
    targets.aim(0.0, at(0.02))
    with pytest.raises(ValueError, match='a target is four finite numbers'):
        targets.aim(0.05, bad)
    assert targets.at(0.1).position[0] == 0.02
