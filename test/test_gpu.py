"""A GPU computes what a processor does, without waiting for it. Skipped where there is none.

python -m pytest test/test_gpu.py
"""

import threading
import warnings

import numpy as np
import pytest
import torch
from small import AGENT, CLASSIFIER, SPACES, agent_config, classifier_config, demonstration, replay

from medal_ros.learning.agent import Agent
from medal_ros.learning.augment import random_shift, random_shift_tensor
from medal_ros.learning.checkpoint import agent_tensors, restore_agent
from medal_ros.learning.classifier import Classifier, ClassifierTrainer
from medal_ros.learning.config import SideConfig
from medal_ros.learning.cuda_graph import EAGER
from medal_ros.learning.demonstrations import Demonstration
from medal_ros.learning.device import in_bf16
from medal_ros.learning.feed import Pinned, Resident, from_memory
from medal_ros.learning.learner import Learner
from medal_ros.learning.replay import FrameStore
from medal_ros.options import build
from medal_ros.spaces import AGENTS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')
GPU = torch.device('cuda')
CERTAIN = {  # nothing that a device draws for itself
    'policy__form': 'noise',
    'policy__noise__start': 0.0,
    'policy__noise__end': 0.0,
    'subset': 4,
}
RANDOM = {
    'gaussian': {},
    'noise': {'policy__form': 'noise', 'cloning__into_encoder': True, 'policy__average': 0.1},
    'entropy': {'entropy__weight': 0.1, 'actor_value': 'min'},
}


