"""The entry of every node's process: a signal ends it quietly even while it is still importing."""

from __future__ import annotations

import importlib
import os
import signal
import sys


def start(name: str) -> None:
    """Import a node's module, which can take seconds, and run it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))  # nothing exists yet that must be closed
    importlib.import_module(f'medal_ros.nodes.{name}').main()


if __name__ == '__main__':
    start(sys.argv[1])
