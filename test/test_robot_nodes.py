"""The robot side as real processes: sim_arm, camera_sync, supervisor, operator; policy by us."""

from __future__ import annotations

import time
from array import array
from collections import Counter

import numpy as np
import pytest
from medal_ros.msg import Action, Observation, State, Step, Teleop
from medal_ros.srv import SwitchPolicy
from ros import Nodes, Probe, wait_until
from std_srvs.srv import SetBool, Trigger

from medal_ros.nodes.qos import HISTORY, STREAM, TELEOP

SIZE = {'height': 48, 'width': 48}


class Policy:
    """Answers every observation that its state hands to a policy, and records everything."""

    def __init__(self, probe: Probe) -> None:
        self.action = lambda state: [0.1, -0.1, -1.0]
        self.silent = False
        self.observations: list[Observation] = []  # the first may be heard before all is recorded
        self.states: list[State] = []
        self.publisher = probe.publisher(Action, 'action', STREAM)
        self.steps = probe.record(Step, 'step', HISTORY)
        self.observations = probe.record(Observation, 'observation', HISTORY, self.act)
        self.states = probe.record(State, 'state', STREAM, self.act)

    def act(self, _: object) -> None:
        if not self.states or not self.observations or self.silent:
            return
        state = self.states[-1]
        if state.mode == 'practice' and state.sequence == self.observations[-1].sequence:
            values = array('f', self.action(state))
            self.publisher.publish(
                Action(sequence=state.sequence, source='policy', agent=state.agent, action=values)
            )

    def wait_for_steps(self, more: int, deadline: float = 10.0) -> None:
        wanted = len(self.steps) + more
        wait_until(lambda: len(self.steps) >= wanted, deadline, f'{wanted} steps')

    def wait_for_mode(self, mode: str, deadline: float = 10.0) -> State:
        seen = wait_until(
            lambda: self.states and self.states[-1].mode == mode and self.states,
            deadline,
            f'mode {mode}',
        )
        return seen[-1]


@pytest.fixture
def graph(tmp_path):
    with Nodes(tmp_path) as nodes, Probe() as probe:

        def start(rate: float = 0.0, operator: bool = False, **supervisor) -> Policy:
            nodes.start('sim_arm', task='tabletop_quick', rate=rate, arm_reset_pose='random')
            nodes.start('camera_sync', cameras=['third'], **SIZE)
            nodes.start('supervisor', **supervisor)
            if operator:
                nodes.start('operator')
            return Policy(probe)

        yield start, nodes, probe


def test_lockstep_practice(graph):
    start, nodes, probe = graph
    policy = start(segment_steps=6, arm_reset__every_steps=12, ask_for_help__after_steps=0, steps=0)
    policy.wait_for_steps(40)
    _check_bookkeeping(policy)
    _check_switch(policy, probe)
    _check_bad_actions(policy)
    _check_pause(policy, probe)
    _check_world_reset(policy, probe)
    sequences = [step.sequence for step in policy.steps]
    assert sequences == list(range(len(sequences))), 'exactly one step for each sequence number'
    began = time.monotonic()
    assert nodes.stop() == {'sim_arm': 0, 'camera_sync': 0, 'supervisor': 0}
    assert time.monotonic() - began < 3.0


def _check_bookkeeping(policy: Policy) -> None:
    """Segments of six policy steps alternate, and every second one ends with an arm reset."""
    steps = policy.steps[:40]
    stamps = {o.sequence: o.header.stamp for o in policy.observations}
    assert all(step.header.stamp == stamps[step.sequence] for step in steps)
    first = [s for s in steps if s.segment == 0]
    assert [s.index for s in first] == list(range(6))
    assert {(s.source, s.agent, s.boundary) for s in first} == {('policy', 'forward', False)}
    second = [s for s in steps if s.segment == 1]
    kinds = Counter((s.source, s.agent, s.boundary) for s in second)
    assert kinds == {('policy', 'backward', False): 6, ('script', '', True): 1}
    assert second[-1].source == 'script' and list(second[-1].action) == [0.0, 0.0, 0.0]
    assert steps[0].action == array('f', [0.1, -0.1, -1.0])
    assert [s.agent for s in steps if s.segment == 2] == ['forward'] * 6
    observation = policy.observations[0]
    assert (list(observation.names), observation.images[0].height) == (['third'], 48)


