"""The `medal` command: train, evaluate, record demonstrations, and look after a running graph."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medal_ros.bags import commands as bags
from medal_ros.bench import commands as bench
from medal_ros.demos import commands as demos
from medal_ros.errors import UserError
from medal_ros.exam import commands as exam
from medal_ros.faults.arguments import add_faults
from medal_ros.network import add_network, choose
from medal_ros.options import parse_assignment
from medal_ros.playback import commands as playback


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a person's mistake ends with one sentence and status 2."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(demos.with_kind(words))
    try:
        if hasattr(options, 'network'):
            choose(options.network)
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
    train.add_argument(
        '--resume', type=Path, metavar='RUN', help='go on with a stopped run, e.g. runs/first'
    )

    (evaluate,) = exam.add_commands(commands)
    (record,) = bags.add_commands(commands)
    (replay,) = playback.add_commands(commands)
    demos.add_commands(commands)
    sim = _command(commands, 'sim', _sim, 'run the stand-in alone, without a learner')
    _add_run_options(sim)

    switch = _command(commands, 'switch', _switch, 'hand control to a policy of a running graph')
    switch.add_argument('policy', help='forward or backward')

    tell = _command(commands, 'tell', _tell, 'ask a running graph for something, in one word')
    tell.add_argument(
        'word',
        help='pause, resume, intervene, hand-back, reset-done, home, save, or a '
        'judgement: success, failure, invalid',
    )

    bench.add_commands(commands)
    storm = _command(commands, 'faults', _faults, 'a storm of faults over a run of the stand-in')
    add_faults(storm)
    status = _command(commands, 'status', _status, 'say what a running graph does')
    console = _command(commands, 'console', _console, 'show and steer a graph in a browser')
    console.add_argument(
        '--host', default='127.0.0.1', help='0.0.0.0: the network, by token (default: 127.0.0.1)'
    )
    console.add_argument('--port', type=int, default=8090, help='default: 8090; 0: any free one')
    console.add_argument('--runs', type=Path, default=Path('runs'), help='default: runs')
    teleop = _command(commands, 'teleop', _teleop, 'drive the arm of a running graph')
    teleop.add_argument(
        'device',
        nargs='?',
        choices=('keyboard', 'joy'),
        default='keyboard',
        help='keyboard: the keys of this terminal (default); joy: a pad that publishes joy',
    )
    speaking = (train, evaluate, record, replay, sim, storm, switch, tell, status, console, teleop)
    for command in speaking:
        namespace = 'medal' if command is not replay else playback.NAMESPACE
        command.add_argument(
            '--namespace',
            type=lambda text: text.strip('/'),
            default=namespace,
            help=f'ROS namespace (default: {namespace})',
        )
        add_network(command)
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
        '--record', action='store_true', help="record the graph's topics too (docs/seeing.md)"
    )
    command.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='any other key; repeatable'
    )


# The commands import what they need themselves, so that `medal --help` and mistakes are quick.


def _configured(options: argparse.Namespace) -> Any:
    from medal_ros.bringup import configure

    changes = _changes(options)
    file = getattr(options, 'config', None)
    return configure(options.task, options.preset, options.seed, options.steps, changes, file)


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    recorded = {'record.enabled': True} if getattr(options, 'record', False) else {}
    return {**dict(parse_assignment(text) for text in options.set), **recorded}


def _train(options: argparse.Namespace) -> int:
    from medal_ros.bringup import default_name
    from medal_ros.train import resume, train

    if options.resume is not None:
        return resume(options.resume, _changes_of_resumed(options), options.namespace)
    config = _configured(options)
    name = options.name or default_name(config)
    return train(config, options.runs, name, options.namespace)


def _changes_of_resumed(options: argparse.Namespace) -> dict[str, Any]:
    for name in ('name', 'config', 'preset'):
        if getattr(options, name) is not None:
            raise UserError(f'--resume goes on with a run as it is: leave out --{name}')
    given = {key: getattr(options, key) for key in ('task', 'seed', 'steps')}
    changes = _changes(options)
    return {**changes, **{k: v for k, v in given.items() if v is not None}}


def _faults(options: argparse.Namespace) -> int:
    from medal_ros.faults.command import main

    return main(options)


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


def _tell(options: argparse.Namespace) -> int:
    from medal_ros.monitor import Monitor
    from medal_ros.requests import tell

    monitor = Monitor(options.namespace)
    try:
        accepted, message = tell(monitor, options.word)
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
            monitor.spin(2.2)  # every node speaks once a second, and is to be found first
        print(describe(monitor), file=sys.stdout if found else sys.stderr)
    finally:
        monitor.close()
    return 0 if found else 1


def _console(options: argparse.Namespace) -> int:
    from medal_ros.become import become

    given = {'host': options.host, 'port': options.port, 'runs': str(options.runs)}
    become('console', options.namespace, **given)


def _teleop(options: argparse.Namespace) -> int:
    from medal_ros.become import drive

    drive(options.device, options.namespace)


if __name__ == '__main__':
    main()
