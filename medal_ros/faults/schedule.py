"""What goes wrong, in which order and when: drawn from a seed, every kind about as often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NODES = (
    'sim_arm', 'camera_sync', 'supervisor', 'operator', 'policy_server', 'reward', 'trainer',
    'evaluator',
)  # fmt: skip
KILLS = tuple(f'kill {node}' for node in NODES)
MEANINGS = {
    **{kill: 'SIGKILL' for kill in KILLS},
    'pause': 'SIGSTOP of any node, SIGCONT after 1 s',
    'hang': 'SIGSTOP of any node, for good',
    'freeze': 'the camera shows one picture',
    'swap': 'the camera shows another picture',
    'jump': 'all stamps leap by 30 s, and later back',
    'nan weights': 'weights that are not finite are announced',
    'cut weights': 'half a weights file is announced',
    'garbage': 'messages that make no sense, on four topics',
    'wild action': 'an action far outside [-1, 1], for this very step',
    'flood': '2000 messages at once',
    'services': 'requests that make no sense, of five services',
}
KINDS = tuple(MEANINGS)
SENSORS = {'freeze': 'is frozen', 'swap': 'camera swap', 'jump': 'time jump'}  # what is said of it


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: One of `KINDS`.
        node: Whom it hits; empty: nobody in particular.
        after: Seconds of practice since the fault before was over.
    """

    kind: str
    node: str
    after: float


def schedule(count: int, seed: int, kinds: Sequence[str] = KINDS) -> list[Fault]:
    """Return the faults of a storm: rounds of all kinds, each in an order of its own."""
    rng = np.random.default_rng([seed, count])
    faults: list[Fault] = []
    while len(faults) < count:
        for kind in rng.permutation(kinds):
            node = kind.removeprefix('kill ') if kind.startswith('kill ') else ''
            if kind in ('pause', 'hang'):
                node = str(rng.choice(NODES))
            faults.append(Fault(str(kind), node, float(rng.uniform(0.3, 2.0))))
    return faults[:count]
