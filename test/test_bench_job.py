"""Jobs and grids of the benchmark: from the command line to what they leave."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console
from test_bench_practice import TINY

from medal_ros.bench.grid import Grid, run_grid, summary
from medal_ros.bench.job import run_job
from medal_ros.bench.methods import METHODS, TASKS, Job, grid
from medal_ros.bench.results import load_result
from medal_ros.cli import main
from medal_ros.config import read_yaml
from medal_ros.errors import UserError
from medal_ros.options import flatten
from medal_ros.resources import share
from medal_ros.spaces import AGENTS

SMALL = {
    **TINY,
    'steps': 40,
    'evaluation.every': 10,
    'evaluation.episodes': 2,
    'evaluation.final_episodes': 3,
    'evaluation.cloning_steps': 20,
    'evaluation.cloning_checkpoints': 2,
}


def result_of(job, root):
    return load_result(job.folder(root) / 'result.json')


def command(root, job, changes):
    words = [f'{k}={json.dumps(v)}' for k, v in changes.items()]
    names = [str(root), job.size, job.task, job.method, str(job.seed)]
    return [sys.executable, '-m', 'medal_ros.bench.job', *names, *words]


@pytest.mark.parametrize('size', ['laptop', 'paper'])
def test_every_method_is_a_small_diff_of_its_size(size):
    for task in TASKS:
        for method in METHODS:
            config = Job(size, task, method, 5).config()
            assert (config.task, config.seed) == (task, 5)
    ours = flatten(Job(size, 'tabletop', 'medalpp', 0).config())
    true = flatten(Job(size, 'tabletop', 'medalpp_true', 0).config())
    assert {k for k in ours if ours[k] != true[k]} == {'forward.agent.reward'}
    said = read_yaml(share('config', 'bench', 'sizes', f'{size}.yaml'))
    theirs = {key.split('.')[1] for key in said if key.startswith('tasks.')}
    assert theirs <= set(TASKS)
    resets = Job(size, 'tabletop', 'naive', 0).config()
    segments = {'laptop': 32, 'paper': 125}[size]
    assert resets.world_reset_every == segments * resets.segment_steps


def test_a_job_leaves_its_result_and_its_policies(tmp_path):
    job = Job('laptop', 'tabletop', 'medalpp', 1)
    run_job(job, tmp_path, SMALL)
    result = result_of(job, tmp_path)
    assert result.finished
    assert [steps for steps, _ in result.curve] == [10, 20, 30, 40]
    assert (result.steps, result.reset_steps, result.repeat) == (40, [24], 4)
    assert (result.curve[0][1].episodes, result.final.episodes) == (2, 3)
    assert [steps for steps, _ in result.lifetime] == [10, 20, 30, 40]
    assert result.updates == 40 - 2 * 3
    left = sorted(path.name for path in (job.folder(tmp_path) / 'checkpoints').iterdir())
    assert left == ['backward_00000040.safetensors', 'forward_00000040.safetensors']
    before = (job.folder(tmp_path) / 'result.json').stat().st_mtime_ns
    run_job(job, tmp_path, SMALL)  # finished: nothing is done again
    assert (job.folder(tmp_path) / 'result.json').stat().st_mtime_ns == before


def test_a_killed_job_goes_on_and_ends_as_if_it_never_was(tmp_path):
    job = Job('laptop', 'tabletop', 'medalpp', 2)
    run_job(job, tmp_path / 'whole', SMALL)
    process = subprocess.Popen(command(tmp_path / 'killed', job, SMALL))
    path = job.folder(tmp_path / 'killed') / 'result.json'
    wait_for(path.is_file)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert not load_result(path).finished, 'it was too quick to be killed'
    run_job(job, tmp_path / 'killed', SMALL)
    killed, whole = (result_of(job, tmp_path / name) for name in ('killed', 'whole'))
    assert killed.curve == whole.curve
    assert (killed.final, killed.lifetime) == (whole.final, whole.lifetime)
    policies = [
        (job.folder(tmp_path / name) / 'checkpoints' / 'forward_00000040.safetensors').read_bytes()
        for name in ('killed', 'whole')
    ]
    assert policies[0] == policies[1]


def test_cloning_counts_its_best_checkpoint(tmp_path):
    job = Job('laptop', 'tabletop', 'bc', 0)
    run_job(job, tmp_path, SMALL)
    result = result_of(job, tmp_path)
    assert [steps for steps, _ in result.curve] == [10, 20]
    assert result.final == result.best
    assert result.best.successes == max(e.successes for _, e in result.curve)
    assert (result.steps_planned, result.updates) == (0, 20)


def test_a_grid_runs_what_is_not_finished(tmp_path):
    jobs = grid('laptop', ['tabletop'], ['medalpp', 'bc'], [0])
    run_job(jobs[1], tmp_path, SMALL)
    before = (jobs[1].folder(tmp_path) / 'result.json').stat().st_mtime_ns
    it = Grid(jobs, tmp_path, SMALL)
    assert it.waiting == jobs[:1]
    with open(os.devnull, 'w') as nowhere:
        assert run_grid(it, 2, Console(file=nowhere)) == 0
    assert summary(it) == '2 of 2 jobs finished, 0 running'
    assert result_of(jobs[0], tmp_path).finished
    assert (jobs[1].folder(tmp_path) / 'result.json').stat().st_mtime_ns == before


def test_a_failing_job_is_named_and_the_others_go_on(tmp_path):
    jobs = grid('laptop', ['tabletop'], ['medalpp', 'bc'], [0])
    jobs[0].folder(tmp_path).mkdir(parents=True)
    (jobs[0].folder(tmp_path) / 'notes.txt').write_text('mine')
    console = Console(record=True, width=500, file=io.StringIO())
    assert run_grid(Grid(jobs, tmp_path, SMALL), 1, console) == 1
    words = console.export_text()
    assert 'laptop/tabletop/medalpp/seed_0 failed' in words
    assert 'holds files, but no config.yaml of a job' in words
    assert result_of(jobs[1], tmp_path).finished
    assert (jobs[0].folder(tmp_path) / 'notes.txt').read_text() == 'mine'


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--methods', 'dqn'], "there is no method 'dqn'; there are medalpp, "),
        (['--tasks', 'chess'], "there is no task 'chess'; there are tabletop, "),
        (['--size', 'huge'], "there is no size 'huge'; there are laptop, paper"),
        (['--seeds', '0'], '--seeds must be at least 1 seed'),
        (['--seeds', '1,x'], "a list like 0,4,7, not '1,x'"),
        (['--seeds', '1,3000000000'], 'a seed is from 0 to 2147483647, not 3000000000'),
        (['--workers', '0'], '--workers must be at least 1, not 0'),
        (['--set', 'agent.gamma=1'], "there is no key 'forward.agent.gamma'"),
    ],
)
def test_mistakes_are_refused_in_a_sentence(tmp_path, capsys, words, sentence):
    with pytest.raises(SystemExit) as status:
        main(['bench', 'earl', '--results', str(tmp_path / 'results'), *words])
    assert status.value.code == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count('\n') == 1
    assert not (tmp_path / 'results').exists()


def test_another_configuration_is_not_mixed_in(tmp_path):
    job = Job('laptop', 'tabletop', 'bc', 0)
    run_job(job, tmp_path, SMALL)
    with pytest.raises(UserError, match='was begun with other values'):
        run_job(job, tmp_path, {**SMALL, 'agent.batch': 4})


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('method', METHODS)
def test_every_method_runs_on_every_task(tmp_path, task, method):
    job = Job('laptop', task, method, 0)
    changes = {**SMALL, 'steps': 200, 'segment_steps': 20, 'world_reset_every': 100}
    changes |= {'evaluation.every': 200, 'evaluation.episodes': 1, 'evaluation.final_episodes': 1}
    changes['agent.utd'] = 0.2  # forty updates tell whether it learns from these steps at all
    result = run_job(job, tmp_path, changes)
    assert result.finished
    if method != 'bc':
        assert result.steps == 200 and result.updates > 20
        assert sum(n for _, n in result.segments.values()) == 10
        policies = (job.folder(tmp_path) / 'checkpoints').glob('*.safetensors')
        assert len(list(policies)) == (1 if method in ('oracle', 'naive') else 2)
    assert np.isfinite(result.minutes)
    assert set(result.segments) <= set(AGENTS)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_grid_leaves_no_process_and_goes_on_later(tmp_path, number):
    """Started as a shell's background job is: with Ctrl-C ignored."""
    changes = {**SMALL, 'steps': 20_000, 'evaluation.every': 50}
    words = [word for k, v in changes.items() for word in ('--set', f'{k}={json.dumps(v)}')]
    command = [sys.executable, '-m', 'medal_ros.cli', 'bench', 'earl', '--results', str(tmp_path)]
    command += ['--tasks', 'tabletop', '--methods', 'medalpp', '--seeds', '1', *words]
    ignore = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    grid = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=ignore)
    job = Job('laptop', 'tabletop', 'medalpp', 0)
    path = job.folder(tmp_path) / 'result.json'
    wait_for(path.is_file)
    steps = load_result(path).steps
    grid.send_signal(number)
    out, _ = grid.communicate(timeout=60)
    assert grid.returncode == 130
    assert 'the same command goes on' in out
    state = job.folder(tmp_path) / 'checkpoints' / 'state_practice.safetensors'
    assert state.stat().st_mtime >= path.stat().st_mtime
    running = subprocess.run(['pgrep', '-f', str(tmp_path)], capture_output=True, text=True)
    assert running.stdout == ''
    assert 50 <= steps < 20_000


def wait_for(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
