"""A whole run that is stopped, or killed, and goes on: every node as a process, nothing lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import ros
from test_graph import SEGMENT, SMALL, nodes_of

from medal_ros import cli
from medal_ros.config import load_config
from medal_ros.learning.recovery import last_record
from medal_ros.learning.replay import Counts
from medal_ros.learning.states import States
from medal_ros.run_folder import RunFolder
from medal_ros.spaces import AGENTS

STEPS, HELP_AFTER = 240, 85  # help after segments 5 and 10
SECOND_HELP = 10 * SEGMENT
WAIT = 400.0  # seconds, of which a quiet machine needs about twelve
COLUMNS = ('frames', 'proprio', 'actions', 'task_rewards', *AGENTS)
QUICK = {
    **SMALL,
    'steps': STEPS,
    'ask_for_help.after_steps': HELP_AFTER,  # by images: the window is part of what goes on
    'ask_for_help.tolerance': 10.0,  # every place is the same one, and every change is noise
    'ask_for_help.fraction': 1.0,
    'evaluation.every': 1000,
    'evaluation.episodes': 2,
    'evaluation.final_episodes': 2,
    'storage.checkpoint_every': 50,
}


def medal(runs: Path, out: str, *words: str) -> subprocess.Popen:
    command = [sys.executable, '-m', 'medal_ros.cli', 'train', *words]
    with open(runs / f'{out}.out', 'wb') as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


def begin(runs: Path, name: str) -> subprocess.Popen:
    changes = [word for k, v in QUICK.items() for word in ('--set', f'{k}={v}')]
    return medal(runs, name, '--runs', str(runs), '--name', name, *changes)


def go_on(folder: RunFolder, *words: str) -> subprocess.Popen:
    return medal(folder.path.parent, folder.path.name, '--resume', str(folder.path), *words)


def ended(process: subprocess.Popen, folder: RunFolder) -> str:
    """Wait for the end of a run and return what it said."""
    out = folder.path.parent / f'{folder.path.name}.out'
    try:
        found = process.wait(WAIT)
    finally:
        process.kill()
    assert found == 0, out.read_text()
    return out.read_text()


def taken(folder: RunFolder) -> Counts:
    record = last_record(folder.replay)
    return record.end if record else Counts()


def at(folder: RunFolder, steps: int, process: subprocess.Popen) -> None:
    """Return when so many steps are recorded."""

    def there() -> bool:
        assert process.poll() is None, 'the run ended'
        counts = taken(folder)
        return counts.forward + counts.backward >= steps

    ros.wait_until(there, WAIT, f'step {steps}')


def column(folder: RunFolder, name: str) -> bytes:
    return (folder.replay / f'{name}.bin').read_bytes()


def newest(folder: RunFolder, node: str, part: str) -> bytes:
    return States(folder.state(node)).load().part(part)


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('runs')


@pytest.fixture(scope='module')
def whole(runs: Path) -> RunFolder:
    """A run that was never stopped."""
    folder = RunFolder(runs / 'whole')
    ended(begin(runs, 'whole'), folder)
    return folder


def test_a_stopped_run_goes_on_to_the_bit(whole: RunFolder, runs: Path) -> None:
    folder = RunFolder(runs / 'halves')
    first = begin(runs, 'halves')
    at(folder, 40, first)
    first.send_signal(signal.SIGINT)
    said = ended(first, folder)
    assert f'go on with: medal train --resume {folder.path}' in said
    steps = sum(taken(folder).of(agent) for agent in AGENTS)
    assert 40 <= steps < SECOND_HELP, 'that call is to come after the stop'
    assert nodes_of(folder) == []
    ended(go_on(folder), folder)
    for name in COLUMNS:
        assert column(folder, name) == column(whole, name), name
    for agent in AGENTS:
        assert newest(folder, 'trainer', agent) == newest(whole, 'trainer', agent), agent
        assert newest(folder, 'reward', agent) == newest(whole, 'reward', agent), agent
        one, two = (it.policy(agent, STEPS).read_bytes() for it in (folder, whole))
        assert one == two, agent
    summaries = [json.loads(it.summary.read_text()) for it in (folder, whole)]
    for key in ('steps', 'stored', 'updates', 'interventions', 'curve', 'success', 'bc_success'):
        assert summaries[0][key] == summaries[1][key], key
    assert summaries[0]['finished'] and summaries[0]['interventions'] == 2


def test_a_kill_of_everything_loses_at_most_the_segment_in_progress(runs: Path) -> None:
    folder = RunFolder(runs / 'killed')
    process = begin(runs, 'killed')
    at(folder, 40, process)
    time.sleep(random.random())
    for pid in [process.pid, *nodes_of(folder)]:
        os.kill(pid, signal.SIGKILL)
    process.wait(10)
    ros.wait_until(lambda: not nodes_of(folder), 10, 'the end of all nodes')
    before = {name: np.fromfile(folder.replay / f'{name}.bin', np.uint8) for name in COLUMNS}
    kept = taken(folder)
    row = len(column(folder, 'frames')) // (2 * STEPS + 2)
    written = before['frames'].reshape(-1, row).any(1).sum()
    assert written - kept.frames <= SEGMENT + 1
    said = ended(go_on(folder, '--steps', str(STEPS)), folder)
    assert 'finished' in said
    after = column(folder, 'frames')
    assert after[: kept.frames * row] == before['frames'][: kept.frames * row].tobytes()
    for agent in AGENTS:
        mine = before[agent][: 8 * kept.of(agent)].tobytes()
        assert column(folder, agent)[: len(mine)] == mine
        assert States(folder.state('trainer')).load() is not None
    summary = json.loads(folder.summary.read_text())
    assert summary['steps'] == summary['stored'] + summary['refused'] == STEPS
    assert summary['interventions'] >= 1  # somebody put the world back
    log = (folder.path / 'log' / 'trainer.log').read_text()
    assert f'going on at step {kept.forward + kept.backward} with' in log
    assert 'the world is put back' in (folder.path / 'log' / 'sim_arm.log').read_text()


def test_what_cannot_go_on_is_refused_in_one_sentence(
    whole: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def refusal(folder: Path, *words: str) -> str:
        with pytest.raises(SystemExit) as end:
            cli.main(['train', '--resume', str(folder), *words])
        said = ''.join(capsys.readouterr())
        assert end.value.code == 2 and said.startswith('medal: ') and said.count('\n') == 1
        return said

    assert 'is not a run: it has no config.yaml' in refusal(tmp_path)
    assert f'is finished, all {STEPS} steps of it' in refusal(whole.path)
    assert 'leave out --name' in refusal(whole.path, '--name', 'y')


@pytest.fixture
def stopped(whole: RunFolder, tmp_path: Path) -> RunFolder:
    """What a stopped run leaves, as far as a refusal looks at it."""
    folder = RunFolder(tmp_path / 'stopped')
    folder.replay.mkdir(parents=True)
    folder.demonstrations.symlink_to(whole.demonstrations.resolve())
    folder.config.write_text(whole.config.read_text())
    return folder


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'agent.hidden': 64}, 'was begun with forward.agent.hidden 32, not 64'),
        ({'task': 'tabletop'}, 'was begun with task tabletop_quick, not tabletop'),
        ({'seed': 1}, 'was begun with seed 0, not 1'),
        ({'steps': 10**8}, 'the run would take'),
        ({'storage.limit_gib': 0.001}, 'that is room for about'),
        ({'graph.learning_cores': [9999]}, 'there is no processor 9999 for us here'),
    ],
)
def test_changes_that_do_not_fit_are_refused(stopped, changes, sentence) -> None:
    from medal_ros.errors import UserError
    from medal_ros.resuming import reopen

    before = stopped.config.read_text()
    with pytest.raises(UserError, match=sentence):
        reopen(stopped.path, changes)
    assert stopped.config.read_text() == before


def test_a_change_that_fits_is_kept_and_a_running_run_is_left_alone(stopped) -> None:
    from medal_ros.options import OptionError
    from medal_ros.resuming import hold, reopen

    config, _ = reopen(
        stopped.path, {'steps': 500, 'storage.checkpoints': 4, 'record.enabled': True}
    )
    assert (config.steps, config.storage.checkpoints) == (500, 4)
    assert load_config(stopped.config) == config
    held = hold(stopped)
    with pytest.raises(OptionError, match=rf'is running now \(process {os.getpid()}\)'):
        reopen(stopped.path, {})
    held.close()
    reopen(stopped.path, {})
