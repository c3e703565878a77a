"""Random network distillation: its reward, what it is trained on, and when."""

import math

import numpy as np
import pytest
import torch
from small import SPACES, classifier_config, demonstration, flat, replay
from torch import nn

from medal_ros.learning import novelty as module
from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.novelty import Novelty, NoveltyConfig, NoveltyTrainer
from medal_ros.learning.replay import FrameStore, Replay
from medal_ros.learning.vae import FrozenEncoder, VAEConfig
from medal_ros.learning.weights import load_tensors, save_tensors
from medal_ros.options import build

NOVELTY = {
    'every': 10,
    'steps': 3,
    'batch': 8,
    'newest': 4,
    'hidden': 16,
    'outputs': 4,
    'learning_rate': 1e-3,
}


class FirstPixels(nn.Module):
    """An encoder whose features are the first pixels of a frame, less 100."""

    feature = 3

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, frames):
        self.seen += len(frames)
        return frames[:, 0, 0].float() - 100.0


def config(**changes):
    return build(NoveltyConfig, {**NOVELTY, **changes})


def frozen():
    return FrozenEncoder(SPACES.frame_shape, VAEConfig(latent=6, filters=4, strides=(2,)))


def trainer(agent='backward', seed=0, encoder=None, **changes):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    return NoveltyTrainer(config(**changes), SPACES, agent, encoder or frozen(), rng)


def answers(novelty, target, predicted):
    """Make both networks give the same outputs for every state."""
    for network, values in ((novelty.target, target), (novelty.predictor, predicted)):
        with torch.no_grad():
            network[-1].weight.zero_()
            network[-1].bias.copy_(torch.tensor(values))


# -- the reward ------------------------------------------------------------------------------------


def test_reward_by_hand():
    novelty = Novelty(config(limit=5.0), SPACES, 'backward', frozen())
    answers(novelty, [0.0, 1.0, 2.0, 3.0], [0.0, 3.0, 2.0, -1.0])  # squares: 0, 4, 0, 16
    frames, proprio = torch.zeros((2, 12, 12, 3), dtype=torch.uint8), torch.zeros(2, 2)
    for deviation, reward in ((1.0, 5.0), (2.0, 2.5), (4.0, 1.25)):  # the first is clipped
        novelty.deviation.fill_(deviation)
        assert novelty.reward(frames, proprio).tolist() == pytest.approx([reward] * 2)
    novelty.deviation.zero_()
    assert novelty.reward(frames, proprio).tolist() == [5.0, 5.0]


def test_the_running_deviation_by_hand():
    novelty = Novelty(config(rate=0.4), SPACES, 'backward', frozen())
    batches = ([0.0, 4.0], [1.0, 9.0], [5.0, 5.0], [0.0, 2.0])  # deviations: 2, 4, 0, 1
    found = []
    for batch in batches:
        novelty.observe(torch.tensor(batch))
        found.append(novelty.deviation.item())
    # the first as it is, then 1/2, then 0.4 in place of 1/3 and 1/4
    assert found == pytest.approx([2.0, 3.0, 1.8, 1.48])


@pytest.mark.parametrize('proprio', [True, False])
def test_features_are_clipped_and_proprioception_is_as_it_is(proprio):
    novelty = Novelty(config(proprio=proprio), SPACES, 'backward', FirstPixels())
    frames = torch.zeros((1, 12, 12, 3), dtype=torch.uint8)
    frames[0, 0, 0] = torch.tensor([0, 103, 255])
    embedding = novelty.embed(frames, torch.tensor([[0.5, -7.0]]))
    assert embedding.tolist() == [[-5.0, 3.0, 5.0, 0.5, -7.0] if proprio else [-5.0, 3.0, 5.0]]


def test_networks_do_not_flatten_their_input():
    torch.manual_seed(0)
    novelty = Novelty(config(hidden=256, outputs=512), SPACES, 'backward', frozen())
    inputs = torch.randn(500, 8)
    for network in (novelty.target, novelty.predictor):
        ratio = network(inputs).norm(dim=-1) / inputs.norm(dim=-1)
        assert ratio.mean().item() == pytest.approx(2**0.5, abs=0.2)
    assert novelty.error(inputs).mean() > 0.1 * novelty.target(inputs).square().mean()


# -- training --------------------------------------------------------------------------------------


def practice(pixels, agents):
    """Return steps of the agents at frames of one shade each."""
    stored = Replay(FrameStore(SPACES, len(pixels) + 1))
    for value, agent in zip([*pixels, 0], [*agents, None], strict=True):
        frame = np.full(SPACES.frame_shape, value, np.uint8)
        stored.add_frame(frame, np.full(2, value / 255))
        if agent:
            stored.add_step(agent, np.zeros(2))
    return stored


def states(stored, rows):
    return [torch.from_numpy(a[rows]) for a in (stored.store.frames, stored.store.proprio)]


def test_loss_by_hand():
    it = trainer(steps=1)
    answers(it.classifier, [0.0, 1.0, 2.0, 3.0], [0.0, 3.0, 2.0, -1.0])
    it.classifier.deviation.fill_(2.0)
    metrics = it.event(replay(), 10)
    assert metrics == pytest.approx({'novelty': 2.5, 'loss': 5.0, 'deviation': 0.0})


