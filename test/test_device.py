"""The device that is meant, with and without a GPU to mean."""

import pytest
import torch

from medal_ros.bench.job import run_job
from medal_ros.bench.methods import Job
from medal_ros.bringup import configure
from medal_ros.errors import UserError
from medal_ros.learning.device import autocast, choose_device, in_bf16
from medal_ros.preparing import prepare


@pytest.fixture(params=[0, 2], ids=['no GPU', 'two GPUs'])
def gpus(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: request.param)
    return request.param


def test_auto_is_a_gpu_where_there_is_one(gpus):
    assert choose_device() == choose_device('auto') == torch.device('cuda' if gpus else 'cpu')
    assert choose_device('cpu') == torch.device('cpu')


def test_a_gpu_that_is_asked_for_must_be_there(gpus):
    for asked in ('cuda', 'cuda:1'):
        if gpus:
            assert choose_device(asked) == torch.device(asked)
        else:
            with pytest.raises(UserError) as error:
                choose_device(asked)
            assert str(error.value) == f'a GPU was asked for (device {asked}) and there is none'
    if gpus:
        with pytest.raises(UserError, match='cuda:2 was asked for and there are only 2'):
            choose_device('cuda:2')


@pytest.mark.parametrize('asked', ['', 'gpu', 'CUDA', 'cuda:', 'cuda:x', 'cpu:0', 'cuda1'])
def test_anything_else_is_refused(gpus, asked):
    with pytest.raises(UserError, match='none of auto, cpu, cuda'):
        choose_device(asked)


# -- precision -------------------------------------------------------------------------------------


@pytest.mark.parametrize(('capability', 'expected'), [((7, 5), False), ((8, 0), True)])
def test_auto_is_bf16_on_a_gpu_that_has_it(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    assert in_bf16('auto', torch.device('cuda')) == expected
    assert in_bf16('bf16', torch.device('cuda'))
    assert not in_bf16('fp32', torch.device('cuda'))


@pytest.mark.parametrize(
    ('precision', 'expected'),
    [('auto', torch.float32), ('fp32', torch.float32), ('bf16', torch.bfloat16)],
)
def test_auto_is_fp32_on_a_processor(precision, expected):
    with autocast(precision, torch.device('cpu')):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)


def test_a_job_of_the_benchmark_is_refused_before_it_leaves_anything(no_gpu, tmp_path):
    job = Job('laptop', 'tabletop', 'medalpp', 0)
    with pytest.raises(UserError, match='there is none'):
        run_job(job, tmp_path, {'graph.device': 'cuda'})
    assert not list(tmp_path.iterdir())


def test_a_run_is_refused_before_it_leaves_anything(no_gpu, tmp_path):
    with pytest.raises(UserError, match='there is none'):
        prepare(configure(changes={'graph.device': 'cuda'}), tmp_path, 'first')
    assert not list(tmp_path.iterdir())
