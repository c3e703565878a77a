"""`medal train`: start the graph, show what it does, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from medal_ros.bags.mend import mend_all
from medal_ros.bringup import NodeSpec, simulation, training
from medal_ros.claims import claim
from medal_ros.config import RunConfig
from medal_ros.live import Status, View
from medal_ros.monitor import Monitor
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.options import OptionError
from medal_ros.preparing import prepare
from medal_ros.processes import PATIENCE, Processes, ProcessFailed, environment
from medal_ros.report import describe
from medal_ros.restarts import RestartLimits, Restarts
from medal_ros.resuming import finished, hold, reopen
from medal_ros.run_folder import RunFolder
from medal_ros.spaces import AGENTS

REST_SECONDS = 120.0  # what was earned within the lag may take minutes on a small machine
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
        return practise(config, folder, monitor)


def resume(run: Path, changes: Mapping[str, Any], namespace: str) -> int:
    """Go on with a run that was stopped, to its end or until Ctrl-C; return the exit status.

    Raises:
        UserError: It cannot go on; nothing was started.
    """
    with alone(namespace) as monitor:
        config, folder = reopen(run, changes)
        return practise(config, folder, monitor, resume=True)


def practise(config: RunConfig, folder: RunFolder, monitor: Monitor, resume: bool = False) -> int:
    """Run the graph of a run, and say what came of it."""
    view = View(config.steps, f'medal: {config.task}, seed {config.seed}')
    rests = config.graph.rate == 0  # by the clock no moment comes back
    with hold(folder):
        specs = training(config, folder, resume)
        restarts = restarts_of(config)
        nursery = config.graph.nursery
        status = supervise(specs, folder.path, monitor, view, 'evaluator', rests, restarts, nursery)
        if config.record.enabled:
            mend_all(folder.recordings)
    if folder.summary.is_file():
        print(describe(json.loads(folder.summary.read_text())))
    print(f'everything is in {folder.path}')
    if not finished(folder):
        print(f'go on with: medal train --resume {folder.path}')
    return status


def simulate(config: RunConfig, namespace: str) -> int:
    """Run the stand-in alone until Ctrl-C."""
    with alone(namespace) as monitor, tempfile.TemporaryDirectory(prefix='medal_') as place:
        view = View(config.steps, f'medal: {config.task}, the stand-in alone')
        specs, restarts = simulation(config), restarts_of(config)
        return supervise(specs, Path(place), monitor, view, restarts=restarts)


def restarts_of(config: RunConfig) -> Restarts | None:
    """Return who says when a node is started again; None where nobody is."""
    graph = config.graph
    if not graph.restarts:
        return None
    return Restarts(RestartLimits(most=graph.restarts, silent=graph.silent_after))


@contextmanager
def alone(namespace: str) -> Iterator[Monitor]:
    """Give a monitor of a namespace in which no graph runs yet.

    Raises:
        OptionError: One does.
    """
    os.environ.update(environment())  # find exactly those whom the nodes will find
    monitor, held = Monitor(namespace), claim(namespace)
    try:
        found = monitor.wait_for(lambda: bool(monitor.others()), LOOK_FOR_OTHERS)
        if found or held is None:
            who = ', '.join(monitor.others()) or 'another process of this machine'
            raise OptionError(
                f'a graph already runs in namespace /{namespace} ({who}): stop it, or choose '
                'another --namespace or ROS_DOMAIN_ID'
            )
        yield monitor
    finally:
        monitor.close()
        if held is not None:
            held.close()


def supervise(
    specs: Sequence[NodeSpec],
    folder: Path,
    monitor: Monitor,
    view: View | None,
    until: str | None = None,
    rests: bool = False,
    restarts: Restarts | None = None,
    nursery: bool = False,
) -> int:
    """Start nodes, show what they do until one of them is finished, and stop all of them.

    Args:
        specs: The nodes.
        folder: Where their parameters and logs go.
        monitor: Listens to them.
        view: Shows what it hears.
        until: The node whose regular end is the end; None waits for Ctrl-C.
        rests: Whether to let the graph come to rest before it is stopped.
        restarts: Says when a node that ended or hangs is started again; None: it is the end.
        nursery: Whether to fork them from one process; by the clock it stays for restarts.

    Returns:
        0 after a regular end or Ctrl-C, 1 when a node failed.
    """
    interrupted = Interruption()
    if view is not None:
        monitor.on_event = lambda kind, message: show(view, kind, message)
    reserve = nursery and not rests and restarts is not None
    processes = Processes(specs, folder, monitor.namespace, restarts, until, nursery, reserve)
    if restarts is not None:
        monitor.on_word = restarts.heard
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
        began, processes.restarts = time.monotonic(), None  # from now on nodes are to end
        if interrupted and rests and processes.running:
            come_to_rest(processes, monitor, interrupted)
        killed = processes.stop(STOP_SECONDS)
        if interrupted:
            print(f'stopped in {time.monotonic() - began:.1f} s')
        if killed:
            print(f'medal: had to kill {", ".join(killed)}', file=sys.stderr)
    return 0


def come_to_rest(processes: Processes, monitor: Monitor, interrupted: Interruption) -> None:
    """Wait until the learner has learned from every step that was taken, and ends by itself.

    The nodes then stop at one moment, from which a resumed run goes on to the bit. Another
    Ctrl-C, a node that fails, or the deadline ends the waiting: nothing is lost, but the world.
    """
    began, before, told = time.monotonic(), interrupted.times, False
    if not monitor.rest():
        return
    with suppress(ProcessFailed):
        while 'trainer' not in processes.check() and interrupted.times == before:
            passed = time.monotonic() - began
            if passed > PATIENCE and not told:
                told = True
                print('waiting for the learner to catch up; Ctrl-C again does without', flush=True)
            if passed > REST_SECONDS:
                print(f'the learner is not done after {REST_SECONDS:.0f} s: stopping as it is')
                return
            monitor.spin(0.02)


def wait(
    processes: Processes,
    monitor: Monitor,
    until: str | None,
    interrupted: Interruption,
    view: View | None = None,
) -> None:
    """Listen until a node is finished or a person interrupts; start again what ended otherwise."""
    herald = Herald(monitor, processes)
    while not interrupted and until not in processes.check():
        monitor.spin(0.2)
        processes.tend()
        herald.tell(view)
        if view is not None:
            busy = {'done': 'evaluator', 'practice': '' if view.status.steps else 'trainer'}
            if node := busy.get(view.status.mode):
                view.update(phase=monitor.doing(node) or view.status.phase)
            view.tick()


def show(view: View, kind: str, message: Any) -> None:
    """Tell the view what a message says."""
    if kind == 'evaluation' and message.agent not in (*AGENTS, 'cloning'):
        return
    if kind == 'evaluation' and not 0 <= message.success <= 1:
        return
    if kind == 'evaluation' and message.agent == 'cloning':
        view.update(baseline=max(message.success, view.status.baseline or 0.0))
    elif kind == 'evaluation':
        view.update(evaluation=message)
    else:
        phase = next_phase(view.status, message) if kind == 'state' else view.status.phase
        view.update(phase=phase, **{name: getattr(message, name) for name in SHOWN[kind]})


def next_phase(status: Status, state: Any) -> str:
    """Return what a state begins; else the phase stays, which may say what a node is busy with."""
    if state.mode == 'done':
        return status.phase if status.mode == 'done' else 'final evaluation'
    return 'practice' if state.steps else status.phase  # before the first step all wait


class Herald:
    """Says which nodes were restarted: in the view, and once a second on /diagnostics."""

    def __init__(self, monitor: Monitor, processes: Processes) -> None:
        self.processes, self._told = processes, 0
        if processes.restarts is not None:
            Diagnostics(monitor.node, self.describe, name='processes')

    def tell(self, view: View | None) -> None:
        told, self._told = self.processes.told[self._told :], len(self.processes.told)
        for words in told:
            if view is None:
                print(f'medal: {words}', file=sys.stderr)
            else:
                view.event(words)
        if view is not None and told and self.processes.restarts is not None:
            view.update(restarts=self.processes.restarts.counts.total())

    def describe(self) -> tuple[str, dict[str, object]]:
        restarts = self.processes.restarts
        if restarts is None:
            return 'stopping', {}
        away = restarts.away
        return f'starting {", ".join(away)}' if away else '', dict(restarts.counts)


class Interruption:
    """True once SIGINT or SIGTERM has come."""

    def __init__(self) -> None:
        self.times = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self.times += 1

    def __bool__(self) -> bool:
        return self.times > 0
