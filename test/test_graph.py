"""The whole graph: every node as a process, a few hundred steps, and the files it leaves."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import ros
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from medal_ros.config import load_config
from medal_ros.learning.note import prefix
from medal_ros.learning.states import States
from medal_ros.playback.stored import StoredRun
from medal_ros.run_folder import RunFolder
from medal_ros.sim import task_class
from medal_ros.spaces import AGENTS

STEPS, SEGMENT, LEARN_AFTER = 160, 20, 30
SMALL = {
    'segment_steps': SEGMENT,
    'arm_reset.every_steps': SEGMENT,
    'demonstrations.count': 2,
    'agent.batch': 16,
    'agent.demonstrations': 4,
    'agent.learn_after': LEARN_AFTER,
    'agent.cloning.warm_up': 5,
    'agent.hidden': 32,
    'classifier.positives': 16,
    'classifier.negatives': 16,
    'graph.lag': 20,
    'evaluation.every': 80,
    'evaluation.episodes': 4,
    'evaluation.final_episodes': 4,
    'evaluation.cloning_steps': 20,
    'evaluation.cloning_checkpoints': 2,
}


def start(runs: Path, name: str, *more: str) -> subprocess.Popen:
    command = [sys.executable, '-m', 'medal_ros.cli', 'train', '--runs', str(runs), '--name', name]
    for key, value in SMALL.items():
        command += ['--set', f'{key}={value}']
    with open(runs / f'{name}.out', 'wb') as out:
        return subprocess.Popen([*command, *more], stdout=out, stderr=subprocess.STDOUT)


def train(runs: Path, name: str, *more: str) -> RunFolder:
    process = start(runs, name, '--steps', str(STEPS), *more)
    try:
        status = process.wait(300)
    finally:
        process.kill()
    assert status == 0, (runs / f'{name}.out').read_text()
    return RunFolder(runs / name)


def nodes_of(folder: RunFolder) -> list[int]:
    """Return the processes that print into a log of a run's folder."""
    found = []
    for entry in Path('/proc').iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if os.readlink(entry / 'fd' / '1').startswith(f'{folder.path}/log/'):
                    found.append(int(entry.name))
    return found


def segments_of(processes: Iterable[int | str]) -> set[str]:
    """Return Fast DDS's shared-memory segments that processes have mapped."""
    found: set[str] = set()
    for process in processes:
        try:
            maps = Path(f'/proc/{process}/maps').read_text(errors='replace')
        except OSError:
            continue
        found |= set(re.findall(r'/dev/shm/(fastrtps_\S+)', maps))
    return found


def column(folder: RunFolder, name: str, dtype: type, shape: tuple = ()) -> np.ndarray:
    return np.fromfile(folder.replay / f'{name}.bin', dtype).reshape(-1, *shape)


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('runs')


@pytest.fixture(scope='module')
def finished(runs: Path) -> RunFolder:
    return train(runs, 'one', '--record')


def test_a_run_stores_every_step_and_takes_every_update_it_earned(finished: RunFolder) -> None:
    summary = json.loads(finished.summary.read_text())
    assert summary['finished'] and summary['steps'] == summary['stored'] == STEPS
    assert summary['refused'] == summary['dropped'] == 0
    each = STEPS // 2  # forward and backward take turns
    assert summary['updates'] == 2 * (each - LEARN_AFTER + 1)  # one for each step, UTD 1