def _check_switch(policy: Policy, probe: Probe) -> None:
    answer = probe.call(SwitchPolicy, 'switch_policy', policy='sideways')
    assert not answer.success
    assert answer.message == "there is no policy 'sideways'; there are forward and backward"
    for wanted in ('backward', 'forward', 'backward'):
        known = len(policy.states)
        assert probe.call(SwitchPolicy, 'switch_policy', policy=wanted).success
        # The first decision with a new segment that the service made: its policy acts at once.
        changed = wait_until(
            lambda known=known, wanted=wanted: next(
                (s for s in policy.states[known:] if s.agent == wanted and s.index == 0), None
            )
        )
        policy.wait_for_steps(4)
        made = {s.sequence: s for s in policy.steps}
        after = made[changed.sequence + 1]
        assert after.agent == wanted, 'the switch takes effect within one step'


def _check_bad_actions(policy: Policy) -> None:
    """What is not numbers moves nothing and costs nothing; the next good action is taken."""
    good = policy.action
    for bad in ([0.0, float('nan'), 0.0], [0.0, 0.0]):
        policy.action = lambda state, bad=bad: bad
        # Without a step lockstep shows the same observation again, with the same stamp.
        repeats = _repeats(policy.observations)
        more = lambda repeats=repeats: _repeats(policy.observations) > repeats  # noqa: E731
        wait_until(more, 5.0, 'the observation shown again')
        assert policy.observations[-1].sequence == len(policy.steps)
        policy.action = good
        policy.wait_for_steps(3)
    assert all(np.isfinite(step.action).all() for step in policy.steps)


def _repeats(observations: list[Observation]) -> int:
    keys = Counter((o.sequence, o.header.stamp.sec, o.header.stamp.nanosec) for o in observations)
    return sum(count - 1 for count in keys.values())


def _check_pause(policy: Policy, probe: Probe) -> None:
    assert probe.call(SetBool, 'pause', data=True).success
    state = policy.wait_for_mode('paused')
    still = len(policy.steps)
    refused = probe.call(SetBool, 'pause', data=True)
    assert (refused.success, refused.message) == (False, 'already paused')
    assert len(policy.steps) <= still + 1  # one may have been on its way
    assert probe.call(SetBool, 'pause', data=False).success
    policy.wait_for_steps(3)
    assert policy.steps[-1].segment >= state.segment


def _check_world_reset(policy: Policy, probe: Probe) -> None:
    known = len(policy.steps)
    assert probe.call(Trigger, 'sim/reset').success
    reset = wait_until(
        lambda: next((s for s in policy.steps[known:] if s.source == 'script'), None)
    )
    assert reset.boundary and reset.agent == ''
    policy.wait_for_steps(2)


def test_the_supervisor_waits_for_what_was_executed(tmp_path):
    """Its count is of steps that were taken; a lost step is not waited for for ever."""
    with Nodes(tmp_path) as nodes, Probe() as probe:
        nodes.start('supervisor', ask_for_help__after_steps=0)
        states = probe.record(State, 'state', STREAM)
        steps = probe.publisher(Step, 'step', HISTORY)
        observations = probe.publisher(Observation, 'observation', HISTORY)
        observations.publish(Observation(sequence=0))
        wait_until(lambda: states and states[-1].sequence == 0, 10.0, 'the first state')
        observations.publish(Observation(sequence=1))
        assert probe.call(SetBool, 'pause', data=True).success, 'and meanwhile it answers'
        assert probe.call(SetBool, 'pause', data=False).success
        assert {state.sequence for state in states} == {0}
        steps.publish(Step(sequence=0, source='hold'))
        wait_until(lambda: states[-1].sequence == 1, 5.0, 'the state after the step')
        assert (states[-1].steps, states[-1].index) == (0, 1)
        for _ in range(2):
            observations.publish(Observation(sequence=2))
        wait_until(lambda: states[-1].sequence == 2, 5.0, 'the state without its step')
        assert states[-1].steps == 1


