"""The classifiers: what counts as a goal, and how they are trained."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small import SPACES, classifier_config, demonstration, flat, replay
from torch import nn

from medal_ros.learning.classifier import ClassifierTrainer, goal_states, mix
from medal_ros.learning.replay import FrameStore, Replay


def numbered(first, length, direction):
    """Return a demonstration whose states are numbered from `first`."""
    shown = demonstration(length, direction)
    for i in range(length + 1):
        shown.frames[i] = first + i
        shown.proprio[i] = first + i
    return shown


SHOWN = {
    'forward': [numbered(0, 5, 'forward'), numbered(20, 3, 'forward')],  # 0..5 and 20..23
    'backward': [numbered(100, 4, 'backward')],  # 100..104
}


# -- goal states -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('agent', 'kind', 'expected'),
    [
        ('forward', 'rest_and_last', [4, 5, 22, 23]),
        ('forward', 'rest', [4, 5, 22, 23]),
        ('forward', 'all', [4, 5, 22, 23]),
        ('backward', 'rest_and_last', [0, 1, 2, 3, 20, 21, 103, 104]),
        ('backward', 'rest', [0, 1, 2, 3, 20, 21]),
        ('backward', 'all', [0, 1, 2, 3, 4, 5, 20, 21, 22, 23]),
    ],
)
def test_goal_states_by_k(agent, kind, expected):
    config = classifier_config(goal_states=2, backward_goals=kind)
    frames, proprio = goal_states(config, SHOWN, agent)
    assert frames[:, 0, 0, 0].tolist() == expected
    assert proprio[:, 0].tolist() == expected


def test_k_counts_states():
    frames, _ = goal_states(classifier_config(goal_states=3), SHOWN, 'forward')
    assert frames[:, 0, 0, 0].tolist() == [3, 4, 5, 21, 22, 23]


# -- training --------------------------------------------------------------------------------------


def trainer(agent='forward', shown=SHOWN, **changes):
    torch.manual_seed(0)
    return ClassifierTrainer(
        classifier_config(**changes), SPACES, agent, shown, np.random.default_rng(0)
    )


def sees_proprio(it, scale=1.0):
    """Make a backward classifier's logit the first number of proprioception: relu(p) - relu(-p)."""
    first, last = it.classifier.head[0], it.classifier.head[-1]
    with torch.no_grad():
        for parameter in (*first.parameters(), *last.parameters()):
            parameter.zero_()
        column = it.config.feature
        first.weight[0, column], first.weight[1, column] = scale, -scale
        last.weight[0, 0], last.weight[0, 1] = 1.0, -1.0
    return it


def practice(proprio, agent='backward'):
    stored = Replay(FrameStore(SPACES, len(proprio) + 1))
    for value in [*proprio, 0.0]:
        stored.add_frame(np.zeros(SPACES.frame_shape, np.uint8), np.full(2, value))
        if stored.counts.frames <= len(proprio):
            stored.add_step(agent, np.zeros(2))
    return stored


def test_mixup_by_hand():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]])
    labels, weights = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.75, 0.5, 1.0])
    blended, mixed = mix(embeddings, labels, weights, torch.tensor([1, 2, 0]))
    assert blended.tolist() == [[0.75, 0.5], [2.0, 3.0], [4.0, 4.0]]
    assert mixed.tolist() == [0.75, 0.0, 0.0]


