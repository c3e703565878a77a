"""What a run stored, on topics again and as films."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import imageio.v2 as imageio
import numpy as np
import pytest
import torch
from finished import make_run
from medal_ros.msg import Observation, Reward, State, Step
from ros import Nodes, Probe, wait_until

from medal_ros import cli
from medal_ros.errors import UserError
from medal_ros.evaluation import open_run
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.recovery import ASIDE, open_store
from medal_ros.learning.replay import Replay
from medal_ros.learning.states import States
from medal_ros.learning.weights import tensor_bytes
from medal_ros.nodes.qos import HISTORY, STREAM
from medal_ros.playback.commands import stretch
from medal_ros.playback.film import pictures
from medal_ros.playback.judge import newest_judge
from medal_ros.playback.stored import StoredRun
from medal_ros.sim import spaces_of
from medal_ros.spaces import AGENTS
from medal_ros.videos import BAR, DONE, GAP, NOT_YET

CLASSIFIER = {'classifier.filters': 4, 'classifier.feature': 6, 'classifier.hidden': 8}
# Whose steps, how many, and whether the next ones follow from them without a break.
TAKEN = (('forward', 5, True), ('backward', 3, False), ('forward', 4, False), ('forward', 2, True))


def practise(path: Path, task: str = 'tabletop_quick', trim: bool = True) -> StoredRun:
    """Make a run that took the steps of TAKEN; each frame is of one colour, its row's."""
    make_run(path, task, **CLASSIFIER)
    config, folder = open_run(path)
    spaces = spaces_of(task, config.pixels)
    opened = open_store(spaces, 40, folder.replay, resume=False)
    replay = Replay(opened.store)
    broken = True
    for agent, steps, follows in TAKEN:
        if broken:
            show(replay)
        for _ in range(steps):
            row = replay.counts.frames - 1
            action = np.full(spaces.action, row / 100, np.float32)
            replay.add_step(agent, action, (float(row % 2), float(row % 3 == 0)))
            show(replay)
        broken = not follows
    opened.journal.record(opened.store, replay.counts, {})
    if trim:
        opened.store.trim(replay.counts)
    opened.journal.close()
    return StoredRun(path)


def show(replay: Replay) -> None:
    row, store = replay.counts.frames, replay.store
    frame = np.full(store.frames.shape[1:], 10 * row, np.uint8)
    replay.add_frame(frame, np.full(store.proprio.shape[1], row / 100))


@pytest.fixture(scope='module')
def run(tmp_path_factory) -> StoredRun:
    made = practise(tmp_path_factory.mktemp('playback') / 'first')
    torch.manual_seed(0)
    classifiers = {
        name: Classifier(getattr(made.config, name).classifier, made.spaces, name)
        for name in AGENTS
    }
    parts = {name: tensor_bytes(c.state_dict(), name) for name, c in classifiers.items()}
    States(made.folder.state('reward')).save(parts.items(), {})
    return made


def asked(run: StoredRun, **given):
    options = {'segment': None, 'first': None, 'end': None, 'speed': 1.0, **given}
    return stretch(run, argparse.Namespace(**options))


# -- segments ----------------------------------------------------------------------------------


def test_segments_are_the_unbroken_stretches_of_one_policy(run):
    assert [(s.agent, s.steps) for s in run.segments] == [(agent, n) for agent, n, _ in TAKEN]
    assert [s.first for s in run.segments] == [0, 5, 8, 12]
    assert [s.row for s in run.segments] == [0, 5, 9, 14]  # a break costs a frame
    assert run.steps == 14
    assert [run.succeeded(s) for s in run.segments] == [False, False, False, True]


@pytest.mark.parametrize('trim', [True, False])
def test_a_run_can_be_looked_at_while_it_grows(tmp_path, trim):
    made = practise(tmp_path / 'run', trim=trim)
    assert made.steps == 14 and made.frames[-1].max() == 10 * (len(made.frames) - 1)


