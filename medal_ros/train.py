"""`medal train`: start the graph, show what it does, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medal_ros.bringup import NodeSpec, evaluation, prepare, simulation, training
from medal_ros.config import RunConfig
from medal_ros.live import View
from medal_ros.monitor import Monitor
from medal_ros.options import OptionError
from medal_ros.processes import Processes, ProcessFailed, environment
from medal_ros.report import describe

STOP_SECONDS = 120.0  # a large checkpoint may take its time; small ones take a second or two
LOOK_FOR_OTHERS = 2.0  # seconds to notice a graph that is already there and keeps us busy
SHOWN = {
    'state': ('mode', 'agent', 'steps', 'total_steps', 'interventions', 'reason'),
    'learner': ('updates', 'updates_per_second', 'owed', 'stored', 'refused', 'dropped'),
}


def train(config: RunConfig, runs: Path, name: str, namespace: str) -> int:
    """Run a training graph to its end, or until Ctrl-C; return the exit status.

    Raises:
        UserError: The run cannot begin; nothing was started.
    """
    with alone(namespace) as monitor:
        folder = prepare(config, runs, name)
        view = View(config.steps, f'medal: {config.task}, seed {config.seed}')
        status = supervise(training(config, folder), folder.path, monitor, view, 'evaluator')
    if folder.summary.is_file():
        print(describe(json.loads(folder.summary.read_text())))
    print(f'everything is in {folder.path}')
    return status


def simulate(config: RunConfig, namespace: str) -> int:
    """Run the stand-in alone until Ctrl-C."""
    with alone(namespace) as monitor, tempfile.TemporaryDirectory(prefix='medal_') as place:
        view = View(config.steps, f'medal: {config.task}, the stand-in alone')
        return supervise(simulation(config), Path(place), monitor, view)


def evaluate(
    run: Path,
    checkpoint: str,
    episodes: int,
    namespace: str,
    starts: str = '',
    policy: str = '',
) -> int:
    """Measure a finished run's policies on new starts, and print the table.

    Raises:
        UserError: The folder is not a run's, or holds no such checkpoint.
    """
    specs = evaluation(run, checkpoint, episodes, starts, policy)
    with alone(namespace) as monitor, tempfile.TemporaryDirectory(prefix='medal_') as place:
        status = supervise(specs, Path(place), monitor, None, 'evaluator')
        print(Path(place, 'log', 'evaluator.log').read_text().rstrip())
    return status


@contextmanager
def alone(namespace: str) -> Iterator[Monitor]:
    """Give a monitor of a namespace in which no graph runs yet.

    Raises:
        OptionError: One does.
    """
    os.environ.update(environment())  # find exactly those whom the nodes will find
    monitor = Monitor(namespace)
    try:
        if monitor.wait_for(lambda: bool(monitor.others()), LOOK_FOR_OTHERS):
            raise OptionError(
                f'a graph already runs in namespace /{namespace} '
                f'({", ".join(monitor.others())}): stop it, or choose another --namespace or '
                'ROS_DOMAIN_ID'
            )
        yield monitor
    finally:
        monitor.close()


def supervise(
    specs: Sequence[NodeSpec],
    folder: Path,
    monitor: Monitor,
    view: View | None,
    until: str | None = None,
) -> int:
    """Start nodes, show what they do until one of them is finished, and stop all of them.

    Args:
        specs: The nodes.
        folder: Where their parameters and logs go.
        monitor: Listens to them.
        view: Shows what it hears.
        until: The node whose regular end is the end; None waits for Ctrl-C.

    Returns:
        0 after a regular end or Ctrl-C, 1 when a node failed.
    """
    interrupted = Interruption()
    if view is not None:
        monitor.on_event = lambda kind, message: show(view, kind, message)
    processes = Processes(specs, folder, monitor.namespace)
    try:
        if view is None:
            wait(processes, monitor, until, interrupted)
        else:
            with view:
                wait(processes, monitor, until, interrupted, view)
    except ProcessFailed as error:
        print(f'medal: {error}', file=sys.stderr)
        return 1
    finally:
        if interrupted:
            print('stopping, and saving what there is', flush=True)
        began = time.monotonic()
        killed = processes.stop(STOP_SECONDS)
        if interrupted:
            print(f'stopped in {time.monotonic() - began:.1f} s')
        if killed:
            print(f'medal: had to kill {", ".join(killed)}', file=sys.stderr)
    return 0


def wait(
    processes: Processes,
    monitor: Monitor,
    until: str | None,
    interrupted: Interruption,
    view: View | None = None,
) -> None:
    """Listen until a node is finished or a person interrupts."""
    while not interrupted and until not in processes.check():
        monitor.spin(0.2)
        if view is not None:
            view.tick()


def show(view: View, kind: str, message: Any) -> None:
    """Tell the view what a message says."""
    if kind == 'evaluation' and message.agent == 'cloning':
        view.update(baseline=max(message.success, view.status.baseline or 0.0))
    elif kind == 'evaluation':
        view.update(evaluation=message)
    else:
        view.update(**{name: getattr(message, name) for name in SHOWN[kind]})
        if kind == 'state':
            view.update(phase='final evaluation' if message.mode == 'done' else 'practice')


class Interruption:
    """True once SIGINT or SIGTERM has come."""

    def __init__(self) -> None:
        self.came = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self.came = True

    def __bool__(self) -> bool:
        return self.came
