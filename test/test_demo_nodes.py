"""Recording in the stand-in with real nodes: a person drives, files appear, pictures are shown."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
import ros  # noqa: F401  a domain of its own
from medal_ros.msg import State, Step, Teleop
from ros import Probe, wait_until
from std_msgs.msg import String
from std_srvs.srv import Trigger

from medal_ros.bringup import configure
from medal_ros.demos.replay import replay
from medal_ros.learning.demonstrations import load_demonstration
from medal_ros.nodes.demo_view import Page, compose
from medal_ros.nodes.qos import LATCHED, STREAM, TELEOP
from medal_ros.processes import Processes
from medal_ros.robot.recording import RecordingConfig
from medal_ros.sim import task_class
from medal_ros.teleoperation import KEYS, controls, stand_in

TASK = 'tabletop_quick'


@pytest.fixture
def held(monkeypatch):
    """As in a task whose done state is in the gripper."""
    monkeypatch.setattr(task_class(TASK), 'held_when_done', True)


@pytest.fixture
def studio(tmp_path):
    """The graph of `medal demos record --teleop none`, and somebody who listens."""
    config = configure(TASK, changes=KEYS)
    recording = RecordingConfig(task=TASK, folder=str(tmp_path / 'demos'), count=1, least=5)
    specs = [*stand_in(config), *controls(config, recording, 'none')]
    processes = Processes(specs, tmp_path, 'medal')
    try:
        with Probe() as probe:
            yield Studio(probe, processes)
    finally:
        processes.stop(5.0)


class Studio:
    def __init__(self, probe: Probe, processes: Processes) -> None:
        self.probe, self.processes = probe, processes
        self.said = probe.record(String, 'demos', LATCHED)
        self.steps = probe.record(Step, 'step', STREAM)
        self.states = probe.record(State, 'state', STREAM)
        self.teleop = probe.publisher(Teleop, 'teleop', TELEOP)
        wait_until(lambda: self.steps and self.said, 60.0, 'the graph')

    def ask(self, name: str) -> tuple[bool, str]:
        answer = self.probe.call(Trigger, f'demos/{name}')
        return answer.success, answer.message

    def drive(self, steps: int) -> None:
        """Hold the button until so many steps are driven, then let go."""
        known = len(self.steps)
        until = time.monotonic() + 20.0
        while sum(s.source == 'teleop' for s in self.steps[known:]) < steps:
            assert time.monotonic() < until
            self.teleop.publish(Teleop(engaged=True, action=[0.5, -0.2, -1.0]))
            time.sleep(0.02)
        self.teleop.publish(Teleop(engaged=False, action=[0.0, 0.0, -1.0]))

    def recorded(self) -> int:
        """Return how many steps the line that a person reads tells of."""
        found = re.search(r'recording \w+: (\d+) steps', self.said[-1].data)
        return int(found[1]) if found else 0

    def wait_for(self, words: str) -> None:
        wait_until(lambda: self.said[-1].data.endswith(words), 20.0, words)


def test_a_person_records_and_what_is_recorded_replays_bit_for_bit(studio, tmp_path):
    assert studio.ask('save') == (False, 'nothing is being recorded')
    wait_until(lambda: studio.ask('start')[0], 20.0, 'an observation')
    studio.drive(8)
    wait_until(lambda: studio.steps[-1].source == 'hold', 10.0, 'a pause')
    studio.drive(6)
    wait_until(lambda: studio.recorded() >= 14, 20.0, 'what was driven')
    known, arm = len(studio.steps), studio.processes.running['sim_arm']
    arm.send_signal(signal.SIGSTOP)
    answer = studio.ask('save')
    assert answer[0] and 'saved forward_000.safetensors: ' in answer[1], answer
    assert studio.ask('start')[1].startswith('the arm is on its way to a start pose')
    arm.send_signal(signal.SIGCONT)
    studio.wait_for('forward 1 of 1, backward 0 of 1 | next: backward')
    moved = [s for s in studio.steps[known:] if s.source == 'script']
    assert len(moved) == 1 and moved[0].boundary, 'the arm was moved, once'
    wait_until(lambda: studio.states and studio.states[-1].mode == 'practice', 10.0, 'practice')
    assert studio.states[-1].agent == 'forward'
    assert studio.ask('start')[1].startswith('recording backward')
    studio.processes.running['demo_recorder'].send_signal(signal.SIGKILL)
    path = tmp_path / 'demos' / 'forward_000.safetensors'
    d = load_demonstration(path)
    assert 12 <= len(d) <= 20 and d.source == 'teleop' and d.held.sum() > 0
    assert np.abs(d.actions - [0.5, -0.2, -1.0]).max() < 1e-6, 'no step in which nobody drove'
    assert replay(d, 'it').apart == 0.0


# -- the pictures ----------------------------------------------------------------------------------


def test_what_forward_holds_is_not_taken_from_backward(held, studio):
    wait_until(lambda: studio.ask('start')[0], 20.0, 'an observation')
    studio.drive(8)
    wait_until(lambda: studio.recorded() >= 8, 20.0, 'what was driven')
    known = len(studio.steps)
    assert studio.ask('save')[0]
    assert studio.ask('start')[1].startswith('recording backward'), 'nothing is waited for'
    studio.drive(8)
    wait_until(lambda: studio.recorded() >= 8, 20.0, 'what was driven')
    assert all(step.source != 'script' for step in studio.steps[known:]), 'the arm stayed'


def test_the_cameras_side_by_side_with_words():
    images = [np.full((100, 100, 3), value, np.uint8) for value in (50, 200)]
    drawn = compose(images, 'forward 1 of 2')
    assert drawn.shape == (432, 800, 3)
    assert (drawn[:400, :400] == 50).all() and (drawn[:400, 400:] == 200).all()
    assert drawn[400:].max() > 200, 'words'


def test_a_browser_sees_each_new_picture():
    page = Page('127.0.0.1', 0)
    try:
        assert b'<img src="stream"' in urlopen(page.url, timeout=5.0).read()
        page.show(np.full((20, 30, 3), [255, 0, 0], np.uint8))
        with urlopen(f'{page.url}stream', timeout=5.0) as stream:
            first = part(stream)
            assert first.shape == (20, 30, 3) and np.abs(first[10, 10] - [254, 0, 0]).max() < 5
            page.show(np.zeros((20, 30, 3), np.uint8))
            assert part(stream).max() < 5
        second = Page('127.0.0.1', page.server.server_address[1])
        assert second.url != page.url, 'a taken port is no reason to fail'
        second.close()
    finally:
        page.close()


def part(stream) -> np.ndarray:
    """Return the next picture of a stream as rgb numbers."""
    size = 0
    while (line := stream.readline().strip()) or not size:
        if line.startswith(b'Content-Length:'):
            size = int(line.split(b':')[1])
    return cv2.imdecode(np.frombuffer(stream.read(size), np.uint8), 1)[..., ::-1].astype(int)


# -- the command -----------------------------------------------------------------------------------


def test_medal_demos_teleop_in_a_terminal(tmp_path):
    master, slave = pty.openpty()
    before, shown = termios.tcgetattr(slave), []

    def watch() -> None:
        while select.select([master], [], [], 60.0)[0]:
            try:
                shown.append(os.read(master, 65536).decode(errors='replace'))
            except OSError:
                return

    command = [sys.executable, '-m', 'medal_ros.cli', 'demos', '--teleop', '--task', TASK]
    command += ['--count', '1', '--out', str(tmp_path / 'made')]
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, cwd=tmp_path
    )
    threading.Thread(target=watch, daemon=True).start()
    try:
        screen = lambda words: words in ''.join(shown)  # noqa: E731
        wait_until(lambda: screen('next: forward'), 90.0, 'the screen')
        wait_until(lambda: screen('▀'), 30.0, 'the pictures in the terminal')
        until = time.monotonic() + 20.0
        while not screen('recording forward: 0 steps'):  # refused until the arm is heard
            assert time.monotonic() < until
            os.write(master, b'1')
            time.sleep(0.5)
        os.write(master, b' ')
        wait_until(lambda: screen('LIVE'), 10.0, 'the keyboard')
        until = time.monotonic() + 40.0
        while not re.search(r'recording forward: [1-9]', ''.join(shown)):
            assert time.monotonic() < until
            os.write(master, b'w')
            time.sleep(0.2)
        os.write(master, b'3')
        wait_until(lambda: screen('it is still the turn of forward'), 20.0, 'the answer')
        os.write(master, b'x')
        assert process.wait(30.0) == 0
        assert termios.tcgetattr(slave) == before
        wait_until(lambda: screen('forward 0 of 1, backward 0 of 1 | next: forward | in'), 5.0)
    finally:
        process.kill()
        process.wait(5.0)
        os.close(slave)
        os.close(master)
