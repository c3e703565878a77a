"""Updates per second, the parts of an update, and the policy's inference, at several sizes.

python benchmarks/learner.py --size quickstart paper --threads 2 --precision bf16

An update is one critic step and one actor step on one batch, its reward included. `paper` sees
one camera of 84x84, `robot` two of 100x100.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from machine import machine

from medal_ros.config import make_config
from medal_ros.learning.agent import Agent
from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.config import SideConfig
from medal_ros.learning.demonstrations import Demonstration
from medal_ros.learning.performance import tune
from medal_ros.learning.policy import Policy
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.spaces import AGENTS, Spaces

SIZES = {
    'quickstart': ('quickstart', Spaces(cameras=('third',), height=48, width=48)),
    'paper': ('paper', Spaces(cameras=('third',), height=84, width=84)),
    'robot': ('paper', Spaces(('wrist', 'third'), 100, 100, proprio=4, action=4)),
}


class Timer:
    """Adds up the time of what it wraps, on a GPU too."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.times: dict[str, list[float]] = defaultdict(list)

    def __call__(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            start = self.now()
            result = function(*arguments)
            self.times[name].append(1e3 * (self.now() - start))
            return result

        return timed

    def now(self) -> float:
        if self.device != 'cpu':
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def median(self, name: str) -> float:
        return statistics.median(self.times[name])


def practice(spaces: Spaces, steps: int) -> Replay:
    """Return random steps of the forward agent."""
    rng = np.random.default_rng(0)
    replay = Replay(FrameStore(spaces, steps + 1))
    for step in range(steps + 1):
        frame = rng.integers(0, 256, spaces.frame_shape, np.uint8)
        replay.add_frame(frame, rng.uniform(-1.0, 1.0, spaces.proprio))
        if step < steps:
            replay.add_step('forward', rng.uniform(-1.0, 1.0, spaces.action))
    return replay


def demonstrations(spaces: Spaces, length: int = 40) -> dict[str, list[Demonstration]]:
    """Return one random demonstration of each direction."""
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (length + 1, *spaces.frame_shape), np.uint8)
    proprio = np.zeros((length + 1, spaces.proprio), np.float32)
    actions = rng.uniform(-1.0, 1.0, (length, spaces.action)).astype(np.float32)
    return {
        name: [Demonstration('', name, spaces.cameras, frames, proprio, actions)] for name in AGENTS
    }


def updates(side: SideConfig, spaces: Spaces, options: argparse.Namespace) -> None:
    """Print how long an update and its parts take, and a step of the classifier."""
    timer, replay, shown = Timer(options.device), practice(spaces, 500), demonstrations(spaces)
    agent = Agent('forward', side.agent, spaces, shown['forward'], 0, options.device)
    rng = np.random.default_rng(0)
    trainer = ClassifierTrainer(side.classifier, spaces, 'forward', shown, rng, options.device)
    reward = timer('reward', trainer.classifier.reward)
    for name in ('sample', '_augmented', 'target', 'update_critic', 'update_actor'):
        setattr(agent, name, timer(name, getattr(agent, name)))
    update, step = timer('update', agent.update), timer('classifier', trainer.step)
    for round_ in range(options.updates + options.warm_up):
        if round_ == options.warm_up:
            timer.times.clear()
        update(replay, reward)
        step(replay, replay.counts.forward)
    parts = {
        'draw the batch': timer.median('sample') - timer.median('reward'),
        'reward': timer.median('reward'),
        'shift': timer.median('_augmented'),
        'target': timer.median('target'),
        'critics and encoder': timer.median('update_critic') - timer.median('target'),
        'actor': timer.median('update_actor'),
    }
    whole = timer.median('update')
    print(f'  update               {whole:8.1f} ms  ({1e3 / whole:.1f} a second)')
    for name, value in parts.items():
        print(f'    {name:19}{value:8.1f} ms')
    print(f'  classifier step      {timer.median("classifier"):8.1f} ms')


def inference(side: SideConfig, spaces: Spaces, repeats: int) -> None:
    """Print how long one observation takes on one thread of the processor."""
    torch.set_num_threads(1)
    policy = Policy(side.agent, spaces).eval()
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (1, *spaces.frame_shape), np.uint8)
    act, proprio = Timer('cpu'), np.zeros((1, spaces.proprio), np.float32)
    timed = act('act', policy.act)
    for _ in range(repeats + 10):
        timed(frames, proprio, 0.1, rng)
    times = act.times['act'][10:]
    p50, p99 = np.quantile(times, [0.5, 0.99])
    print(f'  policy, one thread   {p50:8.2f} ms  (p99 {p99:.2f})')


def main() -> None:
    """Print the figures of each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', nargs='+', choices=SIZES, default=['quickstart', 'paper'])
    parser.add_argument('--updates', type=int, default=20, help='updates timed')
    parser.add_argument('--warm-up', type=int, default=3, help='updates before them')
    parser.add_argument('--threads', type=int, default=1, help="the learner's threads")
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    parser.add_argument('--device', default='cpu', help='where the learner runs, e.g. cuda')
    options = parser.parse_args()
    if min(options.updates, options.threads) < 1 or options.warm_up < 0:
        parser.error('every number must be positive')
    print(machine(options.device))
    for name in options.size:
        preset, spaces = SIZES[name]
        changes = {f'{part}.precision': options.precision for part in ('agent', 'classifier')}
        side = make_config(preset, changes).forward
        tune(options.threads)
        agent, images = side.agent, f'{spaces.height}x{spaces.width}x{spaces.channels}'
        print(
            f'\n{name}: {images}, batch {agent.batch}, '
            f'{agent.critics} critics of {agent.critic_layers}x{agent.hidden}, '
            f'{options.precision}, {options.threads} threads, {options.device}'
        )
        updates(side, spaces, options)
        inference(side, spaces, 200)


if __name__ == '__main__':
    main()
