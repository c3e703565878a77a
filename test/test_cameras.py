"""What camera_sync decides, without ROS: formats, crops, clocks, gaps, and the images of a tick."""

from __future__ import annotations

import pytest

from medal_ros.options import OptionError, build
from medal_ros.robot.cameras import CameraSyncConfig, ImageFormat, crops, cut, sizes
from medal_ros.robot.pairing import Pairing
from medal_ros.robot.stamps import JUDGED, SECOND, Pace, StampClock, Standstill

MS = SECOND // 1000


def test_crops():
    one = CameraSyncConfig(cameras=('a', 'b'), crop=(0.0, 0.25, 0.5, 0.5))
    assert crops(one) == [(0.0, 0.25, 0.5, 0.5)] * 2
    assert cut(one.crop, 100, 200) == (slice(0, 50), slice(50, 150))
    each = CameraSyncConfig(cameras=('a', 'b'), crop=(0.0, 0.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5))
    assert crops(each) == [(0.0, 0.0, 1.0, 1.0), (0.5, 0.5, 0.5, 0.5)]
    assert crops(CameraSyncConfig(cameras=('a', 'b'))) == [(), ()]
    assert cut((), 3, 4) == (slice(0, 3), slice(0, 4))


@pytest.mark.parametrize('crop', [(0.5, 0.0, 0.6, 1.0), (0.0, 0.0, 0.0, 1.0), (0.0, 1.0)])
def test_a_crop_outside_the_image_is_refused(crop):
    with pytest.raises(OptionError, match='camera_sync: parameter crop'):
        crops(CameraSyncConfig(crop=crop))


def test_sizes():
    both = CameraSyncConfig(cameras=('a', 'b'), source_size=(480, 640))
    assert sizes(both) == [(480, 640)] * 2
    each = CameraSyncConfig(cameras=('a', 'b'), source_size=(480, 640, 240, 424))
    assert sizes(each) == [(480, 640), (240, 424)]
    assert sizes(CameraSyncConfig(cameras=('a', 'b'))) == [None, None]
    with pytest.raises(OptionError, match='source_size must have no, 2 or 4 numbers, not 3'):
        sizes(CameraSyncConfig(cameras=('a', 'b'), source_size=(480, 640, 3)))


def test_arrival_needs_a_slop():
    with pytest.raises(OptionError, match='stamps arrival needs a slop above 0'):
        build(CameraSyncConfig, {'stamps': 'arrival'}, 'parameter')


@pytest.mark.parametrize(
    ('image', 'sentence'),
    [
        (('yuv422_yuy2', 6, 8, 16, 96), "encoding 'yuv422_yuy2' is none of rgb8, bgr8"),
        (('rgb8', 6, 8, 24, 96), '96 bytes are not an image of 6 rows of 24 bytes'),
        (('rgb8', 0, 8, 24, 0), '0 bytes are not an image of 0 rows'),
        (('rgb8', 3, 8, 24, 72), '8x3 pixels (after the crop) are fewer than 4x4'),
        (('rgb8', 12, 16, 48, 576), 'the image has 16x12 pixels and began with 8x6'),
        (('rgb8', 8, 6, 18, 144), 'began with 8x6: rows and columns are swapped'),
    ],
)
def test_images_that_cannot_be_used(image, sentence):
    form = ImageFormat((4, 4))
    if 'began' in sentence:
        form.check('rgb8', 6, 8, 24, 144)
    with pytest.raises(ValueError) as refusal:
        form.check(*image)
    assert sentence in str(refusal.value)


def test_a_refused_image_does_not_fix_the_size():
    form = ImageFormat((4, 4))
    with pytest.raises(ValueError, match='fewer'):
        form.check('rgb8', 2, 8, 24, 48)
    form.check('bgr8', 6, 8, 24, 144)
    form.check('mono8', 6, 8, 8, 48)


def test_the_size_that_is_asked_for():
    form = ImageFormat((4, 4), (), (6, 8))
    with pytest.raises(ValueError, match='6x8 pixels and must have 8x6: rows and col'):
        form.check('rgb8', 8, 6, 18, 144)
    form.check('rgb8', 6, 8, 24, 144)


def test_the_crop_counts_for_the_least_size():
    with pytest.raises(ValueError, match='4x3 pixels'):
        ImageFormat((4, 4), (0.0, 0.0, 0.5, 0.5)).check('rgb8', 6, 8, 24, 144)


