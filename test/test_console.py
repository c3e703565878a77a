"""Past runs, pictures and complaints of the console, without ROS and without a browser."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys

import cv2
import numpy as np
import pytest
from console_clock import Clock

from medal_ros.console.commands import COMMANDS
from medal_ros.console.logs import OneSentence
from medal_ros.console.pictures import LOOKING, PERIOD, Pictures
from medal_ros.console.runs import Runs, bytes_on_disk


@pytest.fixture
def clock() -> Clock:
    return Clock()


# -- past runs -------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path) -> Runs:
    root = tmp_path / 'runs'
    for name in ('one', 'two'):
        (root / name).mkdir(parents=True)
        (root / name / 'config.yaml').write_text('task: x')
    (root / 'two' / 'summary.json').write_text(json.dumps({'success': 0.5, 'steps': 10}))
    (root / 'no run').mkdir()
    (tmp_path / 'secret').mkdir()
    (tmp_path / 'secret' / 'config.yaml').write_text('password')
    return Runs(root)


def test_the_newest_run_comes_first_and_what_is_none_not_at_all(runs):
    assert [run.name for run in runs.newest_first()] == ['two', 'one']
    assert runs.newest_first()[0].summary == {'success': 0.5, 'steps': 10}
    assert Runs(runs.root / 'nowhere').newest_first() == []


@pytest.mark.parametrize('text', ['', '{', '[1]', '{"success": "yes", "curve": [[1]]}'])
def test_a_summary_that_is_none_disturbs_nothing(runs, text):
    pytest.importorskip('nicegui')
    from medal_ros.console.past import row

    (runs.root / 'two' / 'summary.json').write_text(text)
    assert {row(run)['success'] for run in runs.newest_first()} == {'-'}


def test_only_a_runs_own_files_are_given(runs):
    assert runs.file('one', 'config.yaml') == runs.root / 'one' / 'config.yaml'
    (runs.root / 'link').symlink_to(runs.root.parent / 'secret')
    (runs.root / 'one' / 'forward.mp4').symlink_to('/etc/passwd')
    (runs.root / 'one' / 'other.txt').write_text('x')
    for run, name in (
        ('..', 'config.yaml'), ('../secret', 'config.yaml'), ('link', 'config.yaml'),
        ('one', 'forward.mp4'), ('one', 'other.txt'), ('one', '../two/config.yaml'),
        ('.', 'config.yaml'), ('', 'config.yaml'), ('one/../../secret', 'config.yaml'),
        ('one', ''), ('x' * 5000, 'config.yaml'), ('o\0ne', 'config.yaml'), ('two', 'forward.mp4'),
    ):  # fmt: skip
        assert runs.file(run, name) is None, (run, name)


def test_a_sparse_file_counts_as_what_it_takes(tmp_path):
    with open(tmp_path / 'sparse', 'wb') as file:
        file.truncate(10**9)
    assert bytes_on_disk(tmp_path) < 10**6


# -- pictures --------------------------------------------------------------------------------------


def test_pictures_are_made_only_while_somebody_looks_and_ten_a_second(clock):
    pictures = Pictures(clock)
    assert not pictures.wanted() and not pictures.due()
    assert asyncio.run(pictures.next(0, 0.01)) is None
    made = 0
    for _ in range(200):  # two seconds of a camera at 100 Hz
        if pictures.due():
            pictures.add(['third'], [np.zeros((20, 20, 3), np.uint8)])
            made += 1
        clock.now += 0.01
    assert 18 <= made <= round(2 / PERIOD)
    clock.now += LOOKING
    assert not pictures.wanted()


def test_all_who_wait_are_given_the_same_picture(clock):
    pictures = Pictures(clock)
    image = np.zeros((60, 60, 3), np.uint8)
    image[..., 0] = 255

    async def look() -> list:
        waiting = [asyncio.create_task(pictures.next(0, 5.0)) for _ in range(5)]
        await asyncio.sleep(0.01)
        await asyncio.to_thread(pictures.add, ['wrist', 'third'], [image, image])
        return await asyncio.gather(*waiting)

    seen = asyncio.run(look())
    assert all(number == 1 and jpeg is pictures.jpeg for number, jpeg in seen)
    decoded = cv2.imdecode(np.frombuffer(pictures.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (240, 480, 3)
    assert decoded[120, 240, 2] > 240 and decoded[120, 240, :2].max() < 20  # red stays red
    assert asyncio.run(pictures.next(77, 0.01))[0] == 1  # of a console before this one


def test_images_that_do_not_fit_are_an_error(clock):
    for images in ([], [np.zeros((4, 4, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)]):
        with pytest.raises(ValueError):
            Pictures(clock).add(['a', 'b'], images)


# -- what libraries complain of, and what is imported ----------------------------------------------


def test_a_complaint_is_one_sentence_and_not_repeated_at_once(clock):
    said: list[str] = []
    handler = OneSentence(said.append, clock)

    def complain(number: int) -> None:
        try:
            raise ValueError('two\nlines \x1b[2J')
        except ValueError:
            record = logging.LogRecord(
                'x', logging.ERROR, __file__, 1, 'task failed\nat %d', (number,), sys.exc_info()
            )
            handler.handle(record)

    for number in range(10):
        complain(number)
    assert said == ['x: task failed (ValueError: two?lines ?[2J)']
    clock.now += 6
    complain(11)
    assert len(said) == 2


def test_every_button_has_words_and_a_hint():
    assert len(COMMANDS) == 12
    for command in COMMANDS.values():
        assert command.words and command.icon and command.hint


def test_the_logic_imports_neither_ros_nor_torch():
    code = (
        'import sys, medal_ros.console.board, medal_ros.console.gate, medal_ros.console.runs\n'
        'import medal_ros.console.words, medal_ros.console.pictures, medal_ros.console.charts\n'
        'print([m for m in ("rclpy", "torch", "nicegui") if m in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == '[]', done.stderr
