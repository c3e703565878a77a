"""Who runs against whom in `learner.py`: each is timed in a process of its own, and says JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import peers
import torch
from plain import Plain, Public
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from medal_ros.config import make_config
from medal_ros.learning.agent import Agent
from medal_ros.learning.batch import Batch
from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.config import SideConfig
from medal_ros.learning.cuda_graph import cuda_graphs
from medal_ros.learning.demonstrations import Demonstration
from medal_ros.learning.device import autocast
from medal_ros.learning.feed import Pinned
from medal_ros.learning.performance import tune
from medal_ros.learning.policy import Policy
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.spaces import AGENTS, Spaces

SIZES = {
    'quickstart': ('quickstart', Spaces(cameras=('third',), height=48, width=48)),
    'paper': ('paper', Spaces(cameras=('third',), height=84, width=84)),
    'robot': ('paper', Spaces(('wrist', 'third'), 100, 100, proprio=4, action=4)),
}
OURS = {'ours-bf16': 'bf16', 'ours-fp32': 'fp32'}
ON_GPU = {'ours-eager': 'bf16', 'ours-pinned': 'bf16'}  # what a GPU alone has a choice of
PLAIN = {'plain': Plain, 'plain-tuned': Plain, 'public': Public}
PEERS = {'sb3-sac': peers.StableBaselines3, 'torchrl-redq': peers.TorchRL}
UNTUNED = ('plain', 'public')  # with the allocator as it comes
NAMES = (*OURS, *ON_GPU, *PLAIN, *PEERS)
PARTS = ('sample', 'reward', '_augmented', 'target', 'update_critic', 'update_actor')


class Timer:
    """Times what it wraps; on a GPU by its own clock, and without waiting for it.

    Args:
        device: Where the work is done.
        clock: `wall`, or `cpu`: the processor's time for each thread.
    """

    def __init__(self, device: str, clock: str = 'wall') -> None:
        self.device, self.clock = device, clock
        self.spans: dict[str, list[tuple[Any, Any]]] = defaultdict(list)

    def __call__(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            start = self.now()
            result = function(*arguments)
            self.spans[name].append((start, self.now()))
            return result

        return timed

    def now(self) -> Any:
        if self.device != 'cpu':
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            return event
        if self.clock == 'cpu':
            return time.process_time() / torch.get_num_threads()
        return time.perf_counter()

    def times(self, name: str) -> list[float]:
        """Return the milliseconds of each call."""
        if self.device == 'cpu':
            return [1e3 * (end - start) for start, end in self.spans[name]]
        torch.cuda.synchronize()
        return [start.elapsed_time(end) for start, end in self.spans[name]]

    def median(self, name: str) -> float:
        return statistics.median(self.times(name)) if name in self.spans else 0.0


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


def side(size: str, precision: str) -> tuple[SideConfig, Spaces]:
    """Return the configuration and the shapes of a size."""
    preset, spaces = SIZES[size]
    changes = {f'{part}.precision': precision for part in ('agent', 'classifier')}
    return make_config(preset, changes).forward, spaces


def parts_of(timer: Timer) -> dict[str, float]:
    """Return the milliseconds of each part of an update."""
    ms = {name: timer.median(name) for name in PARTS}
    return {
        'draw the batch': ms['sample'] - ms['reward'],
        'reward': ms['reward'],
        'shift': ms['_augmented'],
        'target': ms['target'],
        'critics and encoder': ms['update_critic'] - ms['target'],
        'actor': ms['update_actor'],
    }


def inference(config: SideConfig, spaces: Spaces, repeats: int = 200) -> list[float]:
    """Return median and 99th percentile of one observation on one thread of the processor, ms."""
    torch.set_num_threads(1)
    policy = Policy(config.agent, spaces).eval()
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (1, *spaces.frame_shape), np.uint8)
    timer, proprio = Timer('cpu'), np.zeros((1, spaces.proprio), np.float32)
    act = timer('act', policy.act)
    for _ in range(repeats + 10):
        act(frames, proprio, 0.1, rng)
    return np.quantile(timer.times('act')[10:], [0.5, 0.99]).tolist()


def run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time one contender's updates: `ms` of each, `parts`, and for ours some more."""
    ours, device = OURS | ON_GPU, options.device
    config, spaces = side(options.size, ours.get(name, 'fp32'))
    shown, rng = demonstrations(spaces), np.random.default_rng(0)
    # More than a GPU's cache holds.
    replay = practice(spaces, 500 if device == 'cpu' else 20_000)
    timer = Timer(device, options.clock)
    if name in PEERS:
        update = PEERS[name](config, spaces, replay, device).update
    else:
        feed = Pinned(torch.device(device)) if name == 'ours-pinned' else None
        agent = Agent('forward', config.agent, spaces, shown['forward'], 0, device, feed=feed)
        trainer = ClassifierTrainer(config.classifier, spaces, 'forward', shown, rng, device)
        learner: Any = agent
        if name in PLAIN:
            learner = PLAIN[name](agent, trainer.classifier)
            learner.reward = timer('reward', learner.reward)
            agent = None  # its memory is not the contender's
        if name == 'ours-eager':
            del agent.update_critic, agent.update_actor  # those that are recorded
        recorded = name in ours and name != 'ours-eager' and device != 'cpu'
        for part in set(PARTS) - {'reward', *(['target'] if recorded else ())}:
            setattr(learner, part, timer(part, getattr(learner, part)))
        reward = [timer('reward', trainer.classifier.reward)] if name in ours else []
        update = lambda: learner.update(replay, *reward)  # noqa: E731
    timed = timer('update', update)
    for round_ in range(options.updates + options.warm_up):
        if round_ == options.warm_up:
            timer.spans.clear()
        timed()
    result = {'ms': timer.times('update'), 'parts': {}}
    if device != 'cpu':
        result['memory'] = torch.cuda.max_memory_reserved()
    if name not in PEERS:
        if recorded:
            time_target(agent, timer, *agent.sample(replay, *reward), options.updates)
        result['parts'] = parts_of(timer)
    if name in OURS:
        step = timer('classifier', trainer.step)
        for _ in range(options.warm_up + 3):
            step(replay, replay.counts.forward)
        result |= {'classifier': timer.median('classifier'), 'inference': inference(config, spaces)}
    return result


