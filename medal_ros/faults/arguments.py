"""The arguments of `medal faults`, without what takes seconds to import."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_faults(command: argparse.ArgumentParser) -> None:
    """Give `medal faults` its arguments."""
    command.add_argument('--count', type=int, default=200, help='faults (default: 200)')
    command.add_argument('--seed', type=int, default=0, help='draws which and when (default: 0)')
    command.add_argument(
        '--kinds', default='', help='only these, with commas (default: all of them)'
    )
    command.add_argument(
        '--stop',
        action='store_true',
        help='stop the run after the storm; else it goes on to an end',
    )
    command.add_argument('--runs', type=Path, default=Path('runs'), help='default: runs')
    command.add_argument('--name', help='name of the run (default: faults-SEED-TIME)')
