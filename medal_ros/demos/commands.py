"""`medal demos`: record demonstrations, look into them, replay them, exchange them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medal_ros.errors import UserError
from medal_ros.network import add_network
from medal_ros.options import OptionError, parse_assignment

FOLDER = Path('demonstrations')
HELP = ('-h', '--help')


def with_kind(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which plain `medal demos --task ...` means `record`."""
    words = list(arguments)
    if words[:1] == ['demos'] and all(w.startswith('-') and w not in HELP for w in words[1:2]):
        words.insert(1, 'record')
    return words


def add_commands(commands: Any) -> None:
    """Add `demos record | list | show | replay | export | import` to the commands."""
    words = 'record demonstrations, look into them, replay them, exchange them'
    demos = commands.add_parser('demos', help=words, description=words)
    kinds = demos.add_subparsers(required=True, metavar='WHAT')
    _add_record(_kind(kinds, 'record', record, 'by scripted expert, or by a person'))

    command = _kind(kinds, 'list', show_list, 'say what lies in a folder')
    command.add_argument('folder', type=Path, nargs='?', default=FOLDER, help=f'default: {FOLDER}')

    command = _kind(kinds, 'show', show, 'say what one file holds')
    command.add_argument('file', type=Path)
    command.add_argument('--steps', action='store_true', help='a line for each step')
    command.add_argument('--sheet', type=Path, metavar='PNG', help='write a sheet of pictures')
    command.add_argument('--video', type=Path, metavar='MP4', help='write a video')

    words = 'do it again in the stand-in, from the recorded start; status 1: it did not succeed'
    command = _kind(kinds, 'replay', replay, words)
    command.add_argument('file', type=Path, nargs='+')
    command.add_argument('--video', type=Path, metavar='MP4', help='what was seen; one file only')

    command = _kind(kinds, 'export', export, 'write a folder as a LeRobotDataset (v3)')
    command.add_argument('folder', type=Path, help='of demonstrations')
    command.add_argument('out', type=Path, help='of the dataset; must not exist')

    command = _kind(kinds, 'import', import_, 'read a LeRobotDataset (v3) into demonstrations')
    command.add_argument('dataset', type=Path, help='folder of the dataset')
    command.add_argument('out', type=Path, help='of the demonstrations; must not exist')
    command.add_argument('--task', help="default: the dataset's own words say it")
    command.add_argument('--direction', help='forward or backward; default: as --task')


def _kind(kinds: Any, name: str, function: Any, words: str) -> argparse.ArgumentParser:
    added = kinds.add_parser(name, help=words, description=words)
    added.set_defaults(command=function)
    return added


def _add_record(command: argparse.ArgumentParser) -> None:
    command.add_argument('--task', default='tabletop_quick')
    command.add_argument('--count', type=int, default=10, help='of each direction (default: 10)')
    command.add_argument('--seed', type=int, default=0)
    command.add_argument('--out', type=Path, help='default: demonstrations/TASK')
    command.add_argument(
        '--teleop',
        nargs='?',
        const='keyboard',
        choices=('keyboard', 'joy', 'none'),
        help='a person drives: by the keys of this terminal (default), by a pad (topic joy), or '
        'by whatever publishes teleop',
    )
    command.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='with --teleop: other keys'
    )
    command.add_argument(
        '--namespace',
        type=lambda text: text.strip('/'),
        default='medal',
        help='with --teleop: ROS namespace (default: medal)',
    )
    add_network(command)


# The commands import what they need themselves, so that `medal --help` and mistakes are quick.


def record(options: argparse.Namespace) -> int:
    """Record demonstrations by scripted expert, or by a person."""
    from medal_ros.sim import TASKS

    if options.task not in TASKS:
        raise OptionError(f'there is no task {options.task!r}; there are {", ".join(TASKS)}')
    if options.count < 1:
        raise OptionError(f'--count must be at least 1, not {options.count}')
    if not 0 <= options.seed < 2**31:
        raise OptionError(f'--seed must be from 0 to {2**31 - 1}, not {options.seed}')
    folder = options.out or FOLDER / options.task
    return _by_person(options, folder) if options.teleop else _by_expert(options, folder)


