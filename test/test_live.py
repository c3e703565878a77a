"""The view of a run: what it says, how often, and on which terminals."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from medal_ros.live import View
from medal_ros.train import show, wait


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def plain(clock, stream):
    return View(total_steps=18000, stream=stream, clock=clock)


def seen(agent, steps, success, episodes=40):
    return SimpleNamespace(agent=agent, steps=steps, episodes=episodes, success=success)


def practise(view, clock, begin, end, rate=20):
    """Take steps at a rate, ticking after each."""
    for step in range(begin, end):
        clock.now += 1 / rate
        view.update(mode='practice', agent='forward', steps=step)
        view.tick()


def test_plain_output_is_a_line_every_ten_seconds_without_escapes(plain, clock, stream):
    with plain:
        plain.tick()
        for _ in range(200):  # 40 s
            clock.now += 0.2
            plain.tick()
    text = stream.getvalue()
    lines = text.splitlines()
    assert lines[0] == '[0:00] starting, 0 interventions'
    assert lines[-1] == '[0:40] starting, 0 interventions'
    assert len(lines) == 5
    assert '\x1b' not in text and '\r' not in text


def test_a_plain_line_of_practice(plain, clock, stream):
    plain.update(mode='practice', agent='forward')
    practise(plain, clock, 1, 3001)  # 150 s at 20 steps/s
    plain.update(updates=1500, updates_per_second=17.25, owed=3, refused=2, interventions=1)
    plain.update(evaluation=seen('forward', 2000, 0.625))
    # 15000 steps are left, at 20 steps/s 750 s.
    assert plain.line() == (
        '[2:30] practice, 3000 of 18000 (17%), 20.0 steps/s, forward in control, 17.2 updates/s, '
        '3 owed, 2 steps refused, 1 intervention, forward 62%, about 12:30 of practice left'
    )


def test_restarts_are_counted_where_there_were_any(plain, clock):
    plain.update(mode='practice', agent='forward', restarts=2)
    assert ', 0 interventions, 2 restarts' in plain.line()


def test_what_was_before_a_run_goes_on_is_no_event_of_now(plain, stream):
    plain.update(mode='practice', agent='forward', steps=500, interventions=12)
    plain.update(steps=501, interventions=13)
    assert stream.getvalue().splitlines() == [
        '[0:00] practice',
        '[0:00] 12 interventions until now',
        '[0:00] intervention 13 at step 501: a person was needed',
    ]


def test_each_event_is_one_line(plain, clock, stream):
    plain.update(phase='recording demonstrations')
    plain.update(phase='recording demonstrations')
    clock.now += 61
    plain.update(phase='cloning baseline')
    plain.update(mode='practice', agent='forward', steps=10)
    plain.update(mode='help', reason='nothing has moved for 300 steps', steps=700)
    plain.update(mode='practice', reason='', steps=701, interventions=1)
    plain.update(mode='practice', steps=702, interventions=1)
    plain.update(evaluation=seen('backward', 500, 0.5))
    plain.update(mode='done', steps=18000, reason='all 18000 steps are taken')
    assert stream.getvalue().splitlines() == [
        '[0:00] recording demonstrations',
        '[1:01] cloning baseline',
        '[1:01] practice',
        '[1:01] intervention 1 at step 701: nothing has moved for 300 steps',
        '[1:01] backward policy at step 500: success 50% on 40 starts',
        '[1:01] final evaluation',
    ]


def test_a_phase_that_is_told_stays(plain):
    plain.update(phase='cloning baseline')
    plain.update(mode='paused', phase='cloning baseline')
    plain.update(steps=0, reason='waits')
    assert plain.status.phase == 'cloning baseline'


def test_the_rate_is_that_of_late_and_falls_when_nothing_comes(plain, clock):
    practise(plain, clock, 0, 200, rate=10)
    practise(plain, clock, 200, 2000, rate=50)  # 36 s
    assert plain.rate == pytest.approx(50, rel=0.05)
    clock.now += 100
    assert plain.rate < 10
    assert plain.left.startswith('about')


def test_waiting_before_practice_does_not_count_into_the_rate(plain, clock):
    plain.update(phase='cloning baseline', steps=0)
    clock.now += 300
    practise(plain, clock, 0, 100, rate=20)
    assert plain.rate == pytest.approx(20, rel=0.05)


def test_nothing_is_said_of_the_time_left_before_it_is_known(plain, clock):
    assert plain.left == ''
    plain.update(mode='practice', steps=0)
    assert plain.left == ''
    assert plain.rate == 0


def test_a_long_time_has_hours(plain, clock):
    clock.now += 3661
    assert plain.line().startswith('[1:01:01] ')


def test_an_unknown_field_is_refused(plain):
    with pytest.raises(TypeError, match='speed'):
        plain.update(speed=3)


def full(clock, width, height=30):
    """A view that has everything to show, on a recorded terminal."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=height, record=True)
    view = View(total_steps=18000, title='medal train', console=console, clock=clock)
    with view:
        view.tick()
        view.update(baseline=0.52)
        practise(view, clock, 1, 101)
        for i in range(1, 9):
            view.update(evaluation=seen('forward', 1000 * i, i / 8))
        view.update(evaluation=seen('backward', 8000, 0.45))
        view.update(mode='arm_reset', reason='every 50 steps', agent='backward', interventions=4)
        view.update(updates=100, updates_per_second=19.7, owed=3, dropped=5, steps=9000)
    return view, console