def test_only_the_agents_own_first_states_are_looked_at():
    pixels = np.arange(40) + 80
    stored = practice(pixels, ['forward', 'backward'] * 20)
    it = trainer('backward', encoder=FirstPixels(), proprio=False)
    it.event(stored, 10)
    assert it.embeddings[:, 0].tolist() == [min(max(p - 100, -5), 5) for p in pixels[1:20:2]]


def test_every_state_is_embedded_once(monkeypatch):
    monkeypatch.setattr(module, 'CHUNK', 4)
    encoder = FirstPixels()
    it = trainer(encoder=encoder)
    stored = replay(60)
    for steps in (10, 20, 30):
        it.event(stored, steps)
        assert encoder.seen == len(it.embeddings) == steps
    own = stored.store.steps['backward'][:30]
    assert torch.equal(it.embeddings, it.classifier.embed(*states(stored, own)))


@pytest.mark.parametrize(
    ('newest', 'steps', 'fresh'),
    [(4, 30, (20, 30)), (4, 7, (0, 7)), (8, 30, (20, 30)), (0, 30, ())],
)
def test_a_batch_is_of_the_newest_and_of_all(newest, steps, fresh):
    it = trainer(newest=newest)
    batches = np.array([it.draw(steps) for _ in range(200)])
    assert batches.shape == (200, 8)
    if fresh:
        assert set(batches[:, :newest].flat) == set(range(*fresh))
    if newest < 8:
        assert set(batches[:, newest:].flat) == set(range(steps))


def test_novelty_falls_where_the_agent_has_been():
    """Dark pictures are practised on, bright ones have never been seen."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    encoder = frozen()
    stored = replay(40, agents=('backward',))
    stored.store.frames[:] //= 4
    stored.store.proprio[:] = -0.5
    every = stored.store.frames[:41]
    encoder.center.copy_(encoder(torch.from_numpy(np.concatenate([every, every * 4]))).mean(0))
    encoder.spread.fill_(0.05)
    it = trainer(encoder=encoder, every=40, steps=100)
    bright = torch.from_numpy(rng.integers(190, 256, (20, *SPACES.frame_shape), np.uint8))
    dark = torch.from_numpy(rng.integers(0, 64, (20, *SPACES.frame_shape), np.uint8))
    nowhere = torch.full((20, 2), -0.5)
    first = it.event(stored, 40)
    known, unknown = (it.classifier.reward(f, nowhere).mean() for f in (dark, bright))
    assert unknown > 4 * known
    assert it.event(stored, 40)['loss'] < 0.5 * first['loss']


def test_only_the_predictor_learns():
    it = trainer()
    modules = it.classifier.target, it.classifier.encoder, it.classifier.predictor
    before = [flat(m) for m in modules]
    it.event(replay(), 10)
    same = [torch.equal(b, flat(m)) for b, m in zip(before, modules, strict=True)]
    assert same == [True, True, False]
    assert not any(p.requires_grad for p in it.classifier.target.parameters())
    trained = {id(p) for group in it.optimizer.param_groups for p in group['params']}
    assert trained == {id(p) for p in it.classifier.predictor.parameters()}


def test_events_count_the_agents_own_steps():
    it = trainer(every=500)
    assert [it.events_due(n) for n in (0, 499, 500, 999, 1000)] == [0, 0, 1, 1, 2]


def test_an_event_looks_at_the_newest_states_and_then_takes_its_steps(monkeypatch):
    it, stored = trainer(steps=4), replay(60)
    seen, step = [], it.step
    monkeypatch.setattr(it, 'step', lambda n: seen.append(n) or step(n))
    newest = states(stored, stored.store.steps['backward'][20:30])
    expected = it.classifier.reward(*newest).mean().item()
    assert it.event(stored, 30)['novelty'] == pytest.approx(expected)
    assert seen == [30] * 4
    assert it.events == 1 and it.classifier.steps == 4


def test_it_is_used_as_a_classifiers_trainer_is():
    shown = {name: [demonstration(6, name)] for name in ('forward', 'backward')}
    rng = np.random.default_rng(0)
    pair = ClassifierTrainer(classifier_config(), SPACES, 'backward', shown, rng), trainer()
    for it in pair:
        assert it.agent == 'backward' and it.events == 0 and it.events_due(25) == 2
        assert all(math.isfinite(v) for v in it.event(replay(), 10).values())
        assert isinstance(it.optimizer, torch.optim.Adam)
        frames = torch.zeros((3, 12, 12, 3), dtype=torch.uint8)
        rewards = it.classifier.reward(frames, torch.zeros(3, 2))
        assert rewards.shape == (3,) and not rewards.requires_grad


def test_saved_weights_give_the_same_reward(tmp_path):
    it, stored = trainer(), replay()
    it.event(stored, 10)
    save_tensors(it.classifier.state_dict(), tmp_path / 'novelty.safetensors')
    other = Novelty(it.config, SPACES, 'backward', frozen())
    other.load_state_dict(load_tensors(tmp_path / 'novelty.safetensors'))
    inputs = states(stored, slice(5))
    assert torch.equal(it.classifier.reward(*inputs), other.reward(*inputs))


def test_the_seed_decides():
    weights = []
    for seed in (0, 0, 1):
        it = trainer(seed=seed)
        it.event(replay(), 10)
        weights.append(flat(it.classifier))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
