"""Both agents over one replay: who earns updates, what repeats, and that practice teaches."""

import math

import numpy as np
import pytest
import torch
from small import SPACES, agent_config, classifier_config, demonstration, flat

from medal_ros.learning.agent import Agent
from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.config import SideConfig
from medal_ros.learning.joiner import StepRecord
from medal_ros.learning.learner import Learner
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.spaces import AGENTS, Spaces


def learner(seed=0, spaces=SPACES, capacity=200, classifier=None, **changes):
    changes = {'learn_after': 1, **changes}
    side = SideConfig(agent_config(**changes), classifier or classifier_config())
    shown = {name: [demonstration(6, name, spaces)] for name in AGENTS}
    torch.manual_seed(seed)
    return Learner(dict.fromkeys(AGENTS, side), spaces, shown, FrameStore(spaces, capacity), seed)


def feed(it, agents, first=0, source='policy'):
    """Let agents act one after another; return what was settled."""
    rng = np.random.default_rng(first)
    settled = []
    for n, name in enumerate(agents, first):
        frame = rng.integers(0, 256, SPACES.frame_shape, np.uint8)
        it.joiner.add_observation(n, frame, rng.uniform(-1, 1, 2).astype(np.float32))
        action = rng.uniform(-1, 1, 2).astype(np.float32)
        it.joiner.add_step(StepRecord(n, source, name, action))
        while (resolved := it.settle()) is not None:
            settled.append(resolved.agent)
    return settled


def spend(it, name):
    """Take every update that an agent is owed; return how many, in critic steps."""
    before = it.agents[name].updates
    while it.learn(name) is not None:
        pass
    return it.agents[name].updates - before


def everything(it):
    return torch.cat(
        [flat(m) for a in it.agents.values() for m in (a.policy, a.critics, a.targets)]
    )


