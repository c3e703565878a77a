"""The command line: every mistake is one sentence and a status, and costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import ros  # noqa: F401  a domain of its own
from small import demonstration

from medal_ros import cli, monitor, preparing, train
from medal_ros.config import presets
from medal_ros.learning.demonstrations import (
    DemonstrationError,
    load_demonstrations,
    save_demonstration,
)
from medal_ros.sim import TASKS as ALL
from medal_ros.sim import task_class
from medal_ros.spaces import AGENTS

TASK = 'tabletop_quick'
SPACES = task_class(TASK).spaces
PRESETS = ', '.join(presets())
TASKS = ', '.join(ALL)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Work in an empty folder; nobody else is in this domain, so look for others only briefly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, 'LOOK_FOR_OTHERS', 0.0)
    monkeypatch.setattr(monitor, 'DISCOVERY', 0.1)


@pytest.fixture
def medal(capsys):
    def medal(command: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(command.split())
        return end.value.code, *capsys.readouterr()

    return medal


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob('*')}


# -- what was asked for --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('command', 'sentence'),
    [
        ('train --task juggling', f"there is no task 'juggling'; there are {TASKS}"),
        ('sim --task juggling', f"there is no task 'juggling'; there are {TASKS}"),
        ('demos --task juggling', f"there is no task 'juggling'; there are {TASKS}"),
        ('train --preset papper', f"there is no preset 'papper'; there are {PRESETS}"),
        (
            'train --set agent.hiden=3',
            "there is no key 'forward.agent.hiden'; did you mean 'forward.agent.hidden'?",
        ),
        (
            'train --set graph.publish_evry=3',
            "there is no key 'graph.publish_evry'; did you mean 'graph.publish_every'?",
        ),
        ('train --set colour=red', "there is no key 'colour'"),
        (
            'sim --set agent.hidden=big',
            "key forward.agent.hidden must be a whole number of at least 1, not 'big'",
        ),
        ('train --seed -1', 'key seed must be a whole number from 0 to 2147483647, not -1'),
        ('train --steps -3', 'key steps must be a whole number from 0 to 100000000, not -3'),
        (
            'train --steps 99999999999999999999',
            'key steps must be a whole number from 0 to 100000000, not 99999999999999999999',
        ),
        ('train --set graph.rate=.nan', 'key graph.rate must be a number from 0 to 1000, not nan'),
        ('train --set hidden', "'hidden' is not of the form key=value"),
        ('train --set =3', "'=3' is not of the form key=value"),
        ('train --set agent.hidden=[', "the value in 'agent.hidden=[' cannot be read as YAML"),
        (
            'train --set agent.encoder.strides=[2,2,2,2,2,2]',
            'images of 48x48 cannot pass convolutions with the strides [2, 2, 2, 2, 2, 2]',
        ),
        (
            'train --set agent.encoder.strides=[]',
            'images of 48x48 cannot pass convolutions with the strides []',
        ),
        ('train --config none.yaml', 'none.yaml cannot be read as YAML'),
        ('train --config .', '. cannot be read as YAML'),
        ('train --config a.yaml --preset paper', 'a.yaml names its own preset: leave out --preset'),
        ('train --namespace a!b', "'a!b' cannot be a ROS namespace: use letters, digits, _ and /"),
        ('status --namespace 1', "'1' cannot be a ROS namespace: use letters, digits, _ and /"),
        ('demos --count 0', '--count must be at least 1, not 0'),
        ('demos --seed -1', '--seed must be from 0 to 2147483647, not -1'),
        ('demos --out /proc/none', '/proc/none: No such file or directory'),
        ('evaluate runs/none', 'runs/none is not a run: it has no config.yaml'),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_makes_nothing(medal, tmp_path, command, sentence):
    code, _, err = medal(command)
    assert (code, err) == (2, f'medal: {sentence}\n')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        ('a/b', "'a/b' cannot be the name of a run"),
        ('..', "'..' cannot be the name of a run"),
        ('.hidden', "'.hidden' cannot be the name of a run"),
        ('/tmp', "'/tmp' cannot be the name of a run"),
        ('taken', 'there is already a run runs/taken: choose another name'),
    ],
)
def test_a_run_needs_a_name_of_its_own(medal, tmp_path, name, sentence):
    (tmp_path / 'runs' / 'taken').mkdir(parents=True)
    before = contents(tmp_path)
    code, _, err = medal(f'train --name {name}')
    assert code == 2 and err.startswith(f'medal: {sentence}') and err.count('\n') == 1
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        (b': : :\n - [', 'c.yaml cannot be read as YAML'),
        (b'\xff\xfe\x00', 'c.yaml cannot be read as YAML'),
        (b'', 'c.yaml is not a YAML mapping of keys to values'),
        (b'[1, 2]', 'c.yaml is not a YAML mapping of keys to values'),
        (b'!!python/object/apply:os.mkdir [made]', 'c.yaml cannot be read as YAML'),
        (b'task: juggling', f"there is no task 'juggling'; there are {TASKS}"),
        (b'sede: 3', "there is no key 'sede'; did you mean 'seed'?"),
        (b'seed: null', 'key seed must be a whole number from 0 to 2147483647, not None'),
        (b'1: 2', "there is no key '1'"),
    ],
)
def test_a_bad_configuration_file_is_one_sentence(medal, tmp_path, text, sentence):
    Path('c.yaml').write_bytes(text)
    for command in ('train --config c.yaml', 'evaluate run'):
        if command.startswith('evaluate'):
            Path('run').mkdir()
            Path('c.yaml').rename('run/config.yaml')
            sentence = sentence.replace('c.yaml', 'run/config.yaml')
        before = contents(tmp_path)
        assert medal(command)[::2] == (2, f'medal: {sentence}\n')
        assert contents(tmp_path) == before


@pytest.mark.parametrize('place', ['file', 'file/runs'])
def test_runs_need_a_folder(medal, place):
    Path('file').write_text('not a folder')
    code, _, err = medal(f'train --runs {place} --name x')
    assert (code, err) == (2, f'medal: {place}/x: Not a directory\n')
    assert medal('demos --out file')[2] == (
        'medal: file is not an empty folder: choose another --out\n'
    )
    assert Path('file').read_text() == 'not a folder'


# -- demonstrations ------------------------------------------------------------------------------


def show(folder: Path, length: int = 25, task: str = TASK) -> None:
    for direction in AGENTS:
        made = demonstration(length, direction, SPACES, task=task)
        save_demonstration(made, folder, 0)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b'')


@pytest.mark.parametrize(
    ('make', 'sentence'),
    [
        (lambda f: None, 'demos holds no forward demonstrations'),
        (lambda f: f.write_text('x'), 'demos holds no forward demonstrations'),
        (
            lambda f: [show(f), (f / 'backward_000.safetensors').unlink()],
            'demos holds no backward demonstrations',
        ),
        (
            lambda f: [show(f), truncate(f / 'forward_000.safetensors')],
            'demos/forward_000.safetensors is damaged or truncated',
        ),
        (
            lambda f: [show(f), empty(f / 'forward_000.safetensors')],
            'demos/forward_000.safetensors is damaged or truncated',
        ),
        (
            lambda f: show(f, length=5),
            'backward_000.safetensors has 5 steps, fewer than the 8 goal states taken from its '
            'end (classifier.goal_states)',
        ),
        (
            lambda f: show(f, task='tabletop'),
            "backward_000.safetensors is of task 'tabletop', not 'tabletop_quick'",
        ),
    ],
)
def test_demonstrations_that_cannot_be_used(medal, tmp_path, make, sentence):
    make(tmp_path / 'demos')
    before = contents(tmp_path)
    code, _, err = medal('train --name x --set demonstrations.folder=demos')
    assert (code, err) == (2, f'medal: {sentence}\n')
    assert contents(tmp_path) == before


def test_an_interrupt_is_no_traceback(medal, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparing, 'record_demonstrations', interrupted)
    assert medal('train --name x')[::2] == (130, '')
    assert not Path('runs/x').exists()


def test_demos_records_what_a_run_can_use(medal):
    code, out, err = medal('demos --count 2 --seed 5 --out made')
    assert (code, err) == (0, '')
    assert out == '4 demonstrations of tabletop_quick are in made\n'
    found = load_demonstrations(Path('made'), TASK, SPACES, least=8)
    assert [len(found[direction]) for direction in AGENTS] == [2, 2]
    starts = [d.proprio[0] for side in found.values() for d in side]
    assert len(np.unique(starts, axis=0)) == 4  # each from a pose of its own
    before = contents(Path('made'))
    code, _, err = medal('demos --count 2 --seed 5 --out made')
    assert (code, err) == (2, 'medal: made is not an empty folder: choose another --out\n')
    assert contents(Path('made')) == before
    medal('demos --count 2 --seed 5 --out again')
    again = load_demonstrations(Path('again'), TASK, SPACES, least=8)
    for direction in AGENTS:
        for one, other in zip(found[direction], again[direction], strict=True):
            assert (one.frames == other.frames).all() and (one.actions == other.actions).all()
    with pytest.raises(DemonstrationError, match="is of task 'tabletop_quick', not 'tabletop'"):
        load_demonstrations(Path('made'), 'tabletop', task_class('tabletop').spaces, 8)


# -- graphs --------------------------------------------------------------------------------------


def test_switch_and_status_without_a_graph(medal):
    assert medal('switch forward') == (1, '', 'no supervisor answers in namespace /medal\n')
    assert medal('status --namespace /robot/') == (
        1,
        '',
        'no graph is running in namespace /robot of this ROS domain\n',
    )


# -- as a process --------------------------------------------------------------------------------


def test_mistakes_of_a_process(tmp_path):
    """What a shell sees, without anything of this test process in between."""
    for arguments, last in (
        (['train', '--set', 'sede=3'], "medal: there is no key 'sede'; did you mean 'seed'?"),
        (['train', '--sede', '3'], 'medal: error: unrecognized arguments: --sede 3'),
        (['dance'], "medal: error: argument COMMAND: invalid choice: 'dance'"),
    ):
        command = [sys.executable, '-m', 'medal_ros.cli', *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60.0)
        assert (done.returncode, done.stdout) == (2, '')
        assert done.stderr.splitlines()[-1].startswith(last)
        assert 'Traceback' not in done.stderr
    assert list(tmp_path.iterdir()) == []
