"""One job of the benchmark: practise (or clone), evaluate on time, leave what the report reads.

python -m medal_ros.bench.job ROOT SIZE TASK METHOD SEED [KEY=VALUE ...]

A job goes on where it was stopped: it saves everything at every evaluation, and a process that is
killed loses what came after the last one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medal_ros.bench.interruption import interruptible
from medal_ros.bench.methods import Job
from medal_ros.bench.practice import Practice
from medal_ros.bench.results import NAME, Result, load_result
from medal_ros.config import RunConfig, load_config, save_config
from medal_ros.errors import UserError
from medal_ros.evaluation import FINAL, PERIODIC, Baseline, run_episodes
from medal_ros.learning.demonstrations import Demonstration, load_demonstrations
from medal_ros.learning.device import choose_device
from medal_ros.learning.performance import tune
from medal_ros.learning.weights import save_tensors
from medal_ros.options import parse_assignment
from medal_ros.preparing import demonstration_counts, record_demonstrations
from medal_ros.report import machine, versions
from medal_ros.run_folder import RunFolder
from medal_ros.sim import make, spaces_of
from medal_ros.spaces import AGENTS


def run_job(job: Job, root: Path, changes: Mapping[str, Any] | None = None) -> Result:
    """Run a job to its end, or go on with it, and return its result.

    Args:
        job: Which one.
        root: The folder of all results.
        changes: Dotted keys that differ from the size's and the method's.

    Raises:
        UserError: The folder holds another job's or another version's files, a key is wrong, or
            the GPU that is asked for is not there.
        KeyboardInterrupt: Interrupted; everything up to here is saved.
    """
    config = job.config(changes)
    choose_device(config.graph.device)
    folder = RunFolder(job.folder(root))
    result = begin(job, config, folder)
    if result.finished:
        return result
    tune(config.graph.threads)
    run = clone if job.method == 'bc' else practise
    run(config, folder, result)
    result.finished = True
    result.save(folder.path)
    return result


def begin(job: Job, config: RunConfig, folder: RunFolder) -> Result:
    """Return what a job's folder holds so far, after checking that it is this job's."""
    if folder.config.is_file():
        if load_config(folder.config) != config:
            raise UserError(
                f'{folder.path} was begun with other values (its config.yaml): use another folder'
            )
        if (folder.path / NAME).is_file():
            return load_result(folder.path / NAME)
    elif folder.path.exists() and any(folder.path.iterdir()):
        raise UserError(f'{folder.path} holds files, but no config.yaml of a job')
    folder.path.mkdir(parents=True, exist_ok=True)
    save_config(config, folder.config)
    result = Result(job.size, job.task, job.method, job.seed, config.preset, config.steps)
    result.repeat = config.repeat
    result.commit, result.machine, result.versions = commit(), machine(), versions()
    if job.method == 'bc':
        result.steps_planned = 0
    return result


def commit() -> str | None:
    """Return the commit of the code, where it runs from a repository; + marks changes."""
    command = ['git', '-C', str(Path(__file__).parent), 'describe', '--always', '--dirty=+']
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def shown(config: RunConfig, folder: RunFolder) -> dict[str, list[Demonstration]]:
    """Return the job's demonstrations, recorded the first time; a seed's are every method's."""
    partial = folder.path / 'demonstrations.partial'
    if not folder.demonstrations.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
        d = config.demonstrations
        counts = demonstration_counts(config.task, d.count, d.times)
        environment = make(config.task, None, config.pixels, config.repeat)
        record_demonstrations(environment, config.task, counts, config.seed, partial)
        partial.rename(folder.demonstrations)
    least = max(getattr(config, name).classifier.goal_states for name in AGENTS)
    spaces = spaces_of(config.task, config.pixels)
    return load_demonstrations(folder.demonstrations, config.task, spaces, least)


class Clock:
    """Minutes of work, by the wall and by the processor, those before a stop included."""

    def __init__(self, wall: float = 0.0, cpu: float = 0.0) -> None:
        self.began = time.monotonic() - 60 * wall, time.process_time() - 60 * cpu

    @property
    def read(self) -> tuple[float, float]:
        """Wall and processor minutes."""
        now = time.monotonic(), time.process_time()
        return (now[0] - self.began[0]) / 60, (now[1] - self.began[1]) / 60


def practise(config: RunConfig, folder: RunFolder, result: Result) -> None:
    """Practise to the end, evaluating and saving on time."""
    clock = Clock()
    resume = folder.training_state('practice').is_file()
    practice = Practice(config, folder, shown(config, folder), resume)
    if resume:
        clock = Clock(*practice.saved_text()['minutes'])
    try:
        while not practice.done:
            practice.turn()
            if practice.steps % config.evaluation.every == 0 or practice.done:
                note(practice, result, config, clock)
    except KeyboardInterrupt:
        practice.save({'minutes': clock.read})
        raise
    finally:
        practice.close()
    e = config.evaluation
    deployed = practice.learner.agents['forward'].deployed
    result.final = run_episodes(deployed, config, 'forward', FINAL, e.final_episodes)
    for name, agent in practice.learner.agents.items():
        save_tensors(agent.deployed.state_dict(), folder.policy(name, practice.steps))
    result.minutes, result.cpu_minutes = clock.read
    result.save(folder.path)
    folder.training_state('practice').unlink()  # finished: what is left is for looking at
    shutil.rmtree(folder.replay)


def note(practice: Practice, result: Result, config: RunConfig, clock: Clock) -> None:
    """Evaluate, and write down what is known at this step; then save the practice."""
    steps, e = practice.steps, config.evaluation
    deployed = practice.learner.agents['forward'].deployed
    outcome = run_episodes(deployed, config, 'forward', PERIODIC, e.episodes)
    # After a kill, the steps since the last save are taken again, and noted again.
    result.curve = [p for p in result.curve if p[0] < steps] + [(steps, outcome)]
    mean = practice.rewarded / steps
    result.lifetime = [p for p in result.lifetime if p[0] < steps] + [(steps, mean)]
    result.steps, result.updates = steps, practice.learner.updates
    result.reset_steps = list(practice.resets)
    result.segments = {name: tuple(counts) for name, counts in practice.segments.items()}
    result.minutes, result.cpu_minutes = clock.read
    practice.save({'minutes': [result.minutes, result.cpu_minutes]})
    result.save(practice.folder.path)


def clone(config: RunConfig, folder: RunFolder, result: Result) -> None:
    """Train the cloning baseline and measure its checkpoints; the best one counts.

    All of them are measured where the other methods' last policies are: the choice favours it.
    A job that was stopped begins anew, for it takes a minute or two.
    """
    clock = Clock()
    shown(config, folder)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    baseline = Baseline(config, folder)
    while not baseline.done:
        baseline.step()
        result.updates = baseline.steps
        result.minutes, result.cpu_minutes = clock.read
        if list(baseline.checkpoints) != [steps for steps, _ in result.curve]:
            result.curve = list(baseline.checkpoints.items())
            result.save(folder.path)
    result.final = result.best = max(baseline.checkpoints.values(), key=lambda e: e.successes)


def main() -> None:
    """Run the job that the command line names."""
    root, size, task, method, seed, *changes = sys.argv[1:]
    interruptible()
    job = Job(size, task, method, int(seed))
    try:
        result = run_job(job, Path(root), dict(parse_assignment(text) for text in changes))
    except UserError as error:
        print(f'medal: {error}', file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    print(json.dumps({'job': result.job, 'success': result.final.success, 'pid': os.getpid()}))


if __name__ == '__main__':
    main()
