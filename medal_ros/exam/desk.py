"""The examination as a person at a terminal sees it: what is due, and keys for the answers."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from std_msgs.msg import String

from medal_ros.bringup import NodeSpec
from medal_ros.exam.score import markdown, write_tables
from medal_ros.exam.session import Session
from medal_ros.monitor import Monitor
from medal_ros.nodes.qos import LATCHED
from medal_ros.processes import Processes, ProcessFailed
from medal_ros.requests import tell
from medal_ros.terminal import Terminal
from medal_ros.train import STOP_SECONDS, Interruption

KEYS = {'s': 'success', 'f': 'failure', 'i': 'invalid', '\r': 'reset-done', 'x': 'intervene'}
HELP = 'keys: s success, f failure, i invalid (tried again), Enter reset done, x take over, q leave'
LEAVE = ('q', '\x03')


def examine(specs: list[NodeSpec], session: Session, monitor: Monitor) -> int:
    """Run an examination until it is over or a person leaves; print the table so far.

    Returns:
        0; 1 when a node failed, 130 when a person left early.
    """
    by_hand = session.plan.judge == 'person' and sys.stdin is not None and sys.stdin.isatty()
    interrupted, status = Interruption(), 0
    processes = Processes(specs, session.folder, monitor.namespace)
    try:
        with Terminal() if by_hand else nullcontext() as terminal, Lines(monitor, terminal):
            while 'examiner' not in processes.check():
                monitor.spin(0.1)
                if interrupted or (terminal and _obey(terminal, monitor)):
                    status = 130
                    break
    except ProcessFailed as error:
        print(f'medal: {error}', file=sys.stderr)
        status = 1
    finally:
        processes.stop(STOP_SECONDS)
    report(Session(session.folder))
    return status


def report(session: Session) -> None:
    """Print the table, and where all the rest is."""
    write_tables(session)
    print(markdown(session))
    left = len(session.pending)
    if left:
        print(f'{left} of {len(session.plan.trials)} trials are left: the same command goes on')
    print(f'everything is in {_short(session.folder)}')


class Lines:
    """Shows what the examiner says: in one line that changes, or, with keys, a line for each."""

    def __init__(self, monitor: Monitor, terminal: Terminal | None) -> None:
        self.terminal = terminal
        self.status = Console().status('starting') if terminal is None else None
        self.heard = monitor.node.create_subscription(String, 'examination', self.show, LATCHED)

    def show(self, message: String) -> None:
        if self.status is not None:
            self.status.update(message.data)
        else:
            self.terminal.write(f'{message.data}\r\n')

    def __enter__(self) -> Lines:
        if self.status is not None:
            self.status.start()
        else:
            self.terminal.write(f'{HELP}\r\n')
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()


def _obey(terminal: Terminal, monitor: Monitor) -> bool:
    """Do what the pressed keys ask for; return whether that is to leave."""
    keys = terminal.read()
    if keys is None or any(key in keys for key in LEAVE):
        return True
    for key in keys:
        if key in KEYS:
            accepted, words = tell(monitor, KEYS[key])
            terminal.write(f'{"" if accepted else "refused: "}{words}\r\n')
    return False


def _short(path: Path) -> Path:
    """Return a path relative to here, where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