def test_loss_without_mixup_by_hand():
    """Positives are labelled 1 and negatives 0, each with its own share of the batch."""
    it = trainer(mixup=0, spectral_norm=False, positives=6, negatives=2)
    last = it.classifier.head[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(1.5)
    goals, own = math.log(1 + math.exp(-1.5)), math.log(1 + math.exp(1.5))
    assert it.step(replay(), 10)['loss'] == pytest.approx((6 * goals + 2 * own) / 8, abs=1e-5)


def test_step_blends_embeddings_and_labels(monkeypatch):
    it = trainer(mixup=1.0)
    calls = []

    def spy(embeddings, labels, weights, partners):
        calls.append((labels, weights, partners))
        return mix(embeddings, labels, weights, partners)

    monkeypatch.setattr('medal_ros.learning.classifier.mix', spy)
    it.step(replay(), 10)
    labels, weights, partners = calls[0]
    assert labels.tolist() == [1.0] * 8 + [0.0] * 8
    assert ((weights > 0) & (weights < 1)).all() and len(set(weights.tolist())) == 16
    assert sorted(partners.tolist()) == list(range(16)) != partners.tolist()


@pytest.mark.parametrize(('mixup', 'spread'), [(1.0, 1 / 12), (0.2, 1 / 5.6)])
def test_mixup_weights_are_beta_distributed(monkeypatch, mixup, spread):
    it = trainer(mixup=mixup, positives=500, negatives=500)
    seen = []
    monkeypatch.setattr(
        'medal_ros.learning.classifier.mix', lambda e, y, w, p: seen.append(w) or mix(e, y, w, p)
    )
    it.step(replay(), 10)
    assert seen[0].mean().item() == pytest.approx(0.5, abs=0.05)
    assert seen[0].var().item() == pytest.approx(spread, abs=0.02)  # 1 / (4 (2 alpha + 1))


def test_both_halves_are_shifted_for_training_only(monkeypatch):
    shifted = []
    monkeypatch.setattr(
        'medal_ros.learning.classifier.random_shift',
        lambda frames, pad, rng: shifted.append((len(frames), pad)) or frames,
    )
    it = trainer(shift=3)
    it.event(replay(), 10)
    assert shifted == [(16, 3)]


def test_negatives_are_the_agents_own_first_states():
    """An event at step n uses exactly the first n of the agent's own steps."""
    stored = replay(40, agents=('forward', 'backward'), segment=5)
    own = stored.store.steps['backward'][:7]
    it = trainer('backward')
    frames, _ = it._draw(stored, 0, 7, 3, 500)
    drawn = {frame.tobytes() for frame in frames[3:]}
    assert drawn == {stored.store.frames[i].tobytes() for i in own}
    goals = {frame.tobytes() for frame in frames[:3]}
    assert goals <= {frame.tobytes() for frame in it.goal_frames}


@pytest.mark.parametrize('spectral', [True, False])
def test_spectral_norm_holds_every_layer_while_training(spectral):
    it = trainer(spectral_norm=spectral, learning_rate=3e-3)
    stored = replay()
    for _ in range(60):
        it.step(stored, 10)
    layers = [m for m in it.classifier.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 5
    sigmas = [torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2).item() for m in layers]
    near = [abs(sigma - 1) < 0.05 for sigma in sigmas]
    assert all(near) if spectral else not any(near)


def test_events_count_the_agents_own_steps():
    it = trainer(every=500)
    assert [it.events_due(n) for n in (0, 499, 500, 999, 1000)] == [0, 0, 1, 1, 2]


def test_an_event_takes_its_steps_and_leaves_the_classifier_ready(monkeypatch):
    it = trainer(steps=4)
    before, seen, step = flat(it.classifier), [], it.step
    monkeypatch.setattr(it, 'step', lambda r, n: seen.append(n) or step(r, n))
    metrics = it.event(replay(), 10)
    assert seen == [10] * 4
    assert set(metrics) == {'accuracy', 'loss', 'spread', 'largest'}
    assert it.events == 1
    assert not torch.equal(flat(it.classifier), before)
    assert not it.classifier.training  # a reward must not move the spectral norm


def test_accuracy_is_of_fresh_states_alone_and_before_training():
    """Old states look like goals to this classifier, the ten newest do not."""
    positive = {'forward': [numbered(1, 5, 'forward')], 'backward': [numbered(1, 5, 'backward')]}
    it = sees_proprio(
        trainer('backward', positive, every=10, spectral_norm=False, steps=1, learning_rate=1.0)
    )
    stored = practice([1.0] * 20 + [-1.0] * 10 + [1.0] * 5)
    assert it.accuracy(stored, 20) == 0.5
    assert it.event(stored, 30)['accuracy'] == 1.0
    assert sees_proprio(it, scale=-1.0).accuracy(stored, 30) == 0.0


def test_training_tells_goals_from_practice():
    """Bright pictures are goals, dark ones are practice."""
    shown = {name: [demonstration(6, name)] for name in ('forward', 'backward')}
    for name in shown:
        shown[name][0].frames[:] = 128 + shown[name][0].frames // 2
    it = trainer(shown=shown, learning_rate=3e-3, steps=60, every=20)
    stored = replay(20, agents=('forward',))
    stored.store.frames[:] //= 2
    first = it.event(stored, 20)
    assert it.accuracy(stored, 20) == 1.0
    assert it.step(stored, 20)['loss'] < first['loss'] + 0.05 < math.log(2) + 0.05
    goal, practised = (
        torch.from_numpy(x[:6]) for x in (shown['forward'][0].frames, stored.store.frames)
    )
    nothing = torch.zeros(6, 2)
    margin = it.classifier.reward(goal, nothing) - it.classifier.reward(practised, nothing)
    assert margin.min() > 0.2


def test_half_precision_trains_too():
    losses = [
        trainer(precision=precision).step(replay(), 10)['loss'] for precision in ('fp32', 'bf16')
    ]
    assert losses[0] == pytest.approx(losses[1], abs=0.02)
    assert losses[0] != losses[1]


def test_the_seed_decides():
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        it = ClassifierTrainer(
            classifier_config(), SPACES, 'forward', SHOWN, np.random.default_rng(seed)
        )
        it.event(replay(), 10)
        weights.append(flat(it.classifier))
    assert torch.equal(weights[0], weights[1])
    assert F.mse_loss(weights[0], weights[2]) > 0