def run(seed, updates=20, **changes):
    it = learner(seed, **changes)
    n = 0
    while it.updates < updates:
        feed(it, [AGENTS[n // 5 % 2]], n)
        n += 1
        for name in AGENTS:
            spend(it, name)
    return everything(it)


@pytest.mark.parametrize('form', ['gaussian', 'noise'])
def test_the_same_seed_gives_the_same_weights_bit_by_bit(form):
    one, same, other = (run(seed, policy__form=form) for seed in (0, 0, 1))
    assert torch.isfinite(one).all()
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_updates_are_earned_by_the_agent_that_acted():
    it = learner()
    feed(it, ['forward'] * 6 + ['backward'] * 4 + ['forward'])  # the last one has no result yet
    assert {name: a.steps for name, a in it.agents.items()} == {'forward': 6, 'backward': 4}
    assert it.owed == it.steps == 10
    assert (spend(it, 'backward'), spend(it, 'forward')) == (4, 6)
    assert it.updates == 10 and it.owed == 0
    assert it.learn('forward') is None


@pytest.mark.parametrize(('utd', 'updates'), [(3, 30), (1, 10), (0.5, 5), (0.25, 2)])
def test_updates_never_exceed_the_ratio(utd, updates):
    it = learner(utd=utd)
    feed(it, ['forward'] * 11)
    assert spend(it, 'forward') == updates


def test_nothing_is_earned_before_learn_after():
    it = learner(learn_after=4)
    feed(it, ['backward'] * 4)
    assert it.agents['backward'].steps == 3
    assert it.owed == 0
    feed(it, ['backward'] * 3, first=4)
    assert it.agents['backward'].steps == 6
    assert it.owed == 3  # for steps 4, 5 and 6


def test_what_is_not_stored_earns_nothing():
    it = learner()
    assert feed(it, ['forward'] * 5, source='teleop') == [None] * 4
    assert it.steps == it.owed == it.updates == 0
    assert feed(it, ['backward'], first=5) == [None]


def test_a_learner_far_behind_gives_up_and_says_so():
    it = learner(max_owed=3)
    feed(it, ['forward'] * 11)
    assert (it.owed, it.dropped) == (3, 7)
    assert spend(it, 'forward') == 3


def test_every_agent_has_its_own_classifiers_reward():
    it = learner()
    feed(it, ['forward'] * 3 + ['backward'] * 3)
    for name, logit in (('forward', 2.0), ('backward', -1.0)):
        last = it.classifiers[name].head[-1] = torch.nn.Linear(8, 1)
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.constant_(last.bias, logit)
        metrics = it.learn(name)
        assert metrics['reward'] == pytest.approx(math.log(1 + math.exp(logit)), abs=1e-5)
        assert torch.allclose(metrics['reward_demonstrations'], metrics['reward'], atol=1e-5)


def test_both_agents_share_nothing():
    it = learner()
    feed(it, ['forward'] * 4 + ['backward'] * 2)
    idle = [flat(m) for m in (it.agents['backward'].policy, it.agents['backward'].critics)]
    spend(it, 'forward')
    after = [flat(m) for m in (it.agents['backward'].policy, it.agents['backward'].critics)]
    assert all(torch.equal(a, b) for a, b in zip(idle, after, strict=True))


def test_warm_up_is_of_both():
    metrics = learner(cloning__warm_up=2).warm_up()
    assert set(metrics) == set(AGENTS)
    assert all(np.isfinite(m['warm_up_loss']) for m in metrics.values())


# -- learning --------------------------------------------------------------------------------------

SCREEN = Spaces(cameras=('third',), height=16, width=16, proprio=1, action=1)


@pytest.mark.parametrize('form', ['gaussian', 'noise'])
def test_an_agent_learns_which_action_a_colour_asks_for(form):
    """Dark pictures want a negative action, bright ones a positive one; nobody shows how."""
    rng = np.random.default_rng(0)
    practice, bright = Replay(FrameStore(SCREEN, 801)), rng.random(801) < 0.5
    for i, light in enumerate(bright):
        level = 200 if light else 55
        frame = rng.integers(level - 50, level + 50, SCREEN.frame_shape)
        practice.add_frame(frame.astype(np.uint8), np.zeros(1))
        if i < 800:
            action = rng.uniform(-1, 1, 1)
            practice.add_step('forward', action, float((action[0] > 0) == light))
    config = agent_config(
        policy__form=form,
        demonstrations=0,
        discount=0.5,
        reward='task',
        batch=64,
        hidden=64,
        target_rate=0.1,
        learning_rate=3e-3,
    )
    it = Agent('forward', config, SCREEN, [demonstration(spaces=SCREEN)], 0)

    def success():
        action = it.policy.act(practice.store.frames[:200], practice.store.proprio[:200])
        return ((action[:, 0] > 0) == bright[:200]).mean()

    before = success()
    for _ in range(120):
        metrics = it.update(practice, lambda *_: pytest.fail('the task rewards'))
    assert before < 0.8
    assert success() > 0.95
    assert metrics['actor_q'] == pytest.approx(2.0, abs=0.5)  # 1 + 0.5 + 0.25 + ...
    assert metrics['actor_q'] > metrics['q'] + 0.2  # better than what practice did


class Slider:
    """A lamp whose brightness an action moves: forward is to make it bright, backward dark."""

    def __init__(self):
        self.x = -0.8

    def move(self, action):
        self.x = float(np.clip(self.x + 0.3 * action[0], -0.9, 0.9))

    @property
    def frame(self):
        return np.full(SCREEN.frame_shape, round(127 + 127 * self.x), np.uint8)


def shown_on_the_slider(direction):
    sign = 1.0 if direction == 'forward' else -1.0
    lamp, frames = Slider(), []
    lamp.x = -0.8 * sign
    for _ in range(9):
        frames.append(lamp.frame)
        lamp.move([0.8 * sign])
    shown = demonstration(8, direction, SCREEN)
    shown.frames[:], shown.actions[:] = np.stack(frames), 0.8 * sign
    shown.proprio[:] = 0.0
    return shown


def test_practice_teaches_both_agents_from_learned_rewards_alone():
    """No task reward and no cloning: the classifiers have to show the way, and undo it."""
    side = SideConfig(
        agent_config(
            policy__form='noise',
            cloning__weight__start=0,
            cloning__weight__end=0,
            policy__noise__start=0.5,
            policy__noise__end=0.3,
            policy__noise__steps=150,
            batch=32,
            hidden=64,
            learning_rate=3e-3,
            target_rate=0.05,
            discount=0.8,
            learn_after=10,
        ),
        classifier_config(
            every=5,
            steps=2,
            learning_rate=3e-3,
            positives=32,
            negatives=32,
            goal_states=3,
            proprio='none',
            backward_goals='rest_and_last',
        ),
    )
    shown = {name: [shown_on_the_slider(name)] for name in AGENTS}
    it = Learner(dict.fromkeys(AGENTS, side), SCREEN, shown, FrameStore(SCREEN, 401), 0)
    rng = np.random.default_rng(0)
    trainers = {n: ClassifierTrainer(side.classifier, SCREEN, n, shown, rng) for n in AGENTS}
    for name in AGENTS:
        it.classifiers[name] = trainers[name].classifier
    lamp, nothing = Slider(), np.zeros(1, np.float32)
    for n in range(400):
        name = AGENTS[n // 10 % 2]
        policy, noise = it.agents[name].policy, it.agents[name].noise
        action = policy.act(lamp.frame[None], nothing[None], noise, rng)[0]
        it.joiner.add_observation(n, lamp.frame, nothing)
        it.joiner.add_step(StepRecord(n, 'policy', name, action))
        lamp.move(action)
        while it.settle() is not None:
            pass
        if trainers[name].events < trainers[name].events_due(it.agents[name].steps):
            trainers[name].event(it.replay, it.agents[name].steps)
        it.learn(name)
    ends = []
    for name, start in (('forward', -0.8), ('backward', 0.8)):
        lamp.x = start
        for _ in range(10):
            lamp.move(it.agents[name].policy.act(lamp.frame[None], nothing[None])[0])
        ends.append(lamp.x)
    assert ends[0] > 0.6
    assert ends[1] < 0.0  # back to where demonstrations pass through
