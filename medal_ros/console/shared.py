"""What all pages of a console share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from medal_ros.console.board import Board
from medal_ros.console.commands import Command
from medal_ros.console.operator_lock import Answer, OperatorLock
from medal_ros.console.pictures import Pictures
from medal_ros.console.runs import Runs


@dataclass
class Console:
    """What the pages are made of.

    Attributes:
        namespace: Of the graph.
        board: What is known of it.
        pictures: Its cameras.
        runs: Past runs.
        offered: Says whether somebody answers a service, by its relative name.
        call: Presses a button: calls its service and returns whether it was accepted and why.
        lock: Who holds the controls.
    """

    namespace: str
    board: Board
    pictures: Pictures
    runs: Runs
    offered: Callable[[str], bool]
    call: Callable[[Command], Awaitable[Answer]]
    lock: OperatorLock = field(default_factory=OperatorLock)
