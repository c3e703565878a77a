"""`medal demos`: what it says of files, replays that succeed, mistakes in one sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import imageio.v2 as imageio
import numpy as np
import pytest
from small import demonstration

from medal_ros import cli
from medal_ros.demos.commands import with_kind
from medal_ros.learning.demonstrations import load_demonstration, save_demonstration
from medal_ros.sim import task_class

TASK = 'tabletop_quick'
SPACES = task_class(TASK).spaces


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def medal(capsys):
    def medal(command: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(command.split())
        return end.value.code, *capsys.readouterr()

    return medal


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    """Demonstrations by the scripted expert."""
    folder = tmp_path_factory.mktemp('recorded') / 'made'
    with pytest.raises(SystemExit) as end:
        cli.main(f'demos record --count 1 --seed 3 --out {folder}'.split())
    assert end.value.code == 0
    return folder


def change(path: Path, **changes) -> Path:
    """Save a changed copy of a demonstration here."""
    changed = dataclasses.replace(load_demonstration(path), **changes)
    return save_demonstration(changed, Path('changed'), 0)


# -- the command line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('given', 'meant'),
    [
        ('demos', 'demos record'),
        ('demos --task x --count 3', 'demos record --task x --count 3'),
        ('demos record --task x', 'demos record --task x'),
        ('demos list', 'demos list'),
        ('demos --help', 'demos --help'),
        ('demos dance', 'demos dance'),
        ('train --task x', 'train --task x'),
    ],
)
def test_the_old_spelling_records(given, meant):
    assert with_kind(given.split()) == meant.split()


@pytest.mark.parametrize(
    ('command', 'sentence'),
    [
        ('demos list none', 'there is no folder none'),
        ('demos list .', '. holds no demonstrations'),
        ('demos show none', 'there is no demonstration none'),
        ('demos replay none', 'there is no demonstration none'),
        ('demos replay a b --video v.mp4', '--video is for one file'),
        ('demos record --teleop joy --task tabletop',
         'tabletop shows an image of a goal that only its scripted expert is told: record it '
         'without --teleop'),
        ('demos record --teleop joy --set graph.rate=0',
         'a person drives by the clock: graph.rate must be more than 0'),
        ('demos record --teleop joy --count 1000',
         'option count must be a whole number from 1 to 999, not 1000'),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_makes_nothing(medal, tmp_path, command, sentence):
    code, _, err = medal(command)
    assert (code, err) == (2, f'medal: {sentence}\n')
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_there_is_no_keyboard(medal, monkeypatch, tmp_path):
    monkeypatch.setattr('sys.stdin', open('/dev/null'))  # noqa: SIM115
    code, _, err = medal('demos --teleop')
    assert code == 2 and err.startswith('medal: --teleop keyboard needs a terminal')
    assert list(tmp_path.iterdir()) == []


# -- list and show ---------------------------------------------------------------------------------


def test_list_names_every_file_and_what_is_wrong_with_it(medal, recorded):
    rewards = np.zeros((30, 2), np.float32)
    save_demonstration(
        dataclasses.replace(demonstration(30), task_rewards=rewards, source='teleop'),
        Path('demos/mine'), 4,
    )  # fmt: skip
    code, out, _ = medal('demos list demos')
    assert code == 0
    assert ' '.join(out.splitlines()[0].split()) == (
        'demos/mine/forward_004.safetensors toy forward 30 steps 3.0 s NOT done teleop 0.0 MB'
    )
    assert out.splitlines()[1] == '1 files, 0 of them damaged'
    Path('demos/bad_000.safetensors').write_bytes(b'no')
    code, out, _ = medal('demos list demos')
    assert code == 1
    assert 'demos/bad_000.safetensors is damaged or truncated' in out.splitlines()
    assert out.splitlines()[-1] == '2 files, 1 of them damaged'
    code, out, _ = medal(f'demos list {recorded}')
    assert code == 0 and out.count(' done ') == 2 and 'NOT' not in out


def test_show_tells_length_pauses_and_every_step(medal):
    shown = dataclasses.replace(
        demonstration(3),
        proprio=np.array([[0, 0.5]] * 4, np.float32),
        actions=np.array([[1, -1], [0.25, 0], [0, 0]], np.float32),
        task_rewards=np.array([[0, 1], [0, 0], [1, 0]], np.float32),
        held=np.array([0, 0, 7, 1], np.int32),
        source='teleop',
    )
    path = save_demonstration(shown, Path('demos'), 0)
    code, out, _ = medal(f'demos show {path} --steps')
    lines = out.splitlines()
    assert code == 0
    assert lines[:6] == [
        'task       toy, forward',
        'recorded   by teleop',
        'length     3 steps, 0.3 s; pauses left out: 8 steps',
        'end        done',
        'cameras    third, 12x12',
        'world      not kept',
    ]
    assert lines[6].split() == ['step', 'held', 'proprio', 'action', 'rewards']
    assert [line.split() for line in lines[7:]] == [
        ['0', '0', '0.000', '0.500', '1.000', '-1.000', '0', '1'],
        ['1', '0', '0.000', '0.500', '0.250', '0.000', '0', '0'],
        ['2', '7', '0.000', '0.500', '0.000', '0.000', '1', '0'],
    ]


def test_show_writes_a_sheet_and_a_video(medal, recorded):
    path = next(recorded.glob('forward*'))
    d = load_demonstration(path)
    code, _, err = medal(f'demos show {path} --sheet sheet.png --video all.mp4')
    assert (code, err) == (0, '')
    sheet = cv2.imread('sheet.png')
    count = min(24, len(d) + 1)
    assert sheet.shape == (-(-count // 6) * (48 + 16 + 4), 6 * (48 + 4), 3)
    np.testing.assert_array_equal(sheet[:48, :48, ::-1], d.frames[0])
    with imageio.get_reader('all.mp4') as video:
        assert sum(1 for _ in video) == len(d) + 1
    assert medal(f'demos show {path} --sheet sheet.doc')[2] == (
        'medal: sheet.doc cannot be written as a picture: a name in .png can\n'
    )
    assert medal(f'demos show {path} --video v.avi')[2] == (
        'medal: v.avi is no name of a video: one in .mp4 is\n'
    )


# -- replay ----------------------------------------------------------------------------------------


def test_what_the_expert_recorded_succeeds_again(medal, recorded):
    paths = sorted(recorded.glob('*.safetensors'))
    code, out, err = medal(f'demos replay {paths[0]} {paths[1]}')
    assert (code, err) == (0, '')
    assert out.splitlines() == [
        f'{path} succeeds again; at most 0 apart from what was recorded' for path in paths
    ]


def test_a_replay_that_fails_says_so(medal, recorded):
    path = next(recorded.glob('forward*'))
    still = np.zeros_like(load_demonstration(path).actions)
    code, out, _ = medal(f'demos replay {change(path, actions=still)} --video r.mp4')
    assert code == 1 and 'does NOT succeed again' in out and Path('r.mp4').is_file()


def test_pauses_are_replayed(medal, recorded):
    """Steps in which the arm was held are left out of the file, and done again."""
    path = next(recorded.glob('forward*'))
    d = load_demonstration(path)
    held = np.zeros(len(d) + 1, np.int32)
    held[len(d)] = 5  # after the end: nothing moves any more
    code, out, _ = medal(f'demos replay {change(path, held=held)}')
    assert code == 0 and 'succeeds again' in out


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'start': None}, 'does not hold the world that it began in: no replay'),
        ({'start': {'random': np.zeros(6, np.uint64)}}, 'began in another world than '),
        ({'task': 'cube_grasp'}, 'is not one of cube_grasp as it is now'),
        ({'task': 'juggling'}, "there is no task 'juggling'; there are "),
    ],
)
def test_what_cannot_be_replayed(medal, recorded, changes, sentence):
    path = change(next(recorded.glob('forward*')), **changes)
    code, _, err = medal(f'demos replay {path}')
    assert code == 2 and sentence in err and err.count('\n') == 1
