"""Who may speak to the graph: programs of this machine, unless an argument opens it.

`ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST` alone does not keep others out: it only stops this machine
from looking for them. Fast DDS still listens on every interface, and whoever names this machine in
`ROS_STATIC_PEERS` is let in. `config/fastdds/this_machine.xml` has it listen on the loopback
interface only; `subnet.xml` leaves that as it is. By either, what goes from one of our nodes
to another keeps out of shared memory.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from medal_ros.resources import share

PROFILE = {'machine': 'this_machine.xml', 'subnet': 'subnet.xml'}  # of Fast DDS
NETWORKS = tuple(PROFILE)
MEANING = 'who may speak to the graph: machine, programs of this one alone; subnet, everybody near'

RANGE, PEERS = 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_STATIC_PEERS'
PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE'
BUFFER = 4 * 2**20  # bytes that a process has for messages it did not take yet, in the profiles
BUFFER_LIMIT = Path('/proc/sys/net/core/rmem_max')  # what the kernel gives of them
DEPRECATED = 'ROS_LOCALHOST_ONLY'  # overrules RANGE and PEERS where it is 1


def choose(network: str) -> None:
    """Decide who may speak, for this process and everything that it starts from now on.

    Profiles of Fast DDS that a person chose are kept: they say on which interfaces it listens.

    Args:
        network: One of `NETWORKS`.
    """
    os.environ.pop(DEPRECATED, None)
    if os.environ.get(PROFILES) in map(profile, NETWORKS):
        del os.environ[PROFILES]  # an earlier choice of ours
    if network == 'subnet':
        os.environ.setdefault(PROFILES, profile('subnet'))
        os.environ[RANGE] = 'SUBNET'
        return
    ignored = [name for name in (PEERS, 'ROS_DISCOVERY_SERVER') if os.environ.pop(name, '')]
    if os.environ.get(RANGE, 'LOCALHOST') not in ('LOCALHOST', 'OFF'):
        ignored.append(RANGE)
    if ignored:
        print(
            f'medal: {", ".join(ignored)} would let other machines in and is left out: '
            'network subnet does that',
            file=sys.stderr,
        )
    os.environ[RANGE] = 'LOCALHOST'
    os.environ.update(closed(os.environ))


def add_network(command: ArgumentParser) -> None:
    """Give a command the argument for `choose`."""
    command.add_argument(
        '--network', choices=NETWORKS, default=NETWORKS[0], help=f'{MEANING} (default: machine)'
    )


def closed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what keeps a process on this machine; nothing where it was opened."""
    if environment.get(RANGE, 'LOCALHOST') != 'LOCALHOST':
        return {}
    return {RANGE: 'LOCALHOST', PROFILES: environment.get(PROFILES) or profile('machine')}


def profile(network: str) -> str:
    """Return the file with which Fast DDS listens as one of `NETWORKS` says."""
    return str(share('config', 'fastdds', PROFILE[network]))


def too_small_for_images(limit: Path = BUFFER_LIMIT) -> str:
    """Return why whole images of a camera come late on this machine; empty: they do not."""
    with suppress(OSError, ValueError):
        if (given := int(limit.read_text())) < BUFFER:
            return (
                f'images of cameras come late: net.core.rmem_max is {given}, '
                f'`sudo sysctl -w net.core.rmem_max={BUFFER}` makes room for them'
            )
    return ''
