"""What a run will take on the disk, said before it begins and refused where it does not fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import nn

from medal_ros.config import RunConfig
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.networks import CriticEnsemble
from medal_ros.learning.policy import Policy
from medal_ros.options import OptionError
from medal_ros.run_folder import RunFolder
from medal_ros.spaces import AGENTS, Spaces

GIB = 1 << 30
RECORDED = 1536  # bytes that all nodes say about one step, without images
REST = 200 << 20  # demonstrations of the largest task, videos, curves, logs and TensorBoard's files


@dataclass(frozen=True)
class DiskBudget:
    """Bytes of a whole run, by what takes them."""

    store: int
    checkpoints: int
    policies: int
    recording: int = 0
    rest: int = REST

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))


def row_bytes(spaces: Spaces) -> int:
    """Return the bytes of one frame in the replay store, with all that belongs to it."""
    height, width, channels = spaces.frame_shape
    return height * width * channels + 4 * (spaces.proprio + spaces.action + len(AGENTS)) + 8


def store_capacity(config: RunConfig, spaces: Spaces) -> int:
    """Return the frames for which a run's replay store has room: the limit's, or all."""
    most = RunFolder.replay_capacity(config.steps)
    limit = config.storage.limit_gib
    return min(most, int(limit * GIB) // row_bytes(spaces)) if limit else most


def budget(config: RunConfig, spaces: Spaces) -> DiskBudget:
    """Return what a run takes in the end; what one until stopped takes until it is full.

    The store keeps one frame for each step and one for each segment; breaks that no segment
    ends, such as a lost message, cost one more each.
    """
    s, e = config.storage, config.evaluation
    frames = store_capacity(config, spaces)
    if config.steps:
        frames = min(frames, config.steps + 2 * (config.steps // config.segment_steps) + 2)
    sizes = dict(_sizes(config, spaces))
    policy = sum(sizes[f'{name}/policy'] for name in AGENTS)
    critics = sum(sizes[f'{name}/critics'] for name in AGENTS)
    classifiers = sum(sizes[f'{name}/classifier'] for name in AGENTS)
    # Each network, what is deployed or the target of it, and Adam's two moments.
    learner, reward = 4 * (policy + critics), 3 * classifiers
    evaluated = config.steps // e.every + 1
    kept = min(evaluated, s.policies + 1) if s.policies else evaluated
    on_their_way = 4 * config.graph.lag // config.graph.publish_every + 8
    return DiskBudget(
        store=frames * row_bytes(spaces),
        checkpoints=(s.checkpoints + 1) * learner + 2 * reward,  # one is being written
        policies=(kept + on_their_way) * policy + e.cloning_checkpoints * policy // 2,
        recording=_recording(config, spaces),
    )


def _recording(config: RunConfig, spaces: Spaces) -> int:
    """Return what a recording of the topics takes, before it is compressed."""
    r = config.record
    if not r.enabled:
        return 0
    images = row_bytes(spaces) // r.images_every if r.images_every else 0
    limit = int(r.limit_gib * GIB)
    return min(config.steps * (RECORDED + images), limit) if config.steps else limit


def _sizes(config: RunConfig, spaces: Spaces) -> Iterator[tuple[str, int]]:
    with torch.device('meta'):  # nothing is allocated
        for name in AGENTS:
            side = getattr(config, name)
            inputs = side.agent.encoder.width + spaces.proprio + spaces.action
            a = side.agent
            yield f'{name}/policy', _bytes(Policy(a, spaces))
            yield (
                f'{name}/critics',
                _bytes(CriticEnsemble(a.critics, inputs, a.hidden, a.critic_layers)),
            )
            yield f'{name}/classifier', _bytes(Classifier(side.classifier, spaces, name))


def _bytes(module: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in module.state_dict().values())


def fits(config: RunConfig, spaces: Spaces, place: Path, there: int = 0) -> str:
    """Return in one sentence what a run takes, after checking that it fits.

    Args:
        config: The run.
        spaces: What it sees.
        place: A folder on the disk in question; it need not exist yet.
        there: Bytes of the run that lie there already.

    Raises:
        OptionError: It does not fit on the disk, or its steps not into the store's limit.
    """
    b, limit = budget(config, spaces), config.storage.limit_gib
    frames = config.steps + config.steps // config.segment_steps + 2
    if limit and config.steps and frames > store_capacity(config, spaces):
        steps = int(store_capacity(config, spaces) / (1 + 1 / config.segment_steps))
        raise OptionError(
            f'{config.steps} steps take {words(frames * row_bytes(spaces))} of replay, more than '
            f'storage.limit_gib={limit:g} allows: that is room for about {steps} steps'
        )
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    parts = f'{words(b.store)} of replay, {words(b.checkpoints)} of checkpoints, '
    parts += f'{words(b.policies)} of policies, '
    parts += f'{words(b.recording)} of recordings, ' if b.recording else ''
    parts += f'{words(b.rest)} for the rest'
    if not config.steps:
        return f'until stopped, at most {words(b.total)} of disk: {parts}; {words(free)} are free'
    if b.total - there > free:
        raise OptionError(
            f'the run would take {words(b.total)} of disk ({parts}), and {place.resolve()} has '
            f'{words(free)} free: make room, take fewer steps or smaller images, or keep less '
            '(storage.checkpoints, storage.policies)'
        )
    return f'the run takes {words(b.total)} of disk: {parts}; {words(free)} are free'


def words(size: int) -> str:
    """Return a number of bytes as people say it."""
    return f'{size / 1e9:.1f} GB' if size >= 1e9 else f'{size / 1e6:.0f} MB'


def used(folder: Path) -> int:
    """Return the bytes that the files below a folder take."""
    return sum(512 * p.stat().st_blocks for p in folder.rglob('*') if p.is_file())
