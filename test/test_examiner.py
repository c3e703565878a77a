"""examiner with the graph around it: trials from given starts, judged, kept, gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import imageio.v2 as imageio
import numpy as np
import pytest
from finished import make_run
from medal_ros.msg import State, Step
from medal_ros.srv import Label
from rclpy.task import Future
from ros import Nodes, Probe, wait_until
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from medal_ros import bringup
from medal_ros.exam.plan import Start, make_plan
from medal_ros.exam.session import Session
from medal_ros.nodes import examiner
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.sim import make


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / 'first')


@pytest.fixture
def nodes(tmp_path):
    with Nodes(tmp_path) as nodes:
        yield nodes


def start(nodes, plan, folder, **changes):
    """Start the nodes of an examination."""
    Session(folder, plan)
    for spec in bringup.examination(plan, folder):
        parameters = {k: v for k, v in spec.parameters.items() if v != []}
        nodes.start(spec.name, **{**parameters, **changes.get(spec.name, {})})


def evaluate(run, *words, **others):
    command = [sys.executable, '-m', 'medal_ros.cli', 'evaluate', str(run), *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **others
    )


def test_an_examination_that_is_stopped_goes_on_and_leaves_table_and_films(run):
    words = ('--policy', 'forward,cloning', '--episodes', '2')
    process = evaluate(run, *words)
    lines = lambda: list(run.glob('evaluations/*/trials.jsonl'))  # noqa: E731
    wait_until(lines, 180, 'the first verdict')
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert 'trials are left: the same command goes on' in output
    (path,) = lines()
    before = path.read_text()

    process = evaluate(run, *words)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert path.read_text().startswith(before)  # nothing was tried twice
    outcomes = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(o['trial'] for o in outcomes) == [0, 1, 2, 3]
    assert {o['verdict'] for o in outcomes} <= {'success', 'failure'}
    assert '| tabletop_quick | default |' in output
    assert (path.parent / 'table.md').read_text() in output
    for number in range(4):
        film = imageio.mimread(path.parent / 'videos' / f'trial_{number:04d}.mp4', memtest=False)
        assert len(film) > make('tabletop_quick', 0).horizon

    began = time.monotonic()  # once more: everything is known
    process = evaluate(run, *words)
    again, _ = process.communicate(timeout=120)
    assert (process.returncode, again) == (0, output)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize('policy', ['forward', 'backward'])
def test_a_trial_starts_where_the_seed_says(run, nodes, tmp_path, policy):
    """What the first image of a film shows is what the world shows after a reset with the seed."""
    seed = 12345
    plan = make_plan([run], policies=[policy], listed=[Start('default', seed)])
    start(nodes, plan, tmp_path / 'exam')
    film = tmp_path / 'exam' / 'videos' / 'trial_0000.mp4'
    wait_until(film.is_file, 180, 'the film of the trial')
    shown = imageio.mimread(film, memtest=False)[0][:-40]  # without the caption

    world = make('tabletop_quick', None)
    kind = 'done' if policy == 'backward' else 'initial'
    seen, _ = world.reset(seed=seed, options={'start': kind})
    other, _ = world.reset(seed=seed + 1, options={'start': kind})
    factor = shown.shape[0] // seen['third'].shape[0]
    small = shown[factor // 2 :: factor, factor // 2 :: factor].astype(float)
    assert np.abs(small - seen['third']).mean() < 4 < np.abs(small - other['third']).mean()


def test_a_person_judges_and_an_interrupted_trial_is_tried_again(run, nodes, tmp_path):
    plan = make_plan([run], policies=['forward'], episodes=2, judge='person')
    folder = tmp_path / 'exam'
    with Probe() as probe:
        said = probe.record(String, 'examination', LATCHED)
        states = probe.record(State, 'state', STREAM)
        start(nodes, plan, folder, sim_arm={'rate': 20.0})
        under_way = lambda n: [m for m in said if f'trial {n} of 2: under way' in m.data]  # noqa: E731
        over = lambda n: [m for m in said if f'trial {n} of 2 is over' in m.data]  # noqa: E731
        wait_until(lambda: under_way(1), 180, 'the first trial')
        steps = lambda: states and states[-1].mode == 'practice' and states[-1].index > 3  # noqa: E731
        wait_until(steps, 60, 'some steps')
        # A label in the middle of a trial judges nothing.
        assert probe.call(Label, 'label', label='success').success
        # A person takes over: the trial is invalid, and comes again at the end.
        taken = probe.call(SetBool, 'intervene', data=True)
        assert taken.success, taken.message
        verdicts = lambda: [o.verdict for o in Session(folder).outcomes.values()]  # noqa: E731
        wait_until(lambda: verdicts() == ['invalid'], 60, 'the verdict')
        wait_until(lambda: over(1), 180, 'the end of the second trial')
        assert states[-1].mode == 'help'  # the arm holds until the judgement is there
        assert probe.call(Label, 'label', label='success').success
        wait_until(lambda: over(2), 180, 'the end of the first trial, tried again')
        assert probe.call(Label, 'label', label='failure').success
        wait_until(lambda: said[-1].data == 'the examination is over', 60, 'the end')
    assert sorted(verdicts()) == ['failure', 'success']
    lines = (folder / 'trials.jsonl').read_text().splitlines()
    assert [json.loads(line)['verdict'] for line in lines] == ['invalid', 'success', 'failure']


def test_on_a_robot_the_person_is_told_the_start_and_the_arm_goes_home_first(run, nodes, tmp_path):
    listed = [Start('default', 0, 'mug far left')]
    plan = make_plan([run], policies=['forward'], listed=listed, judge='person')
    with Probe() as probe:
        said = probe.record(String, 'examination', LATCHED)
        states = probe.record(State, 'state', STREAM)
        steps = probe.record(Step, 'step', HISTORY)  # the first ones count
        start(nodes, plan, tmp_path / 'exam', examiner={'stand_in': False}, sim_arm={'rate': 20.0})
        words = 'put the world to "mug far left", then say reset_done'
        wait_until(lambda: said and words in said[-1].data, 180, 'the request')
        wait_until(lambda: states and states[-1].mode == 'intervention', 60, 'the state')
        assert probe.call(Trigger, 'reset_done').success
        wait_until(lambda: said[-1].data.endswith('under way'), 90, 'the trial')
        moved = lambda: [m.source for m in steps if m.source != 'hold']  # noqa: E731
        wait_until(lambda: 'policy' in moved(), 90, 'a step of the policy')
        assert moved()[0] == 'script' and set(moved()[1:]) == {'policy'}


def test_a_policy_that_is_gone_is_one_sentence(run, tmp_path):
    words = ('--episodes', '1', '--policy', 'forward', '--out', str(tmp_path / 'exam'))
    plan = make_plan([run], policies=['forward'], episodes=1)
    Session(tmp_path / 'exam', plan)
    path = run / 'checkpoints' / 'forward_00000040.safetensors'
    path.write_bytes(path.read_bytes()[:-40])
    process = evaluate(run, *words, env={**os.environ})
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 2
    assert 'holds another examination' in output and 'Traceback' not in output


class Slow:
    """A service that is there, and its clock: answers when told to."""

    def __init__(self) -> None:
        self.asked: list[Future] = []
        self.now = 0.0

    def service_is_ready(self) -> bool:
        return True

    def call_async(self, _: object) -> Future:
        self.asked.append(Future())
        return self.asked[-1]


def test_what_a_slow_service_may_still_execute_is_not_asked_for_twice(monkeypatch):
    service = Slow()
    monkeypatch.setattr(examiner.time, 'monotonic', lambda: service.now)
    logger = SimpleNamespace(warning=lambda *_, **__: None)
    node = SimpleNamespace(
        offered={'intervene': service},
        future=None,
        asked_at=0.0,
        answered=lambda name: lambda future: None,
        get_logger=lambda: logger,
    )

    def asked_by(now: float) -> int:
        service.now = now
        examiner.Examiner.ask(node, 'intervene', SetBool.Request(data=True))
        return len(service.asked)

    assert asked_by(0.0) == 1
    assert asked_by(examiner.PATIENCE + 1) == 1  # it may come to it yet
    service.asked[0].set_result(SetBool.Response(success=True))
    assert asked_by(examiner.PATIENCE + 1) == 2  # answered, and nothing followed
    assert asked_by(2 * examiner.PATIENCE) == 2
    assert asked_by(examiner.PATIENCE + 1 + examiner.LOST) == 3  # its server died, say