def _by_expert(options: argparse.Namespace, folder: Path) -> int:
    from medal_ros.preparing import demonstration_counts, record_demonstrations
    from medal_ros.sim import make

    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OptionError(f'{folder} is not an empty folder: choose another --out')
    counts = demonstration_counts(options.task, options.count)
    environment = make(options.task)
    paths = record_demonstrations(environment, options.task, counts, options.seed, folder, print)
    print(f'{len(paths)} demonstrations of {options.task} are in {folder}')
    return 0


def _by_person(options: argparse.Namespace, folder: Path) -> int:
    from medal_ros.bringup import configure
    from medal_ros.options import build
    from medal_ros.robot.recording import RecordingConfig
    from medal_ros.teleoperation import KEYS, demonstrate

    changes = {**KEYS, **dict(parse_assignment(text) for text in options.set)}
    config = configure(options.task, None, options.seed, changes=changes)
    values = {'task': options.task, 'folder': str(folder), 'count': options.count}
    recording = build(RecordingConfig, values, 'option')
    return demonstrate(config, recording, options.teleop, options.namespace)


def show_list(options: argparse.Namespace) -> int:
    """Say what lies in a folder; status 1: something in it is damaged."""
    from medal_ros.demos.look import RATE, listed, verdict

    found, width = listed(options.folder), 0
    for each in found:
        width = max(width, len(str(each.path)))
    for each in found:
        d = each.demonstration
        if d is None:
            print(each.refusal)
            continue
        size = each.path.stat().st_size / 1e6
        print(
            f'{each.path!s:<{width}}  {d.task} {d.direction:<8} {len(d):4d} steps '
            f'{len(d) / RATE:5.1f} s  {verdict(d):<8}  {d.source or "-":<7} {size:6.1f} MB'
        )
    damaged = sum(each.demonstration is None for each in found)
    print(f'{len(found)} files, {damaged} of them damaged')
    return 1 if damaged else 0


def show(options: argparse.Namespace) -> int:
    """Say what one file holds."""
    from medal_ros.demos import look
    from medal_ros.learning.demonstrations import load_demonstration

    d = load_demonstration(options.file)
    print(look.summary(d))
    if options.steps:
        print('\n'.join(look.table(d)))
    if options.sheet:
        look.write_sheet(d, options.sheet)
    if options.video:
        look.write_video(d, options.video)
    return 0


def replay(options: argparse.Namespace) -> int:
    """Do it again in the stand-in; status 1: one of them did not succeed."""
    from dataclasses import replace

    from medal_ros.demos.look import write_video
    from medal_ros.demos.replay import replay as do_again
    from medal_ros.learning.demonstrations import load_demonstration

    if options.video and len(options.file) > 1:
        raise UserError('--video is for one file')
    failures = 0
    for path in options.file:
        d = load_demonstration(path)
        r = do_again(d, str(path))
        failures += not r.succeeded
        word = 'succeeds' if r.succeeded else 'does NOT succeed'
        print(f'{path} {word} again; at most {r.apart:.2g} apart from what was recorded')
        if options.video:
            write_video(replace(d, frames=r.frames), options.video)
    return 1 if failures else 0


def export(options: argparse.Namespace) -> int:
    """Write a folder as a LeRobotDataset."""
    from medal_ros.demos.lerobot_export import export_dataset

    episodes, rows = export_dataset(options.folder, options.out)
    print(f'{episodes} episodes, {rows} frames are in {options.out}')
    return 0


def import_(options: argparse.Namespace) -> int:
    """Read a LeRobotDataset into demonstrations."""
    from medal_ros.demos.lerobot_import import import_dataset

    paths = import_dataset(options.dataset, options.out, options.task, options.direction)
    print(f'{len(paths)} demonstrations are in {options.out}')
    return 0
