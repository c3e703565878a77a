"""The entry of every node's process: a signal ends it quietly, however early or late it comes."""

from __future__ import annotations

import importlib
import os
import signal
import sys


def start(name: str) -> None:
    """Import a node's module, which can take seconds, run it, and end the process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))  # nothing exists yet that must be closed
    status = 0
    try:
        importlib.import_module(f'medal_ros.nodes.{name}').main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed. Python would now forget the signal handlers, so that a second Ctrl-C
    # kills it, and spend half a second on taking PyTorch apart.
    os._exit(status)


if __name__ == '__main__':
    start(sys.argv[1])
