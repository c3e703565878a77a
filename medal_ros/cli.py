"""The `medal` command: train, evaluate, record demonstrations, and look after a running graph."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medal_ros.bench import commands as bench
from medal_ros.demos import commands as demos
from medal_ros.errors import UserError
from medal_ros.options import parse_assignment


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a person's mistake ends with one sentence and status 2."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(demos.with_kind(words))
    try:
        status = options.command(options)
    except UserError as error:
        status = _refuse(str(error))
    except OSError as error:  # no such folder, no permission, no space
        where = f'{error.filename}: ' if error.filename else ''
        status = _refuse(f'{where}{error.strerror or error}')
    except KeyboardInterrupt:
        status = 130
    raise SystemExit(status)


def _refuse(sentence: str) -> int:
    print(f'medal: {sentence}', file=sys.stderr)
    return 2


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(prog='medal', description=__doc__)
    commands = top.add_subparsers(required=True, metavar='COMMAND')

    train = _command(commands, 'train', _train, 'practise a task alone, from demonstrations')
    _add_run_options(train)
    train.add_argument('--name', help='name of the run: it goes to RUNS/NAME')
    train.add_argument('--config', type=Path, help='repeat a run from its config.yaml')
    train.add_argument('--runs', type=Path, default=Path('runs'), help='default: runs')

    evaluate = _command(commands, 'evaluate', _evaluate, "measure a run's policies on new starts")
    evaluate.add_argument('run', type=Path, help='folder of the run, e.g. runs/first')
    evaluate.add_argument('--episodes', type=int, default=100, help='default: 100')
    evaluate.add_argument(
        '--checkpoint', default='last', help='last (default), best, all, or a number of steps'
    )
    evaluate.add_argument(
        '--policy', default='', help='forward, backward or cloning (default: the first two)'
    )
    evaluate.add_argument(
        '--starts', default='', help="start sets to measure on, e.g. id,ood (default: the task's)"
    )

    demos.add_commands(commands)
    sim = _command(commands, 'sim', _sim, 'run the stand-in alone, without a learner')
    _add_run_options(sim)

    switch = _command(commands, 'switch', _switch, 'hand control to a policy of a running graph')
    switch.add_argument('policy', help='forward or backward')

    bench.add_commands(commands)
    status = _command(commands, 'status', _status, 'say what a running graph does')
    for command in (train, evaluate, sim, switch, status):
        command.add_argument(
            '--namespace',
            type=lambda text: text.strip('/'),
            default='medal',
            help='ROS namespace (default: medal)',
        )
    return top


def _command(commands: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=text, description=text)
    added.set_defaults(command=function)
    return added


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument('--task', help='what is practised (default: the preset says)')
    command.add_argument(
        '--preset', help="where other values come from (default: the task's own, or quickstart)"
    )
    command.add_argument('--seed', type=int, help='seeds everything that is drawn')
    command.add_argument('--steps', type=int, help='policy steps of the run')
    command.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='any other key; repeatable'
    )


# The commands import what they need themselves, so that `medal --help` and mistakes are quick.


def _configured(options: argparse.Namespace) -> Any:
    from medal_ros.bringup import configure

    changes = dict(parse_assignment(text) for text in options.set)
    file = getattr(options, 'config', None)
    return configure(options.task, options.preset, options.seed, options.steps, changes, file)


def _train(options: argparse.Namespace) -> int:
    from medal_ros.bringup import default_name
    from medal_ros.train import train

    config = _configured(options)
    name = options.name or default_name(config)
    return train(config, options.runs, name, options.namespace)


def _evaluate(options: argparse.Namespace) -> int:
    from medal_ros.train import evaluate

    o = options
    return evaluate(o.run, o.checkpoint, o.episodes, o.namespace, o.starts, o.policy)


def _sim(options: argparse.Namespace) -> int:
    from medal_ros.train import simulate

    return simulate(_configured(options), options.namespace)


def _switch(options: argparse.Namespace) -> int:
    from medal_ros.monitor import Monitor

    monitor = Monitor(options.namespace)
    try:
        accepted, message = monitor.switch(options.policy)
    finally:
        monitor.close()
    print(message, file=sys.stdout if accepted else sys.stderr)
    return 0 if accepted else 1


def _status(options: argparse.Namespace) -> int:
    from medal_ros.monitor import DISCOVERY, Monitor
    from medal_ros.status import describe

    monitor = Monitor(options.namespace)
    try:
        found = monitor.wait_for(lambda: 'state' in monitor.newest, DISCOVERY)
        if found:
            monitor.spin(1.2)  # every node speaks once a second
        print(describe(monitor), file=sys.stdout if found else sys.stderr)
    finally:
        monitor.close()
    return 0 if found else 1


if __name__ == '__main__':
    main()
