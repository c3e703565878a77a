"""What a person at the controls asks for: a pad's axes and buttons become actions.

No ROS here. The mapping is made so that nothing moves by accident: a trigger counts only once it
was seen at rest, the dead-man button only once it was seen released, and a pad that goes silent,
or sends what is not a number, has let go.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medal_ros.options import OptionError, option

NONE = -1  # index of an axis or button that the mapping does not use
AT_REST = 0.1  # part of a trigger's way that still counts as not pressed
PRESSED = 0.5  # and from which on it is pressed
OPEN, CLOSED = -1.0, 1.0  # last number of an action
# What a button can ask for besides motion: the name of the service that it calls.
REQUESTS = {
    'start': 'demos/start',
    'save': 'demos/save',
    'discard': 'demos/discard',
    'redo': 'demos/redo',
    'home': 'home',
    'world': 'sim/reset',
}


def _button(default: int, what: str) -> int:
    return option(default, f'button that {what}; -1: none', low=NONE, high=63)


@dataclass(frozen=True)
class PadConfig:
    """Which part of a pad does what; defaults: an Xbox pad behind joy's game_controller_node."""

    dead_man: int = option(9, 'button that must be held (LB)', low=0, high=63)
    axes: tuple[int, ...] = option(
        (1, 0, 3, 2), 'axes for x, y, z and yaw; -1: none', source='SDL order', low=NONE, high=63
    )
    scales: tuple[float, ...] = option(
        (1.0, 1.0, 1.0, 1.0),
        'what a full stick is worth, for x, y, z and yaw; negative turns it round',
        low=-1,
        high=1,
    )
    dead_zones: tuple[float, ...] = option(
        (0.1, 0.1, 0.1, 0.1), "part of each stick's way that is nothing", low=0, high=0.9
    )
    close_axis: int = option(5, 'trigger that closes the gripper (RT); -1: none', low=NONE, high=63)
    open_axis: int = option(4, 'trigger that opens it (LT); -1: none', low=NONE, high=63)
    trigger_rest: float = option(0.0, 'what a released trigger sends (joy_node: 1)', low=-1, high=1)
    trigger_pressed: float = option(-1.0, 'what a fully pressed one sends', low=-1, high=1)
    silent_after: float = option(
        0.25, 'seconds without a message after which the pad has let go', low=0.02, high=5
    )
    start: int = _button(6, 'starts a recording (START)')
    save: int = _button(0, 'saves it (A)')
    discard: int = _button(1, 'discards it (B)')
    redo: int = _button(3, 'takes the last saved one back (Y)')
    home: int = _button(4, 'moves the arm to its start pose (BACK)')
    world: int = _button(2, 'puts the world of the stand-in back (X)')


