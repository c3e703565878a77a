"""What stops a job or a grid in order."""

from __future__ import annotations

import signal


def interruptible() -> None:
    """Let Ctrl-C and SIGTERM both raise KeyboardInterrupt.

    A shell that starts a command in the background has it ignore Ctrl-C, and so would the jobs.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
