"""The same jobs on a Ray cluster: https://docs.ray.io. Optional, `pip install medal_ros[ray]`.

medal_ros must be installed on every machine of the cluster. Where the results folder is shared
under one path, jobs go on wherever they run next; where it is not, each machine keeps what its jobs
leave and the results come back here.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from medal_ros.bench.grid import STOP_SECONDS, Grid, run_grid
from medal_ros.bench.methods import Job
from medal_ros.bench.results import NAME
from medal_ros.errors import UserError

KNOCK_SECONDS = 10.0
RETRIES = 3  # of a job whose machine went away


def run_on_ray(
    jobs: Sequence[Job], root: Path, changes: Mapping[str, Any], address: str, console: Console
) -> int:
    """Run jobs on an existing cluster, as many at a time as it has processors.

    Returns:
        The exit status: 0, 1 when a job failed, 130 after Ctrl-C.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError:
        words = '--ray needs Ray, which is optional: pip install "medal_ros[ray]"'
        raise UserError(words) from None
    grid = RayGrid(jobs, root.resolve(), changes)
    try:
        knock(address)
        ray.init(address, log_to_driver=False, logging_level='ERROR', configure_logging=False)
    except (OSError, ValueError, RuntimeError):
        raise UserError(f'there is no Ray cluster at {address!r} that answers') from None
    try:
        workers = int(ray.cluster_resources().get('CPU', 0))
        if workers < 1:
            raise UserError(f'the Ray cluster at {address!r} has no processors for jobs')
        return run_grid(grid, workers, console)
    finally:
        ray.shutdown()


def knock(address: str) -> None:
    """Raise an OSError unless somebody listens at host:port: Ray itself would try for minutes."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()


class RayGrid(Grid):
    """Jobs that run as Ray tasks of one processor each."""

    def start(self, job: Job) -> None:
        import ray

        task = ray.remote(num_cpus=1, max_retries=RETRIES)(run_remotely)
        self.running[job] = task.remote(dataclasses.asdict(job), str(self.root), self.changes)

    def collect(self) -> None:
        import ray

        for job, reference in list(self.running.items()):
            self.look_again(job)
            if not ray.wait([reference], timeout=0)[0]:
                continue
            del self.running[job]
            try:
                self.keep(job, ray.get(reference))
            except ray.exceptions.RayTaskError as error:
                self.failed[job] = str(error.cause).splitlines()[0]
            except ray.exceptions.RayError as error:
                self.failed[job] = type(error).__name__
            self.look_again(job)

    def keep(self, job: Job, text: str) -> None:
        """Write a result that another machine's disk has, and ours has not."""
        path = job.folder(self.root) / NAME
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        import ray

        left = list(self.running.values())
        for reference in left:
            ray.cancel(reference)  # an interrupt: the job saves what it has
        if left:
            ray.wait(left, num_returns=len(left), timeout=seconds)
        self.running.clear()


def run_remotely(job: dict[str, Any], root: str, changes: dict[str, Any]) -> str:
    """Run a job where Ray has put it; return the content of its result.json."""
    from medal_ros.bench.job import run_job

    asked = Job(**job)
    run_job(asked, Path(root), changes)
    return (asked.folder(Path(root)) / NAME).read_text()
