"""The teleoperation nodes as processes: what comes in and what is published, on a real graph."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time

import pytest
from medal_ros.msg import Step, Teleop
from ros import NAMESPACE, Nodes, Probe, wait_until
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from medal_ros.nodes.qos import HISTORY, STREAM, TELEOP

LB, START = 9, 6
AT_REST = [0.0] * 6


class Desk:
    """A pad that repeats its state 20 times a second, as joy does, and what comes of it."""

    def __init__(self, nodes: Nodes, probe: Probe, **parameters) -> None:
        self.nodes, self.probe = nodes, probe
        self.seen: list[tuple[float, Teleop]] = []
        probe.record(Teleop, 'teleop', TELEOP, lambda m: self.seen.append((time.monotonic(), m)))
        nodes.start('teleop_joy', **parameters)
        self.joy = probe.publisher(Joy, 'joy', 10)
        found = lambda: probe.node.count_publishers(f'{NAMESPACE}/teleop') > 0  # noqa: E731
        wait_until(found, 20.0, 'the topic teleop')

    def hold(self, *buttons: int, axes=AT_REST, seconds: float = 0.3) -> list[Teleop]:
        """Repeat one state for some time; return what was published meanwhile."""
        known, until = len(self.seen), time.monotonic() + seconds
        held = [int(i in buttons) for i in range(15)]
        while time.monotonic() < until:
            self.joy.publish(Joy(axes=axes, buttons=held))
            time.sleep(0.05)
        return [message for _, message in self.seen[known:]]


@pytest.fixture
def desk(tmp_path):
    with Nodes(tmp_path) as nodes, Probe() as probe:
        yield lambda **parameters: Desk(nodes, probe, **parameters)


def test_a_held_dead_man_gives_actions_at_50_hz_and_letting_go_one_release(desk):
    made = desk(action=5)
    assert made.hold(axes=[0.0, 1.0, 0, 0, 0, 0]) == [], 'nothing when idle'
    known = len(made.seen)
    made.hold(LB, axes=[0.0, 1.0, 0, 0, 0, 0], seconds=1.0)
    driven = made.seen[known:]
    assert all(m.engaged for _, m in driven)
    assert list(driven[-1][1].action) == [1.0, 0.0, 0.0, 0.0, -1.0]
    rate = (len(driven) - 1) / (driven[-1][0] - driven[0][0])
    assert 25 < rate < 55, rate
    made.hold(LB, seconds=0.2)
    let_go = [m for m in made.hold() if not m.engaged]
    assert [list(m.action) for m in let_go] == [[0.0, 0.0, 0.0, 0.0, -1.0]]


def test_a_pad_that_goes_silent_is_a_release(desk):
    made = desk(silent_after=0.3)
    made.hold()
    made.hold(LB, axes=[0.0, 1.0, 0, 0, 0, 0])
    quiet = time.monotonic()
    wait_until(lambda: made.seen and not made.seen[-1][1].engaged, 3.0, 'the release')
    assert 0.1 < made.seen[-1][0] - quiet < 0.6
    assert sum(not m.engaged for _, m in made.seen) == 1


def test_an_untouched_trigger_of_joy_node_does_not_close_the_gripper(desk):
    made = desk(trigger_rest=1.0)
    made.hold()
    assert made.hold(LB)[-1].action[-1] == -1.0
    made.hold(axes=[0, 0, 0, 0, 1.0, 1.0])
    assert made.hold(LB, axes=[0, 0, 0, 0, 1.0, -1.0])[-1].action[-1] == 1.0


def test_signs_axes_and_speeds_are_parameters(desk):
    made = desk(axes=[3, -1, 1, 0], scales=[-0.5, 1.0, 1.0, 1.0])
    made.hold()
    sent = made.hold(LB, axes=[0.0, 0.0, 0.0, 1.0, 0.0, 0.0])[-1]
    assert list(sent.action) == [-0.5, 0.0, 0.0, -1.0]


def test_who_takes_over_keeps_the_gripper_as_the_arm_has_it(desk):
    made = desk()
    steps = made.probe.publisher(Step, 'step', HISTORY)
    for _ in range(10):  # an arm never stops to say its steps; the first may find no reader yet
        steps.publish(Step(action=[0.0, 0.0, 0.0, 1.0]))
        made.hold(seconds=0.05)
    assert made.hold(LB)[-1].action[-1] == 1.0


def test_buttons_call_services(desk):
    made, called = desk(), []

    def answer(_, response):
        called.append('start')
        response.success, response.message = True, 'recording'
        return response

    made.probe.node.create_service(Trigger, 'demos/start', answer)
    time.sleep(1.0)  # the node finds the service, or says that nobody offers it
    made.hold()
    made.hold(START)
    made.hold()
    wait_until(lambda: called, 5.0, 'the call')
    made.hold(START)
    wait_until(lambda: len(called) == 2, 5.0, 'the second call')


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'save': 9}, 'button 9 cannot be both dead_man and save'),
        ({'axes': [1, 0]}, 'parameter axes must be four numbers: for x, y, z and yaw'),
        ({'deadman': 3}, "teleop_joy: there is no parameter 'deadman'; did you mean 'dead_man'?"),
    ],
)
def test_a_wrong_mapping_is_one_sentence(tmp_path, parameters, sentence):
    with Nodes(tmp_path) as nodes:
        nodes.start('teleop_joy', **parameters)
        process = nodes.processes['teleop_joy']
        assert process.wait(40.0) == 2
        assert nodes.output('teleop_joy').strip() == sentence


# -- the keyboard ----------------------------------------------------------------------------------


def keyboard(**parameters) -> list[str]:
    """Return the command that starts the keyboard node by itself."""
    command = [sys.executable, '-m', 'medal_ros.nodes.teleop_keyboard', '--ros-args']
    command += ['-r', f'__ns:={NAMESPACE}']
    for name, value in parameters.items():
        command += ['-p', f'{name}:={json.dumps(value)}']
    return command


class Seat:
    """A terminal in which something runs."""

    def __init__(self, command: list[str]) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            command, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True
        )
        self.shown = ''
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                if select.select([self.master], [], [], 0.2)[0]:
                    self.shown += os.read(self.master, 65536).decode(errors='replace')
            except OSError:
                return

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def modes(self) -> list:
        return termios.tcgetattr(self.slave)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5.0)
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def seat():
    made = Seat(keyboard(action=4, pulse=0.2))
    try:
        wait_until(lambda: 'press the space bar' in made.shown, 40.0, 'the screen')
        assert made.modes() != made.before
        yield made
    finally:
        made.close()


def test_a_key_is_one_pulse_and_leaving_restores_the_terminal(seat):
    with Probe() as probe:
        seen = probe.record(Teleop, 'teleop', STREAM)
        found = lambda: probe.node.count_publishers(f'{NAMESPACE}/teleop') > 0  # noqa: E731
        wait_until(found, 10.0, 'the topic teleop')
        seat.press('w')
        time.sleep(0.3)
        assert seen == [], 'not live'
        seat.press(' ')
        wait_until(lambda: 'LIVE' in seat.shown, 5.0, 'the word on the screen')
        seat.press('w')
        wait_until(lambda: seen and not seen[-1].engaged, 5.0, 'the release')
        assert 1 <= sum(m.engaged for m in seen) <= 12, 'a pulse of 0.2 s at 50 Hz'
        assert {tuple(m.action) for m in seen if m.engaged} == {(0.5, 0.0, 0.0, -1.0)}
        assert tuple(seen[-1].action) == (0.0, 0.0, 0.0, -1.0)
        seat.press('1')
        wait_until(lambda: 'nobody offers' in seat.shown, 5.0, 'the answer')
    seat.press('x')
    assert seat.process.wait(10.0) == 0
    assert seat.modes() == seat.before


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_terminal_is_restored_however_the_node_ends(seat, number):
    seat.process.send_signal(number)
    status = seat.process.wait(10.0)
    assert status == (-9 if number == signal.SIGKILL else 0)
    wait_until(lambda: seat.modes() == seat.before, 3.0, 'the terminal as it was')


def test_ctrl_c_is_a_key_that_ends_it(seat):
    seat.press('\x03')
    assert seat.process.wait(10.0) == 0
    assert seat.modes() == seat.before


def test_without_a_terminal_it_says_so(tmp_path):
    with Nodes(tmp_path) as nodes:
        nodes.start('teleop_keyboard')
        assert nodes.processes['teleop_keyboard'].wait(40.0) == 2
        assert nodes.output('teleop_keyboard').startswith('the keyboard is read from a terminal')


def test_medal_teleop_drives_whatever_arm_is_running(tmp_path):
    """An action of peg_insert has five numbers; nobody said so to the command."""
    command = [sys.executable, '-m', 'medal_ros.cli', 'teleop', '--namespace', NAMESPACE[1:]]
    with Nodes(tmp_path) as nodes, Probe() as probe:
        nodes.start('sim_arm', task='peg_insert')
        found = lambda: 'sim_arm' in probe.node.get_node_names()  # noqa: E731
        wait_until(found, 30.0, 'the arm')
        seen, made = probe.record(Teleop, 'teleop', STREAM), Seat(command)
        try:
            wait_until(lambda: 'press the space bar' in made.shown, 40.0, 'the screen')
            made.press(' ')
            wait_until(lambda: 'LIVE' in made.shown, 5.0, 'the word on the screen')
            heard = lambda: probe.node.count_publishers(f'{NAMESPACE}/teleop') > 0  # noqa: E731
            wait_until(heard, 10.0, 'the topic teleop')
            until = time.monotonic() + 10.0
            while not (driven := [m for m in seen if m.engaged]):
                assert time.monotonic() < until, 'no key moved the arm'
                made.press('w')  # a pulse is so short that a busy machine may miss one
                time.sleep(0.3)
            assert len(driven[0].action) == 5
            made.press('x')
            assert made.process.wait(10.0) == 0
            assert made.modes() == made.before
        finally:
            made.close()


def test_medal_teleop_without_an_arm_is_a_sentence():
    command = [sys.executable, '-m', 'medal_ros.cli', 'teleop', 'joy', '--namespace', 'nowhere']
    done = subprocess.run(command, capture_output=True, text=True, timeout=60.0)
    assert (done.returncode, done.stderr) == (
        2, 'medal: no arm is running in namespace /nowhere\n',
    )  # fmt: skip
