"""`medal evaluate` and `medal compare`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medal_ros.options import OptionError


def add_commands(commands: Any) -> list[argparse.ArgumentParser]:
    """Add both commands; return those that speak to a graph."""
    words = "put a run's policies to the test, side by side; the same command goes on"
    evaluate = commands.add_parser('evaluate', help=words, description=words)
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument('run', type=Path, nargs='+', help='folder of a run, e.g. runs/first')
    evaluate.add_argument(
        '--checkpoints', default='last', help='last (default), best, all, steps: some, as last,best'
    )
    evaluate.add_argument(
        '--policy', default='forward,backward', help='some of forward, backward, cloning'
    )
    evaluate.add_argument(
        '--episodes', type=int, default=50, help='of each start set (default: 50)'
    )
    evaluate.add_argument(
        '--starts', default='', help="start sets, as id,ood (default: the task's)"
    )
    evaluate.add_argument(
        '--start-list', type=Path, metavar='YAML', help='these starts instead of drawn ones'
    )
    evaluate.add_argument('--judge', default='truth', help='truth (default) or person')
    evaluate.add_argument('--seed', type=int, help="draws starts and order (default: the run's)")
    evaluate.add_argument('--out', type=Path, help='default: RUN/evaluations/...')
    evaluate.add_argument('--no-films', action='store_true', help='keep no film of each trial')

    words = 'draw the curves of some runs together'
    compare = commands.add_parser('compare', help=words, description=words)
    compare.set_defaults(command=_compare)
    compare.add_argument('run', type=Path, nargs='+')
    compare.add_argument('--out', type=Path, default=Path('comparison.png'))
    return [evaluate]


def names(text: str) -> list[str]:
    """Return the names in a list with commas."""
    return list(dict.fromkeys(name.strip() for name in text.split(',') if name.strip()))


def _evaluate(o: argparse.Namespace) -> int:
    from medal_ros.bringup import examination
    from medal_ros.exam.desk import examine, report
    from medal_ros.exam.session import Session
    from medal_ros.train import alone

    plan = plan_of(
        o.run, o.checkpoints, o.policy, o.episodes, o.starts, o.start_list, o.judge, o.seed
    )
    session = Session(folder_of(o.run[0], plan.digest, o.out), plan)
    if not session.pending:
        report(session)
        return 0
    with alone(o.namespace) as monitor:
        specs = examination(plan, session.folder, not o.no_films)
        return examine(specs, session, monitor)


def plan_of(
    runs: Sequence[Path],
    checkpoints: str,
    policies: str,
    episodes: int,
    sets: str,
    start_list: Path | None,
    judge: str,
    seed: int | None = None,
) -> Any:
    """Return the plan that a command line, or a launch file's arguments, mean.

    Raises:
        OptionError: Something that it names does not exist or does not fit.
    """
    from medal_ros.evaluation import open_run
    from medal_ros.exam.plan import make_plan, read_starts

    if start_list and sets:
        raise OptionError('a list of starts names its sets itself: leave out starts')
    listed = read_starts(start_list, open_run(runs[0])[0].task) if start_list else ()
    return make_plan(
        runs, names(checkpoints), names(policies), episodes, names(sets), listed, judge, seed
    )


def folder_of(run: Path, digest: str, out: Path | None = None) -> Path:
    """Return where an examination goes: the same one always to the same folder."""
    return out or run / 'evaluations' / digest


def _compare(o: argparse.Namespace) -> int:
    from medal_ros.exam.compare import compare

    print(compare(o.run, o.out))
    return 0
