"""Run many jobs, some at a time, each in a process of its own, with one display of them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from medal_ros.bench.interruption import interruptible
from medal_ros.bench.methods import METHODS, Job
from medal_ros.bench.results import NAME, Result, load_result
from medal_ros.errors import UserError
from medal_ros.orphans import ENDS_WITH_PARENT

LOOK_EVERY = 1.0  # seconds between two looks at what the jobs have written
LINE_EVERY = 60.0  # seconds between two lines where there is no terminal
STOP_SECONDS = 120.0  # for all jobs to save and end


class Grid:
    """Jobs that run some at a time.

    Args:
        jobs: All of them, in the order in which they start.
        root: The folder of all results.
        changes: Dotted keys that differ from the size's and the method's.
    """

    def __init__(self, jobs: Sequence[Job], root: Path, changes: Mapping[str, Any]) -> None:
        self.jobs, self.root, self.changes = list(jobs), root, dict(changes)
        self.results = {job: self.look(job) for job in jobs}
        self.running: dict[Job, Any] = {}  # its process
        self.failed: dict[Job, str] = {}

    def look(self, job: Job) -> Result | None:
        """Return what a job has written, if anything."""
        path = job.folder(self.root) / NAME
        return load_result(path) if path.is_file() else None

    def look_again(self, job: Job) -> None:
        with suppress(UserError):  # a job that fails says so itself
            self.results[job] = self.look(job)

    @property
    def waiting(self) -> list[Job]:
        """The jobs still to be started."""
        return [
            job
            for job in self.jobs
            if job not in self.running
            and job not in self.failed
            and not ((result := self.results[job]) and result.finished)
        ]

    def start(self, job: Job) -> None:
        folder = job.folder(self.root)
        folder.parent.mkdir(parents=True, exist_ok=True)
        command = [*ENDS_WITH_PARENT, sys.executable, '-m', 'medal_ros.bench.job', str(self.root)]
        command += [job.size, job.task, job.method, str(job.seed)]
        command += [f'{k}={yaml.safe_dump(v).splitlines()[0]}' for k, v in self.changes.items()]
        with open(log_of(folder), 'ab') as log:
            self.running[job] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'OMP_NUM_THREADS': '1'},
                process_group=0,  # Ctrl-C comes to us, and we interrupt the jobs
            )

    def collect(self) -> None:
        """Take note of what running jobs have written, and of those that ended."""
        for job in list(self.running):
            status = self.running[job].poll()
            self.look_again(job)
            if status is None:
                continue
            del self.running[job]
            if status:
                self.failed[job] = explain(log_of(job.folder(self.root)), status)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Interrupt all jobs, wait until they have saved, and kill what is left."""
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + seconds
        for process in self.running.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()


def run_grid(grid: Grid, workers: int, console: Console) -> int:
    """Run every job that is not finished, showing how far all are; return the exit status.

    Args:
        grid: The jobs.
        workers: How many run at a time.
        console: Where progress is shown.

    Returns:
        0 when every job finished, 1 when one failed, 130 after Ctrl-C.
    """
    interruptible()
    live = Live(console=console, auto_refresh=False, transient=False)
    told = time.monotonic()
    status = 0
    with live if console.is_terminal else nullcontext():
        try:
            while grid.waiting or grid.running:
                while grid.waiting and len(grid.running) < workers:
                    grid.start(grid.waiting[0])
                time.sleep(LOOK_EVERY)
                grid.collect()
                if console.is_terminal:
                    live.update(display(grid), refresh=True)
                elif time.monotonic() - told > LINE_EVERY:
                    told = time.monotonic()
                    console.print(summary(grid))
        except KeyboardInterrupt:
            status = 130
            console.print('stopping: every job saves what it has, and the same command goes on')
        finally:
            grid.stop()
    for job, why in grid.failed.items():
        console.print(f'[red]{job.name} failed[/red]: {why}', highlight=False)
    console.print(summary(grid))
    return status or (1 if grid.failed else 0)


def log_of(folder: Path) -> Path:
    """Return where a job's words go: beside its folder, which it wants to find its own."""
    return folder.with_suffix('.log')


def explain(log: Path, status: int) -> str:
    """Return why a job ended, in one sentence."""
    lines = [line for line in log.read_text(errors='replace').splitlines() if line.strip()]
    how = f'killed by signal {-status}' if status < 0 else f'status {status}'
    return f'{lines[-1].removeprefix("medal: ") if lines else "no word"} ({how}, see {log})'


def summary(grid: Grid) -> str:
    """Return one line: how many jobs are at which point."""
    finished = sum(bool(result and result.finished) for result in grid.results.values())
    words = f'{finished} of {len(grid.jobs)} jobs finished, {len(grid.running)} running'
    return words + (f', {len(grid.failed)} failed' if grid.failed else '')


def display(grid: Grid) -> Group:
    """Return one table of the running jobs, and a bar for all."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ('task', 'method', 'seed', '', 'steps', 'success', 'min'):
        table.add_column(title, justify='right' if title in ('steps', 'min') else 'left')
    for job in grid.running:
        result = grid.results[job]
        planned = result.steps_planned if result else 0
        steps = result.steps if result else 0
        success = f'{result.curve[-1][1].success:.2f}' if result and result.curve else ''
        table.add_row(
            job.task,
            METHODS[job.method].title,
            str(job.seed),
            ProgressBar(max(planned, 1), steps, width=20),
            str(steps),
            success,
            f'{result.minutes:.1f}' if result else '',
        )
    done = sum(bool(result and result.finished) for result in grid.results.values())
    bar = ProgressBar(max(len(grid.jobs), 1), done, width=40)
    return Group(table, bar, Text(summary(grid)))