def test_a_part_is_found_by_steps_of_the_run(run):
    (only,) = asked(run, first=1, end=4)
    assert (only.row, only.steps, only.index) == (1, 3, 1)
    before, after = asked(run, first=4, end=6)
    assert [(p.number, p.row, p.steps, p.index) for p in (before, after)] == [
        (0, 4, 1, 4),
        (1, 5, 1, 0),
    ]
    assert asked(run) == run.segments
    assert asked(run, first=8) == run.segments[2:]
    assert asked(run, segment=-1) == [run.segments[3]]


@pytest.mark.parametrize(
    'given, sentence',
    [
        ({'segment': 4}, 'has segments 0 to 3, not 4'),
        ({'segment': -5}, 'not -5'),
        ({'first': 14}, 'has steps 0 to 13, none from 14'),
        ({'first': 5, 'end': 5}, 'none from 5'),
        ({'segment': 1, 'first': 2}, 'leave out --from'),
        ({'speed': 0.0}, '--speed must be'),
        ({'speed': float('nan')}, '--speed must be'),
    ],
)
def test_a_part_that_is_not_there_is_refused(run, given, sentence):
    with pytest.raises(UserError, match=sentence):
        asked(run, **given)


def test_steps_that_were_set_aside_as_damaged_are_left_out(tmp_path):
    path = tmp_path / 'run'
    practise(path)
    aside = '[{"frames": [2, 4], "forward": [2, 4], "backward": [0, 0]}]'
    (path / 'replay' / ASIDE).write_text(aside)
    found = StoredRun(path)
    assert [(s.agent, s.row, s.steps) for s in found.segments[:3]] == [
        ('forward', 0, 1),
        ('forward', 4, 1),
        ('backward', 5, 3),
    ]


def test_what_is_no_run_or_holds_nothing_is_refused_in_one_sentence(tmp_path, capsys):
    empty = make_run(tmp_path / 'empty')
    torn = tmp_path / 'torn'
    practise(torn)
    os.truncate(torn / 'replay' / 'frames.bin', 1000)
    for path, sentence in (
        (tmp_path, 'is not a run'),
        (empty, 'holds no stored steps yet'),
        (torn, 'is missing, or holds less'),
    ):
        for words in (['replay', str(path)], ['export', str(path), '--segment', '0']):
            with pytest.raises(SystemExit) as end:
                cli.main(words)
            said = capsys.readouterr().err
            assert end.value.code == 2 and sentence in said and said.count('\n') == 1


# -- films -------------------------------------------------------------------------------------


def test_a_film_shows_every_frame_of_a_segment_and_how_it_stood(run):
    shown = list(pictures(run, run.segments[2], newest_judge(run.config, run.folder)))
    assert len(shown) == 5
    for i, picture in enumerate(shown):
        assert np.all(picture[: -2 * BAR] == 10 * (9 + i))  # its rows are 9 to 13
        bar = picture[-2 * BAR : -BAR].reshape(-1, 3).tolist()
        done = i > 0 and (9 + i - 1) % 2 == 1  # the forward reward of the step before
        assert [bar.count(list(dot)) > 50 for dot in (DONE, NOT_YET)] == [done, not done]


def test_cameras_stand_side_by_side(tmp_path):
    made = practise(tmp_path / 'run', 'cube_grasp')
    assert len(made.spaces.cameras) == 2
    (first, *_) = pictures(made, made.segments[1], None)
    side = (first.shape[1] - GAP) // 2
    assert first.shape[0] - 2 * BAR == side
    assert not np.all(first[:side, side : side + GAP] == 50) and np.all(first[:side, :side] == 50)


def test_export_writes_a_film_that_plays(run, tmp_path, capsys):
    path = tmp_path / 'new' / 'film.mp4'
    words = ['export', str(run.folder.path), '--from', '3', '--to', '7', '--out', str(path)]
    with pytest.raises(SystemExit) as end:
        cli.main([*words, '--speed', '2'])
    assert end.value.code == 0 and '4 steps are in' in capsys.readouterr().out
    with imageio.get_reader(path) as film:
        frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in film]
        assert film.get_meta_data()['fps'] == 20
    middles = [round(int(frame[100, 100]) / 10) for frame in frames]
    assert middles == [3, 4, 5, 5, 6, 7]  # two segments: what ends one begins the next
    assert [p.name for p in path.parent.iterdir()] == ['film.mp4']


