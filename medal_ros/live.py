"""What a person sees of a run in the terminal: one live panel, or plain lines. No ROS import."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from medal_ros.spaces import AGENTS

LINE_EVERY = 10.0  # seconds between two plain lines
REDRAW_EVERY = 0.25  # seconds between two drawings of the panel
RATE_OVER = 20.0  # seconds that the shown rate is averaged over
HISTORY = 20  # evaluations in a sparkline
BARS, ASCII_BARS = '▁▂▃▄▅▆▇█', '_.,-=+*#'
COLOURS = {'forward': 'bright_blue', 'backward': 'dark_orange'}


class Evaluated(Protocol):
    """What the view reads of an evaluation; the message of that name has it."""

    agent: str
    steps: int
    episodes: int
    success: float


@dataclass
class Status:
    """Everything that is shown besides evaluations.

    Attributes:
        phase: `'starting'`, `'cloning baseline'`, `'practice'`, `'final evaluation'`, `'done'`,
            or other words for what is going on.
        mode: Of the supervisor; `'practice'` is the ordinary one.
        agent: Who is in control, or will be next.
        steps: Steps taken so far.
        total_steps: The run ends after this many.
        interventions: Times a person was needed.
        reason: Why the mode is what it is.
        updates: Critic updates so far.
        updates_per_second: Their rate.
        owed: Updates due and not done yet.
        stored: Steps stored.
        refused: Steps not stored.
        dropped: Updates given up.
        restarts: Times a node was started again.
        baseline: Success of the cloning baseline, once known.
    """

    phase: str = 'starting'
    mode: str = ''
    agent: str = ''
    steps: int = 0
    total_steps: int = 0
    interventions: int = 0
    reason: str = ''
    updates: int = 0
    updates_per_second: float = 0.0
    owed: int = 0
    stored: int = 0
    refused: int = 0
    dropped: int = 0
    restarts: int = 0
    baseline: float | None = None


class View:
    """Shows a run; feed it with `update` and call `tick` a few times a second.

    Use it as a context manager, so that the terminal is left in order. On a terminal it draws
    one panel in place; otherwise it prints a line every ten seconds and one for each event,
    without any escape codes. A terminal that went away does not disturb the run.

    Args:
        total_steps: Steps of the whole run.
        title: Words at the top of the panel.
        stream: Where to; standard output by default.
        console: Draws there whatever the stream is.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        total_steps: int = 0,
        title: str = 'medal',
        stream: TextIO | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.status = Status(total_steps=total_steps)
        self.evaluations: dict[str, list[Evaluated]] = {agent: [] for agent in AGENTS}
        self.title, self.clock = title, clock
        self._began, self._next = clock(), 0.0
        self._pace: deque[tuple[float, int]] = deque()
        self._latest = self._plea = ''
        self._stream = stream or sys.stdout
        drawn = self._stream.isatty() and os.environ.get('TERM') != 'dumb'
        self._console = console or (Console(file=self._stream) if drawn else None)
        self._live = self._console and Live(
            console=self._console, auto_refresh=False, vertical_overflow='crop'
        )
        self._gone = False

    def __enter__(self) -> Self:
        if self._live:
            self._show(self._live.start)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._draw()
            self._show(self._live.stop)

    def update(self, evaluation: Evaluated | None = None, **changes: Any) -> None:
        """Take note of what has changed.

        A change of the mode implies a phase, unless that is given, too.

        Args:
            evaluation: A new evaluation of one agent.
            **changes: Attributes of `Status`.

        Raises:
            TypeError: There is no such attribute.
        """
        before, self.status = self.status, replace(self.status, **changes)
        if self.status.mode != before.mode and 'phase' not in changes:
            self.status.phase = 'final evaluation' if self.status.mode == 'done' else 'practice'
        if self.status.phase != before.phase:
            self._pace.clear()
        self._note_pace()
        self._note_events(before)
        if evaluation is not None:
            self.evaluations[evaluation.agent].append(evaluation)
            self.event(
                f'{evaluation.agent} policy at step {evaluation.steps}: success '
                f'{evaluation.success:.0%} on {evaluation.episodes} starts'
            )

    def tick(self) -> None:
        """Redraw or print, where it is time to."""
        now = self.clock()
        if now < self._next:
            return
        self._next = now + (REDRAW_EVERY if self._live else LINE_EVERY)
        if self._live:
            self._draw()
        else:
            self._print(self.line())

    def line(self) -> str:
        """Return the present state as one line of plain text."""
        s = self.status
        parts = [s.phase]
        if s.phase == 'practice':
            parts += [self._progress(), f'{self.rate:.1f} steps/s', self._control()]
        if s.updates:
            parts.append(self._learner())
        parts += self._people_and_nodes()
        for agent, seen in self.evaluations.items():
            if seen:
                parts.append(f'{agent} {seen[-1].success:.0%}')
        if self.left:
            parts.append(self.left)
        return f'[{self._elapsed()}] {", ".join(parts)}'

    def panel(self) -> RenderableType:
        """Return the present state as a panel that fits any width."""
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True, style='dim', width=8)
        # Cropped lines keep the panel's height, or it would jump.
        grid.add_column(no_wrap=True, overflow='crop', ratio=1)
        for name, cell in self._rows():
            grid.add_row(name, cell)
        return Panel(grid, title=Text(self.title), title_align='left', border_style='dim')

    @property
    def rate(self) -> float:
        """Steps per second, lately."""
        if len(self._pace) < 2:
            return 0.0
        (begin, first), (_, last) = self._pace[0], self._pace[-1]
        elapsed = self.clock() - begin
        return (last - first) / elapsed if elapsed > 0 else 0.0

    @property
    def left(self) -> str:
        """Time that practice will still take, in words; empty when nothing can be said."""
        steps = self.status.total_steps - self.status.steps
        if self.status.phase != 'practice' or self.rate <= 0 or steps <= 0:
            return ''
        return f'about {_duration(steps / self.rate)} of practice left'

    def _note_pace(self) -> None:
        now, steps = self.clock(), self.status.steps
        if not self._pace or steps != self._pace[-1][1]:
            self._pace.append((now, steps))
        while len(self._pace) > 2 and self._pace[1][0] < now - RATE_OVER:
            self._pace.popleft()

    def _note_events(self, before: Status) -> None:
        now = self.status
        if now.mode == 'help':
            self._plea = now.reason
        if now.phase != before.phase:
            self.event(now.phase)
        if not before.mode and now.interventions:
            self.event(f'{_count(now.interventions, "intervention")} until now')
        elif now.interventions > before.interventions:
            why = ': ' + (self._plea or now.reason or 'a person was needed')
            self.event(f'intervention {now.interventions} at step {now.steps}{why}')
            self._plea = ''

    def event(self, words: str) -> None:
        """Show what just happened."""
        self._latest = f'{self._elapsed()}  {words}'
        if not self._live:
            self._print(f'[{self._elapsed()}] {words}')

    def _rows(self) -> Iterator[tuple[str, RenderableType]]:
        s = self.status
        yield 'phase', Text(s.phase, style='bold')
        yield '', ProgressBar(max(s.total_steps, 1), s.steps, complete_style='green')
        yield 'steps', Text(f'{self._progress()}, {self.rate:.1f} steps/s')
        style = 'bold red' if s.mode == 'help' else COLOURS.get(s.agent, '')
        yield 'control', Text(self._control(), style=style)
        yield 'learner', Text(self._learner())
        for agent, seen in self.evaluations.items():
            yield agent, Text(self._success(seen), style=COLOURS[agent])
        if s.baseline is not None:
            yield 'cloning', Text(f'{s.baseline:.0%} by demonstrations alone')
        yield 'people', Text(', '.join(self._people_and_nodes()))
        yield 'time', Text(', '.join(filter(None, [f'{self._elapsed()} so far', self.left])))
        yield 'latest', Text(self._latest, style='dim')

    def _progress(self) -> str:
        s = self.status
        return f'{s.steps} of {s.total_steps} ({s.steps / max(s.total_steps, 1):.0%})'

    def _control(self) -> str:
        s = self.status
        who = f'{s.agent or "nobody"} in control' if s.mode == 'practice' else s.mode or '-'
        return f'{who}: {s.reason}' if s.reason else who

    def _people_and_nodes(self) -> list[str]:
        s = self.status
        words = [_count(s.interventions, 'intervention')]
        return [*words, _count(s.restarts, 'restart')] if s.restarts else words

    def _learner(self) -> str:
        s = self.status
        words = f'{s.updates_per_second:.1f} updates/s, {s.owed} owed'
        words += f', {s.refused} steps refused' if s.refused else ''
        return words + (f', {s.dropped} updates dropped' if s.dropped else '')

    def _success(self, seen: list[Evaluated]) -> str:
        if not seen:
            return '-'
        plain = self._console is None or not self._console.encoding.startswith('utf')
        bars = ASCII_BARS if plain else BARS
        line = ''.join(
            bars[min(int(e.success * len(bars)), len(bars) - 1)] for e in seen[-HISTORY:]
        )
        best = max(e.success for e in seen)
        return f'{seen[-1].success:4.0%} at step {seen[-1].steps}, best {best:.0%}  {line}'

    def _elapsed(self) -> str:
        return _duration(self.clock() - self._began)

    def _draw(self) -> None:
        self._show(lambda: self._live.update(self.panel(), refresh=True))

    def _print(self, words: str) -> None:
        encoding = self._stream.encoding or 'utf-8'
        words = words.encode(encoding, 'replace').decode(encoding)
        self._show(lambda: print(words, file=self._stream, flush=True))

    def _show(self, action: Callable[[], None]) -> None:
        """Write, unless the reader went away: hours of practice do not end with a terminal."""
        if self._gone:
            return
        try:
            action()
        except OSError:
            self._gone = True


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'


def _count(number: int, what: str) -> str:
    return f'{number} {what}' + ('' if number == 1 else 's')
