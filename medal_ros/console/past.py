"""The tab of past runs: what they came to, their curve and their videos."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from urllib.parse import quote

from nicegui import background_tasks, events, ui

from medal_ros.console import words
from medal_ros.console.board import View
from medal_ros.console.runs import PastRun
from medal_ros.console.shared import Console

PERIOD = 5.0  # seconds between two looks at the folder
COLUMNS = [
    {'name': key, 'label': label, 'field': key, 'align': 'left' if key in 'name when' else 'right'}
    for key, label in (
        ('name', 'Run'),
        ('when', 'Changed'),
        ('steps', 'Steps'),
        ('people', 'Interventions'),
        ('success', 'Success'),
        ('state', 'State'),
    )
]


class Past:
    """A table of runs, and beside it the one that was chosen."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.looked = -PERIOD
        self.runs: dict[str, PastRun] = {}
        with ui.element('div').classes('past'):
            with ui.element('div').classes('card runs'):
                self.table = ui.table(columns=COLUMNS, rows=[], row_key='name')
                self.table.props('flat dense hide-pagination :rows-per-page-options="[0]"')
                self.table.on('rowClick', self.on_row, args=[[], ['name'], None])
                self.none = ui.label('').classes('quiet')
            self.detail = ui.element('div').classes('card detail')
        with self.detail:
            ui.label('Choose a run to see its curve and its videos.').classes('quiet')

    def update(self, view: View) -> None:
        """Look at the folder again, now and then."""
        if view.now - self.looked >= PERIOD:
            self.looked = view.now
            background_tasks.create(self._look())

    async def _look(self) -> None:
        found = await asyncio.to_thread(self.console.runs.newest_first)
        self.runs = {run.name: run for run in found}
        rows = [row(run) for run in found]
        if rows != self.table.rows:
            self.table.rows = rows
        self.none.set_text('' if found else f'there are no runs in {self.console.runs.root}')

    def on_row(self, event: events.GenericEventArguments) -> None:
        """Show the run of the row that was clicked."""
        clicked = event.args[1] if isinstance(event.args, list) and len(event.args) > 1 else {}
        run = self.runs.get(clicked.get('name', '')) if isinstance(clicked, dict) else None
        if run is None:
            return
        self.detail.clear()
        with self.detail:
            ui.label(run.name).classes('card-title')
            at = f'/runs/{quote(run.name, safe="")}'
            if 'learning_curve.png' in run.files:
                ui.image(f'{at}/learning_curve.png?{run.changed}').classes('curve')
            with ui.element('div').classes('videos'):
                for agent in ('forward', 'backward'):
                    if f'{agent}.mp4' in run.files:
                        with ui.element('div'):
                            ui.label(f'{agent} policy').classes('small-title')
                            ui.video(f'{at}/{agent}.mp4', loop=True, muted=True)
            if len(run.files) <= 2:
                ui.label('It has neither a curve nor videos yet.').classes('quiet')


def row(run: PastRun) -> dict[str, Any]:
    """Return a run as a row of the table."""
    summary = run.summary
    success = summary.get('success')
    curve = summary.get('curve')
    if not isinstance(success, int | float) and isinstance(curve, list) and curve:
        success = curve[-1][1] if isinstance(curve[-1], list) and len(curve[-1]) == 2 else None
    steps, people = summary.get('steps'), summary.get('interventions')
    return {
        'name': run.name,
        'when': f'{datetime.fromtimestamp(run.changed):%Y-%m-%d %H:%M}',
        'steps': words.thousands(steps) if isinstance(steps, int) else '-',
        'people': str(people) if isinstance(people, int) else '-',
        'success': words.percent(success if isinstance(success, int | float) else None),
        'state': _state(summary),
    }


def _state(summary: dict[str, Any]) -> str:
    if not summary:
        return 'no summary yet'
    return 'finished' if summary.get('finished') else 'not finished'