def time_target(agent: Agent, timer: Timer, batch: Batch, rewards: Tensor, repeats: int) -> None:
    """Time the target in a graph of its own: it lies within a recorded step."""
    (graph,) = cuda_graphs(agent.device, 1)

    def target() -> Tensor:
        with torch.no_grad(), autocast(agent.config.precision, agent.device):
            return agent.target(batch.next_frames, batch.next_proprio, rewards)

    graph.aside(target)
    graph.record(target)
    timed = timer('target', graph.replay)
    for _ in range(repeats):
        timed()


def work(options: argparse.Namespace) -> float:
    """Return the floating-point operations of one plain update."""
    config, spaces = side(options.size, 'fp32')
    shown, rng = demonstrations(spaces), np.random.default_rng(0)
    agent = Agent('forward', config.agent, spaces, shown['forward'], 0)
    trainer = ClassifierTrainer(config.classifier, spaces, 'forward', shown, rng)
    learner = Plain(agent, trainer.classifier)
    with FlopCounterMode(display=False) as counter:
        learner.update(practice(spaces, 500))
    return counter.get_total_flops()


def peak(options: argparse.Namespace) -> float:
    """Return the floating-point operations per second of a large bf16 matrix product."""
    size = 2048 if options.device == 'cpu' else 8192
    a, b = (torch.randn(size, size, device=options.device).bfloat16() for _ in range(2))
    timer = Timer(options.device, options.clock)
    product = timer('product', torch.matmul)
    for _ in range(40):
        product(a, b)
    return 2 * size**3 / (1e-3 * min(timer.times('product')))


def main() -> None:
    """Run one contender and print what came out as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('name', choices=(*NAMES, 'machine'))
    parser.add_argument('--size', choices=SIZES, default='paper')
    parser.add_argument('--updates', type=int, default=5)
    parser.add_argument('--warm-up', type=int, default=2)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--clock', choices=('wall', 'cpu'), default='wall')
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.name not in UNTUNED:
        tune(options.threads)
    warnings.filterwarnings('error', 'updates are slower')  # without a recording
    if options.device != 'cpu':
        torch.cuda.set_device(options.device)
    if options.name == 'machine':
        print(json.dumps({'peak': peak(options), 'work': work(options)}))
    else:
        print(json.dumps(run(options.name, options)))


if __name__ == '__main__':
    main()