@pytest.fixture(autouse=True)
def nothing_may_be_said():
    """A step that cannot be recorded would only warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings('error', 'updates are slower')
        yield


def agent(device=GPU, feed=None, **changes):
    config = agent_config(**({'encoder__strides': [2, 1], 'learning_rate': 1e-3} | changes))
    return Agent('forward', config, SPACES, [demonstration()], 0, device, feed=feed)


def classifier(device=GPU):
    torch.manual_seed(3)
    return Classifier(classifier_config(), SPACES, 'forward').eval().to(device)


def practised(it, updates=9):
    """Return the metrics of some updates; every third one has two critic steps."""
    reward, practice, metrics = classifier(it.device).reward, replay(30), []
    torch.manual_seed(5)
    for number in range(updates):
        found = it.update(practice, reward, 1 + (number % 3 == 1))
        metrics.append({name: float(value) for name, value in found.items()})
        it.steps += 500
    return metrics


def close(ours, theirs, tolerance=0.02):
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize('into_encoder', [False, True])
def test_recorded_updates_are_the_eager_ones(into_encoder):
    changes = {**CERTAIN, 'precision': 'fp32', 'cloning__into_encoder': into_encoder}
    eager, it = agent(**changes), agent(**changes)
    del eager.update_critic, eager.update_actor
    eager._moment = {}
    close(practised(it), practised(eager))
    assert it.update_critic.eager == it.update_actor.eager == 0
    assert it.updates > EAGER


@pytest.mark.parametrize('form', RANDOM)
def test_a_recorded_update_draws_anew_each_time(form):
    it, practice = agent(learning_rate=0.0, shift=0, **RANDOM[form]), replay(30)
    batch, rewards = it.sample(practice, classifier().reward)
    tensors, values = it._augmented(batch), []
    for value in it._moment.values():
        value.fill_(0.5)
    for _ in range(EAGER + 4):
        features, critic = it.update_critic(tensors, rewards)
        actor = it.update_actor(tensors, features)
        values.append((float(critic['critic_loss']), float(actor['actor_q'])))
    losses, ascended = zip(*values, strict=True)
    assert len(set(losses)) > 2  # other critics and other actions in the target
    assert len(set(ascended)) == EAGER + 4


def test_a_processor_computes_the_same():
    on_gpu = practised(agent(precision='fp32', **CERTAIN))
    close(on_gpu, practised(agent('cpu', precision='fp32', **CERTAIN)))


def test_auto_is_bf16_and_close():
    assert in_bf16('auto', GPU) == torch.cuda.is_bf16_supported(including_emulation=False)
    close(practised(agent(**CERTAIN)), practised(agent(precision='fp32', **CERTAIN)), 0.1)


@pytest.mark.parametrize('source', [Resident, Pinned])
def test_no_update_waits_for_the_device(source):
    it, reward, practice = agent(feed=source(GPU)), classifier().reward, replay(30)
    for _ in range(EAGER + 3):
        it.update(practice, reward, 2)
    torch.cuda.set_sync_debug_mode('error')
    try:
        metrics = it.update(practice, reward, 2)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert all(np.isfinite(float(value)) for value in metrics.values())


@pytest.mark.parametrize('source', [Resident, Pinned])
def test_batches_are_the_processors(source):
    shown, practice = replay(10, seed=1), replay(30)
    rngs, drawn = [np.random.default_rng(0) for _ in range(2)], [source(GPU), from_memory]

    def choose(rng):
        return [(practice, rng.integers(0, 30, 12)), (shown, rng.integers(0, 10, 4))]

    for _ in range(7):
        ours, theirs = (
            feed(lambda rng=rng: choose(rng)) for feed, rng in zip(drawn, rngs, strict=True)
        )
        assert all(torch.equal(a.cpu(), b) for a, b in zip(ours, theirs, strict=True))


def test_shifts_are_the_processors():
    frames = np.random.default_rng(0).integers(0, 256, (50, 9, 7, 6), np.uint8)
    expected = random_shift(frames, 4, np.random.default_rng(1))
    shifted = random_shift_tensor(torch.from_numpy(frames).to(GPU), 4, np.random.default_rng(1))
    assert np.array_equal(shifted.cpu().numpy(), expected)


def test_a_restored_agent_goes_on():
    saved = agent(precision='fp32', entropy__weight=0.1)
    practised(saved)
    state = {name: value.clone() for name, value in agent_tensors(saved).items()}
    random = saved.rng.bit_generator.state
    expected = practised(saved)
    restored = agent(precision='fp32', entropy__weight=0.1)
    practised(restored, 5)
    restore_agent(restored, state)
    assert restored.rng.bit_generator.state == random
    close(practised(restored), expected)


def test_updates_are_recorded_beside_other_threads_that_use_the_device():
    stop, rounds = threading.Event(), []

    def busy():
        while not stop.is_set():
            rounds.append(torch.randn(64, 64, device=GPU).sum().item())

    other = threading.Thread(target=busy)
    other.start()
    try:
        metrics = practised(agent(), 6)
    finally:
        stop.set()
        other.join(30.0)
    assert rounds and np.isfinite(metrics[-1]['critic_loss'])


@pytest.mark.parametrize('share', [False, True])
def test_two_agents_learn_in_turn(share):
    values = {f'agent.{k}': v for k, v in AGENT.items()}
    values |= {f'classifier.{k}': v for k, v in CLASSIFIER.items()}
    sides = {
        name: build(SideConfig, values | {'agent.learn_after': 1, 'agent.share_encoder': share})
        for name in AGENTS
    }
    shown = {name: [demonstration(direction=name)] for name in AGENTS}
    it = Learner(sides, SPACES, shown, FrameStore(SPACES, 60), 0, GPU)
    assert it.drawn_from.startswith('replay is drawn on cuda')
    rng, reported = np.random.default_rng(0), []
    it.warm_up()
    frames = rng.integers(0, 256, (41, *SPACES.frame_shape), np.uint8)
    it.replay.add_frame(frames[0], np.zeros(2))
    for step in range(40):
        if step == 20:
            driven = demonstration(5)
            rewards = np.zeros((5, 2), np.float32)
            it.agents['forward'].add_demonstration(
                Demonstration(**{**vars(driven), 'task_rewards': rewards})
            )
        name = AGENTS[step // 5 % 2]
        it.replay.add_step(name, rng.uniform(-1, 1, SPACES.action))
        it.replay.add_frame(frames[step + 1], rng.uniform(-1, 1, SPACES.proprio))
        it.credit(name)
        while (metrics := it.learn(name)) is not None:
            reported += [float(value) for value in metrics.values()]
    assert it.updates == 40 and np.isfinite(reported).all()
    action = it.agents['forward'].policy.act(frames[:1], np.zeros((1, 2), np.float32))
    assert np.isfinite(action).all()


def test_classifiers_train_and_reward():
    shown = {name: [demonstration(direction=name)] for name in AGENTS}
    rng = np.random.default_rng(0)
    it = ClassifierTrainer(classifier_config(), SPACES, 'forward', shown, rng, GPU)
    assert np.isfinite(it.event(replay(30), 10)['loss'])
    seen = torch.zeros(3, *SPACES.frame_shape, dtype=torch.uint8, device=GPU)
    assert it.classifier.reward(seen, torch.zeros(3, 2, device=GPU)).device.type == 'cuda'
