"""A claim to a namespace on this machine, which ends with its process, however that ends."""

from __future__ import annotations

import errno
import hashlib
import os
import socket


def claim(namespace: str) -> socket.socket | None:
    """Return what keeps the claim until it is closed; None: another process has it.

    Discovery tells as much, also of other machines, but late where this one is busy.
    """
    domain = os.environ.get('ROS_DOMAIN_ID') or '0'
    name = hashlib.sha256(f'{domain}/{namespace}'.encode()).hexdigest()  # names may be too long
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(f'\0medal_ros/{name}')  # abstract: there is no file to be left behind
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return held
