"""The command line over a running graph, with every node a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from ros import wait_until
from test_processes import alive, children

from medal_ros import cli
from medal_ros.monitor import Monitor


@pytest.fixture(scope='module')
def simulation(tmp_path_factory):
    """The stand-in alone, on a clock, as `medal sim` runs it."""
    folder = tmp_path_factory.mktemp('simulation')
    command = [sys.executable, '-m', 'medal_ros.cli', 'sim', '--set', 'graph.rate=20']
    command += ['--set', 'graph.restarts=1']
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
    names = ['camera_sync', 'operator', 'processes', 'sim_arm', 'supervisor']

    def all_heard() -> bool:  # each speaks once a second, on a busy machine a little later
        code, out, err = medal(capsys, 'status')
        assert (code, err) == (0, '')
        first, second, *nodes = out.splitlines()
        assert first.startswith('practice: forward policy, step ')
        assert second.endswith(' steps, 0 interventions')
        assert {line.split(':')[0] for line in nodes} <= {f'  medal/{name}' for name in names}
        return len(nodes) == len(names) and 'says nothing' not in out

    wait_until(all_heard, 20.0, 'a word of every node')


def test_switch_hands_control_over(simulation, capsys):
    code, out, err = medal(capsys, 'switch', 'backward')
    assert (code, out, err) == (0, 'backward takes over now\n', '')
    monitor = simulation.monitor
    assert monitor.wait_for(lambda: monitor.newest['state'].agent == 'backward', 10.0)
    code, out, err = medal(capsys, 'switch', 'sideways')
    sentence = "there is no policy 'sideways'; there are forward and backward\n"
    assert (code, out, err) == (1, '', sentence)


@pytest.mark.parametrize('look', [2.0, 0.0])  # 0: as if discovery were too slow
def test_a_second_graph_in_the_namespace_is_refused(
    simulation, capsys, tmp_path, monkeypatch, look
):
    monkeypatch.setattr('medal_ros.train.LOOK_FOR_OTHERS', look)
    code, out, err = medal(capsys, 'train', '--runs', str(tmp_path / 'runs'))
    assert (code, out) == (2, '')
    assert err.startswith('medal: a graph already runs in namespace /medal (')
    assert err.endswith('): stop it, or choose another --namespace or ROS_DOMAIN_ID\n')
    assert err.count('\n') == 1 and list(tmp_path.iterdir()) == []
    assert simulation.process.poll() is None


def test_a_node_that_dies_is_started_again_and_too_often_ends_the_graph(simulation, capsys):
    def named() -> dict[str, int]:
        commands = {}
        for p in children(simulation.process.pid):
            with suppress(OSError):  # gone meanwhile
                commands[p] = Path(f'/proc/{p}/cmdline').read_text().split('\0')
        return {words[3]: p for p, words in commands.items() if len(words) > 3}  # 1: just forked

    first = named()
    assert sorted(first) == ['camera_sync', 'operator', 'sim_arm', 'supervisor']
    os.kill(first['sim_arm'], signal.SIGKILL)
    wait_until(lambda: named().get('sim_arm', first['sim_arm']) != first['sim_arm'], 30.0)
    monitor = simulation.monitor
    monitor.newest.clear()
    assert monitor.wait_for(lambda: 'state' in monitor.newest, 30.0)  # it acts again
    shown = lambda: 'restarts: sim_arm 1' in medal(capsys, 'status')[1]  # noqa: E731
    wait_until(shown, 10.0, 'the restart in the status')
    last = named()
    os.kill(last['sim_arm'], signal.SIGKILL)
    assert simulation.process.wait(30.0) == 1
    err = (simulation.folder / 'err').read_text()
    assert err.startswith('medal: the node sim_arm was killed by signal 9 (see ')
    assert err.endswith('; it was started again 1 times within 10 minutes\n')
    assert err.count('\n') == 1
    assert not any(map(alive, [*first.values(), *last.values()]))
