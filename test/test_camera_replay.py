"""camera_sync on recorded streams: jitter, drops, reordering, and cameras that misbehave.

The recordings go straight into the node's inputs, in the order of their arrival, so that a busy
machine changes nothing.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from medal_ros.msg import ArmState
from ros import wait_until
from sensor_msgs.msg import Image

from medal_ros.nodes.camera_input import nanoseconds
from medal_ros.nodes.camera_sync import CameraSync
from medal_ros.nodes.images import array_from_image, image_from_array

MS = 1_000_000
CAMERAS = ('wrist', 'third')
SLOP, FRESH, PATIENCE, OLDEST = 0.015, 0.02, 0.04, 0.1
STATE = 2  # index of the arm's state among the inputs


@dataclass(frozen=True)
class Event:
    """One recorded message: when it came and from where, its stamp, and its frame or sequence."""

    arrival: int
    source: int
    stamp: int
    number: int


def recording(seed: int, seconds: float = 20.0, phase: float = 5.0) -> list[Event]:
    """Return two cameras at 29.97 fps and an arm at 10 Hz, in the order of arrival.

    Stamps jitter by 1 ms; 6 % of the images never come; transport takes 4 to 12 ms, and for one
    image in twelve up to 90, so that later ones overtake it.
    """
    rng = np.random.default_rng(seed)
    events = []
    for source in range(2):
        for k in range(int(29.97 * seconds)):
            stamp = k * 1000 / 29.97 + source * phase + rng.normal(0, 1)
            delay = rng.uniform(4, 12) + (rng.uniform(0, 80) if rng.random() < 1 / 12 else 0)
            if rng.random() > 0.06:
                events.append(Event(round((stamp + delay) * MS), source, round(stamp * MS), k))
    for k in range(int(10 * seconds)):
        stamp = 100 * k + rng.normal(0, 2)
        events.append(Event(round((stamp + 1) * MS), STATE, round(stamp * MS), k))
    return sorted(events, key=lambda event: event.arrival)


class Replay:
    """A node in this process, what it published, and a way to give it messages.

    The images are 4x4 and their first pixel is the number of the frame.
    """

    def __init__(self, **parameters) -> None:
        arguments = {'cameras': list(CAMERAS), 'height': 4, 'width': 4, **parameters}
        texts = [f'{name}:={json.dumps(value)}' for name, value in arguments.items()]
        rclpy.init(args=['--ros-args', *(word for text in texts for word in ('-p', text))])
        self.node = CameraSync()
        self.seen = []
        self.node.publisher = SimpleNamespace(publish=self.seen.append)
        self.epoch = self.node.get_clock().now().nanoseconds

    def give(self, source: int, stamp: int, number: int) -> None:
        """Give a message to an input; the stamp counts from the start of the replay."""
        stamp += self.epoch
        when = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
        if source == STATE:
            message = ArmState(sequence=number, proprio=array('f', [0.0]))
            message.header.stamp = when
        else:
            message = frame(number)
            message.header.stamp = when
        self.node.inputs[source].take(message)

    def play(self, events: list[Event]) -> None:
        """Give all messages, and end the patience with a tick when it would have ended."""
        until = None
        for event in events:
            if until is not None and event.arrival > until:
                self.node.on_patience()
            self.give(event.source, event.stamp, event.number)
            if event.source == STATE:
                until = event.arrival + round(1000 * PATIENCE) * MS
            if not self.node.pairing.waiting:
                until = None

    def pairs(self) -> list[tuple[int, ...]]:
        """Return `(sequence, frame of the wrist camera, of the third-person one)`."""
        return [
            (o.sequence, *(int.from_bytes(bytes(image.data[:2]), 'big') for image in o.images))
            for o in self.seen
        ]


def frame(number: int, height: int = 4, width: int = 4) -> Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[0, 0, :2] = divmod(number, 256)
    return image_from_array(pixels)


@pytest.fixture
def replay() -> Iterator:
    made = []

    def make(**parameters) -> Replay:
        made.append(Replay(**parameters))
        return made[-1]

    yield make
    for one in made:
        one.node.destroy_node()
    rclpy.try_shutdown()


def expected(events: list[Event]) -> list[tuple[int, int]]:
    """Return `(sequence, frame)` by what the documentation says, looked up in the whole record.

    A set is a frame that came from both cameras; it is complete when the later one arrives.
    """
    arrivals = [{e.number: e for e in events if e.source == s} for s in range(2)]
    sets = {}
    for number in arrivals[0].keys() & arrivals[1].keys():
        both = [source[number] for source in arrivals]
        sets[number] = max(e.arrival for e in both), max(e.stamp for e in both)
    pairs, used = [], -1
    for tick in (e for e in events if e.source == STATE):
        here = [n for n, (at, _) in sets.items() if at <= tick.arrival and n > used]
        soon = sorted(
            (at, n)
            for n, (at, stamp) in sets.items()
            if tick.arrival < at <= tick.arrival + PATIENCE * 1000 * MS
            and tick.stamp - stamp <= FRESH * 1000 * MS
        )
        newest = max(here, default=None)
        age = None if newest is None else tick.stamp - sets[newest][1]
        if newest is not None and age <= FRESH * 1000 * MS:
            pairs.append((tick.number, newest))
        elif soon:
            pairs.append((tick.number, soon[0][1]))
        else:
            end = tick.arrival + PATIENCE * 1000 * MS
            late = [n for n, (at, _) in sets.items() if at <= end and n > used]
            if late and tick.stamp - sets[max(late)][1] <= OLDEST * 1000 * MS:
                pairs.append((tick.number, max(late)))
        used = pairs[-1][1] if pairs else -1
    return pairs


@pytest.mark.parametrize('seed', range(3))
def test_a_recorded_stream_gives_each_tick_the_newest_set(replay, seed):
    events = recording(seed)
    disorder = sum(
        a.stamp > b.stamp
        for s in range(2)
        for a, b in zip(*(lambda e: (e, e[1:]))([e for e in events if e.source == s]), strict=False)
    )
    assert disorder > 30, 'the recording shows what it is for'
    one = replay(slop=SLOP, fresh=FRESH, patience=PATIENCE, oldest=OLDEST)
    one.play(events)
    wanted = expected(events)
    assert one.pairs() == [(sequence, number, number) for sequence, number in wanted]
    assert len(wanted) > 190, 'of 200 ticks'
    _, values = one.node.describe()
    assert values['camera/wrist/image_raw out of order'] > 15
    missing = 599 - sum(e.source == 0 for e in events)
    assert values['camera/wrist/image_raw lost'] == pytest.approx(missing, abs=4)


def test_cameras_out_of_step_are_reported(replay):
    one = replay(slop=0.01)
    one.play(recording(0, 1.0, phase=16.7))
    words, _ = one.node.describe()
    assert not one.seen
    assert 'the cameras are not synchronised: 0 sets of at least ' in words
    assert 'within 10 ms, the nearest are 1' in words


def test_a_device_clock_is_reported_and_matched_by_arrival_if_asked(replay):
    one = replay(slop=5.0, fresh=5.0, oldest=60.0, stamps='auto')
    for k in range(11):
        for source in range(2):
            one.give(source, -3600 * 1000 * MS + 33 * k * MS, k)
        one.give(STATE, 0, k)
    assert one.pairs() == [(9, 9, 9), (10, 10, 10)], 'once the clocks are judged'
    age = one.node.get_clock().now().nanoseconds - nanoseconds(one.seen[0].header.stamp)
    assert 0 <= age < 60_000 * MS
    words, values = one.node.describe()
    assert 'camera/wrist/image_raw: stamps are 3' in words
    assert 'not synchronised' not in words
    assert "s behind this machine's clock: matched by arrival instead" in words
    assert values['camera/third/image_raw clock offset'] == pytest.approx(3600, abs=60)


def test_a_device_clock_matches_nothing_by_the_header(replay):
    one = replay(slop=0.01)
    for k in range(12):
        for source in range(2):
            one.give(source, -3600 * 1000 * MS + 33 * k * MS, k)
        one.give(STATE, 33 * k * MS, k)
        one.node.on_patience()
    assert not one.seen
    words, values = one.node.describe()
    assert 'they may match nothing; with parameter stamps auto, arrival counts' in words
    assert values['ticks without images'] == 12


def test_a_frozen_camera_withholds_observations(replay):
    one = replay(slop=0.01, oldest=60.0, fresh=60.0, clock_within=60.0, frozen_after=0.05)

    def step(k: int, wrist: int) -> None:
        one.give(0, 33 * k * MS, wrist)
        one.give(1, 33 * k * MS, k)
        one.give(STATE, 33 * k * MS, k)

    step(1, 5)
    began = one.node.get_clock().now().nanoseconds
    passed = lambda: one.node.get_clock().now().nanoseconds - began > 60 * MS  # noqa: E731
    wait_until(passed, 10.0, 'the time that an image may stay the same')
    step(2, 5)
    assert [pair[0] for pair in one.pairs()] == [1]
    words, values = one.node.describe()
    assert 'camera/wrist/image_raw has not changed for 0.' in words
    assert values['withheld'] == 1
    step(3, 6)
    assert [pair[0] for pair in one.pairs()] == [1, 3]
    assert 'has not changed' not in one.node.describe()[0]


def test_a_camera_whose_rows_and_columns_are_swapped_is_refused(replay):
    one = replay(slop=0.01, fresh=60.0, source_size=[6, 8])
    for source, size in ((0, (6, 8)), (1, (8, 6))):
        message = frame(1, *size)
        message.header.stamp = Time(sec=5)
        one.node.inputs[source].take(message)
    assert [s.stream.refused for s in one.node.inputs] == [0, 1, 0]
    message = frame(1, 6, 8)
    message.header.stamp = Time(sec=5)
    one.node.inputs[1].take(message)
    assert one.node.sets == 1


def test_a_padded_image_of_another_order_is_read(replay):
    one = replay(slop=0.01, fresh=60.0, crop=[0.5, 0.0, 0.5, 0.5], clock_within=1e10)
    raw = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    padded = np.concatenate([raw, np.full((8, 1, 4), 255, np.uint8)], 1)
    for source in range(2):
        message = Image(height=8, width=8, step=36, encoding='bgra8')
        message.data = array('B', padded.tobytes())
        message.header.stamp = Time(sec=5)
        one.node.inputs[source].take(message)
    state = ArmState(sequence=1, proprio=array('f', [0.0]))
    state.header.stamp = Time(sec=5)
    one.node.inputs[STATE].take(state)
    for image in one.seen[0].images:
        assert np.array_equal(array_from_image(image), raw[4:, :4, 2::-1])
