"""One fault after another against a running graph, each when all is well again after the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from std_msgs.msg import String

from medal_ros.faults.inflict import AHEAD, Inflictor
from medal_ros.faults.ledger import Ledger
from medal_ros.faults.schedule import SENSORS, Fault
from medal_ros.monitor import Monitor
from medal_ros.msg import Action, Observation, Step, Stored, Weights
from medal_ros.nodes.camera_input import nanoseconds
from medal_ros.nodes.messages import frame_of
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.processes import Processes
from medal_ros.spaces import Spaces

SPOILED = ('nan weights', 'cut weights')
# Seconds, unless noticed before.
LASTS = {'pause': 1.0, 'freeze': 8.0, 'swap': 8.0, 'jump': 3.0, **dict.fromkeys(SPOILED, 5.0)}
AFTERWARDS = 1.0  # seconds that a fault of the sensors lasts after it was noticed
GIVE_UP = 90.0  # seconds after which a graph that does not find back is hit again
CAUGHT_UP = 10  # steps that the trainer may be behind


@dataclass
class Hit:
    """A fault that was done, and what became of it.

    Attributes:
        fault: The fault.
        at: When, in seconds.
        noticed: Whether somebody said so, where somebody should; None: nobody need.
        back: Seconds until the node was heard again; None: it was not, or nobody was hit.
        well: Seconds until the graph practised again with everybody there; None: it did not.
        told: Who ended meanwhile, and why.
    """

    fault: Fault
    at: float
    noticed: bool | None = None
    back: float | None = None
    well: float | None = None
    told: list[str] = field(default_factory=list)


class Storm:
    """Call `turn` a few times a second.

    Args:
        monitor: Listens to the graph.
        processes: The graph's.
        faults: What to do to it.
        spaces: What it sees.
        say: Told of each hit.
    """

    def __init__(
        self,
        monitor: Monitor,
        processes: Processes,
        faults: Sequence[Fault],
        spaces: Spaces,
        say: Callable[[str], None] = print,
    ) -> None:
        self.monitor, self.processes, self.say = monitor, processes, say
        self.left, self.hits = list(faults), []
        self.spaces, self.ledger = spaces, Ledger()
        self.used: set[int] = set()  # announcements of weights that somebody acted with
        self.stored = self.newest = -1  # sequence numbers: stored, and of the newest policy step
        self.heard: dict[str, float] = {}
        self.away: list[tuple[float, float]] = []  # when the arm's process could do nothing
        self._hit: Hit | None = None
        self._calm_since: float | None = None
        self._end: Callable[[], None] = lambda: None
        self._until, self._stepped, self._pid, self._log = 0.0, -1, 0, 0
        self.plea = ''
        self._listen()

    def _listen(self) -> None:
        node, restarts = self.monitor.node, self.processes.restarts
        self.inflictor = Inflictor(node, self.processes)
        for kind, topic, take, qos in (
            (Observation, 'observation', self.on_observation, HISTORY),
            (Step, 'step', self.on_step, HISTORY),
            (Action, 'action', self.on_action, STREAM),
            (Stored, 'stored', self.on_stored, HISTORY),
            (Weights, 'weights/policy', self.on_weights, HISTORY),
            (String, 'sensors/help', self.on_plea, LATCHED),
        ):
            node.create_subscription(kind, topic, take, qos)

        def on_word(name: str, hears: set[str] | None) -> None:
            restarts.heard(name, hears)
            self.heard[name] = time.monotonic()

        self.monitor.on_word = on_word

    # -- what is heard ----------------------------------------------------------------------------

    def on_observation(self, message: Observation) -> None:
        with suppress(ValueError):  # ours, or another graph's
            self.ledger.observed(message.sequence, *frame_of(message, self.spaces))

    def on_step(self, m: Step) -> None:
        if m.sequence >= AHEAD:
            return
        at, action = 1e-9 * nanoseconds(m.executed), np.array(m.action, np.float32)
        self.ledger.stepped(m.sequence, m.source, m.agent, m.segment, action, at)
        if m.source == 'policy':
            self.newest = max(self.newest, m.sequence)

    def on_action(self, message: Action) -> None:
        if message.weights_sequence == 0 and not message.header.stamp.sec:
            return  # ours
        self.inflictor.action = message
        self.used.add(message.weights_sequence)
        self.ledger.acted(message.sequence, 1e-9 * nanoseconds(message.header.stamp))

    def on_stored(self, message: Stored) -> None:
        self.stored = message.sequence

    def on_weights(self, message: Weights) -> None:
        if message.sequence < AHEAD and Path(message.path).is_file():
            self.inflictor.weights = message

    def on_plea(self, message: String) -> None:
        self.plea = message.data
        if self._hit is not None and SENSORS.get(self._hit.fault.kind, '\0') in message.data:
            self._note()

    def _note(self) -> None:
        if not self._hit.noticed:
            self._hit.noticed = True
            self._until = min(self._until, time.monotonic() + AFTERWARDS)

    # -- what is done -----------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether nothing more goes wrong."""
        return not self.left and self._hit is None

    def turn(self) -> None:
        """Look how the graph is, and do what is due."""
        now = time.monotonic()
        if 'trainer' in self.processes.restarts.away:
            self.stored = -1  # what one that ended had stored, the next one may have to store again
        if self._hit is not None:
            self._follow(self._hit, now)
        elif self.left and self._well(now):
            self._calm_since = self._calm_since or now
            if now - self._calm_since >= self.left[0].after:
                self._strike(self.left.pop(0), now)
        else:
            self._calm_since = None

    def before(self, at: float) -> str:
        """Return what was done last before some second of the system's clock."""
        at -= time.time() - time.monotonic()
        done = [hit for hit in self.hits if hit.at <= at]
        return f'{at - done[-1].at:.1f} s after {done[-1].fault.kind}' if done else ''

    def _strike(self, fault: Fault, now: float) -> None:
        self._hit = Hit(fault, now, False if fault.kind in (*SENSORS, *SPOILED) else None)
        self._until, self._stepped = now + LASTS.get(fault.kind, 0.0), self.newest
        if fault.node:
            self._pid = self.processes.running[fault.node].pid
        self._log = self._complaints()
        self._end = self.inflictor.inflict(fault)
        self._calm_since = None

    def _follow(self, hit: Hit, now: float) -> None:
        fault = hit.fault
        if self._until and now >= self._until:
            self._end()
            self._until, self._stepped = 0.0, self.newest
        if fault.node and hit.back is None and self._is_back(fault, hit):
            hit.back = self.heard[fault.node] - hit.at
            if fault.node == 'sim_arm':
                lag = time.time() - time.monotonic()  # steps are stamped by the system's clock
                self.away.append((hit.at + lag, self.heard[fault.node] + lag))
        if fault.kind in SPOILED and not hit.noticed and self._complaints() > self._log:
            self._note()
        waits = self._until or (fault.node and hit.back is None)
        if not waits and self.newest > self._stepped and self._well(now):
            hit.well = now - hit.at
        elif now - hit.at < GIVE_UP:
            return
        hit.told = self.processes.told[:]
        self.processes.told.clear()
        self.hits.append(hit)
        self._hit = None
        self.say(f'{len(self.hits)}: {describe(hit)}')

    def _is_back(self, fault: Fault, hit: Hit) -> bool:
        running = self.processes.running.get(fault.node)
        if running is None or self.heard.get(fault.node, 0.0) <= hit.at:
            return False
        if fault.kind == 'pause':
            return not self._until
        return running.pid != self._pid and fault.node not in self.processes.restarts.away

    def _well(self, now: float) -> bool:
        """Return whether everybody is there, the trainer has caught up and practice goes on."""
        names = self.processes.specs
        there = all(now - self.heard.get(name, 0.0) < 3.0 for name in names)
        nobody = not self.processes.restarts.away and not self.inflictor.unanswered
        caught_up = self.newest >= 0 and self.stored >= self.newest - CAUGHT_UP
        health = self.monitor.newest.get('state')
        practice = health is not None and health.mode == 'practice' and not self.plea
        return there and nobody and caught_up and practice and self.inflictor.weights is not None

    def _complaints(self) -> int:
        """Return how many weights the policy server has refused so far."""
        status = self.monitor.health.get(f'{self.monitor.namespace}/policy_server: status')
        values = status.values if status is not None else ()
        return sum(int(v.value) for v in values if v.key == 'weights refused')


def describe(hit: Hit) -> str:
    """Return a line about a hit."""
    words = [hit.fault.kind + (f' {hit.fault.node}' if hit.fault.kind in ('pause', 'hang') else '')]
    if hit.noticed is not None:
        words.append('noticed' if hit.noticed else 'NOT noticed')
    if hit.fault.node:
        words.append('not back' if hit.back is None else f'back in {hit.back:.1f} s')
    words += [why for why in hit.told if 'do not hear each other' in why]
    words.append('never well' if hit.well is None else f'practice after {hit.well:.1f} s')
    return ', '.join(words)
