"""Commands that are one node in this very terminal: the console, and what a person drives by."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn

from medal_ros.errors import UserError
from medal_ros.processes import environment

DEVICES = {'keyboard': 'teleop_keyboard', 'joy': 'teleop_joy'}


def become(node: str, namespace: str, **parameters: Any) -> NoReturn:
    """Replace this process by a node, so that signals and the exit status are its own."""
    command = [sys.executable, '-m', 'medal_ros.nodes.start', node, '--ros-args']
    command += ['-r', f'__ns:=/{namespace}', '--enclave', f'/{namespace}/{node}']
    for name, value in parameters.items():
        command += ['-p', f'{name}:={json.dumps(value)}']
    sys.stdout.flush()
    os.execve(sys.executable, command, environment())


def drive(device: str, namespace: str) -> NoReturn:
    """Become the node that drives the arm of a running graph by a device of `DEVICES`.

    Raises:
        UserError: No arm is in that namespace.
    """
    become(DEVICES[device], namespace, action=action_of_arm(namespace))


def action_of_arm(namespace: str) -> int:
    """Return how many numbers an action of the arm in a namespace has.

    Raises:
        UserError: There is none, or it does not say.
    """
    from medal_ros.monitor import DISCOVERY, Monitor
    from medal_ros.sim import spaces_of

    monitor = Monitor(namespace)
    arms = ('sim_arm', 'franka_arm')
    try:
        monitor.wait_for(lambda: set(arms) & set(monitor.others()), DISCOVERY)
        found = [arm for arm in arms if arm in monitor.others()]
        if not found:
            raise UserError(f'no arm is running in namespace /{namespace}')
        name = 'task' if found[0] == 'sim_arm' else 'action'
        value = monitor.parameter(found[0], name)
    finally:
        monitor.close()
    if value is None:
        raise UserError(f'{found[0]} did not say what an action of it is')
    return spaces_of(value).action if isinstance(value, str) else value
