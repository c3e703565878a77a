"""The whole graph: every node as a process, a few hundred steps, and the files it leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import ros
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from medal_ros.config import load_config
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


def train(runs: Path, name: str) -> RunFolder:
    process = start(runs, name, '--steps', str(STEPS))
    try:
        status = process.wait(90)
    finally:
        process.kill()
    assert status == 0, (runs / f'{name}.out').read_text()
    return RunFolder(runs / name)


def nodes_of(folder: RunFolder) -> list[int]:
    """Return the processes whose command line names a run's folder."""
    found = []
    for entry in Path('/proc').iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / 'cmdline').read_bytes().decode(errors='replace')
            except OSError:
                continue
            if 'medal_ros.nodes' in command and str(folder.path) in command:
                found.append(int(entry.name))
    return found


def abandoned(segments: set[str]) -> set[str]:
    """Return the shared-memory segments that no process has mapped."""
    for entry in Path('/proc').glob('[0-9]*/maps'):
        try:
            maps = entry.read_text(errors='replace')
        except OSError:
            continue
        segments = {name for name in segments if f'/dev/shm/{name}' not in maps}
    return segments


def column(folder: RunFolder, name: str, dtype: type, shape: tuple = ()) -> np.ndarray:
    return np.fromfile(folder.replay / f'{name}.bin', dtype).reshape(-1, *shape)


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('runs')


@pytest.fixture(scope='module')
def finished(runs: Path) -> RunFolder:
    return train(runs, 'one')


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
        assert finished.training_state(agent).is_file()
        assert finished.training_state(f'classifier_{agent}').is_file()
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


def test_the_same_seed_repeats_the_run_to_the_bit(finished: RunFolder, runs: Path) -> None:
    again = train(runs, 'two')
    for name in ('frames', 'actions', 'proprio', 'forward', 'backward', 'task_rewards'):
        one, two = ((f.replay / f'{name}.bin').read_bytes() for f in (finished, again))
        assert one == two, name
    for agent in AGENTS:
        for one, two in (
            (finished.policy(agent, STEPS), again.policy(agent, STEPS)),
            (finished.training_state(agent), again.training_state(agent)),
        ):
            assert one.read_bytes() == two.read_bytes(), one.name


def test_ctrl_c_saves_the_run_and_leaves_nothing_behind(runs: Path) -> None:
    segments = set(os.listdir('/dev/shm'))
    process = start(runs, 'stopped', '--steps', '100000')
    folder = RunFolder(runs / 'stopped')
    try:
        ros.wait_until(folder.summary.is_file, 60, 'the first evaluation')
        assert len(nodes_of(folder)) == 8
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(20) == 0
        output = (runs / 'stopped.out').read_text()
        stopped = float(output.split('stopped in ')[1].split(' s')[0])
        assert stopped < 3.0, f'{output}\n{time.monotonic() - began:.1f} s in all'
    finally:
        process.kill()
    assert nodes_of(folder) == []
    summary = json.loads(folder.summary.read_text())
    assert not summary['finished'] and summary['steps'] >= 80
    assert folder.training_state('forward').is_file()
    assert len(column(folder, 'forward', np.int64)) >= 40
    assert not abandoned(set(os.listdir('/dev/shm')) - segments)
