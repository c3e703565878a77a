"""Demonstrations that a person drives: start, save, discard, redo, forward and backward in turn.

No ROS here. A demonstration begins with the first driven step after `start`. Steps in which the
arm was held still, because the person let go, are left out: what is seen when a pause ends takes
the place of what was seen when it began, and `Demonstration.held` keeps how long it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medal_ros.learning.demonstrations import (
    Demonstration,
    DemonstrationError,
    load_demonstration,
    save_demonstration,
)
from medal_ros.options import option
from medal_ros.spaces import AGENTS, Spaces

Answer = tuple[bool, str]
KEPT = 20  # observations and steps that may wait for their partners: 2 s
REDONE = '.redone'  # suffix of a saved demonstration that was taken back


@dataclass(frozen=True)
class RecordingConfig:
    """What is recorded, and where it goes."""

    task: str = option('cube_grasp', 'what is demonstrated')
    folder: str = option('demonstrations/cube_grasp', 'where the files go')
    count: int = option(10, 'of each direction', low=1, high=999)
    least: int = option(20, 'steps that a demonstration has at least', source='paper: K', low=1)
    longest: int = option(600, 'steps after which a recording stops', low=2, high=10_000)


@dataclass(frozen=True)
class Seen:
    """One observation."""

    frame: np.ndarray
    proprio: np.ndarray


@dataclass(frozen=True)
class Done:
    """One step, as the arm says that it executed it."""

    source: str  # policy | teleop | script | hold
    boundary: bool
    action: np.ndarray
    task_rewards: np.ndarray | None = None


class Recorder:
    """Joins observations and steps by their sequence numbers into demonstrations.

    Args:
        config: What is recorded.
        spaces: Shapes of the task.

    Attributes:
        recording: Whether steps are taken.
        saved: Files of each direction; those that lay in the folder count.
        note: What happened last, in words.

    Raises:
        DemonstrationError: The folder holds a damaged demonstration, or one of another task.
    """

    def __init__(self, config: RecordingConfig, spaces: Spaces) -> None:
        self.config, self.spaces = config, spaces
        self.folder = Path(config.folder)
        self.saved = {d: sorted(self.folder.glob(f'{d}_*.safetensors')) for d in AGENTS}
        everything = [path for paths in self.saved.values() for path in paths]
        for path in everything:
            if (task := load_demonstration(path).task) != config.task:
                raise DemonstrationError(f'{path} is of task {task!r}, not {config.task!r}')
        self._order = sorted(everything, key=lambda path: (path.stat().st_mtime_ns, path.name))
        self.recording, self.note = False, ''
        self._seen: dict[int, Seen] = {}
        self._done: dict[int, Done] = {}
        self._worlds: dict[int, Mapping[str, np.ndarray]] = {}
        self._next: int | None = None  # step that is awaited
        self._clear()

    # -- what a person asks for ----------------------------------------------------------------

    @property
    def direction(self) -> str | None:
        """The direction whose turn it is; None: all are recorded."""
        left = [d for d in AGENTS if len(self.saved[d]) < self.config.count]
        return min(left, key=lambda d: len(self.saved[d]), default=None)

    def start(self) -> Answer:
        """Begin to record the direction whose turn it is, with the next driven step."""
        if self.recording:
            return False, f'already recording {self.direction}'
        if self.direction is None:
            return False, f'all {2 * self.config.count} are recorded; redo takes the last one back'
        if not any(self._whole(n) for n in self._done):
            return False, 'no step of an arm has come yet: is it running, and its cameras?'
        self._clear()
        self.recording, self._next = True, max(self._seen)
        self.note = ''
        return True, f'recording {self.direction} from the first driven step on'

    def save(self) -> Answer:
        """Write what was recorded; the file appears whole or not at all."""
        if not self.recording:
            return False, 'nothing is being recorded'
        if len(self) < self.config.least:
            return False, (
                f'{len(self)} steps are too few, {self.config.least} are needed: drive on, or '
                'discard'
            )
        demonstration, direction = self.demonstration(), self.direction
        path = save_demonstration(demonstration, self.folder, self._number(direction))
        path.with_suffix(REDONE).unlink(missing_ok=True)
        self.recording = False
        self.saved[direction].append(path)
        self._order.append(path)
        rewards = demonstration.task_rewards
        judged = ''
        if rewards is not None:
            done = rewards[-1, AGENTS.index(direction)] > 0
            judged = ', done' if done else ', NOT done as the world judges: redo takes it back'
        return True, f'saved {path.name}: {len(demonstration)} steps{judged}'

    def discard(self) -> Answer:
        """Forget what was recorded."""
        if not self.recording:
            return False, 'nothing is being recorded'
        self.recording = False
        return True, f'discarded {len(self)} steps; it is still the turn of {self.direction}'

    def redo(self) -> Answer:
        """Take the last saved demonstration back, so that its turn comes again."""
        if self.recording:
            return False, 'a recording is under way: save or discard it first'
        if not self._order:
            return False, 'nothing is saved'
        path = self._order.pop()
        path.replace(path.with_suffix(REDONE))
        for paths in self.saved.values():
            if path in paths:
                paths.remove(path)
        return True, f'{path.name} is taken back; it is the turn of {self.direction} again'

    def describe(self) -> str:
        """Return in one line how many are saved and what goes on."""
        counts = ', '.join(f'{d} {len(self.saved[d])} of {self.config.count}' for d in AGENTS)
        if self.recording:
            return f'{counts} | recording {self.direction}: {len(self)} steps {self.note}'.rstrip()
        turn = f'next: {self.direction}' if self.direction else 'all are recorded'
        return ' | '.join(filter(None, [counts, turn, self.note]))

    def __len__(self) -> int:
        return len(self._actions)

    # -- what the graph says -------------------------------------------------------------------

    def observe(self, sequence: int, seen: Seen) -> None:
        """Take an observation; a lower number than before means that the arm started anew."""
        if self._seen and sequence < max(self._seen) - KEPT:
            for kept in (self._seen, self._done, self._worlds):
                kept.clear()
            self._break('the arm started anew')
        self._seen[sequence] = seen
        self._advance()

    def world(self, sequence: int, snapshot: Mapping[str, np.ndarray]) -> None:
        """Take the stand-in's snapshot of the world as it was at an observation."""
        self._worlds[sequence] = snapshot
        self._forget()

    def step(self, sequence: int, done: Done) -> None:
        """Take what was executed after an observation."""
        self._done[sequence] = done
        self._advance()

    def demonstration(self) -> Demonstration:
        """Return what was recorded so far."""
        rewards = None
        if self._rewards and all(r is not None for r in self._rewards):
            rewards = np.stack(self._rewards).astype(np.float32)
        return Demonstration(
            self.config.task,
            self.direction or '',
            self.spaces.cameras,
            np.stack([seen.frame for seen in self._frames]),
            np.stack([seen.proprio for seen in self._frames]),
            np.stack(self._actions),
            rewards,
            np.array(self._held, np.int32),
            self._start,
            'teleop',
        )

    def _clear(self) -> None:
        self._frames: list[Seen] = []
        self._actions: list[np.ndarray] = []
        self._rewards: list[np.ndarray | None] = []
        self._held: list[int] = []
        self._start: Mapping[str, np.ndarray] | None = None

    def _number(self, direction: str) -> int:
        taken = {path.stem for path in self.saved[direction]}
        return next(n for n in range(10_000) if f'{direction}_{n:03d}' not in taken)

    def _advance(self) -> None:
        """Take all steps whose observations before and after are here."""
        while self.recording and self._next is not None:
            n = self._next
            if self._whole(n):
                self._take(self._seen[n], self._done[n], self._seen[n + 1])
                self._next = n + 1
                continue
            # Each topic comes in order: what is not here when a later one is, never will be.
            later = min((k for k in self._done if k > n and self._whole(k)), default=None)
            if later is None:
                break
            self._next = later
            self._break('an observation or a step was lost')
        self._forget()

    def _whole(self, n: int) -> bool:
        return n in self._done and n in self._seen and n + 1 in self._seen

    def _forget(self) -> None:
        for kept in (self._seen, self._done, self._worlds):
            for old in sorted(kept)[:-KEPT]:
                del kept[old]

    def _take(self, before: Seen, done: Done, after: Seen) -> None:
        if len(self) == self.config.longest:
            self.note = '(stopped: as long as it may be; save or discard)'
        elif done.boundary or done.source == 'script':
            self._break('the arm or the world was reset')
        elif done.source == 'teleop':
            self._drive(before, done, after)
        elif done.source != 'hold':
            self._break(f'a {done.source} drove')
        elif self._actions:  # the pause is left out: what follows it replaces what came before
            self._held[-1] += 1
            self._frames[-1], self._rewards[-1] = after, done.task_rewards

    def _drive(self, before: Seen, done: Done, after: Seen) -> None:
        if not self._frames:
            self._frames, self._held = [before], [0]
            self._start = self._worlds.get(self._next)
        self._frames.append(after)
        self._held.append(0)
        self._actions.append(np.asarray(done.action, np.float32))
        self._rewards.append(done.task_rewards)

    def _break(self, why: str) -> None:
        """End a recording that has begun; before that, nothing is lost."""
        if self.recording and self._actions:
            self.recording, self.note = False, f'discarded, because {why}'
