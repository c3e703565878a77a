"""`medal faults`: a run by the clock, a storm over it, and what must be true afterwards."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from typing import Any

from medal_ros.bringup import NodeSpec, configure, training
from medal_ros.config import RunConfig
from medal_ros.faults.outcome import (
    HOLD,
    checks,
    holds_of_an_arm_that_was_there,
    table,
    verdicts,
)
from medal_ros.faults.schedule import KINDS, schedule
from medal_ros.faults.storm import Storm
from medal_ros.learning.recovery import last_record
from medal_ros.monitor import Monitor
from medal_ros.options import OptionError
from medal_ros.preparing import prepare
from medal_ros.processes import Processes, ProcessFailed
from medal_ros.restarts import RestartLimits, Restarts
from medal_ros.resuming import finished, hold
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of
from medal_ros.train import STOP_SECONDS, Interruption, alone, resume

AFTER = 60  # steps to the end once the storm is over
# Small enough that two cores carry it, and everything as often as in hours of an ordinary run.
CHANGES = {
    'graph.rate': 10,
    'graph.stale_after': 0.15,
    'graph.silent_after': 6,
    'graph.restarts': 10_000,
    'graph.idle': False,  # or a machine that is busy with other things learns, and stores, nothing
    'segment_steps': 30,
    'arm_reset.every_steps': 60,
    'demonstrations.count': 3,
    'agent.batch': 32,
    'agent.demonstrations': 8,
    'agent.learn_after': 100,
    'agent.cloning.warm_up': 10,
    'classifier.positives': 32,
    'classifier.negatives': 32,
    'classifier.every': 50,
    'ask_for_help.after_steps': 0,
    'evaluation.every': 2000,
    'evaluation.episodes': 2,
    'evaluation.final_episodes': 2,
    'evaluation.cloning_steps': 20,
    'evaluation.cloning_checkpoints': 1,
    'storage.checkpoint_every': 200,
}


def main(options: argparse.Namespace) -> int:
    kinds = options.kinds.split(',') if options.kinds else KINDS
    for kind in kinds:
        if kind not in KINDS:
            raise OptionError(f'there is no fault {kind!r}; there are {", ".join(KINDS)}')
    if options.count < 1:
        raise OptionError(f'--count must be 1 or more, not {options.count}')
    config = configure('tabletop_quick', None, options.seed, 0, CHANGES)
    name = options.name or f'faults-{options.seed}-{time.strftime("%Y%m%d-%H%M%S")}'
    with alone(options.namespace) as monitor:
        folder = prepare(config, options.runs, name)
        storm, end = blow(config, folder, monitor, schedule(options.count, options.seed, kinds))
    if not end and not options.stop:
        end = go_on_to_the_end(folder, options.namespace)
    end = end or summary_complaint(folder, ended=not options.stop)
    return report(storm, folder, config, options.count, end)


def blow(config: RunConfig, folder: RunFolder, monitor: Monitor, faults: list) -> tuple[Storm, str]:
    """Run the graph through a storm; return the storm, and why the run ended too early."""
    graph, interrupted, until = config.graph, Interruption(), 'evaluator'
    restarts = Restarts(RestartLimits(most=graph.restarts, silent=graph.silent_after))
    specs = [exposed(spec) for spec in training(config, folder)]
    with hold(folder):
        processes = Processes(
            specs,
            folder.path,
            monitor.namespace,
            restarts,
            until,
            nursery=graph.nursery,
            reserve=graph.nursery,
        )
        storm = Storm(monitor, processes, faults, spaces_of(config.task, config.pixels))
        end = ''
        try:
            while until not in processes.check() and not (interrupted or storm.over):
                monitor.spin(0.05)
                processes.tend()
                storm.turn()
        except ProcessFailed as error:
            end = str(error)
        finally:
            processes.restarts = None
            monitor.on_word = lambda name, hears: None
            killed = processes.stop(STOP_SECONDS)
    if killed:
        end = end or f'had to kill {", ".join(killed)}'
    return storm, end or ('it was interrupted' if interrupted else '')


def exposed(spec: NodeSpec) -> NodeSpec:
    """Return a node that obeys faults, if it is the arm."""
    if spec.name != 'sim_arm':
        return spec
    return dataclasses.replace(spec, parameters={**spec.parameters, 'faults': True})


def go_on_to_the_end(folder: RunFolder, namespace: str) -> str:
    """Resume the run for some steps; return why it did not come to its end."""
    record = last_record(folder.replay)
    taken = record.end.forward + record.end.backward if record is not None else 0
    refused = record.about['joiner']['refused'] if record is not None else 0
    status = resume(folder.path, {'steps': taken + refused + AFTER}, namespace)
    return f'going on ended with status {status}' if status else ''


def report(storm: Storm, folder: RunFolder, config: RunConfig, wanted: int, end: str) -> int:
    """Print and keep what came out; return 0 if all that must be true is."""
    ledger, spaces = storm.ledger, spaces_of(config.task, config.pixels)
    transitions, missing = ledger.transitions(), ledger.missing(folder.replay, spaces)
    holds = ledger.holds()
    at = {n: ledger.steps[n].at for n in holds}
    holds = holds_of_an_arm_that_was_there(holds, at, storm.away)
    late = {n: seconds for n, seconds in holds.items() if seconds > HOLD}
    found = checks(storm.hits, wanted, len(transitions), missing, ledger.outside, holds, end)
    text = f'{table(storm.hits)}\n\n{verdicts(found)}\n'
    (folder.path / 'faults.md').write_text(text)
    details: dict[str, Any] = {
        'hits': [dataclasses.asdict(hit) for hit in storm.hits],
        'checks': [check._asdict() for check in found],
        'missing': missing,
        'late': {n: [seconds, storm.before(ledger.steps[n].at)] for n, seconds in late.items()},
    }
    (folder.path / 'faults.json').write_text(json.dumps(details, indent=1))
    print(text)
    print(f'everything is in {folder.path}')
    return 0 if all(check.good for check in found) else 1


def summary_complaint(folder: RunFolder, ended: bool) -> str:
    """Return what is wrong with how a run came to its end, or was stopped; empty: nothing."""
    if not folder.summary.is_file() or finished(folder) != ended:
        return 'it is not finished' if ended else 'it was not saved'
    summary = json.loads(folder.summary.read_text())
    if ended and summary['steps'] != summary['stored'] + summary['refused']:
        return (
            f'{summary["steps"]} steps were counted, {summary["stored"]} stored and '
            f'{summary["refused"]} refused'
        )
    return ''
