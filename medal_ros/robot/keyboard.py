"""Driving by the keys of a terminal, which shows presses and never a release.

So the dead man here is the press itself. A key moves the arm for one pulse, about one control
step, and then it stands; a held key goes on as long as the terminal repeats it, however fast or
slowly it does, because presses never queue up. Keys drive only while the keyboard is live: the
space bar makes it so, the space bar or some seconds without a key end it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medal_ros.options import option
from medal_ros.robot.teleop import CLOSED, OPEN

# Key: which motion it asks for, and which way.
MOTIONS = {
    'w': (0, 1.0),
    's': (0, -1.0),
    'a': (1, 1.0),
    'd': (1, -1.0),
    'r': (2, 1.0),
    'f': (2, -1.0),
    'q': (3, 1.0),
    'e': (3, -1.0),
}
REQUESTS = {
    '1': 'start',
    '2': 'save',
    '3': 'discard',
    '4': 'redo',
    'h': 'home',
    '0': 'world',
}  # values are keys of teleop.REQUESTS
LIVE, GRIPPER, SLOWER, FASTER, QUIT = ' ', 'g', '-', '+', 'x'
SEQUENCE = re.compile('\x1b([\\[O][0-9;]*[A-Za-z~]?)?')  # an arrow, say
BURST = 3  # more keys than these at once are a stalled line or a paste, not a hand
HELP = (
    'space live / not   w s forward back   a d left right   r f up down   q e turn\n'
    'g gripper   - + speed   1 start  2 save  3 discard  4 redo   h home   0 world back   x end'
)


@dataclass(frozen=True)
class KeyboardConfig:
    """How keys become motion."""

    pulse: float = option(
        0.06, 'seconds for which a key press moves the arm: one step at 10 Hz', low=0.02, high=1
    )
    live_for: float = option(
        5.0, 'seconds without a key after which the keyboard is not live', low=0.5, high=60
    )
    speed: float = option(0.5, 'part of the largest step that a key asks for', low=0.05, high=1)


class Keyboard:
    """Turns what a terminal sends into actions.

    Args:
        config: How keys become motion.
        action_size: Numbers of an action; the last one commands the gripper.

    Attributes:
        live: Whether keys drive.
        gripper: The command that goes with every motion.
        speed: Part of the largest step that a key asks for.
        ended: Whether the person wants to leave.
    """

    def __init__(self, config: KeyboardConfig, action_size: int) -> None:
        self.config, self.motions = config, action_size - 1
        self.live = self.ended = False
        self.gripper, self.speed = OPEN, config.speed
        self._motion = np.zeros(self.motions, np.float32)
        self._key_at = self._pulse_at = -math.inf
        self._requests: list[str] = []

    def take(self, text: str, now: float) -> None:
        """Take all that the terminal sent since the last time."""
        keys = SEQUENCE.sub('', text)
        if not keys or len(keys) > BURST:
            return
        self._expire(now)
        self._key_at = now
        for key in keys:
            self._press(key, now)

    def action(self, now: float) -> np.ndarray | None:
        """Return what is asked for, `(action_size,)` float32 in [-1, 1]; None: nobody drives."""
        self._expire(now)
        if not self.live or now - self._pulse_at >= self.config.pulse:
            return None
        return np.append(self._motion, np.float32(self.gripper))

    def executed(self, action: Sequence[float]) -> None:
        """Learn what the arm did: who takes over goes on with the gripper as it is."""
        if not self.live and len(action):
            self.gripper = CLOSED if action[-1] > 0 else OPEN

    def requests(self) -> list[str]:
        """Return what was asked for since the last call, as keys of `teleop.REQUESTS`."""
        asked, self._requests = self._requests, []
        return asked

    def _expire(self, now: float) -> None:
        if now - self._key_at > self.config.live_for:
            self.live = False

    def _press(self, key: str, now: float) -> None:
        if key == LIVE:
            self.live = not self.live
            self._pulse_at = -math.inf
        elif key == QUIT:
            self.ended = True
        elif key in REQUESTS:
            self._requests.append(REQUESTS[key])
        elif key in (SLOWER, FASTER):
            factor = 2.0 if key == FASTER else 0.5
            self.speed = min(max(self.speed * factor, 0.05), 1.0)
        elif self.live and (key == GRIPPER or key in MOTIONS):
            self._move(key, now)

    def _move(self, key: str, now: float) -> None:
        """Begin a pulse; the newest key alone counts."""
        self._motion = np.zeros(self.motions, np.float32)
        self._pulse_at = now
        if key == GRIPPER:
            self.gripper = OPEN if self.gripper == CLOSED else CLOSED
            return
        motion, way = MOTIONS[key]
        if motion < self.motions:
            self._motion[motion] = way * self.speed
