"""The entry of every node's process: a signal ends it quietly, however early or late it comes.

    start NAME [ROS arguments]
    start --nursery NAME NAME ...

A nursery imports what these nodes need, which takes seconds, and says `ready`. For each line
`{"log": FILE, "words": [NAME, ROS arguments]}` it forks that node and says its number.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import time
from typing import Any

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
ADOPTED = 60.0  # seconds until the process between is gone at the latest


def start(name: str) -> None:
    """Import a node's module, which can take seconds, run it, and end the process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))  # nothing exists yet that must be closed
    status = 0
    try:
        importlib.import_module(f'medal_ros.nodes.{name}').main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed. Python would now forget the signal handlers, so that a second Ctrl-C
    # kills it, and spend half a second on taking PyTorch apart.
    os._exit(status)


def nursery(names: list[str]) -> None:
    """Import the modules of some nodes and fork those that are asked for, until nobody asks."""
    owner = os.getppid()
    for name in names:
        importlib.import_module(f'medal_ros.nodes.{name}')
    if 'torch' in sys.modules:
        importlib.import_module('torch._dynamo')  # the first optimizer would, for seconds
    gc.freeze()  # what all share is not to be touched, and so copied, by each
    answer('ready')
    while line := sys.stdin.readline():
        answer(str(fork(json.loads(line), owner)))


def answer(words: str) -> None:
    """Say a line as a whole, which `print` does not do without a buffer."""
    os.write(sys.stdout.fileno(), f'{words}\n'.encode())


def fork(told: dict[str, Any], owner: int) -> int:
    """Fork a node that becomes a child of our parent, who takes orphans in; return its number."""
    reads, writes = os.pipe()
    between = os.fork()
    if between == 0:
        node = os.fork()
        if node == 0:
            os.close(reads)
            os.close(writes)
            become(told, owner)
        os.write(writes, str(node).encode())
        os._exit(0)
    os.close(writes)
    number = os.read(reads, 32)
    os.close(reads)
    os.waitpid(between, 0)
    return int(number)


def become(told: dict[str, Any], owner: int) -> None:
    """Be a node: alone in its process group, ended with its parent, heard in its log."""
    os.setpgid(0, 0)
    system, name = ctypes.CDLL(None), told['words'][0]
    deadline = time.monotonic() + ADOPTED
    while os.getppid() != owner and time.monotonic() < deadline:
        time.sleep(0.001)
    system.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != owner:  # who died meanwhile
        os._exit(0)
    system.prctl(PR_SET_NAME, name.encode())
    show_as([sys.executable, '-m', 'medal_ros.nodes.start', *told['words']])
    log = os.open(told['log'], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    sys.argv[1:] = told['words']
    start(name)


def show_as(command: list[str]) -> None:
    """Have a list of processes show a command line for ours, as far as the old one had room."""
    with open('/proc/self/stat') as file:
        fields = file.read().rpartition(')')[2].split()
    begin, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, see proc(5)
    text = '\0'.join(command).encode()[: end - begin - 1]
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, text, len(text))


if __name__ == '__main__':
    if sys.argv[1] == '--nursery':
        nursery(sys.argv[2:])
    else:
        start(sys.argv[1])
