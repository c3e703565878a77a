"""One worker thread beside a node's executor; its failure is the node's failure."""

from __future__ import annotations

import errno
import threading
import traceback
from collections.abc import Callable
from queue import Empty, SimpleQueue

import rclpy
from rclpy.node import Node

from medal_ros.errors import UserError, WeightsError

JOIN_SECONDS = 60.0
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)  # a person's to put right


class Stopped(Exception):
    """Raised in the worker thread, by `check`, to leave deep work at once."""


class Worker:
    """Runs a function in a thread until it returns or is asked to stop.

    The function must look at `stopping` at least every fraction of a second. If it raises, the
    error is logged, `failed` is set and ROS is shut down, so that the process ends and says so.

    Args:
        node: Logs failures.
        work: What to run.

    Attributes:
        failed: Whether it raised.
        status: What the process then ends with: 2 where only a person can put it right.
    """

    def __init__(self, node: Node, work: Callable[[], None]) -> None:
        self.node, self.work = node, work
        self.failed, self.status = False, 1
        self._stop = threading.Event()
        self._asked: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name='worker', daemon=True)

    def start(self) -> None:
        """Begin: the last thing that a node's constructor does."""
        self.thread.start()

    @property
    def stopping(self) -> bool:
        """Whether to return soon. Runs what other threads asked for on the way."""
        try:
            while True:
                self._asked.get_nowait()()
        except Empty:
            return self._stop.is_set()

    def check(self) -> None:
        """Raise Stopped if the worker has been asked to stop."""
        if self.stopping:
            raise Stopped

    def ask(self, function: Callable[[], None]) -> None:
        """Have a function run in the worker thread, when it next looks whether to stop."""
        self._asked.put(function)

    def stop(self) -> None:
        """Ask the function to return and wait until it has."""
        self._stop.set()
        if self.thread.is_alive():
            self.thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        try:
            self.work()
        except Stopped:
            return
        except Exception as error:
            if isinstance(error, RuntimeError) and not rclpy.ok():
                return  # a signal ended ROS while something was being published
            self.failed = True
            logger, what = self.node.get_logger(), str(error)
            if isinstance(error, OSError) and error.errno in DISK:
                what = f'{error.filename or self.node.get_name()}: {error.strerror}'
                self.status = 2
            elif isinstance(error, UserError):
                self.status = 1 if isinstance(error, WeightsError) else 2
            else:
                logger.error(traceback.format_exc())
                what = f'{type(error).__name__}: {error}'
            logger.fatal(what)  # the line that is shown to whoever started the node
            rclpy.try_shutdown()