@pytest.mark.parametrize('width', [60, 120])
def test_the_panel_shows_everything_in_any_width(clock, width):
    view, _ = full(clock, width)
    console = Console(file=io.StringIO(), color_system=None, width=width, record=True)
    console.print(view.panel())
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) == width
    for words in (
        'medal train', '9000 of 18000 (50%)', 'arm_reset: every 50 steps', '19.7 updates/s, 3 owed',
        '5 updates dropped', '100% at step 8000, best 100%  ▂▃▄▅▆▇██', '45% at step 8000',
        '52% by demonstrations alone', '4 interventions', '0:05 so far',
        'intervention 4 at step 100',
    ):  # fmt: skip
        assert words in text
    bar = next(line for line in text.splitlines() if '━' in line)
    assert bar.count('━') == pytest.approx((width - 13) / 2, abs=1)


def test_the_panel_keeps_its_height(clock):
    def height(view):
        console = Console(file=io.StringIO(), force_terminal=True, width=60, record=True)
        console.print(view.panel())
        return len(console.export_text().splitlines())

    view, _ = full(clock, 60)
    before = height(view)
    view.update(mode='help', reason='a very long story of what is wrong ' * 5, refused=10**6)
    assert height(view) == before


def test_the_terminal_is_left_in_order(clock):
    _, console = full(clock, 80)
    written = console.file.getvalue()
    assert written.rfind('\x1b[?25h') > written.rfind('\x1b[?25l') >= 0  # the cursor is back


def test_the_panel_is_redrawn_four_times_a_second_at_most(clock):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=30)
    with View(total_steps=100, console=console, clock=clock) as view:
        practise(view, clock, 0, 100, rate=100)  # one second
        assert out.getvalue().count('phase') <= 5


@pytest.mark.parametrize('width', [1, 2, 5, 9, 14, 20, 33])
@pytest.mark.parametrize('height', [1, 3, 8])
def test_a_tiny_terminal_is_no_reason_to_stop(clock, width, height):
    full(clock, width, height)


def test_an_ascii_terminal_gets_ascii(clock):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding='ascii')
    console = Console(file=stream, force_terminal=True, width=60, height=30)
    with View(total_steps=10, console=console, clock=clock) as view:
        view.update(evaluation=seen('forward', 5, 0.5), mode='practice', agent='forward', steps=5)
        view.update(reason='longer than the panel is wide ' * 3)
    stream.flush()
    assert b'50% at step 5' in raw.getvalue()


def test_plain_words_that_the_stream_cannot_hold_are_replaced(clock):
    raw = io.BytesIO()
    view = View(stream=io.TextIOWrapper(raw, encoding='ascii'), clock=clock)
    view.update(phase='größer')
    assert raw.getvalue() == b'[0:00] gr??er\n'


@pytest.mark.parametrize('drawn', [False, True])
def test_a_reader_that_went_away_does_not_stop_the_run(clock, drawn):
    class Gone(io.StringIO):
        def write(self, text):
            raise OSError(5, 'Input/output error')

    gone = Gone()
    console = Console(file=gone, force_terminal=True, width=80, height=30) if drawn else None
    with View(total_steps=10, stream=gone, console=console, clock=clock) as view:
        practise(view, clock, 0, 50)
    assert view.status.steps == 49


def test_a_dumb_terminal_gets_plain_lines(clock, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv('TERM', 'dumb')
    stream = Terminal()
    with View(stream=stream, clock=clock) as view:
        view.tick()
    assert stream.getvalue() == '[0:00] starting, 0 interventions\n'
    monkeypatch.setenv('TERM', 'xterm-256color')
    with View(stream=stream, clock=clock) as view:
        view.tick()
    assert '\x1b[' in stream.getvalue()


def state(mode, steps):
    others = {'agent': 'forward', 'total_steps': 9, 'interventions': 0, 'reason': ''}
    return SimpleNamespace(mode=mode, steps=steps, **others)


def test_the_phase_is_what_the_node_does_that_all_wait_for(stream):
    view = View(stream=stream, clock=lambda: 0.0)
    states = [*[state('practice', 0)] * 3, state('practice', 1), state('practice', 7)]
    monitor = SimpleNamespace(
        spin=lambda seconds: show(view, 'state', states.pop(0)), doing=lambda node: f'{node} busy'
    )
    processes = SimpleNamespace(
        check=lambda: set() if states else {'trainer'}, tend=lambda: None, told=[], restarts=None
    )
    wait(processes, monitor, 'trainer', False, view)
    assert view.status.phase == 'practice' and view.status.steps == 7
    states += [state('done', 9)] * 3
    wait(processes, monitor, 'trainer', False, view)
    said = [line.split('] ')[1] for line in stream.getvalue().splitlines()]
    events = [words for words in said if ',' not in words]
    assert events == ['trainer busy', 'practice', 'final evaluation', 'evaluator busy']
