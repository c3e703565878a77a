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

from medal_ros import cli
from medal_ros.bringup import NodeSpec
from medal_ros.errors import UserError
from medal_ros.monitor import Monitor
from medal_ros.nodes.worker import Worker
from medal_ros.processes import ENDED, Processes, ProcessFailed, environment

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


def test_nodes_hear_this_machine_alone_unless_asked_otherwise(monkeypatch):
    monkeypatch.delenv('ROS_AUTOMATIC_DISCOVERY_RANGE')
    assert environment()['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    assert environment()['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'SUBNET'


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


# -- the command line over a running graph -------------------------------------------------------


@pytest.fixture(scope='module')
def simulation(tmp_path_factory):
    """The stand-in alone, on a clock, as `medal sim` runs it."""
    folder = tmp_path_factory.mktemp('simulation')
    command = [sys.executable, '-m', 'medal_ros.cli', 'sim', '--set', 'graph.rate=20']
    with open(folder / 'out', 'wb') as out, open(folder / 'err', 'wb') as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
    monitor = Monitor('medal')
    try:
        assert monitor.wait_for(lambda: 'state' in monitor.newest, 60.0), (
            folder / 'err'
        ).read_text()
        yield SimpleNamespace(process=process, monitor=monitor, folder=folder)
    finally:
        process.kill()
        monitor.close()


def medal(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return end.value.code, *capsys.readouterr()


def test_status_says_what_each_node_does(simulation, capsys):
    names = ['camera_sync', 'operator', 'sim_arm', 'supervisor']

    def all_heard() -> bool:  # each speaks once a second, on a busy machine a little later
        code, out, err = medal(capsys, 'status')
        assert (code, err) == (0, '')
        first, second, *nodes = out.splitlines()
        assert first.startswith('practice: forward policy, step ')
        assert second.endswith(' steps, 0 interventions')
        assert {line.split(':')[0] for line in nodes} <= {f'  medal/{name}' for name in names}
        return len(nodes) == len(names)

    wait_until(all_heard, 20.0, 'a word of every node')


def test_switch_hands_control_over(simulation, capsys):
    code, out, err = medal(capsys, 'switch', 'backward')
    assert (code, out, err) == (0, 'backward takes over now\n', '')
    monitor = simulation.monitor
    assert monitor.wait_for(lambda: monitor.newest['state'].agent == 'backward', 10.0)
    code, out, err = medal(capsys, 'switch', 'sideways')
    sentence = "there is no policy 'sideways'; there are forward and backward\n"
    assert (code, out, err) == (1, '', sentence)


def test_a_second_graph_in_the_namespace_is_refused(simulation, capsys, tmp_path):
    code, out, err = medal(capsys, 'train', '--runs', str(tmp_path / 'runs'))
    assert (code, out) == (2, '')
    assert err.startswith('medal: a graph already runs in namespace /medal (')
    assert err.endswith('): stop it, or choose another --namespace or ROS_DOMAIN_ID\n')
    assert err.count('\n') == 1 and list(tmp_path.iterdir()) == []
    assert simulation.process.poll() is None


def test_a_node_that_dies_ends_the_graph_with_a_sentence_and_no_orphan(simulation):
    nodes = children(simulation.process.pid)
    named = {Path(f'/proc/{p}/cmdline').read_text().split('\0')[3]: p for p in nodes}
    assert sorted(named) == ['camera_sync', 'operator', 'sim_arm', 'supervisor']
    os.kill(named['sim_arm'], signal.SIGKILL)
    assert simulation.process.wait(30.0) == 1
    err = (simulation.folder / 'err').read_text()
    assert err.startswith('medal: the node sim_arm was killed by signal 9')
    assert err.count('\n') == 1
    assert not any(map(alive, nodes))
