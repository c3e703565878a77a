"""Nodes as processes: started, watched and stopped together, with nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from ros import wait_until

from medal_ros.bringup import NodeSpec
from medal_ros.errors import UserError
from medal_ros.monitor import Monitor
from medal_ros.nodes.worker import Worker
from medal_ros.nursery import Child
from medal_ros.processes import ENDED, Processes, ProcessFailed, runnable
from medal_ros.restarts import RestartLimits, Restarts

SPECS = [NodeSpec('supervisor', {'segment_steps': 5}), NodeSpec('operator')]
NAMES = ['operator', 'supervisor']


def alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not asked for its status does not."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def failure(processes: Processes) -> str:
    """Wait until one of the nodes has failed and return what is said about it."""
    said = []

    def failed() -> bool:
        try:
            processes.check()
        except ProcessFailed as error:
            said.append(str(error))
        return bool(said)

    wait_until(failed, 60.0, 'a failure')
    return said[0]


@pytest.fixture
def start(tmp_path):
    started = []

    def start(specs) -> Processes:
        started.append(Processes(specs, tmp_path, 'medal'))
        return started[-1]

    yield start
    for processes in started:
        processes.stop(0.0)


@pytest.fixture
def pair(start):
    """Two nodes that have come up."""
    processes, monitor = start(SPECS), Monitor('medal')
    try:
        assert monitor.wait_for(lambda: monitor.others() == NAMES, 60.0)
    finally:
        monitor.close()
    return processes


def test_nodes_run_until_they_are_stopped(pair, tmp_path):
    pids = [process.pid for process in pair.running.values()]
    assert pair.check() == {}
    assert pair.stop(30.0) == []
    assert sorted(pair.statuses) == NAMES and set(pair.statuses.values()) <= set(ENDED)
    assert not any(map(alive, pids))
    for name in NAMES:
        assert 'Traceback' not in (tmp_path / 'log' / f'{name}.log').read_text()
    assert 'segment_steps: 5' in (tmp_path / 'parameters' / 'supervisor.yaml').read_text()


def test_one_killed_and_one_deaf_node(pair):
    supervisor, operator = (pair.running[name].pid for name in ('supervisor', 'operator'))
    os.kill(supervisor, signal.SIGKILL)
    assert failure(pair).startswith('the node supervisor was killed by signal 9')
    os.kill(operator, signal.SIGSTOP)  # hears no interrupt
    assert pair.stop(0.3) == ['operator']
    assert not alive(operator)


def test_a_refused_parameter_is_one_sentence_and_stops_nobody_else(start, tmp_path):
    processes = start([NodeSpec('supervisor', {'segment_stepz': 5})])
    log = tmp_path / 'log' / 'supervisor.log'
    assert failure(processes) == (
        'the node supervisor ended with status 2: supervisor: there is no parameter '
        f"'segment_stepz'; did you mean 'segment_steps'? (see {log})"
    )


def tended(processes: Processes, monitor: Monitor, condition) -> None:
    """Look after the nodes as the command does until a condition holds."""

    def look() -> bool:
        processes.check()
        processes.tend()
        return condition()

    assert monitor.wait_for(look, 60.0)


def test_a_killed_and_a_hung_node_are_started_again_until_it_is_too_often(tmp_path):
    restarts = Restarts(RestartLimits(most=1, silent=5.0, first=0.1))
    processes = Processes(SPECS, tmp_path, 'medal', restarts, until='operator', reserve=True)
    monitor = Monitor('medal')
    monitor.on_word = restarts.heard
    try:
        tended(processes, monitor, lambda: restarts.away == [])
        tended(processes, monitor, lambda: processes.nursery and processes.nursery.ready)
        before = {name: process.pid for name, process in processes.running.items()}
        os.kill(before['supervisor'], signal.SIGKILL)
        os.kill(before['operator'], signal.SIGSTOP)
        again = lambda: restarts.counts == {'supervisor': 1, 'operator': 1}  # noqa: E731
        tended(processes, monitor, lambda: again() and restarts.away == [])
        assert not any(map(alive, before.values()))
        assert all(isinstance(process, Child) for process in processes.running.values())
        assert {Path(f'/proc/{p.pid}/comm').read_text() for p in processes.running.values()} == {
            'supervisor\n', 'operator\n',
        }  # fmt: skip
        first, *rest = processes.told
        log = tmp_path / 'log' / 'supervisor.log'
        what = f'the node supervisor was killed by signal 9 (see {log})'
        assert first == f'{what}: it is started again in 0.1 s'
        assert rest[0].startswith('the node operator said nothing for ')
        os.kill(processes.running['supervisor'].pid, signal.SIGKILL)
        too_often = f'{what}; it was started again 1 times within 10 minutes'
        assert failure(processes) == too_often
    finally:
        monitor.close()
        left = processes.nursery.process.pid
        assert processes.stop(10.0) == [] and processes.statuses == {'operator': 0}
    assert not alive(left)


def test_of_two_that_do_not_hear_each_other_the_younger_is_started_again(tmp_path):
    restarts = Restarts(RestartLimits(silent=6.0, busy=1.0, first=0.1))
    processes = Processes(SPECS, tmp_path, 'medal', restarts)
    monitor, hear = Monitor('medal'), {}

    def on_word(name: str, hears: set[str]) -> None:
        hear[name] = hears
        restarts.heard(name, set() if name == 'operator' and not restarts.counts else hears)

    monitor.on_word = on_word
    try:
        tended(processes, monitor, lambda: restarts.counts and restarts.away == [])
        assert restarts.counts == {'operator': 1}
        deaf = 'the nodes operator and supervisor do not hear each other: operator is killed'
        assert processes.told[0] == deaf
        both = {'operator': {'supervisor'}, 'supervisor': {'operator'}}
        tended(processes, monitor, lambda: hear == both)  # in truth
    finally:
        monitor.close()
        assert processes.stop(10.0) == []


def test_who_waits_for_a_processor_is_told_from_who_sleeps():
    sleeper = subprocess.Popen(['sleep', '60'])
    runner = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
    try:
        wait_until(lambda: runnable(runner.pid) and not runnable(sleeper.pid), 10.0)
        os.kill(runner.pid, signal.SIGSTOP)
        wait_until(lambda: not runnable(runner.pid), 10.0)
    finally:
        for process in (sleeper, runner):
            process.kill()
            process.wait()


def test_whoever_ends_unasked_is_started_again_and_a_mistake_is_not(tmp_path):
    processes = Processes([], tmp_path, 'medal', Restarts(), until='evaluator')
    for name, status in (('evaluator', 0), ('operator', 0), ('reward', 1), ('trainer', 2)):
        processes.restarts.started(name)
        ends = [sys.executable, '-c', f'raise SystemExit({status})']
        processes.running = {name: subprocess.Popen(ends)}
        processes.running[name].wait(10.0)
        (tmp_path / 'log' / f'{name}.log').write_text('why')
        if name == 'trainer':
            assert failure(processes).startswith('the node trainer ended with status 2: why')
        else:
            processes.check()
    assert processes.statuses == {'evaluator': 0}
    assert processes.restarts.counts == {'operator': 1, 'reward': 1}


def test_the_others_go_on_without_one_that_is_not_vital(start):
    spare = NodeSpec('recorder', {'split_mib': 1.0}, vital=False)  # it is not told where to
    processes = start([spare, NodeSpec('operator')])
    wait_until(processes.check, 60.0, 'the end of the recorder')
    assert processes.statuses == {'recorder': 2} and 'operator' in processes.running
    (words,) = processes.told
    assert words.startswith('the node recorder ended with status 2: recorder: parameter folder')


FATAL = '[FATAL] [1795.25] [medal.trainer]: the disk is full'


@pytest.mark.parametrize(
    ('log', 'sentence'),
    [
        (['something', 'ValueError: no'], ': ValueError: no'),
        (['Traceback', FATAL, '', 'run saved in 0.1 s'], ': the disk is full'),
        (['[ERROR] [1.5] [medal.trainer]: bad weights'], ': bad weights'),
        ([], ''),
    ],
)
def test_the_line_that_says_why(start, tmp_path, log, sentence):
    processes, path = start([]), tmp_path / 'log' / 'trainer.log'
    path.write_text('\n'.join(log))
    ends = [sys.executable, '-c', 'raise SystemExit(3)']
    processes.running['trainer'] = subprocess.Popen(ends)
    assert failure(processes) == f'the node trainer ended with status 3{sentence} (see {path})'


@pytest.mark.parametrize(
    ('error', 'errors', 'fatal'),
    [
        (UserError('the file x is damaged'), 0, 'the file x is damaged'),
        (KeyError('x'), 1, "KeyError: 'x'"),
    ],
)
def test_a_failing_worker_says_why_in_its_last_line(error, errors, fatal):
    said = SimpleNamespace(error=[], fatal=[])
    logger = SimpleNamespace(error=said.error.append, fatal=said.fatal.append)

    def fail():
        raise error

    worker = Worker(SimpleNamespace(get_logger=lambda: logger), fail)
    worker.start()
    worker.thread.join(10.0)
    assert worker.failed and said.fatal == [fatal]
    assert len(said.error) == errors and all('Traceback' in text for text in said.error)


def test_a_worker_answers_requests_until_it_is_stopped():
    asked, waiting = [], threading.Event()

    def work():
        while not worker.stopping:
            waiting.wait(0.01)

    worker = Worker(SimpleNamespace(), work)
    worker.start()
    worker.ask(lambda: asked.append(threading.current_thread()))
    wait_until(lambda: asked, 5.0)
    worker.stop()
    assert asked == [worker.thread] and not worker.thread.is_alive() and not worker.failed


def test_nodes_end_with_who_started_them_however_it_dies(tmp_path):
    text = (
        'import time; from pathlib import Path; from medal_ros.bringup import NodeSpec; '
        'from medal_ros.processes import Processes; '
        "p = Processes([NodeSpec('operator')], Path('.'), 'orphans'); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, '-c', text], cwd=tmp_path)
    monitor = Monitor('orphans')
    try:
        assert monitor.wait_for(lambda: monitor.others() == ['operator'], 60.0)
        (node,) = children(parent.pid)
        parent.kill()
        parent.wait(10.0)
        wait_until(lambda: not alive(node), 20.0, 'the end of the node')
    finally:
        parent.kill()
        monitor.close()


@pytest.mark.parametrize(('owner', 'begins'), [('os.getppid()', True), ('2**22 + 1', False)])
def test_a_forked_node_begins_at_once_when_it_is_adopted_and_never_otherwise(
    tmp_path, owner, begins
):
    log = tmp_path / 'operator.log'
    told = {'log': str(log), 'words': ['operator']}
    text = (
        'import os; from medal_ros.nodes import start; start.start = print\n'
        f'start.ADOPTED = {60.0 if begins else 0.1}; start.become({told!r}, {owner})'
    )
    subprocess.run([sys.executable, '-c', text], timeout=30.0, check=True)
    assert log.exists() == begins and (not begins or log.read_text() == 'operator\n')
