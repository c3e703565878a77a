"""Recording what a person drives: which steps are taken, whose turn it is, what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from small import SPACES, demonstration

from medal_ros.learning.demonstrations import (
    DemonstrationError,
    check,
    load_demonstration,
    save_demonstration,
)
from medal_ros.options import build
from medal_ros.robot.recording import Done, Recorder, RecordingConfig, Seen


class Graph:
    """Feeds a recorder what an arm would say; each frame shows the number of its observation."""

    def __init__(self, folder, **changes) -> None:
        values = {'task': 'toy', 'folder': str(folder), 'count': 2, 'least': 2, **changes}
        self.recorder = Recorder(build(RecordingConfig, values), SPACES)
        self.now = -1
        self.observe()
        assert self.recorder.start() == (
            False,
            'no step of an arm has come yet: is it running, and its cameras?',
        )
        self.run('h')

    def observe(self) -> None:
        frame = np.full(SPACES.frame_shape, max(self.now, 0), np.uint8)
        self.recorder.observe(self.now, Seen(frame, np.full(2, self.now / 100, np.float32)))
        self.recorder.world(self.now, {'joints': np.array([self.now])})

    def run(self, sources: str, done: float = 0.0) -> None:
        """Take one step for each letter: teleop, hold, script, policy."""
        names = {'t': 'teleop', 'h': 'hold', 's': 'script', 'p': 'policy'}
        for letter in sources:
            action = np.full(2, self.now / 100, np.float32)
            rewards = np.array([done, 0], np.float32)
            said = Done(names[letter], letter == 's', action, rewards)
            self.recorder.step(self.now, said)
            self.now += 1
            self.observe()


@pytest.fixture
def graph(tmp_path):
    return Graph(tmp_path / 'demos')


def frames(d) -> list[int]:
    return d.frames[:, 0, 0, 0].tolist()


def saved(graph) -> list[str]:
    return sorted(path.name for path in graph.recorder.folder.glob('*'))


# -- what is recorded ------------------------------------------------------------------------------


def test_pauses_are_left_out_and_counted(graph):
    graph.run('th')
    assert graph.recorder.start() == (True, 'recording forward from the first driven step on')
    graph.run('hhtthhht')  # 2, 3 waits; 4, 5 drives; 6, 7, 8 waits; 9 drives
    graph.run('hh', done=1.0)
    told = graph.recorder.save()
    assert told == (True, 'saved forward_000.safetensors: 3 steps, done')
    d = load_demonstration(graph.recorder.folder / 'forward_000.safetensors')
    assert np.round(d.actions[:, 0] * 100).tolist() == [4, 5, 9]
    assert frames(d) == [4, 5, 9, 12], 'what a pause ends with takes the place of its beginning'
    assert d.held.tolist() == [0, 0, 3, 2]
    assert d.task_rewards[:, 0].tolist() == [0, 0, 1]
    assert d.start['joints'].tolist() == [4]
    assert (d.task, d.direction, d.source) == ('toy', 'forward', 'teleop')
    check(d, 'toy', SPACES, 2, 'it')


def test_directions_take_turns_and_the_count_ends_them(graph):
    for number in range(4):
        assert graph.recorder.start()[0]
        graph.run('ttt')
        assert graph.recorder.save()[0]
        assert len(saved(graph)) == number + 1
    assert saved(graph) == [
        f'{d}_00{n}.safetensors' for d in ('backward', 'forward') for n in (0, 1)
    ]
    assert graph.recorder.start() == (False, 'all 4 are recorded; redo takes the last one back')
    assert graph.recorder.describe() == 'forward 2 of 2, backward 2 of 2 | all are recorded'


def test_discard_keeps_the_turn(graph):
    graph.recorder.start()
    graph.run('ttt')
    assert graph.recorder.discard()[1] == 'discarded 3 steps; it is still the turn of forward'
    assert saved(graph) == [] and graph.recorder.direction == 'forward'
    graph.recorder.start()
    graph.run('tt')
    assert len(graph.recorder) == 2, 'nothing of what was discarded'


def test_redo_takes_the_last_one_back_and_its_turn_comes_again(graph):
    for _ in range(3):
        graph.recorder.start()
        graph.run('ttt')
        graph.recorder.save()
    told = 'forward_001.safetensors is taken back; it is the turn of forward again'
    assert graph.recorder.redo() == (True, told)
    assert 'forward_001.redone' in saved(graph), 'a wrong button loses nothing'
    graph.recorder.start()
    graph.run('tttt')
    graph.recorder.save()
    assert saved(graph) == [
        'backward_000.safetensors',
        'forward_000.safetensors',
        'forward_001.safetensors',
    ]
    again = load_demonstration(graph.recorder.folder / 'forward_001.safetensors')
    assert len(again) == 4
    graph.recorder.start()
    told = (False, 'a recording is under way: save or discard it first')
    assert graph.recorder.redo() == told


def test_what_cannot_be(graph):
    r = graph.recorder
    assert r.save() == r.discard() == (False, 'nothing is being recorded')
    assert r.redo() == (False, 'nothing is saved')
    r.start()
    assert r.start() == (False, 'already recording forward')
    graph.run('t')
    assert r.save() == (False, '1 steps are too few, 2 are needed: drive on, or discard')
    graph.run('t')
    assert r.save()[1].endswith('2 steps, NOT done as the world judges: redo takes it back')


@pytest.mark.parametrize(
    ('steps', 'why'),
    [('tts', 'the arm or the world was reset'), ('ttp', 'a policy drove')],
)
def test_what_breaks_a_recording(graph, steps, why):
    graph.recorder.start()
    graph.run(steps)
    assert not graph.recorder.recording
    assert graph.recorder.describe().endswith(f'discarded, because {why}')
    assert saved(graph) == []


def test_a_reset_before_the_first_driven_step_breaks_nothing(graph):
    graph.recorder.start()
    graph.run('hshptt')
    assert graph.recorder.recording and len(graph.recorder) == 2


def test_a_lost_observation_is_never_bridged(graph):
    graph.recorder.start()
    graph.run('tt')
    graph.now += 1
    graph.run('t' * 12)
    assert not graph.recorder.recording
    assert graph.recorder.note == 'discarded, because an observation or a step was lost'


def test_steps_and_observations_may_come_in_any_order(graph):
    graph.recorder.start()
    r, action = graph.recorder, np.zeros(2, np.float32)
    for n in range(3):
        r.step(n, Done('teleop', False, action))
    assert len(r) == 0
    for n in (3, 1, 2):
        r.observe(n, Seen(np.full(SPACES.frame_shape, n, np.uint8), np.zeros(2, np.float32)))
    assert frames(r.demonstration()) == [0, 1, 2, 3]
    assert r.demonstration().task_rewards is None, 'a robot does not know'


def test_a_recording_is_not_endless(tmp_path):
    graph = Graph(tmp_path, longest=3)
    graph.recorder.start()
    graph.run('tttttths')
    assert len(graph.recorder) == 3 and 'as long as it may be' in graph.recorder.describe()
    assert graph.recorder.save()[0]


def test_an_arm_that_starts_anew_breaks_a_recording_and_the_next_one_works(graph):
    graph.run('h' * 50)
    graph.recorder.start()
    graph.run('tt')
    graph.now = 0
    graph.observe()
    assert graph.recorder.note == 'discarded, because the arm started anew'
    graph.run('h')
    assert graph.recorder.start()[0]
    graph.run('ttt')
    assert len(graph.recorder) == 3


# -- what lies in the folder already ---------------------------------------------------------------


def test_recording_goes_on_where_it_stopped(graph):
    for _ in range(3):
        graph.recorder.start()
        graph.run('ttt')
        graph.recorder.save()
    later = Graph(graph.recorder.folder)
    assert later.recorder.describe() == 'forward 2 of 2, backward 1 of 2 | next: backward'
    assert later.recorder.redo()[1].startswith('forward_001.safetensors')


def test_a_folder_of_another_task_or_with_a_damaged_file_is_refused(tmp_path):
    path = save_demonstration(demonstration(5, task='other'), tmp_path, 0)
    with pytest.raises(DemonstrationError, match=r"forward_000.* is of task 'other', not 'toy'"):
        Graph(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DemonstrationError, match='is damaged or truncated'):
        Graph(tmp_path)


SAVER = """
import os, signal, sys
from pathlib import Path
from safetensors.numpy import save
from small import demonstration
from medal_ros.learning import demonstrations as module

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def half(arrays, path, text):
    data = save(arrays, text)
    Path(path).write_bytes(data[: len(data) // 2])
    die()

folder = Path(sys.argv[1])
module.save_demonstration(demonstration(5), folder, 0)
if sys.argv[2] == 'writing':
    module.save_file = half
else:
    module.os.fsync = die
module.save_demonstration(demonstration(6), folder, int(sys.argv[3]))
"""


@pytest.mark.parametrize(('moment', 'number'), [('writing', 0), ('writing', 1), ('flushing', 1)])
def test_killed_at_any_moment_what_is_saved_is_whole(tmp_path, moment, number):
    """SIGKILL in the middle of writing: the file before is there still, and no half one."""
    command = [sys.executable, '-c', SAVER, str(tmp_path), moment, str(number)]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, timeout=60.0)
    assert done.returncode == -signal.SIGKILL
    (path,) = tmp_path.glob('*.safetensors')
    assert path.name == 'forward_000.safetensors' and len(load_demonstration(path)) == 5
    assert len(list(tmp_path.iterdir())) == 2, 'it was killed while it wrote'
    values = {'task': 'toy', 'folder': str(tmp_path)}
    later = Recorder(build(RecordingConfig, values), SPACES)
    assert len(later.saved['forward']) == 1, 'recording goes on beside what is left over'


def test_a_step_lost_before_the_first_driven_one_costs_nothing(graph):
    assert graph.recorder.start()[0]
    graph.now += 1  # the step of the observation at which it was asked never comes
    graph.observe()
    graph.run('tt')
    assert len(graph.recorder) == 2
