"""camera_sync: matching, cropping, resizing and refusing, over real topics."""

from __future__ import annotations

import time
from array import array

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from medal_ros.msg import ArmState, Observation
from ros import Nodes, Probe, wait_until
from sensor_msgs.msg import Image

from medal_ros.nodes.images import array_from_image, image_from_array
from medal_ros.nodes.qos import HISTORY, RAW, STREAM


class Robot:
    """Publishes what cameras and arm would, and records what comes out."""

    def __init__(self, probe: Probe, cameras: tuple[str, ...]) -> None:
        self.observations = probe.record(Observation, 'observation', HISTORY)
        self.diagnostics = probe.record(DiagnosticArray, '/diagnostics', STREAM)
        self.cameras = {
            name: probe.publisher(Image, f'camera/{name}/image_raw', RAW) for name in cameras
        }
        self.arm = probe.publisher(ArmState, 'robot_state', STREAM)

    def state(self, sequence: int, stamp: Time, proprio: tuple[float, ...] = (0.5, -0.5)) -> None:
        message = ArmState(sequence=sequence, proprio=array('f', proprio))
        message.header.stamp, message.header.frame_id = stamp, 'base'
        self.arm.publish(message)

    def wait(self, count: int) -> Observation:
        wait_until(lambda: len(self.observations) >= count, 5.0, f'{count} observations')
        return self.observations[count - 1]

    def reported(self, key: str) -> str:
        for message in reversed(self.diagnostics):
            for status in message.status:
                for value in status.values:
                    if value.key == key:
                        return value.value
        return ''


