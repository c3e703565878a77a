"""The grid on a Ray cluster; skipped where Ray, which is optional, is not installed."""

import io
import socket
import subprocess
import sys

import pytest
from rich.console import Console
from test_bench_job import SMALL, result_of

from medal_ros.bench.cluster import run_on_ray
from medal_ros.bench.methods import grid
from medal_ros.errors import UserError

try:
    import ray
except ImportError:
    ray = None

needs_ray = pytest.mark.skipif(ray is None, reason='Ray is not installed')


@pytest.fixture(scope='module')
def address():
    """Start a cluster of two processors on this machine, as an administrator would."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    command = [sys.executable, '-m', 'ray.scripts.scripts']
    start = ['start', '--head', f'--port={port}', '--num-cpus=2', '--include-dashboard=false']
    start += ['--disable-usage-stats', '--node-ip-address=127.0.0.1']
    subprocess.run([*command, *start], check=True, timeout=120, stdout=subprocess.DEVNULL)
    yield f'127.0.0.1:{port}'
    subprocess.run([*command, 'stop'], check=True, timeout=120, stdout=subprocess.DEVNULL)


@needs_ray
def test_the_same_jobs_run_on_a_cluster(tmp_path, address):
    jobs = grid('laptop', ['tabletop'], ['medalpp', 'bc'], [0])
    (jobs[1].folder(tmp_path)).mkdir(parents=True)
    (jobs[1].folder(tmp_path) / 'notes.txt').write_text('mine')
    console = Console(record=True, width=500, file=io.StringIO())
    assert run_on_ray(jobs, tmp_path, SMALL, address, console) == 1
    assert result_of(jobs[0], tmp_path).finished
    words = console.export_text()
    assert 'bc/seed_0 failed: ' in words
    assert 'holds files, but no config.yaml of a job' in words


@needs_ray
def test_no_cluster_is_one_sentence(tmp_path):
    with pytest.raises(
        UserError, match=r"there is no Ray cluster at '127\.0\.0\.1:9' that answers"
    ):
        run_on_ray([], tmp_path, {}, '127.0.0.1:9', Console(file=io.StringIO()))


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(UserError, match=r'pip install "medal_ros\[ray\]"'):
        run_on_ray([], tmp_path, {}, 'auto', Console(file=io.StringIO()))
