"""The tables of docs/supervisor.md, cell by cell: every state with every request and event."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from medal_ros.options import build
from medal_ros.robot.supervisor import Supervisor, SupervisorConfig, Taken

PAGE = Path(__file__).parent.parent / 'docs' / 'supervisor.md'
PROPRIO = np.zeros(3, np.float32)
CONTROL = 'a person is in control; intervene false or reset_done ends that first'
PLEA = 'practice cannot go on: the arm asks for help: a reflex'
LATER = 'practice goes on when the button of the teleoperation is let go'


def take(source: str):
    """Return what shows the supervisor an observation after a step of this source."""

    def event(s: Supervisor) -> None:
        s.observe(s.sequence + 1, None, PROPRIO, None, Taken(source, s.decision.segment))

    return event


EVENTS = {
    'step: policy': take('policy'),
    'step: hold': take('hold'),
    'step: script': take('script'),
    'step: teleop': take('teleop'),
    'button held': lambda s: s.teleop(True),
    'button let go': lambda s: s.teleop(False),
    'teleoperation silent': lambda s: s.teleop_silent(),
    'arm asks': lambda s: s.arm_asks('a reflex'),
    'arm is ready': lambda s: s.arm_asks(''),
    'arm starts again': lambda s: s.observe(0, None, PROPRIO),
}
REQUESTS = {
    '`switch_policy`': lambda s: s.switch('backward'),
    '`pause` true': lambda s: s.pause(True),
    '`pause` false': lambda s: s.pause(False),
    '`intervene` true': lambda s: s.intervene(True),
    '`intervene` false': lambda s: s.intervene(False),
    '`reset_done`': lambda s: s.reset_done(),
    '`home`': lambda s: s.home(),
    '`label`': lambda s: s.label('failure'),
}
# How each state is reached from the first steps of practice.
WAYS = {
    'practice': [],
    'arm_reset': ['`home`'],
    'paused': ['`pause` true'],
    'paused, reset': ['`home`', '`pause` true'],
    'intervention': ['`intervene` true'],
    'intervention, held': ['button held'],
    'intervention, held, returning': ['button held', '`intervene` false'],
    'intervention, plea': ['`intervene` true', 'arm asks'],
    'intervention, held, plea': ['button held', 'arm asks'],
    'help': ['arm asks', 'arm is ready'],
    'help, plea': ['arm asks'],
    'done': ['step: policy'] * 2,
}
# The answers that are not the same in every state; `*` stands for all others.
ANSWERS = {
    '`switch_policy`': {
        'practice': 'backward takes over now',
        'arm_reset': 'backward takes over after the arm reset',
        'paused': 'backward takes over after the pause',
        'paused, reset': 'backward takes over after the arm reset',
        'help': 'help is awaited; reset_done ends that first',
        'help, plea': 'help is awaited; reset_done ends that first',
        'done': 'the run is done',
        '*': CONTROL,
    },
    '`pause` true': {
        'practice': 'paused',
        'arm_reset': 'paused',
        'paused': 'already paused',
        'paused, reset': 'already paused',
        'help': 'help is awaited; reset_done ends that first',
        'help, plea': 'help is awaited; reset_done ends that first',
        'done': 'the run is done',
        '*': CONTROL,
    },
    '`pause` false': {
        'paused': 'practice goes on with forward',
        'paused, reset': 'practice goes on with forward',
        '*': 'not paused',
    },
    '`intervene` true': {
        'intervention': CONTROL,
        'intervention, held': CONTROL,
        'intervention, plea': CONTROL,
        'intervention, held, plea': CONTROL,
        'done': 'the run is done',
        '*': 'you are in control; intervene false or reset_done gives it back',
    },
    '`intervene` false': {
        'intervention': 'forward starts a new segment',
        'intervention, held': LATER,
        'intervention, held, returning': LATER,
        'intervention, plea': PLEA,
        'intervention, held, plea': PLEA,
        '*': 'no intervention to end',
    },
    '`reset_done`': {
        'practice': 'nobody waits for a reset: the mode is practice',
        'arm_reset': 'nobody waits for a reset: the mode is arm_reset',
        'paused': 'forward starts a new segment after the pause',
        'paused, reset': 'forward starts a new segment after the pause',
        'intervention, held': LATER,
        'intervention, held, returning': LATER,
        'intervention, plea': PLEA,
        'intervention, held, plea': PLEA,
        'help, plea': PLEA,
        'done': 'nobody waits for a reset: the mode is done',
        '*': 'forward starts a new segment',
    },
    '`home`': {
        'practice': 'the arm moves to its start pose, then forward goes on',
        'arm_reset': 'the arm is on its way to its start pose',
        'paused': 'practice is paused; pause false ends that first',
        'paused, reset': 'practice is paused; pause false ends that first',
        'help': 'help is awaited; reset_done ends that first',
        'help, plea': 'help is awaited; reset_done ends that first',
        'done': 'the run is done',
        '*': CONTROL,
    },
    '`label`': {
        **{state: 'segment 0 is labelled failure' for state in WAYS if 'interv' not in state},
        '*': 'the intervention is labelled failure',
    },
}


def tables() -> dict[tuple[str, str], str]:
    """Return `{(state, request or event): next state}` as the page says."""
    cells: dict[tuple[str, str], str] = {}
    columns: list[str] = []
    for line in PAGE.read_text().splitlines():
        row = [cell.strip() for cell in line.strip('|').split('|')]
        if line.startswith('| mode | ') and len(row) > 3:
            columns = row[1:]
        elif not line.startswith('|'):
            columns = []
        elif columns and row[0] in WAYS:
            cells |= dict(zip(itertools.product(row[:1], columns), row[1:], strict=True))
    return cells


TABLE = tables()


def in_state(state: str) -> Supervisor:
    steps = 2 if state == 'done' else 0
    quiet = {'arm_reset.every_steps': 0, 'ask_for_help.after_steps': 0, 'steps': steps}
    supervisor = Supervisor(build(SupervisorConfig, quiet))
    supervisor.observe(0, None, PROPRIO)
    if state != 'done':
        for sequence in (1, 2, 3):
            supervisor.observe(sequence, None, PROPRIO)
    for name in WAYS[state]:
        {**EVENTS, **REQUESTS}[name](supervisor)
    assert state_of(supervisor) == state
    return supervisor


def state_of(supervisor: Supervisor) -> str:
    values = supervisor.snapshot()
    words = [supervisor.mode]
    if supervisor.mode == 'paused' and values['_mode'] == 'arm_reset':
        words.append('reset')
    if supervisor.mode in ('intervention', 'help'):
        words += [name for name in ('held', 'returning', 'plea') if values[f'_{name}']]
    return ', '.join(words)


def test_the_page_has_every_pair():
    assert set(TABLE) == set(itertools.product(WAYS, [*REQUESTS, *EVENTS]))


@pytest.mark.parametrize('request_name', REQUESTS)
@pytest.mark.parametrize('state', WAYS)
def test_every_request_in_every_state(state, request_name):
    supervisor, wanted = in_state(state), TABLE[state, request_name]
    before, kept = supervisor.decision, supervisor.snapshot()
    accepted, message = REQUESTS[request_name](supervisor)
    assert accepted == (wanted != 'no')
    answers = ANSWERS[request_name]
    assert message == answers.get(state, answers['*'])
    assert supervisor.decision.sequence == before.sequence
    if wanted == 'no':
        assert supervisor.snapshot() == kept
    else:
        assert state_of(supervisor) == wanted
        assert supervisor.snapshot() != kept or state_of(supervisor) == state


@pytest.mark.parametrize('event', EVENTS)
@pytest.mark.parametrize('state', WAYS)
def test_every_event_in_every_state(state, event):
    supervisor = in_state(state)
    EVENTS[event](supervisor)
    assert state_of(supervisor) == TABLE[state, event]


@pytest.mark.parametrize('name', [*REQUESTS, *EVENTS])
@pytest.mark.parametrize('state', [s for s in WAYS if s.startswith(('intervention', 'help'))])
def test_a_pause_before_it_outlives_whatever_happens(state, name):
    """What the page says leads to practice or an arm reset leads to a pause then."""
    supervisor = in_state('paused')
    for step in WAYS[state]:
        {**EVENTS, **REQUESTS}[step](supervisor)
    assert state_of(supervisor) == state
    {**EVENTS, **REQUESTS}[name](supervisor)
    wanted = TABLE[state, name]
    wanted = state if wanted == 'no' else wanted
    assert state_of(supervisor) == {'practice': 'paused', 'arm_reset': 'paused, reset'}.get(
        wanted, wanted
    )


AFRESH = [
    (state, name)
    for (state, name), wanted in TABLE.items()
    if wanted == 'practice'
    and (state != 'practice' or name in ('`switch_policy`', 'step: script', 'arm starts again'))
]


@pytest.mark.parametrize(('state', 'name'), AFRESH)
def test_whatever_leads_back_to_practice_starts_a_segment(state, name):
    supervisor = in_state(state)
    before = supervisor.decision
    {**EVENTS, **REQUESTS}[name](supervisor)
    after = supervisor.decision
    goes_on = state == 'paused'  # only a pause keeps the segment
    assert after.segment == before.segment + (not goes_on)
    assert after.reason == ''
    if state.startswith(('intervention', 'help')):
        assert (after.agent, after.index) == ('forward', 0)
