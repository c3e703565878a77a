"""What the command line sees and asks of a graph, over real topics and services."""

from __future__ import annotations

import time

import pytest
import toy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from medal_ros.msg import Evaluation, Learner, State
from medal_ros.srv import SwitchPolicy
from ros import Probe

from medal_ros import monitor as module
from medal_ros import status
from medal_ros.errors import UserError
from medal_ros.monitor import Monitor
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM


@pytest.fixture
def probe():
    with Probe() as probe:
        yield probe


@pytest.fixture
def monitor():
    monitor = Monitor('medal')
    yield monitor
    monitor.close()


def test_it_hears_what_was_said_before_it_came(probe):
    for kind, topic, qos, messages in (
        (State, 'state', HISTORY, [State(steps=1), State(steps=2)]),
        (Learner, 'learner', LATCHED, [Learner(updates=5), Learner(updates=6)]),
        (Evaluation, 'evaluation', HISTORY, [Evaluation(steps=10), Evaluation(steps=20)]),
    ):
        publisher = toy.publisher(probe, kind, topic, qos)
        for message in messages:
            publisher.publish(message)
    events = []
    late = Monitor('medal', lambda kind, message: events.append((kind, message)))
    try:
        assert late.wait_for(lambda: len(events) >= 4, 10.0)
    finally:
        late.close()
    heard = {kind: [m for k, m in events if k == kind] for kind, _ in events}
    assert [m.steps for m in heard['evaluation']] == [10, 20]  # each one counts
    assert [m.steps for m in heard['state']] == [2]  # of these only the newest
    assert late.newest['learner'].updates == 6


def test_others_are_the_nodes_of_its_namespace(probe, monitor):
    assert monitor.wait_for(lambda: monitor.others() == ['probe'], 10.0)
    elsewhere = Monitor('another')
    try:
        assert elsewhere.wait_for(lambda: len(elsewhere.node.get_node_names()) >= 3, 10.0)
        assert elsewhere.others() == []
    finally:
        elsewhere.close()


def test_health_is_that_of_its_namespace(probe, monitor):
    publisher = toy.publisher(probe, DiagnosticArray, '/diagnostics', STREAM)
    toy.connected(publisher)
    for node in ('medal/reward', 'medalion/reward', 'other/reward'):
        told = DiagnosticStatus(name=f'{node}: status', hardware_id=node, message='ok')
        publisher.publish(DiagnosticArray(status=[told]))
    assert monitor.wait_for(lambda: 'medal/reward: status' in monitor.health, 10.0)
    monitor.spin(0.1)
    assert list(monitor.health) == ['medal/reward: status']


def test_it_knows_what_a_node_is_doing(probe, monitor):
    publisher = toy.publisher(probe, DiagnosticArray, '/diagnostics', STREAM)
    toy.connected(publisher)
    assert monitor.doing('evaluator') == ''
    told = DiagnosticStatus(name='medal/evaluator: status', hardware_id='medal/evaluator')
    told.values = [KeyValue(key='doing', value='training the\x1b[2J cloning baseline')]
    publisher.publish(DiagnosticArray(status=[told]))
    assert monitor.wait_for(lambda: bool(monitor.doing('evaluator')), 10.0)
    assert monitor.doing('evaluator').startswith('training the')
    assert '\x1b' not in monitor.doing('evaluator'), 'a terminal would obey it'
    assert monitor.doing('reward') == ''


def test_waiting_has_an_end(monitor):
    began = time.monotonic()
    assert not monitor.wait_for(lambda: False, 0.3)
    assert 0.3 <= time.monotonic() - began < 5.0


def test_switch_returns_the_answer(probe, monitor):
    asked = []

    def answer(request, response):
        asked.append(request.policy)
        response.success, response.message = request.policy == 'backward', 'why'
        return response

    probe.node.create_service(SwitchPolicy, 'switch_policy', answer)
    assert monitor.switch('backward') == (True, 'why')
    assert monitor.switch('sideways') == (False, 'why')
    assert asked == ['backward', 'sideways']


def test_switch_without_an_answer_is_a_sentence(probe, monitor, monkeypatch):
    monkeypatch.setattr(module, 'DISCOVERY', 0.2)
    assert monitor.switch('forward') == (False, 'no supervisor answers in namespace /medal')
    monkeypatch.setattr(module, 'DISCOVERY', 1.5)
    probe.node.create_service(
        SwitchPolicy, 'switch_policy', lambda request, response: time.sleep(4.0) or response
    )
    assert monitor.switch('forward') == (False, 'the supervisor did not answer')


@pytest.mark.parametrize('namespace', ['a b', 'a!', '1st', 'a//b', '/medal'])
def test_what_cannot_be_a_namespace_is_refused(namespace):
    with pytest.raises(UserError, match='cannot be a ROS namespace: use letters'):
        Monitor(namespace)


def test_a_ros_that_does_not_start_is_a_sentence(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', 'home')
    with pytest.raises(UserError) as error:
        Monitor('medal')
    assert 'ROS_DOMAIN_ID is not an integral number' in str(error.value)
    assert '/' not in str(error.value) and '\n' not in str(error.value)


def test_status_in_words(probe, monitor):
    assert status.describe(monitor) == (
        'no graph is running in namespace /medal of this ROS domain'
    )
    state = State(mode='help', agent='forward', segment=4, index=7, steps=120, total_steps=500)
    state.interventions, state.reason = 2, 'nothing moves'
    toy.publisher(probe, State, 'state', HISTORY).publish(state)
    learner = Learner(stored=118, refused=2, updates=230, updates_per_second=12.34, owed=6)
    toy.publisher(probe, Learner, 'learner', LATCHED).publish(learner)
    health = toy.publisher(probe, DiagnosticArray, '/diagnostics', STREAM)
    toy.connected(health)
    told = DiagnosticStatus(name='medal/trainer: status', hardware_id='medal/trainer')
    told.message = 'for classifier 3 of forward'
    health.publish(DiagnosticArray(status=[told]))
    assert monitor.wait_for(lambda: len(monitor.newest) == 2 and bool(monitor.health), 10.0)
    assert status.describe(monitor).splitlines() == [
        'help: forward policy, step 7 of segment 4 (nothing moves)',
        '120 of 500 steps, 2 interventions',
        '118 steps stored, 2 refused; 230 updates, 12.3 a second, 6 owed',
        '  medal/probe: says nothing',
        '  medal/trainer: for classifier 3 of forward',
    ]
