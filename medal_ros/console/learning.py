"""The tab that shows what has been learned, and what it takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nicegui import background_tasks, ui

from medal_ros.console import charts, words
from medal_ros.console.board import View
from medal_ros.console.runs import bytes_on_disk, free_on_disk
from medal_ros.console.shared import Console

DISK_PERIOD = 10.0  # seconds between two looks at the disk
NAMES = (
    'forward success', 'backward success', 'cloning alone', 'forward score', 'backward score',
    'steps stored', 'frames in the buffer', 'steps refused', 'updates', 'updates owed',
    'updates dropped', 'run on disk', 'free on disk',
)  # fmt: skip


class Learning:
    """The curve of the run, the classifiers' scores, the buffer and the disk."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.shown: tuple | None = None
        self.looked = -DISK_PERIOD
        with ui.element('div').classes('learning'):
            with ui.element('div').classes('card'):
                ui.label('Success on starts that were never trained on').classes('card-title')
                self.chart = ui.echart(charts.curve(View(0.0))).classes('fill')
            with ui.element('div').classes('card'):
                ui.label('Figures').classes('card-title')
                self.values = {name: _row(name) for name in NAMES}

    def update(self, view: View) -> None:
        """Show what is known now."""
        for name, text in self._texts(view).items():
            self.values[name].set_text(text)
        shown = view.curves, view.interventions
        if self.shown != shown:
            self.shown = shown
            self.chart.options.update(charts.curve(view))
            self.chart.update()
        if view.now - self.looked >= DISK_PERIOD:
            self.looked = view.now
            background_tasks.create(self._look_at_disk(view.facts.folder))

    async def _look_at_disk(self, folder: str) -> None:
        root = self.console.runs.root
        free = await asyncio.to_thread(free_on_disk, Path(folder) if folder else root)
        used = await asyncio.to_thread(bytes_on_disk, Path(folder)) if folder else None
        self.values['free on disk'].set_text(words.size(free))
        self.values['run on disk'].set_text('-' if used is None else words.size(used))

    def _texts(self, view: View) -> dict[str, str]:
        texts = {}
        for name in ('forward', 'backward'):
            points = view.curves.get(name)
            texts[f'{name} success'] = words.percent(points[-1].success if points else None)
        cloning = view.curves.get('cloning')
        best = max(point.success for point in cloning) if cloning else None
        texts['cloning alone'] = words.percent(best)
        for side, name in enumerate(('forward', 'backward')):
            score = view.trace[-1].scores[side] if view.trace else None
            texts[f'{name} score'] = '-' if score is None else f'{score:.2f}'
        learning = view.learning
        for key, name in (
            ('stored', 'steps stored'),
            ('refused', 'steps refused'),
            ('updates', 'updates'),
            ('owed', 'updates owed'),
            ('dropped', 'updates dropped'),
        ):
            texts[name] = words.thousands(getattr(learning, key)) if learning else '-'
        texts['frames in the buffer'] = words.thousands(view.frames) if view.frames else '-'
        return texts


def _row(name: str) -> ui.label:
    with ui.element('div').classes('row-of-figures'):
        ui.label(name).classes('quiet')
        return ui.label('-').classes('value')
