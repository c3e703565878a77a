"""Which nodes are well, which wait, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SILENT = 4.0  # seconds without a word from a node that speaks once a second
# What a graph cannot do without, the nodes of which any will do, and what their absence means.
# While policies are put to the test an examiner stands for all that learns.
NEEDED = (
    ('sim_arm or franka_arm', ('sim_arm', 'franka_arm'), 'nothing moves'),
    ('camera_sync', ('camera_sync',), 'there are no observations'),
    ('supervisor', ('supervisor',), 'nobody decides who is in control'),
    ('policy_server', ('policy_server', 'examiner'), 'no policy acts'),
    ('trainer', ('trainer', 'examiner'), 'nothing is stored or learned'),
    ('reward', ('reward', 'examiner'), 'there is no learned reward'),
)
# Who comes and goes as people like: without a word of them, they are simply not there.
GUESTS = ('teleop_keyboard', 'teleop_joy', 'view', 'demo_view', 'recorder')
WORDS = {0: 'ok', 1: 'waits', 2: 'error', 3: 'silent'}  # levels of diagnostic_msgs


@dataclass(frozen=True)
class NodeHealth:
    """One node in words.

    Attributes:
        name: Without its namespace.
        state: `'ok'`, `'waits'`, `'error'`, `'silent'` or `'missing'`.
        message: What it says, or what its absence means.
        values: What else it says of itself, `name value, name value`.
    """

    name: str
    state: str
    message: str
    values: str = ''


@dataclass(frozen=True)
class _Told:
    at: float
    level: int
    message: str
    values: str


class Health:
    """Keeps what each node of a namespace said last."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def take(
        self, name: str, level: int, message: str, values: Iterable[tuple[str, str]], now: float
    ) -> None:
        """Take in what a node says of itself."""
        words = ', '.join(f'{key} {value}' for key, value in values)
        self._told[name] = _Told(now, level, message, words)

    def rows(self, now: float) -> list[NodeHealth]:
        """Return every node, those first that somebody should look at."""
        found = [self._row(name, told, now) for name, told in self._told.items()]
        found = [row for row in found if row.state != 'silent' or row.name not in GUESTS]
        for name, any_of, meaning in NEEDED:
            if not any(node in self._told for node in any_of):
                found.append(NodeHealth(name, 'missing', meaning))
        order = ('missing', 'silent', 'error', 'waits', 'ok')
        return sorted(found, key=lambda row: (order.index(row.state), row.name))

    def absent(self, now: float) -> list[NodeHealth]:
        """Return the nodes that are missing or fell silent."""
        return [row for row in self.rows(now) if row.state in ('missing', 'silent')]

    def _row(self, name: str, told: _Told, now: float) -> NodeHealth:
        silence = now - told.at
        if silence > SILENT:
            return NodeHealth(name, 'silent', f'said nothing for {silence:.0f} s', told.values)
        return NodeHealth(name, WORDS.get(told.level, 'error'), told.message, told.values)
