"""The tab that shows what happens now."""

from __future__ import annotations

from nicegui import ui

from medal_ros.console import charts, words
from medal_ros.console.board import View
from medal_ros.console.camera import Camera

CHART_PERIOD = 1.0  # seconds between two drawings of a chart


class Live:
    """Cameras, the segment in progress, how the last ones ended, and the live reward."""

    def __init__(self) -> None:
        self.drawn = 0.0
        self.marked: tuple | None = None
        with ui.element('div').classes('card cameras'):
            Camera()
        with ui.element('div').classes('card segment'):
            self.step = ui.label().classes('big')
            self.bar = ui.linear_progress(0, show_value=False, size='8px')
            self.switch = ui.label().classes('quiet')
            with ui.element('div').classes('figures'):
                self.figures = {
                    name: _figure(name) for name in ('steps', 'interventions', 'control', 'learner')
                }
            ui.label('last segments').classes('small-title')
            self.marks = ui.element('div').classes('marks')
        with ui.element('div').classes('card traces'):
            self.chart = ui.echart(charts.traces(View(0.0))).classes('fill')

    def update(self, view: View) -> None:
        """Show what is known now."""
        whole = view.facts.segment_steps
        self.step.set_text(words.segment_step(view))
        self.bar.set_value(min(view.in_segment / whole, 1.0) if whole else 0.0)
        self.switch.set_text(words.switch(view))
        learning = view.learning
        for name, text in (
            ('steps', words.run_steps(view)),
            ('interventions', str(view.state.interventions) if view.state else '-'),
            ('control', f'{view.control_rate:.1f} steps/s'),
            ('learner', f'{learning.updates_per_second:.1f} updates/s' if learning else '-'),
        ):
            self.figures[name].set_text(text)
        if self.marked != view.segments:
            self._mark(view)
        if view.now - self.drawn >= CHART_PERIOD:
            self.drawn = view.now
            self.chart.options.update(charts.traces(view))
            self.chart.update()

    def _mark(self, view: View) -> None:
        self.marked = view.segments
        self.marks.clear()
        with self.marks:
            for segment in view.segments:
                text, colour, meaning = words.segment_mark(segment)
                ui.label(text).classes(f'mark {colour}').tooltip(meaning)


def _figure(name: str) -> ui.label:
    with ui.element('div').classes('figure'):
        ui.label(name).classes('small-title')
        return ui.label('-').classes('value')
