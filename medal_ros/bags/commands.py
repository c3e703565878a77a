"""`medal record`: record the topics of a graph that runs, or mend a recording that was torn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from medal_ros.errors import UserError
from medal_ros.options import OptionError, build, parse_assignment


def add_commands(commands: Any) -> list[argparse.ArgumentParser]:
    """Add the command; return those that speak to a graph."""
    words = 'record the topics of a graph into a bag of rosbag2, until Ctrl-C'
    record = commands.add_parser('record', help=words, description=words)
    record.set_defaults(command=_record)
    record.add_argument('--out', type=Path, metavar='BAG', help='default: recordings/bag_TIME')
    record.add_argument(
        '--images-every',
        type=int,
        metavar='N',
        help='one of N observations too, with its images (default: none)',
    )
    record.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='KEY=VALUE',
        help='split_seconds, split_mib, limit_gib or spare_gib; repeatable',
    )
    record.add_argument(
        '--mend', type=Path, metavar='BAG', help='instead: make a bag whole whose recorder died'
    )
    return [record]


def _record(options: argparse.Namespace) -> int:
    if options.mend is not None:
        return _mend(options.mend)
    from medal_ros.bags.record import RecordConfig, bag_name

    changes = dict(parse_assignment(text) for text in options.set)
    if options.images_every is not None:
        changes['images_every'] = options.images_every
    config = build(RecordConfig, changes, 'key')
    bag = options.out or Path('recordings') / bag_name()
    if bag.exists():
        raise OptionError(f'{bag} exists: choose another --out')
    return _until_interrupted(config, bag, options.namespace)


def _until_interrupted(config: Any, bag: Path, namespace: str) -> int:
    import os
    import tempfile
    from dataclasses import replace

    from medal_ros.bags.mend import mend
    from medal_ros.bags.metadata import count
    from medal_ros.bringup import recorder
    from medal_ros.disk import used, words
    from medal_ros.monitor import Monitor
    from medal_ros.processes import environment
    from medal_ros.train import LOOK_FOR_OTHERS, supervise

    os.environ.update(environment())  # find exactly those whom the recorder will find
    monitor = Monitor(namespace)
    try:
        if monitor.wait_for(lambda: 'recorder' in monitor.nodes(), LOOK_FOR_OTHERS):
            raise OptionError(f'the topics of namespace /{namespace} are recorded already')
        print(f'recording /{namespace} into {bag}: Ctrl-C ends it', flush=True)
        alone = replace(recorder(config, bag), vital=True)
        with tempfile.TemporaryDirectory(prefix='medal_') as place:
            status = supervise([alone], Path(place), monitor, None, 'recorder')
    finally:
        monitor.close()
    if not bag.is_dir() or not any(bag.glob('*.mcap')):
        print('medal: nothing was recorded', file=sys.stderr)
        return 1
    try:
        mend(bag)
    except OSError as error:
        raise UserError(
            f'{bag} has no end, for nothing can be written there: {error.strerror} '
            f'(with room: medal record --mend {bag})'
        ) from None
    print(f'{count(bag)} messages, {words(used(bag))}, are in {bag}')
    return status


def _mend(bag: Path) -> int:
    from medal_ros.bags.mend import mend
    from medal_ros.bags.metadata import count

    mended = ', '.join(path.name for path in mend(bag))
    print(f'{mended or "nothing"} had to be mended; {count(bag)} messages are in {bag}')
    return 0
