"""What is shown, in words, with an icon and a class of colour: never by colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from medal_ros.console.board import View
from medal_ros.console.segments import Segment


@dataclass(frozen=True)
class Look:
    """How something is shown: a Material icon, words, and a CSS class for its colour."""

    icon: str
    title: str
    detail: str
    colour: str


NODE_ICONS = {
    'ok': ('check_circle', 'good'),
    'waits': ('hourglass_top', 'warn'),
    'error': ('error', 'bad'),
    'silent': ('sensors_off', 'bad'),
    'missing': ('help', 'off'),
}
OUTCOMES = {'success': ('✓', 'good'), 'failure': ('✗', 'bad'), 'invalid': ('⊘', 'off')}
JUDGES = {
    'task': "by the stand-in's own reward",
    'classifier': "by the classifier's belief",
    'person': 'by a person',
}


def control(view: View, namespace: str) -> Look:
    """Return who is in control now."""
    state = view.state
    if state is None:
        where = f'nothing is heard from a supervisor in /{namespace}'
        return Look('sensors_off', 'No graph', where, 'off')
    if view.stale:
        return Look('sensors_off', 'Silence', 'the supervisor fell silent', 'off')
    looks = {
        'practice': Look(_arrow(state.agent), f'{state.agent.title()} policy', '', state.agent),
        'arm_reset': Look(
            'home', 'Arm reset', f'the arm moves to its start pose, then {state.agent}', 'calm'
        ),
        'paused': Look('pause_circle', 'Paused', f'{state.agent} waits', 'off'),
        'intervention': Look('pan_tool', 'Person in control', state.reason, 'person'),
        'help': Look('front_hand', 'Help is needed', state.reason, 'bad'),
        'done': Look('flag', 'Done', state.reason, 'good'),
    }
    return looks.get(state.mode) or Look('help', state.mode, state.reason, 'off')


def switch(view: View) -> str:
    """Return when the other policy takes over, in words."""
    whole = view.facts.segment_steps
    if view.state is None or view.state.mode == 'done' or not whole:
        return ''
    left = max(whole - view.in_segment, 0)
    if view.until_switch is None:
        return f'{left} steps until {view.following}'
    return f'{view.following} in {duration(view.until_switch)} ({left} steps)'


def segment_step(view: View) -> str:
    """Return the step within the segment, in words."""
    if view.state is None:
        return '-'
    whole = view.facts.segment_steps
    return f'step {view.in_segment}' + (f' of {whole}' if whole else '')


def run_steps(view: View) -> str:
    """Return how far the run is, in words."""
    if view.state is None:
        return '-'
    total = view.state.total_steps
    return f'{thousands(view.state.steps)}' + (f' of {thousands(total)}' if total else '')


def segment_mark(segment: Segment) -> tuple[str, str, str]:
    """Return a letter and a sign for the outcome of a segment, its class, and what it means."""
    sign, colour = OUTCOMES.get(segment.outcome, ('?', 'off'))
    judge = JUDGES.get(segment.judge, 'nobody knows')
    meaning = f'segment {segment.number}, {segment.agent}: {segment.outcome or "?"}, {judge}'
    return f'{segment.agent[:1].upper()}{sign}', colour, meaning


def thousands(number: int) -> str:
    return f'{number:,}'.replace(',', '\u2009')


def size(count: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in ('B', 'kB', 'MB', 'GB'):
        if count < 999.5:
            return f'{count:.0f} {unit}' if unit == 'B' or count >= 99.5 else f'{count:.1f} {unit}'
        count /= 1000
    return f'{count:.1f} TB'


def duration(seconds: float) -> str:
    """Return a time as people write it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes:02} min'
    return f'{minutes} min {rest:02} s' if minutes else f'{rest} s'


def percent(share: float | None) -> str:
    return '-' if share is None else f'{share:.0%}'


def _arrow(agent: str) -> str:
    return 'arrow_back' if agent == 'backward' else 'arrow_forward'