@pytest.mark.parametrize(
    ('behind', 'foreign'), [(0.005, False), (-0.05, False), (0.2, True), (-3.0, True)]
)
def test_a_clock_is_judged_by_the_message_that_waited_least(behind, foreign):
    clock = StampClock(0.1)
    side = 1 if behind > 0 else -1
    for k in range(JUDGED):
        delay = 0.4 if k != 3 else 0.0  # all but one waited in a queue
        assert clock.foreign is None
        stamp = 1000 * k * SECOND
        decided = clock.take(stamp, stamp + round((behind + side * delay) * SECOND))
        assert decided == (k == JUDGED - 1)
    assert clock.offset == pytest.approx(behind)
    assert clock.foreign is foreign
    word = 'behind' if behind > 0 else 'ahead of'
    assert clock.words() == (
        f"stamps are {abs(behind):.3f} s {word} this machine's clock" if foreign else ''
    )
    assert not clock.take(0, 10**18), 'judged once'


def test_lost_repeated_and_disordered_messages_are_counted():
    pace = Pace()
    for k in [*range(12), 14, 15, 15, 17, 16, 18]:  # 12 and 13 never come, 16 comes late
        pace.take(k * 33 * MS + (k % 3) * MS)
    assert (pace.lost, pace.repeated, pace.disordered) == (2, 1, 1)


def test_a_standstill():
    still = Standstill(0.5)
    taken = [still.take('a', t * MS) for t in (0, 400, 500, 600)]
    assert taken == [False, False, False, True]
    assert still.too_long == pytest.approx(0.6)
    assert not still.take('b', 700 * MS)
    assert still.too_long == 0
    assert not any(Standstill(0.0).take('a', t) for t in (0, 10**18))


def pairing() -> Pairing:
    return Pairing(fresh=0.02, oldest=0.1)


def test_a_tick_gets_the_newest_of_three_sets():
    p = pairing()
    for stamp, name in ((0, 'a'), (33, 'b'), (66, 'c')):
        assert p.complete(stamp * MS, name) is None
    assert p.tick(80 * MS, 'state') == ('c', 'state')
    assert (p.surplus, p.starved, p.waiting) == (2, 0, False)


@pytest.mark.parametrize(('age', 'at_once'), [(20, True), (21, False), (-100, True), (-101, False)])
def test_only_a_fresh_set_is_used_at_once(age, at_once):
    p = pairing()
    p.complete(200 * MS, 'old')
    pair = p.tick((200 + age) * MS, 'state')
    assert pair == (('old', 'state') if at_once else None)
    assert p.waiting is not at_once


def test_a_tick_waits_for_the_next_set():
    p = pairing()
    p.complete(0, 'old')
    assert p.tick(30 * MS, 'state') is None
    assert p.complete(33 * MS, 'new') == ('new', 'state')
    assert p.expire() is None
    assert p.starved == 0


@pytest.mark.parametrize(('age', 'used'), [(100, True), (101, False)])
def test_patience_ends_with_the_newest_set_or_with_nothing(age, used):
    p = pairing()
    p.complete(0, 'old')
    p.tick(age * MS, 'state')
    assert p.expire() == (('old', 'state') if used else None)
    assert (p.waiting, p.starved) == (False, 0 if used else 1)
    assert p.expire() is None, 'once'


def test_a_set_is_used_once():
    p = pairing()
    p.complete(0, 'a')
    assert p.tick(0, 1) == ('a', 1)
    assert p.tick(10 * MS, 2) is None
    assert p.expire() is None
    assert p.starved == 1


def test_the_next_tick_ends_the_wait_of_the_last():
    p = pairing()
    assert p.tick(0, 1) is None
    assert p.tick(100 * MS, 2) is None
    assert p.starved == 1
    assert p.complete(99 * MS, 'a') == ('a', 2)


def test_a_straggler_does_not_replace_a_newer_set():
    p = pairing()
    p.complete(66 * MS, 'new')
    assert p.complete(33 * MS, 'straggler') is None
    assert p.tick(70 * MS, 'state') == ('new', 'state')
    assert p.complete(66 * MS, 'again') is None
    assert p.late == 2


def test_a_clock_that_was_set_back_does_not_stop_everything():
    p = pairing()
    p.complete(3600 * SECOND, 'before')
    p.complete(5 * SECOND, 'after')
    assert p.tick(5 * SECOND, 'state') == ('after', 'state')
