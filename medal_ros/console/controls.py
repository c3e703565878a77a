"""The buttons: for whoever holds the controls, and whose node is there."""

from __future__ import annotations

from nicegui import ui

from medal_ros.console.board import View
from medal_ros.console.commands import GROUPS, Command
from medal_ros.console.shared import Console


class Controls:
    """One visitor's buttons.

    Args:
        console: Whose controls they are.
        session: Who visits.
        address: Where from, as others read it.
    """

    def __init__(self, console: Console, session: str, address: str) -> None:
        self.console, self.session, self.address = console, session, address
        self.buttons: dict[str, ui.button] = {}
        with ui.element('div').classes('card controls'):
            with ui.element('div').classes('operator'):
                self.icon = ui.icon('lock_open')
                self.words = ui.label().classes('operator-words').mark('operator')
                self.take = ui.button('Take the controls', color=None, on_click=self.on_take)
                self.take.props('no-caps unelevated dense').classes('take')
            for group, commands in GROUPS.items():
                ui.label(group).classes('small-title')
                with ui.element('div').classes('buttons'):
                    for command in commands:
                        self.buttons[command.name] = self._button(command)
            with ui.element('div').classes('answer'):
                self.verdict = ui.icon('chat_bubble_outline')
                self.said = ui.label('what the robot answers stands here').mark('answer')
        self.update(console.board.view())

    def update(self, _: View) -> None:
        """Show who may press what."""
        mine = not self.console.lock.refusal(self.session)
        holder = self.console.lock.name()
        self.icon.set_name('lock_open' if not holder else 'verified_user' if mine else 'lock')
        text = 'You hold the controls' if mine else f'{holder} holds the controls'
        self.words.set_text(text if holder else 'Nobody holds the controls')
        self.take.set_text('Release' if mine else 'Take the controls')
        self.take.set_enabled(mine or not holder)
        for group in GROUPS.values():
            for command in group:
                there = self.console.offered(command.service)
                self.buttons[command.name].set_enabled(mine and there)

    def on_take(self) -> None:
        """Take the controls, or let them go."""
        lock = self.console.lock
        if lock.refusal(self.session):
            self._answer(*lock.take(self.session, self.address))
        else:
            self._answer(*lock.release(self.session))
        self.update(self.console.board.view())

    async def press(self, command: Command) -> None:
        """Ask the robot, and show what it answers."""
        refusal = self.console.lock.refusal(self.session)
        if refusal:
            self._answer(False, refusal)
            return
        self._answer(*await self.console.call(command))

    def _button(self, command: Command) -> ui.button:
        button = ui.button(command.words, icon=command.icon, color=None)
        button.on_click(lambda: self.press(command))
        button.props('no-caps unelevated dense').classes(f'command {command.name}')
        return button.tooltip(command.hint)

    def _answer(self, accepted: bool, words: str) -> None:
        self.verdict.set_name('check_circle' if accepted else 'error')
        self.verdict.classes(replace='good' if accepted else 'bad')
        self.said.set_text(words)
