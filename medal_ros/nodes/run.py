"""Run a node until it is asked to stop."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from medal_ros.errors import UserError

GOODBYE = 2.0  # seconds that ROS may take to let go; then SIGALRM ends the process


def run(factory: Callable[[], Node]) -> None:
    """Make one node and spin it; SIGINT and SIGTERM end it with status 0.

    Where the node has a method `close`, it is called once, before the node is destroyed,
    however the node ends. Signals that arrive meanwhile are ignored.

    Raises:
        SystemExit: With status 2, after one sentence on stderr, when the factory raises a
            UserError or when ROS cannot read the command line.
    """
    stop = _take_signals()
    try:
        rclpy.init()
    except RuntimeError as error:  # the message ends with places in ROS's own source
        _refuse(str(error).split(', at /')[0])
    node = None
    try:
        node = factory()
        gc.freeze()  # to search all of torch for garbage would be a pause of 0.3 s, some day
        _spin(node, stop)
    except UserError as error:
        _refuse(str(error))
    except ExternalShutdownException:
        pass
    except ValueError as error:
        if 'PARAMETER_NOT_SET' not in str(error):  # all that rclpy says of `name:=[]`
            raise
        _refuse('a parameter is an empty list or has no value; leave it out instead')
    except RuntimeError:
        # A signal can end the context while the node is being made or the next wait prepared.
        if rclpy.ok():
            raise
    finally:
        try:
            if hasattr(node, 'close'):
                node.close()
        finally:
            # Everything of ours is closed. Fast DDS, taking a participant apart, can wait for
            # its own thread for ever, and lets nothing in Python run meanwhile.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, GOODBYE)
            if node is not None:
                node.destroy_node()
            rclpy.try_shutdown()
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            gc.freeze()  # else Python's exit searches all of torch for garbage: 0.4 s of work
    worker = getattr(node, 'worker', None)
    if worker is not None and worker.failed:
        raise SystemExit(worker.status)


def say(words: str) -> None:
    """Print, for ROS has ended; a run is saved even if nobody listens any more."""
    with suppress(OSError):
        print(words, flush=True)


class _Stop:
    """Whether to end. A threading.Event would wait for itself when a second signal comes."""

    asked = False

    def ask(self, *_: object) -> None:
        self.asked = True


def _take_signals() -> _Stop:
    """Replace KeyboardInterrupt, which can strike in the middle of any callback.

    rclpy ends the context on a signal and then calls these handlers; what arrives before
    `rclpy.init` or while the node closes comes here only.
    """
    stop = _Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.ask)
    return stop


def _spin(node: Node, stop: _Stop) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while rclpy.ok() and not stop.asked:
            executor.spin_once()
    finally:
        executor.shutdown()


def _refuse(sentence: str) -> None:
    print(sentence, file=sys.stderr)
    raise SystemExit(2)
