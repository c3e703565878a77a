"""The tab that shows which nodes are well."""

from __future__ import annotations

from nicegui import ui

from medal_ros.console import words
from medal_ros.console.board import View

COLUMNS = [
    {'name': 'state', 'label': 'State', 'field': 'state', 'align': 'left'},
    {'name': 'name', 'label': 'Node', 'field': 'name', 'align': 'left'},
    {'name': 'message', 'label': 'What it says, or what its absence means', 'field': 'message',
     'align': 'left', 'style': 'min-width: 300px'},
    {'name': 'values', 'label': 'Figures', 'field': 'values', 'align': 'left'},
]  # fmt: skip
STATE = """<q-td :props="props"><span :class="'node-state ' + props.row.colour">
<q-icon :name="props.row.icon" size="18px" /> {{ props.row.state }}</span></q-td>"""
PERIOD = 1.0  # seconds between two fillings of the table


class Nodes:
    """A table of what every node said last on /diagnostics."""

    def __init__(self) -> None:
        self.filled = 0.0
        with ui.element('div').classes('card nodes'):
            self.table = ui.table(columns=COLUMNS, rows=[], row_key='name')
            self.table.props('flat dense wrap-cells hide-pagination :rows-per-page-options="[0]"')
            self.table.add_slot('body-cell-state', STATE)

    def update(self, view: View) -> None:
        """Show what is known now."""
        if view.now - self.filled < PERIOD:
            return
        self.filled = view.now
        rows = []
        for node in view.nodes:
            icon, colour = words.NODE_ICONS[node.state]
            rows.append({**vars(node), 'icon': icon, 'colour': colour})
        self.table.rows = rows
