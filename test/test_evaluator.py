"""evaluator as a real process: measures what it is told of, and ends a run with its files.

The trainer and the supervisor are messages of the test; policies are of tiny networks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import toy
from diagnostic_msgs.msg import DiagnosticArray
from medal_ros.msg import Evaluation, Learner, State, Weights
from ros import Nodes, Probe, wait_until
from small import AGENT
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from medal_ros import bringup, evaluation, preparing
from medal_ros.learning.policy import Policy
from medal_ros.learning.weights import save_tensors
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.options import flatten
from medal_ros.processes import ENDED
from medal_ros.run_folder import RunFolder
from medal_ros.sim import task_class
from medal_ros.spaces import AGENTS
from medal_ros.statistics import wilson

TASK = 'tabletop_quick'
CHANGES = {
    **{f'agent.{key}': value for key, value in AGENT.items()},
    'agent.encoder.strides': [2, 2],
    'demonstrations.count': 2,
    'evaluation.episodes': 3,
    'evaluation.final_episodes': 4,
    'evaluation.cloning_steps': 6,
    'evaluation.cloning_checkpoints': 2,
}


class Run:
    """A run in the making, its evaluator, and the messages that it follows."""

    def __init__(self, nodes: Nodes, probe: Probe, runs: Path, **changes) -> None:
        values = {**CHANGES, **{k.replace('__', '.'): v for k, v in changes.items()}}
        self.nodes = nodes
        self.config = bringup.configure(TASK, seed=3, steps=40, changes=values)
        self.folder = preparing.prepare(self.config, runs, 'run', say=lambda text: None)
        self.folder.checkpoints.mkdir()
        parameters = flatten(bringup.node_config(self.config, self.folder))
        nodes.start('evaluator', **{k: v for k, v in parameters.items() if v != []})
        self.evaluations = probe.record(Evaluation, 'evaluation', HISTORY)
        self.states = toy.publisher(probe, State, 'state', STREAM)
        self.learner = toy.publisher(probe, Learner, 'learner', LATCHED)
        self.checkpoints = toy.publisher(probe, Weights, 'weights/checkpoint', HISTORY)
        toy.connected(self.states, self.learner, self.checkpoints)

    def save(self, steps: int) -> None:
        """Save and announce both policies, as the trainer does."""
        for agent in AGENTS:
            torch.manual_seed(steps)
            policy = Policy(getattr(self.config, agent).agent, task_class(TASK).spaces)
            written = save_tensors(policy.state_dict(), self.folder.policy(agent, steps))
            self.checkpoints.publish(toy.weights(agent, written, steps, steps=steps))

    def say(self, steps: int, mode: str = 'practice', interventions: int = 0) -> None:
        self.states.publish(State(steps=steps, mode=mode, interventions=interventions))

    def measured(self, *wanted: tuple[str, int]) -> None:
        """Wait until policies, and the cloning baseline, have been measured."""
        known = lambda: {(e.agent, e.steps) for e in self.evaluations}  # noqa: E731
        wait_until(lambda: known() >= set(wanted), 30.0, f'evaluations of {wanted}')

    def summary(self) -> dict:
        return json.loads(self.folder.summary.read_text())


@pytest.fixture
def nodes(tmp_path):
    with Nodes(tmp_path) as nodes:
        yield nodes


@pytest.fixture(scope='module')
def finished(tmp_path_factory) -> Run:
    """A run that came to its end: practice, two checkpoints, the last of them after `done`."""
    folder = tmp_path_factory.mktemp('finished')
    with Nodes(folder) as nodes, Probe() as probe:
        run = Run(nodes, probe, folder)
        run.say(0)
        run.say(10)
        run.say(20, interventions=2)
        run.save(20)
        run.measured(('forward', 20), ('backward', 20))
        run.say(40, 'done', interventions=3)
        run.learner.publish(Learner(updates=80, stored=39, refused=1, dropped=5))
        run.save(40)
        status = nodes.processes['evaluator'].wait(180.0)
        assert status in ENDED, nodes.output('evaluator')
        assert 'Traceback' not in nodes.output('evaluator')
    return run


def test_the_end_of_practice_is_the_end_of_the_run(finished):
    summary = finished.summary()
    assert summary['finished']
    assert [steps for steps, _ in summary['curve']] == [20, 40]
    assert [steps for steps, _ in summary['backward_curve']] == [20, 40]
    assert (summary['steps'], summary['updates'], summary['dropped']) == (40, 80, 5)
    assert (summary['stored'], summary['refused']) == (39, 1)
    assert (summary['interventions'], summary['intervention_steps']) == (3, [20, 20, 40])
    assert summary['eval_episodes'] == 4
    for key in ('success', 'best_success', 'bc_success', 'backward_success', 'success_ever'):
        assert summary[key] in (0, 0.25, 0.5, 0.75, 1), key
    success = dict(summary['curve'])
    assert success[summary['best_steps']] == max(success.values())
    assert set(success.values()) <= {0, 1 / 3, 2 / 3, 1}


def test_every_checkpoint_and_the_baseline_are_measured_and_told(finished):
    told = {(e.agent, e.steps): e for e in finished.evaluations}
    measured = [(agent, steps) for agent in AGENTS for steps in (20, 40)]
    assert set(told) >= {*measured, ('cloning', 3), ('cloning', 6)}
    assert {told[key].episodes for key in measured} == {3}
    one = told['backward', 20]
    low, high = wilson(round(one.success * 3), 3)
    assert (one.low, one.high) == (pytest.approx(low), pytest.approx(high))
    best = max(told['cloning', steps].success for steps in (3, 6))
    assert finished.summary()['bc_success'] == pytest.approx(best)


def test_a_run_leaves_a_curve_films_and_metrics(finished):
    folder = finished.folder
    assert (folder.path / 'learning_curve.png').read_bytes().startswith(b'\x89PNG')
    for agent in AGENTS:
        assert b'ftyp' in (folder.path / f'{agent}.mp4').read_bytes()[:12]
    assert len(list(folder.checkpoints.glob('cloning_*.safetensors'))) == 2
    (path,) = folder.tensorboard.iterdir()
    events = EventAccumulator(str(path))
    events.Reload()
    points = events.Scalars('forward/success')
    assert [[p.step, pytest.approx(p.value)] for p in points] == finished.summary()['curve']


def test_an_interrupt_leaves_what_is_known_and_waits_for_no_measurement(nodes, tmp_path):
    with Probe() as probe:
        changes = {'evaluation__cloning_steps': 0, 'evaluation__final_episodes': 10**6}
        run = Run(nodes, probe, tmp_path, **changes)
        health = probe.record(DiagnosticArray, '/diagnostics', STREAM)
        run.say(0)
        run.save(20)
        run.say(40, 'done')
        run.save(40)
        run.measured(*[(agent, steps) for agent in AGENTS for steps in (20, 40)])
        wait_until(lambda: 'final evaluation' in str(health), 10.0, 'the final evaluation')
        began = time.monotonic()
        toy.stopped_well(nodes)
        assert time.monotonic() - began < 3.0
    summary = run.summary()
    assert not summary['finished'] and summary['success'] is None
    assert summary['steps'] == 40 and [steps for steps, _ in summary['curve']] == [20, 40]
    assert (run.folder.path / 'learning_curve.png').is_file()


def test_what_was_measured_of_the_baseline_is_not_measured_again(tmp_path, monkeypatch):
    config = bringup.configure(TASK, seed=3, steps=40, changes=CHANGES)
    folder = preparing.prepare(config, tmp_path, 'run', say=lambda text: None)
    folder.checkpoints.mkdir()
    one = evaluation.Baseline(config, folder)
    while not one.done:
        one.step()
    again = evaluation.Baseline(config, folder)
    again.known = {3: one.checkpoints[3]}
    measured = []
    monkeypatch.setattr(evaluation, 'run_episodes', lambda *_: measured.append(again.steps))
    while not again.done:
        again.step()
    assert measured == [6] and again.checkpoints[3] == one.checkpoints[3]


def test_a_run_is_as_long_as_its_checkpoints_where_no_state_was_heard(nodes, tmp_path):
    with Probe() as probe:
        run = Run(nodes, probe, tmp_path, evaluation__cloning_steps=0)
        run.save(20)
        run.measured(('forward', 20), ('backward', 20))
        toy.stopped_well(nodes)
    assert run.summary()['steps'] == 20


def test_a_damaged_checkpoint_is_one_sentence(nodes, tmp_path):
    with Probe() as probe:
        run = Run(nodes, probe, tmp_path)
        path = run.folder.policy('forward', 20)
        path.write_bytes(b'no weights at all')
        run.checkpoints.publish(Weights(agent='forward', steps=20, path=str(path)))
        assert nodes.processes['evaluator'].wait(90.0) == 1
    said = nodes.output('evaluator').splitlines()
    assert [line for line in said if '[FATAL]' in line] == said
    assert said[0].endswith(f'{path} is damaged or truncated')
    assert not run.summary()['finished']


# -- medal evaluate ------------------------------------------------------------------------------


def medal_evaluate(run: RunFolder, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'medal_ros.cli', 'evaluate', str(run.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300.0)


def test_medal_evaluate_measures_the_same_through_the_graph(finished):
    """The same starts as at the end of the run, and the same figures."""
    words = ('--policy', 'forward,backward,cloning', '--checkpoints', 'best,last')
    done = medal_evaluate(finished.folder, *words, '--episodes', '4', '--no-films')
    assert (done.returncode, done.stderr) == (0, '')
    (path,) = finished.folder.path.glob('evaluations/*/table.json')
    held = json.loads(path.read_text())
    successes = {(s['policy'], s['steps']): s['successes'] / 4 for s in held['scores']}
    summary = finished.summary()
    assert successes['forward', 40] == summary['success']
    assert successes['backward', 40] == summary['backward_success']
    assert successes['forward', summary['best_steps']] == summary['best_success']
    assert successes['cloning', summary['bc_best_steps']] == summary['bc_success']
