"""The page: a head with who is in control, and four tabs below it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nicegui import ui

from medal_ros.console import words
from medal_ros.console.board import View
from medal_ros.console.controls import Controls
from medal_ros.console.learning import Learning
from medal_ros.console.live import Live
from medal_ros.console.nodes import Nodes
from medal_ros.console.past import Past
from medal_ros.console.shared import Console

REFRESH = 0.25  # seconds between two looks at the board
# A console that was started again knows no session of before, and a refused websocket tells the
# page nothing: the page asks, and is made anew.
RENEW = """<script>setInterval(async () => {
  try { if ((await fetch('/alive')).status === 401) location.reload(); } catch {}
}, 3000);</script>"""
STYLE = Path(__file__).with_name('console.css').read_text()


def build(console: Console, session: str, address: str) -> None:
    """Make the page of one visitor.

    Args:
        console: What is shown.
        session: Who visits.
        address: Where from.
    """
    client = ui.context.client
    ui.add_css(STYLE)
    ui.add_body_html(RENEW)
    parts: dict[str, Callable[[View], None]] = {}
    head = Head(console.namespace)
    with ui.tabs().classes('tabs').props('dense no-caps inline-label align=left') as tabs:
        for name, icon in (
            ('Live', 'videocam'),
            ('Learning', 'trending_up'),
            ('Nodes', 'hub'),
            ('Runs', 'folder_open'),
        ):
            ui.tab(name, icon=icon)
    with ui.tab_panels(tabs, value='Live', animated=False).classes('panels'):
        with ui.tab_panel('Live'), ui.element('div').classes('live'):
            live = Live()
            controls = Controls(console, session, address)
            parts['Live'] = lambda view: (live.update(view), controls.update(view))
        with ui.tab_panel('Learning'):
            parts['Learning'] = Learning(console).update
        with ui.tab_panel('Nodes'):
            parts['Nodes'] = Nodes().update
        with ui.tab_panel('Runs'):
            parts['Runs'] = Past(console).update

    def refresh() -> None:
        if client.has_socket_connection:
            console.lock.heard(session)
            view = console.board.view()
            head.update(view)
            parts[tabs.value](view)

    ui.timer(REFRESH, refresh)


class Head:
    """The line on top: who is in control, how far the run is, and what is missing."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        with ui.element('div').classes('head'):
            ui.label('medal').classes('brand')
            self.run = ui.label().classes('run')
            self.mode = ui.element('div').classes('mode off').mark('mode')
            with self.mode:
                self.icon = ui.icon('sensors_off')
                self.title = ui.label().classes('mode-title')
            self.detail = ui.label().classes('mode-detail')
            self.missing = ui.label().classes('missing')

    def update(self, view: View) -> None:
        """Show what is known now."""
        look = words.control(view, self.namespace)
        self.icon.set_name(look.icon)
        self.title.set_text(look.title)
        self.detail.set_text(look.detail)
        self.mode.classes(replace=f'mode {look.colour}')
        facts = view.facts
        name = Path(facts.folder).name if facts.folder else f'/{self.namespace}'
        self.run.set_text(name)
        absent = [row.name for row in view.absent if view.state is not None or view.nodes]
        self.missing.set_text(f'⚠ missing: {", ".join(absent)}' if absent else '')