def test_export_says_what_it_needs(run, tmp_path, capsys):
    folder = str(run.folder.path)
    for words, sentence in (
        ([], '--segment N, or --from STEP'),
        (['--segment', '0', '--out', str(tmp_path / 'x.gif')], 'is no name of a video'),
    ):
        with pytest.raises(SystemExit) as end:
            cli.main(['export', folder, *words])
        said = capsys.readouterr().err
        assert end.value.code == 2 and sentence in said and said.count('\n') == 1


# -- topics ------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def heard(run, tmp_path_factory):
    """Return what a replay of the steps 3 to 6 said, on which topics, and how it ended."""
    with Probe() as probe, Nodes(tmp_path_factory.mktemp('replayer')) as nodes:
        said = {
            name: probe.record(kind, f'/replay/{name}', qos)
            for name, kind, qos in (
                ('observation', Observation, HISTORY),
                ('state', State, HISTORY),
                ('step', Step, HISTORY),
                ('reward', Reward, STREAM),
            )
        }
        nodes.start(
            'replayer',
            namespace='/replay',
            run=str(run.folder.path),
            first=3,
            end=7,
            speed=2.0,
        )
        wait_until(lambda: said['step'], 30.0, 'a step')
        node = probe.node
        topics = node.get_publisher_names_and_types_by_node('replayer', '/replay')
        services = node.get_client_names_and_types_by_node('replayer', '/replay')
        status = nodes.processes['replayer'].wait(20.0)
        wait_until(lambda: len(said['observation']) == 6, 5.0, 'the last observation')
    return said, {name for name, _ in topics}, services, status


def test_a_replay_says_what_was_seen_and_done(run, heard):
    said, _, _, status = heard
    assert status == 0
    rows = [3, 4, 5, 5, 6, 7]
    assert [m.sequence for m in said['observation']] == rows
    for message, row in zip(said['observation'], rows, strict=True):
        assert bytes(message.images[0].data) == run.frames[row].tobytes()
        assert list(message.proprio) == pytest.approx(run.proprio[row].tolist())
    states = [(m.agent, m.segment, m.index, m.steps, m.mode) for m in said['state']]
    assert states == [
        ('forward', 0, 3, 3, 'practice'),
        ('forward', 0, 4, 4, 'practice'),
        ('forward', 0, 5, 5, 'practice'),
        ('backward', 1, 0, 5, 'practice'),
        ('backward', 1, 1, 6, 'practice'),
        ('backward', 1, 2, 7, 'practice'),
    ]
    assert {m.reason for m in said['state']} == {'replay of first'}
    steps = [(m.sequence, m.agent, list(m.task_rewards)) for m in said['step']]
    assert steps == [
        (3, 'forward', [1, 1]),
        (4, 'forward', [0, 0]),
        (5, 'backward', [1, 0]),
        (6, 'backward', [0, 1]),
    ]
    assert said['step'][1].action[0] == pytest.approx(0.04)
    judge = newest_judge(run.config, run.folder)
    scores = judge.scores(run.frames[:], run.proprio[:])['forward']
    learned = {m.sequence: m.forward for m in said['reward']}  # nothing of it is kept for the late
    assert learned and set(learned) <= set(rows)
    assert all(value == pytest.approx(scores[row], abs=1e-5) for row, value in learned.items())


def test_a_replay_can_move_no_arm(heard):
    _, topics, services, _ = heard
    own = {'observation', 'state', 'step', 'reward', 'camera/third/image_raw'}
    others = {'/diagnostics', '/rosout', '/parameter_events'}
    assert topics == {f'/replay/{name}' for name in own} | others
    assert services == []


def test_a_namespace_in_which_somebody_is_already_is_refused(run, capsys):
    with Probe() as probe:  # in /medal
        folder = str(run.folder.path)
        with pytest.raises(SystemExit) as end:
            cli.main(['replay', folder, '--namespace', probe.node.get_namespace()])
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count('\n') == 1
    assert 'already runs in namespace /medal (probe)' in said