def stamp_of(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def sync(tmp_path):
    with Nodes(tmp_path) as nodes, Probe() as probe:

        def start(cameras: tuple[str, ...] = ('third',), **parameters) -> Robot:
            nodes.start('camera_sync', cameras=list(cameras), **parameters)
            return Robot(probe, cameras)

        yield start, nodes


def test_exact_stamps_are_matched(sync):
    start, _ = sync
    robot = start(('wrist', 'third'), height=6, width=8)
    wrist, third = pixels(6, 8, 1), pixels(6, 8, 2)
    early, late = Time(sec=5, nanosec=1), Time(sec=5, nanosec=2)
    robot.state(7, early)
    robot.cameras['third'].publish(image_from_array(third, early))
    robot.cameras['wrist'].publish(image_from_array(pixels(6, 8, 3), late))
    robot.cameras['wrist'].publish(image_from_array(wrist, early))
    seen = robot.wait(1)
    assert seen.sequence == 7
    assert list(seen.names) == ['wrist', 'third']
    assert np.array_equal(array_from_image(seen.images[0]), wrist)
    assert np.array_equal(array_from_image(seen.images[1]), third)
    assert seen.header.stamp == early
    assert seen.tick == early
    assert seen.header.frame_id == 'base'
    assert list(seen.proprio) == [0.5, -0.5]
    assert seen.published.sec > 1e9
    wait_until(lambda: robot.reported('camera/wrist/image_raw unmatched') == '1', 5.0, 'a count')
    assert len(robot.observations) == 1


def test_images_are_converted_cropped_and_resized(sync):
    start, _ = sync
    robot = start(height=4, width=4, crop=[0.0, 0.5, 0.5, 0.5])
    raw = np.zeros((16, 16, 3), np.uint8)
    raw[:8, 8:] = np.kron(pixels(4, 4), np.ones((2, 2, 1), np.uint8))
    message = image_from_array(raw[..., ::-1], Time(sec=1))
    message.encoding = 'bgr8'
    robot.state(0, Time(sec=1))
    robot.cameras['third'].publish(message)
    assert np.array_equal(array_from_image(robot.wait(1).images[0]), pixels(4, 4))


def bad_messages() -> list[Image]:
    good = image_from_array(pixels(4, 4))
    messages = []
    for change in ({'encoding': '32FC1'}, {'height': 5}, {'height': 0}, {'step': 11}):
        message = Image(encoding='rgb8', height=4, width=4, step=12, data=good.data)
        for name, value in change.items():
            setattr(message, name, value)
        messages.append(message)
    return [*messages, image_from_array(pixels(3, 4))]


def test_what_cannot_be_used_is_refused_and_counted(sync):
    start, nodes = sync
    robot = start(height=4, width=4, queue=20)  # one topic may arrive well before the other
    bad = bad_messages()
    for second, message in enumerate(bad):
        message.header.stamp = Time(sec=second)
        robot.cameras['third'].publish(message)
        robot.state(second, message.header.stamp)
    nan = Time(sec=len(bad))
    robot.cameras['third'].publish(image_from_array(pixels(4, 4), nan))
    robot.state(len(bad), nan, (float('nan'), 0.0))
    good = Time(sec=len(bad) + 1)
    robot.cameras['third'].publish(image_from_array(pixels(4, 4), good))
    robot.state(99, good)
    assert robot.wait(1).sequence == 99
    topic = 'camera/third/image_raw refused'
    wait_until(lambda: robot.reported(topic) == str(len(bad)), 5.0, f'{len(bad)} refusals')
    assert robot.reported('robot_state refused') == '1'
    words = nodes.output('camera_sync')
    assert "camera/third/image_raw is refused: encoding '32FC1' is none of rgb8, bgr8" in words
    assert 'robot_state is refused: proprio must be finite, not [nan, 0.0]' in words
    assert 'Traceback' not in words


def test_a_tick_gets_images_that_are_fresh_enough(sync):
    start, _ = sync
    robot = start(
        ('wrist', 'third'), height=4, width=4, slop=0.01, fresh=0.02, patience=5.0, oldest=60.0
    )
    now = time.time_ns()
    robot.state(7, stamp_of(now))
    for k, age in enumerate((70, 37, 4)):
        for camera, late in (('wrist', 0), ('third', 5)):
            image = image_from_array(pixels(4, 4, k), stamp_of(now - (age - late) * 1_000_000))
            robot.cameras[camera].publish(image)
    seen = robot.wait(1)
    assert seen.sequence == 7
    assert seen.header.stamp == stamp_of(now + 1_000_000), 'of the newest image'
    assert seen.tick == stamp_of(now), 'of the arm'
    for image in seen.images:
        assert np.array_equal(array_from_image(image), pixels(4, 4, 2))
    wait_until(lambda: robot.reported('surplus sets') == '2', 5.0, 'a count')


def test_patience_ends(sync):
    start, _ = sync
    robot = start(height=4, width=4, slop=0.01, fresh=0.02, patience=0.1, oldest=0.5)
    now = time.time_ns()
    robot.state(1, stamp_of(now))
    wait_until(lambda: robot.reported('ticks without images') == '1', 5.0, 'a starved tick')
    robot.cameras['third'].publish(image_from_array(pixels(4, 4), stamp_of(now)))
    wait_until(lambda: robot.reported('sets') == '1', 5.0, 'a set')
    robot.state(2, stamp_of(now + 400_000_000))
    assert robot.wait(1).sequence == 2
    assert robot.reported('ticks without images') == '1'


def test_silence_is_reported(sync):
    start, _ = sync
    robot = start(height=4, width=4, stale_after=0.2)
    words = 'nothing on camera/third/image_raw for'
    wait_until(
        lambda: any(s.message.startswith(words) for m in robot.diagnostics for s in m.status)
    )


def test_images_of_a_wrong_kind_are_refused():
    image = image_from_array(pixels(3, 5))
    assert (image.height, image.width, image.step, image.encoding) == (3, 5, 15, 'rgb8')
    assert np.array_equal(array_from_image(image), pixels(3, 5))
    for wrong in (np.zeros((3, 5), np.uint8), np.zeros((3, 5, 3)), np.zeros((3, 5, 4), np.uint8)):
        with pytest.raises(ValueError, match='array of uint8'):
            image_from_array(wrong)
    image.height = 4
    with pytest.raises(ValueError, match='60 in all, not 15 and 45'):
        array_from_image(image)
    image.encoding = 'mono8'
    with pytest.raises(ValueError, match="must be 'rgb8', not 'mono8'"):
        array_from_image(image)
