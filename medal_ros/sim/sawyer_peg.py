"""Sawyer peg: the hand puts a peg into the hole of a box, and takes it out again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from medal_ros.sim.hand import Hand
from medal_ros.sim.sawyer import LOW, OPEN, SawyerTask
from medal_ros.sim.scene import camera

HALF = 0.015  # half the peg's thickness
LENGTH = 0.12  # half its length
HEAD = np.array([-0.1, 0.0, 0.0])  # EARL's mark near the peg's end, from its centre
GRASP = 0.05  # the expert grasps this far behind the peg's centre
GRIP = LOW[2] - HALF  # height of the hand above a peg that it holds
ABOVE_PEG = 0.13
GOAL = np.array([-0.27, 0.6, 0.13])  # the head of the inserted peg
TOLERANCE = 0.05
OVER = 0.25  # height at which a peg is carried over the box
BOX = np.array([-0.3, 0.6, 0.0])  # middle of the box's foot
ENTRANCE = -0.2  # the face with the hole looks along +x
HOLE = 0.03  # half its width and height; its middle is at the goal's height
BOTTOM = -0.33  # end of the hole
START = np.array([[0.0, 0.5], [0.2, 0.7]])  # the peg's centre lies between these
TRAY = np.array([[-0.38, 0.375], [0.40, 0.95]])  # the peg's centre never leaves these
WIDE = np.array([
    [-0.3, 0.8], [-0.4, 0.8], [-0.3, 0.9], [-0.4, 0.9], [-0.2, 0.8], [-0.2, 0.75], [-0.2, 0.9],
    [-0.1, 0.77], [0.0, 0.9], [0.1, 0.8], [0.15, 0.75], [-0.3, 0.4], [-0.4, 0.4], [-0.3, 0.45],
    [-0.4, 0.45], [-0.2, 0.4], [-0.2, 0.45], [-0.2, 0.38], [-0.1, 0.42], [0.0, 0.45], [0.1, 0.36],
    [0.15, 0.44],
])  # fmt: skip
WIDE_SPREAD = 0.02


def _part(size: tuple, place: tuple, rest: str) -> str:
    size, place = (' '.join(f'{value:.6g}' for value in vector) for vector in (size, place))
    return f'<geom type="box" size="{size}" pos="{place}" {rest}/>'


def _box() -> str:
    """Return the box: a floor, a roof, two sides and a back around the hole, which is dark."""
    x, y, z = BOX[0], BOX[1], GOAL[2]
    solid, dark = 'rgba=".93 .8 .3 1" solref=".005 1"', 'class="seen" rgba=".16 .1 .08 1"'
    half, side = ENTRANCE - x, 0.1 - HOLE
    back, deep, middle = BOTTOM - x + half, ENTRANCE - BOTTOM, (ENTRANCE + BOTTOM) / 2
    parts = [
        _part((half, 0.1, 0.05), (x, y, 0.05), solid),
        _part((half, 0.1, 0.02), (x, y, z + HOLE + 0.02), solid),
        _part((back / 2, HOLE, HOLE), (x - half + back / 2, y, z), solid),
        _part((0.001, HOLE, HOLE), (BOTTOM, y, z), dark),
        _part((deep / 2, HOLE, 0.001), (middle, y, z - HOLE), dark),
    ]
    for sign in (-1, 1):
        parts += [
            _part((half, side / 2, HOLE), (x, y + sign * (HOLE + side / 2), z), solid),
            _part((deep / 2, 0.001, HOLE), (middle, y + sign * HOLE, z), dark),
        ]
    return ''.join(parts)


def _peg() -> str:
    """Return the peg, whose three slides let it move but not turn."""
    ranges = [*zip(*TRAY, strict=True), (0.0, 0.6)]
    slides = ''.join(
        f'<joint name="peg_{axis}" type="slide" axis="{" ".join(map(str, row))}" '
        f'range="{low} {high}" damping=".05"/>'
        for axis, row, (low, high) in zip('xyz', np.eye(3, dtype=int), ranges, strict=True)
    )
    return f"""
      <body name="peg">{slides}
        <geom name="peg" type="box" size="{LENGTH} {HALF} {HALF}" mass=".1" rgba=".15 .75 .25 1"
              condim="4" friction="1 .05 .001" solref=".005 1"/>
        <geom class="seen" type="box" size=".02 {HALF + 0.001} {HALF + 0.001}"
              pos="{HEAD[0]} 0 0" rgba=".85 .12 .1 1"/>
      </body>"""


class SawyerPeg(SawyerTask):
    """EARL's peg: pick it up and put its head into the box; backward lays it on the table again.

    The task is done while the head is within 5 cm of its goal inside the hole. It is undone
    while the peg lies on the table where starts are drawn, and no finger touches it. The hand
    cannot turn and neither can the peg: EARL's has a million times the inertia of such a peg.

    Starts: `'initial'` has the peg's centre in [0, 0.2] x [0.5, 0.7] and the hand at
    (0, 0.6, 0.2). `'done'` has the peg in the hole and the hand at the same place.

    Args:
        starts: `'narrow'` as above, or `'wide'`: half of them have the head within 2 cm of one
            of EARL's 22 spots around the box, at the tray's edge where they lie beyond it.
        render_mode: `'rgb_array'` or None.
        pixels: Rows and columns of the image; 0: 84.
        repeat: Control steps for which one `step` executes its action.

    Raises:
        ValueError: `starts` is something else, or a number is out of range.
    """

    control_steps = 200
    demonstration_counts: ClassVar[dict[str, int]] = {'forward': 10, 'backward': 20}
    grasps = True
    rest = (0.0, 0.6, 0.2)

    def __init__(
        self,
        starts: str = 'narrow',
        render_mode: str | None = 'rgb_array',
        pixels: int = 0,
        repeat: int = 1,
    ) -> None:
        if starts not in ('narrow', 'wide'):
            raise ValueError(f"starts must be 'narrow' or 'wide', not {starts!r}")
        self.starts = starts
        super().__init__(render_mode, pixels, repeat)
        self._peg = self.hand.model.geom('peg').id

    def _world(self) -> str:
        place, seen, fovy = (0.62, 0.1, 0.53), (-0.04, 0.59, 0.09), 42
        if self.starts == 'wide':
            place, seen, fovy = (0.6, 0.05, 0.85), (-0.06, 0.61, 0.0), 44
        return _box() + _peg() + camera('third', place, seen, up=(0, 0, 1), fovy=fovy)

    # -- the world ---------------------------------------------------------------------------

    def _place(self, done: bool) -> None:
        self.hand.restart()
        rng = self.np_random
        place = np.array([*self._start_spot(), HALF])
        if done:
            floor = GOAL[2] - HOLE + HALF  # where a peg lies that was let go in the hole
            place = [*(GOAL - HEAD)[:2] + rng.uniform(-0.5, 0.5, 2) * [0.04, HOLE - HALF], floor]
        self.hand.data.qpos[5:8] = place
        self.hand.put(np.array(self.rest))

    def _start_spot(self) -> np.ndarray:
        """Draw a place for the peg's centre, `(2,)`."""
        rng = self.np_random
        if self.starts == 'narrow' or rng.random() < 0.5:
            return rng.uniform(*START)
        head = WIDE[rng.integers(len(WIDE))] + rng.uniform(-WIDE_SPREAD, WIDE_SPREAD, 2)
        return np.clip(head - HEAD[:2], *TRAY)

    def succeeded(self) -> bool:
        """Whether the peg's head is at its goal in the hole."""
        return bool(np.linalg.norm(self.object_position() - GOAL) <= TOLERANCE)

    def undone(self) -> bool:
        """Whether the peg lies on the table where starts are drawn, and was let go."""
        centre = self._centre()
        inside = (START[0] <= centre[:2]).all() and (centre[:2] <= START[1]).all()
        lying = centre[2] < HALF + 0.005
        return bool(inside and lying and not self.hand.fingers_on(self._peg))

    def object_position(self) -> np.ndarray:
        """Position of the peg's head, metres `(3,)`."""
        return self._centre() + HEAD

    def _centre(self) -> np.ndarray:
        return self.hand.data.geom_xpos[self._peg].copy()

    def _held(self) -> bool:
        """Whether the peg is between closed fingers; contacts come and go while it is carried."""
        offset = self.hand.position - self._centre() - [0.0, 0.0, GRIP]
        between = (np.abs(offset) < [LENGTH, 0.02, 0.03]).all()
        return bool(between and abs(2 * OPEN * self.hand.opening - 2 * HALF) < 0.01)

    # -- the demonstrator --------------------------------------------------------------------

    def expert(self, direction: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield actions that insert the peg, or that lay it down at random, and back off."""
        hand = self._demonstrator(rng)
        for _ in range(5):  # the peg may slip
            yield from self._grasp(hand)
            yield from self._insert(hand) if direction == 'forward' else self._lay_down(hand)
            yield from hand.wait(6, closed=False)
            yield from self._rise(hand)
            if self.succeeded() if direction == 'forward' else self.undone():
                break
        yield from hand.wait(10 * self.repeat, closed=False)

    def _grasp(self, hand: Hand) -> Iterator[np.ndarray]:
        for _ in range(5):
            if self._held():
                return
            yield from self._rise(hand)
            yield from self._follow(hand, lambda: self._behind(ABOVE_PEG), 0.015)
            yield from self._follow(hand, lambda: self._behind(GRIP), 0.006)
            yield from hand.wait(8, closed=True)

    def _insert(self, hand: Hand) -> Iterator[np.ndarray]:
        before = np.array([ENTRANCE + LENGTH + 0.05, *GOAL[1:]])
        centre = self._centre()
        ahead = centre[0] > before[0] - 0.03
        if ahead or (np.abs(centre - GOAL)[1:] > HOLE).any():  # not in the hole
            height = GOAL[2] + 0.02 if ahead else OVER
            yield from self._carry(hand, np.array([*centre[:2], height]), 0.02)
            if not ahead:
                yield from self._carry(hand, np.array([*before[:2], OVER]), 0.02)
            yield from self._carry(hand, before, 0.006)
        inside = GOAL - HEAD - [0.01, 0.0, 0.0]
        yield from self._carry(hand, inside, 0.01, steps=60, step=0.012)

    def _lay_down(self, hand: Hand) -> Iterator[np.ndarray]:
        spot = hand.rng.uniform(START[0] + 0.03, START[1] - 0.03)
        outside = ENTRANCE + LENGTH + 0.02
        if self._centre()[0] < outside:
            middle = np.array([self._centre()[0], *GOAL[1:]])
            yield from self._carry(hand, middle, 0.006, steps=20, step=0.012)
            yield from self._carry(hand, [outside + 0.02, *GOAL[1:]], 0.02, step=0.012)
        yield from self._carry(hand, np.array([*spot, 0.07]), 0.015)
        yield from hand.follow(lambda: self._down(spot), 0.008, closed=True, steps=40)

    def _down(self, spot: np.ndarray) -> np.ndarray:
        """Return the hand's way down with the peg to a spot; it may have slipped in the jaw."""
        return np.array([*(spot - self._centre()[:2]), LOW[2] - self.hand.position[2]])

    def _behind(self, height: float) -> np.ndarray:
        """Return where the hand grasps the peg, or a place above that."""
        return self._centre() + [GRASP, 0.0, height]

    def _carry(
        self,
        hand: Hand,
        goal: np.ndarray,
        tolerance: float,
        steps: int = 120,
        step: float = np.inf,
    ) -> Iterator[np.ndarray]:
        """Bring the peg's centre to a place, unless it slips; small steps have a steady hand."""
        for _ in range(steps):
            way = goal - self._centre()
            if np.linalg.norm(way) < tolerance or not self._held():
                return
            yield hand.towards(np.clip(way, -step, step), closed=True)