def test_replay_holds_each_frame_once_and_breaks_where_the_arm_was_reset(
    finished: RunFolder,
) -> None:
    forward = column(finished, 'forward', np.int64)
    backward = column(finished, 'backward', np.int64)
    # Each segment is SEGMENT steps between SEGMENT + 1 frames, and shares none with the next.
    expected = [s * (SEGMENT + 1) + i for s in range(STEPS // SEGMENT) for i in range(SEGMENT)]
    assert sorted([*forward, *backward]) == expected
    assert set(forward // (SEGMENT + 1) % 2) == {0} and set(backward // (SEGMENT + 1) % 2) == {1}
    shape = task_class('tabletop_quick').spaces.frame_shape
    frames = column(finished, 'frames', np.uint8, shape)
    assert len(frames) == (SEGMENT + 1) * (STEPS // SEGMENT)
    assert all(frame.any() for frame in frames)
    actions = column(finished, 'actions', np.float32, (3,))[expected]
    assert np.isfinite(actions).all() and np.abs(actions).max() <= 1 and actions.std() > 0.1


def test_a_run_leaves_its_curve_videos_checkpoints_and_metrics(finished: RunFolder) -> None:
    summary = json.loads(finished.summary.read_text())
    assert [steps for steps, _ in summary['curve']] == [80, 160]
    assert 0 <= summary['success'] <= summary['success_ever'] <= 1
    assert summary['eval_episodes'] == 4 and summary['bc_success'] is not None
    for name in ('learning_curve.png', 'forward.mp4', 'backward.mp4'):
        assert (finished.path / name).stat().st_size > 1000, name
    for agent in AGENTS:
        assert finished.policy(agent, STEPS).is_file()
        for node in ('trainer', 'reward'):
            assert States(finished.state(node)).load().part(agent), (node, agent)
    config = load_config(finished.config)
    assert config.steps == STEPS and config.backward.classifier.positives == 16
    tags = set()
    for path in finished.tensorboard.iterdir():
        events = EventAccumulator(str(path))
        events.Reload()
        tags |= set(events.Tags()['scalars'])
    assert {'forward/classifier_accuracy', 'backward/classifier_loss'} <= tags
    assert {'forward/success', 'cloning/success', 'forward/warm_up_loss'} <= tags
    assert not list(finished.weights.iterdir())  # only weights on their way live there


def test_a_recording_holds_every_step_that_the_run_stored(finished: RunFolder) -> None:
    rosbags = pytest.importorskip('rosbags.highlevel', reason='rosbags comes from PyPI')
    (bag,) = finished.recordings.iterdir()
    with rosbags.AnyReader([bag]) as reader:
        found = [
            reader.deserialize(raw, connection.msgtype)
            for connection, _, raw in reader.messages()
            if connection.topic == '/medal/step'
        ]
    taken = [step for step in found if step.source == 'policy']
    run = StoredRun(finished.path)
    assert [s.steps for s in run.segments] == [SEGMENT] * (STEPS // SEGMENT)
    assert [s.agent for s in run.segments] == [*AGENTS] * (STEPS // SEGMENT // 2)
    stored = np.concatenate([run.actions[s.row : s.row + s.steps] for s in run.segments])
    assert np.array_equal(np.stack([step.action for step in taken]), stored)


def test_the_same_seed_repeats_the_run_to_the_bit(finished: RunFolder, runs: Path) -> None:
    again = train(runs, 'two')
    for name in ('frames', 'actions', 'proprio', 'forward', 'backward', 'task_rewards'):
        one, two = ((f.replay / f'{name}.bin').read_bytes() for f in (finished, again))
        assert one == two, name
    for agent in AGENTS:
        one, two = (folder.policy(agent, STEPS).read_bytes() for folder in (finished, again))
        assert one == two, agent
        one, two = (States(f.state('trainer')).load().part(agent) for f in (finished, again))
        assert one == two, agent


def test_ctrl_c_saves_the_run_and_leaves_nothing_behind(runs: Path) -> None:
    there = set(os.listdir('/dev/shm'))  # what others that were killed have left may be mapped, too
    process = start(runs, 'stopped', '--steps', '100000')
    folder = RunFolder(runs / 'stopped')
    try:
        ros.wait_until(folder.summary.is_file, 180, 'the first evaluation')
        assert len(nodes_of(folder)) == 8
        segments = segments_of(nodes_of(folder)) - there
        assert segments  # else the last lines of this test say nothing
        assert [name for name in os.listdir('/dev/shm') if name.startswith(prefix(folder))]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        output = (runs / 'stopped.out').read_text()
        assert 'stopped in ' in output and 'had to kill' not in output, output
    finally:
        process.kill()
    assert nodes_of(folder) == []
    summary = json.loads(folder.summary.read_text())
    assert not summary['finished'] and summary['steps'] >= 80
    assert States(folder.state('trainer')).load().part('forward')
    assert len(column(folder, 'forward', np.int64)) >= 40
    others = (entry.name for entry in Path('/proc').glob('[0-9]*'))  # a port may be shared
    assert not segments & set(os.listdir('/dev/shm')) - segments_of(others)
    assert not [name for name in os.listdir('/dev/shm') if name.startswith(prefix(folder))]
