"""What a run takes on the disk is known before it begins, and refused where it does not fit."""

import shutil
from collections import namedtuple

import pytest
import torch
from small import SPACES

from medal_ros import disk
from medal_ros.bringup import configure
from medal_ros.disk import budget, fits, row_bytes, store_capacity
from medal_ros.learning.agent import Agent
from medal_ros.learning.checkpoint import agent_tensors
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.demonstrations import load_demonstrations
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.options import OptionError
from medal_ros.preparing import prepare
from medal_ros.sim import spaces_of

Usage = namedtuple('Usage', 'total used free')


@pytest.fixture
def free(monkeypatch):
    def free(size):
        monkeypatch.setattr(disk.shutil, 'disk_usage', lambda path: Usage(0, 0, size))

    return free


def test_a_row_is_what_the_store_keeps_for_a_frame():
    replay = Replay(FrameStore(SPACES, 2))
    replay.add_frame(replay.store.frames[0], replay.store.proprio[0])
    assert row_bytes(SPACES) == replay.bytes + 8  # and one entry in a list


def test_the_paper_s_run_by_hand():
    """Two cameras of 100 x 100 pixels, 300 000 steps, a frame for each step and some breaks."""
    config = configure('cube_grasp', 'paper')
    spaces = spaces_of(config.task)
    frames = 300_000 + 2 * 1500 + 2
    assert budget(config, spaces).store == frames * row_bytes(spaces)
    assert (
        row_bytes(spaces)
        == spaces.height * spaces.width * spaces.channels
        + 4 * (spaces.proprio + spaces.action + 2)
        + 8
    )


def test_the_checkpoints_are_as_large_as_they_become(tmp_path):
    config = configure('tabletop_quick', changes={'demonstrations.count': 1, 'agent.hidden': 64})
    folder = prepare(config, tmp_path, 'x', say=lambda words: None)
    spaces = spaces_of(config.task)
    shown = load_demonstrations(folder.demonstrations, config.task, spaces, 1)
    size = 0
    for name in ('forward', 'backward'):
        agent = Agent(name, getattr(config, name).agent, spaces, shown[name], 0)
        for optimizer in (agent.encoder_optimizer, agent.critic_optimizer, agent.actor_optimizer):
            for group in optimizer.param_groups:
                for parameter in group['params']:
                    parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
        size += sum(t.numel() * t.element_size() for t in agent_tensors(agent).values())
    classifiers = sum(
        sum(
            4 * p.numel() for p in Classifier(getattr(config, n).classifier, spaces, n).parameters()
        )
        for n in ('forward', 'backward')
    )
    kept = (config.storage.checkpoints + 1) * size + 2 * 3 * classifiers
    assert budget(config, spaces).checkpoints == pytest.approx(kept, rel=0.02)


def test_a_run_that_does_not_fit_is_refused_before_it_begins(tmp_path, free):
    config = configure('cube_grasp', 'paper', changes={'demonstrations.count': 1})
    free(10**9)
    with pytest.raises(OptionError, match=r'the run would take \d+\.\d GB of disk \(.* of replay'):
        prepare(config, tmp_path / 'runs', 'x')
    assert list(tmp_path.iterdir()) == []
    free(10**12)
    said = fits(config, spaces_of(config.task), tmp_path)
    assert said.startswith('the run takes ') and said.endswith('1000.0 GB are free')


def test_what_lies_there_already_counts_for_a_run_that_goes_on(tmp_path, free):
    config, spaces = configure('tabletop_quick'), spaces_of('tabletop_quick')
    whole = budget(config, spaces).total
    free(whole // 2)
    with pytest.raises(OptionError, match='would take'):
        fits(config, spaces, tmp_path)
    fits(config, spaces, tmp_path, there=whole // 2 + 1)


def test_a_limit_bounds_the_store_and_says_how_many_steps_fit(tmp_path):
    config = configure('tabletop_quick', steps=0, changes={'storage.limit_gib': 0.5})
    spaces = spaces_of(config.task)
    assert store_capacity(config, spaces) * row_bytes(spaces) <= 2**29
    assert 'until stopped, at most' in fits(config, spaces, tmp_path)
    config = configure('tabletop_quick', steps=10**6, changes={'storage.limit_gib': 0.5})
    with pytest.raises(OptionError, match=r'1000000 steps take .*storage.limit_gib=0.5 allows'):
        fits(config, spaces, tmp_path)
    assert shutil.disk_usage(tmp_path).free > 0


def test_a_recording_counts_by_its_steps_and_images_up_to_its_limit():
    def recording(steps=1000, **record):
        changes = {'record.enabled': True, **{f'record.{k}': v for k, v in record.items()}}
        config = configure('tabletop_quick', steps=steps, changes=changes)
        return budget(config, spaces_of(config.task)).recording

    row = row_bytes(spaces_of('tabletop_quick'))
    assert recording(images_every=10) == 1000 * (disk.RECORDED + row // 10)
    assert recording(steps=0) == 4 * disk.GIB
