"""`medal replay` and `medal export`: what a run stored, on topics again or as a film."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medal_ros.options import OptionError

if TYPE_CHECKING:
    from medal_ros.playback.stored import Segment, StoredRun

NAMESPACE = 'replay'  # where no robot listens


def add_commands(commands: Any) -> list[argparse.ArgumentParser]:
    """Add both commands; return those that speak to a graph."""
    words = 'show what a run stored once more, on topics, for RViz or the console'
    replay = commands.add_parser('replay', help=words, description=words)
    replay.set_defaults(command=_replay)
    _add_stretch(replay)
    replay.add_argument('--loop', action='store_true', help='again and again, until Ctrl-C')
    replay.add_argument('--list', action='store_true', help='say which segments there are instead')

    words = 'write a part of what a run stored as an mp4'
    export = commands.add_parser('export', help=words, description=words)
    export.set_defaults(command=_export)
    _add_stretch(export)
    export.add_argument('--out', type=Path, metavar='MP4', help='default: RUN/films/...')
    return [replay]


def _add_stretch(command: argparse.ArgumentParser) -> None:
    command.add_argument('run', type=Path, help='folder of a run, e.g. runs/first')
    command.add_argument('--segment', type=int, metavar='N', help='one segment; -1: the last')
    command.add_argument('--from', dest='first', type=int, metavar='STEP', help='its first step')
    command.add_argument(
        '--to', dest='end', type=int, metavar='STEP', help='the step before which it ends'
    )
    command.add_argument(
        '--speed', type=float, default=1.0, metavar='X', help='times as fast as it was (default: 1)'
    )


def _replay(options: argparse.Namespace) -> int:
    import tempfile

    from medal_ros.bringup import replay
    from medal_ros.playback.stored import StoredRun
    from medal_ros.train import alone, supervise

    run = StoredRun(options.run)
    if options.list:
        print('\n'.join(listed(run)))
        return 0
    parts = stretch(run, options)
    first, end = parts[0].first, parts[-1].last + 1
    with alone(options.namespace) as monitor, tempfile.TemporaryDirectory() as place:
        print(
            f'steps {first} to {end - 1} of {options.run} on the topics of /{options.namespace}: '
            'Ctrl-C ends it',
            flush=True,
        )
        nodes = replay(options.run, first, end, options.speed, options.loop)
        return supervise(nodes, Path(place), monitor, None, 'replayer')


def _export(options: argparse.Namespace) -> int:
    from medal_ros.playback.film import write_film
    from medal_ros.playback.judge import newest_judge
    from medal_ros.playback.stored import StoredRun

    run = StoredRun(options.run)
    if options.segment is None and options.first is None and options.end is None:
        raise OptionError(
            'say which part: --segment N, or --from STEP --to STEP '
            f'(medal replay {options.run} --list says which there are)'
        )
    parts = stretch(run, options)
    name = f'steps_{parts[0].first:06d}_{parts[-1].last:06d}'
    if options.segment is not None:
        name = f'segment_{parts[0].number:04d}'
    path = options.out or run.folder.path / 'films' / f'{name}.mp4'
    write_film(run, parts, path, options.speed, newest_judge(run.config, run.folder))
    print(f'{sum(part.steps for part in parts)} steps are in {path}')
    return 0


def stretch(run: StoredRun, options: argparse.Namespace) -> list[Segment]:
    """Return the segments, or parts of them, that the options ask for; all where they do not.

    Raises:
        OptionError: There is no such part, both ways to name one were used, or the speed is none.
    """
    if not 0.01 <= options.speed <= 100:
        raise OptionError(f'--speed must be from 0.01 to 100, not {options.speed:g}')
    if options.segment is None:
        first = 0 if options.first is None else options.first
        return run.between(first, run.steps if options.end is None else options.end)
    if options.first is not None or options.end is not None:
        raise OptionError('--segment names a part by itself: leave out --from and --to')
    return [run.segment(options.segment)]


def listed(run: StoredRun) -> list[str]:
    """Return a line for each segment."""
    words = {True: 'done', False: 'not done', None: ''}
    lines = ['segment  agent     steps of the run      end']
    lines += [
        f'{s.number:7d}  {s.agent:<8}  {s.first:8d} to {s.last:8d}  {words[run.succeeded(s)]}'
        for s in run.segments
    ]
    return lines