class Pad:
    """Turns the messages of a pad into actions.

    Args:
        config: The mapping.
        action_size: Numbers of an action: 4, or 5 with yaw; of a planar task 3. The last one
            commands the gripper.

    Attributes:
        complaint: Why the newest message could not be used; empty where it could.

    Raises:
        OptionError: The mapping cannot be.
    """

    def __init__(self, config: PadConfig, action_size: int) -> None:
        check(config)
        self.config, self.motions = config, action_size - 1
        self.complaint = ''
        self.gripper = OPEN
        self._requests: list[str] = []
        self._let_go()

    def take(self, axes: Sequence[float], buttons: Sequence[int], now: float) -> None:
        """Take one message, received `now` (seconds that never go back)."""
        if now - self._newest > self.config.silent_after:
            self._let_go()
        self.complaint = self._refusal(axes, buttons)
        if self.complaint:
            self._let_go()
            return
        self._newest = now
        self._note_buttons(buttons)
        self._axes = tuple(axes)
        self._armed |= not buttons[self.config.dead_man]
        self._held = self._armed and bool(buttons[self.config.dead_man])
        closing = self._pressed(self.config.close_axis)
        opening = self._pressed(self.config.open_axis)
        if self._held and closing != opening:
            self.gripper = CLOSED if closing else OPEN

    def action(self, now: float) -> np.ndarray | None:
        """Return what is asked for, `(action_size,)` float32 in [-1, 1]; None: nobody drives."""
        if not self._held or now - self._newest > self.config.silent_after:
            return None
        c = self.config
        sticks = zip(c.axes, c.scales, c.dead_zones, strict=True)
        motions = [scale * self._stick(axis, zone) for axis, scale, zone in sticks]
        return np.array([*motions[: self.motions], self.gripper], np.float32)

    def executed(self, action: Sequence[float]) -> None:
        """Learn what the arm did: who takes over goes on with the gripper as it is."""
        if not self._held and len(action):
            self.gripper = CLOSED if action[-1] > 0 else OPEN

    def requests(self) -> list[str]:
        """Return what buttons asked for since the last call, as keys of `REQUESTS`."""
        asked, self._requests = self._requests, []
        return asked

    def waits_for(self, now: float) -> str:
        """Return in words why the pad cannot drive; empty: it can."""
        if self.complaint:
            return self.complaint
        if now - self._newest > self.config.silent_after:
            return 'no pad: nothing comes on joy'
        if not self._armed:
            return f'waiting for button {self.config.dead_man} (the dead man) to be let go once'
        waiting = [a for a in self._triggers() if a not in self._seen_at_rest]
        return f'waiting for trigger {waiting[0]} to be let go once' if waiting else ''

    def _let_go(self) -> None:
        """Forget all that a new message must show again."""
        self._newest = -math.inf
        self._held = self._armed = False
        self._axes: tuple[float, ...] = ()
        self._buttons: tuple[int, ...] = ()
        self._seen_at_rest: set[int] = set()

    def _refusal(self, axes: Sequence[float], buttons: Sequence[int]) -> str:
        c = self.config
        axis = max(*c.axes, c.close_axis, c.open_axis)
        button = max(c.dead_man, *(getattr(c, name) for name in REQUESTS))
        if len(axes) <= axis:
            return f'the pad has {len(axes)} axes, and the mapping uses axis {axis}'
        if len(buttons) <= button:
            return f'the pad has {len(buttons)} buttons, and the mapping uses button {button}'
        return '' if np.isfinite(axes).all() else 'the pad sends an axis that is not a number'

    def _note_buttons(self, buttons: Sequence[int]) -> None:
        """Note what was pressed just now; one that was down in the first message was not."""
        before, self._buttons = self._buttons, tuple(buttons)
        for name in REQUESTS:
            index = getattr(self.config, name)
            if before and index != NONE and buttons[index] and not before[index]:
                self._requests.append(name)

    def _stick(self, axis: int, dead_zone: float) -> float:
        if axis == NONE:
            return 0.0
        value = min(max(self._axes[axis], -1.0), 1.0)
        beyond = max(abs(value) - dead_zone, 0.0) / (1.0 - dead_zone)
        return math.copysign(beyond, value)

    def _pressed(self, axis: int) -> bool:
        """Whether a trigger is pressed; some drivers send nonsense until it first moves."""
        if axis == NONE:
            return False
        c = self.config
        part = (self._axes[axis] - c.trigger_rest) / (c.trigger_pressed - c.trigger_rest)
        if abs(part) <= AT_REST:
            self._seen_at_rest.add(axis)
        return axis in self._seen_at_rest and part >= PRESSED

    def _triggers(self) -> list[int]:
        return [a for a in (self.config.close_axis, self.config.open_axis) if a != NONE]


class Output:
    """Says what goes out at each tick: actions while engaged, one release, then nothing.

    Args:
        action_size: Numbers of an action.
    """

    def __init__(self, action_size: int) -> None:
        self.engaged = False
        self._last = np.zeros(action_size, np.float32)

    def next(self, action: np.ndarray | None) -> tuple[bool, np.ndarray] | None:
        """Return `(engaged, action)` to publish, or None; a release keeps the gripper as it is."""
        if action is None and not self.engaged:
            return None
        self.engaged = action is not None
        if action is None:
            self._last[:-1] = 0.0
        else:
            self._last = action.copy()
        return self.engaged, self._last


def check(config: PadConfig) -> None:
    """Refuse a mapping that cannot be.

    Raises:
        OptionError: It uses one button twice, or has not one number for each motion.
    """
    for name in ('axes', 'scales', 'dead_zones'):
        if len(getattr(config, name)) != 4:
            raise OptionError(f'parameter {name} must be four numbers: for x, y, z and yaw')
    if abs(config.trigger_pressed - config.trigger_rest) < PRESSED:
        raise OptionError('parameter trigger_pressed must be well away from trigger_rest')
    names = ('dead_man', *REQUESTS)
    used: dict[int, str] = {}
    for name in names:
        button = getattr(config, name)
        if button != NONE and button in used:
            raise OptionError(f'button {button} cannot be both {used[button]} and {name}')
        used[button] = name