def test_help_is_answered_by_the_operator(graph):
    start, nodes, _ = graph
    policy = start(
        operator=True,
        segment_steps=6,
        ask_for_help__after_steps=12,
        ask_for_help__min_pairs=2,
        arm_reset__every_steps=0,
    )
    policy.action = lambda state: [0.0, 0.0, -1.0]
    wait_until(lambda: any(s.mode == 'help' for s in policy.states), 10.0, 'a call for help')
    called = next(s for s in policy.states if s.mode == 'help')
    assert called.reason == 'nothing has moved for 12 steps'
    assert (called.steps, called.interventions) == (12, 0)
    policy.action = lambda state: [0.5, 0.5, -1.0]
    answered = wait_until(
        lambda: next(
            (s for s in policy.states if s.mode == 'practice' and s.interventions == 1), None
        )
    )
    assert (answered.agent, answered.index, answered.steps) == ('forward', 0, 12)
    policy.wait_for_steps(3)
    made = {s.sequence: s for s in policy.steps}
    assert made[called.sequence].source == 'script' and made[called.sequence].boundary
    assert made[called.sequence + 1].source == 'policy'
    statuses = nodes.stop()
    assert statuses['operator'] == 0, statuses


def test_with_a_rate_the_arm_holds_when_nobody_acts(graph):
    start, _, _ = graph
    policy = start(rate=10.0, segment_steps=1000, ask_for_help__after_steps=0)
    policy.action = lambda state: [0.0, 0.0, 1.0]
    wait_until(lambda: sum(s.source == 'policy' for s in policy.steps) > 5, 10.0, 'actions')
    seen = [o.sequence for o in policy.observations]
    assert np.diff(seen).tolist() == [1] * (len(seen) - 1), 'one observation for each tick'
    policy.silent = True
    began = len(policy.steps)
    policy.wait_for_steps(8)
    held = policy.steps[began + 2 : began + 8]  # an action may have been on its way
    assert {(s.source, s.agent, s.boundary) for s in held} == {('hold', '', False)}
    assert {tuple(s.action) for s in held} == {(0.0, 0.0, 1.0)}, 'gripper as commanded last'
    seconds = [s.header.stamp.sec + 1e-9 * s.header.stamp.nanosec for s in held]
    assert np.median(np.diff(seconds)) == pytest.approx(0.1, abs=0.03)
    policy.silent, known = False, len(policy.steps)
    wait_until(lambda: any(s.source == 'policy' for s in policy.steps[known:]), 5.0, 'an action')
    taken = sum(s.source == 'policy' for s in policy.steps)
    assert policy.states[-1].steps <= taken, 'holding is no step of a policy'


def test_a_person_takes_over_from_the_policy_and_hands_back(graph):
    """Arm and supervisor agree without asking each other; forward then starts afresh."""
    start, _, probe = graph
    policy = start(segment_steps=1000, ask_for_help__after_steps=0)
    teleop = probe.publisher(Teleop, 'teleop', TELEOP, readers=2)
    policy.wait_for_steps(5)
    drive = Teleop(engaged=True, action=array('f', [0.5, 0.0, -1.0]))

    def driven() -> list[Step]:
        teleop.publish(drive)
        return [s for s in policy.steps if s.source == 'teleop'][3:]

    wait_until(driven, 10.0, 'steps of a person')
    state = policy.wait_for_mode('intervention')
    assert (state.interventions, state.segment) == (1, 0)
    answer = probe.call(Trigger, 'reset_done')
    assert (answer.success, answer.message) == (
        True,
        'practice goes on when the button of the teleoperation is let go',
    )
    assert policy.states[-1].mode == 'intervention'
    teleop.publish(Teleop(engaged=False, action=array('f', [0.0, 0.0, -1.0])))
    state = policy.wait_for_mode('practice')
    assert (state.agent, state.segment, state.interventions) == ('forward', 1, 1)
    policy.wait_for_steps(4)
    sources = [s.source for s in policy.steps]
    first, last = sources.index('teleop'), len(sources) - 1 - sources[::-1].index('teleop')
    after = sources.index('policy', first)
    assert set(sources[:first]) == set(sources[after:]) == {'policy'}
    assert last < after and set(sources[last + 1 : after]) <= {'hold'}, 'until he lets go'
    assert (policy.steps[after].agent, policy.steps[after].segment) == ('forward', 1)
    assert [s.sequence for s in policy.steps] == list(range(len(sources)))
