"""A square of cloth: MuJoCo flex that bends reluctantly, what it covers, how it lies at a start.

Lengths are metres. The cloth keeps its size, does not touch itself and is held by friction alone.
Its resistance to bending spreads it again after every crumpling, as a kitchen towel's does;
without it the cloth is a rope after three grasps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from medal_ros.sim.scene import Scene

COUNT = 9  # vertices along an edge
SIDE = 0.24
THICK = 0.004  # half of what lies between a fingertip and the table with the cloth between them
STRIP = SIDE / (COUNT - 1)  # width of the strips between two rows of vertices


def cloth(position: Iterable[float]) -> str:
    """Return the MJCF of a cloth lying flat with its middle at `position`, `(3,)`.

    The resistance to bending needs the integrator `'discrete'`.
    """
    place = ' '.join(f'{value:.6g}' for value in position)
    return f"""
      <flexcomp name="cloth" type="grid" dim="2" count="{COUNT} {COUNT} 1" pos="{place}"
                spacing="{STRIP} {STRIP} {STRIP}" radius="{THICK}" mass=".03"
                rgba=".15 .35 .85 1">
        <edge equality="true"/>
        <elasticity young="1e6" poisson="0" thickness=".002" damping=".002" elastic2d="bend"/>
        <contact selfcollide="none" condim="3" friction="1 .05 .001" solref=".004 1"/>
      </flexcomp>"""


class Cloth:
    """The cloth of a scene.

    Args:
        scene: A compiled scene with one `cloth`.
    """

    def __init__(self, scene: Scene) -> None:
        self._data = scene.data
        model = scene.model
        bodies = model.flex_vertbodyid
        self._home = model.body_pos[bodies].copy()
        self._slides = model.jnt_qposadr[model.body_jntadr[bodies]][:, None] + np.arange(3)
        self._triangles = model.flex_elem.reshape(-1, 3)

    @property
    def vertices(self) -> np.ndarray:
        """Where the cloth is, `(81, 3)`, row by row."""
        return self._data.flexvert_xpos.copy()

    @property
    def centre(self) -> np.ndarray:
        """Mean of the vertices, `(3,)`."""
        return self._data.flexvert_xpos.mean(axis=0)

    def put(self, vertices: np.ndarray) -> None:
        """Place the cloth, `(81, 3)`; runs no physics."""
        self._data.qpos[self._slides] = vertices - self._home

    def covered(self, points: np.ndarray, above: float = -math.inf) -> float:
        """Return the share of points that are under the cloth, seen from above.

        Args:
            points: On the ground, `(n, 2)`.
            above: Cloth that is lower does not count, metres.
        """
        corners = self._data.flexvert_xpos[self._triangles, :2]
        heights = self._data.flexvert_xpos[self._triangles, 2]
        sides = np.roll(corners, -1, axis=1) - corners
        way = points[:, None, None] - corners
        turns = sides[..., 0] * way[..., 1] - sides[..., 1] * way[..., 0]
        inside = (turns >= 0).all(axis=2) | (turns <= 0).all(axis=2)
        # A corner's share of a point is that of the side opposite, which starts at the next one.
        share = np.roll(turns, -1, axis=2) / (turns.sum(axis=2, keepdims=True) + 1e-18)
        high = (share * heights).sum(axis=2) >= above
        return float((inside & high).any(axis=1).mean())

    def touched_by(self, geoms: Iterable[int]) -> int:
        """Return how many of some geoms touch the cloth."""
        contact = self._data.contact
        touching = contact.geom[(contact.flex >= 0).any(axis=1)].max(axis=1, initial=-1)
        return len(set(touching.tolist()) & set(geoms))

    def top(self, spot: np.ndarray, radius: float) -> float:
        """Return the height of the highest vertex within `radius` of `spot`, `(2,)`; 0 if none."""
        near = np.linalg.norm(self._data.flexvert_xpos[:, :2] - spot, axis=1) < radius
        return float(self._data.flexvert_xpos[near, 2].max(initial=0.0))


def disc(centre: np.ndarray, radius: float, count: int = 80) -> np.ndarray:
    """Return points spread evenly over a disc, `(count, 2)`."""
    index = np.arange(count) + 0.5
    distance, angle = radius * np.sqrt(index / count), math.pi * (1 + math.sqrt(5)) * index
    return centre + distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def rolled(slopes: np.ndarray) -> np.ndarray:
    """Return the cloth bent along its rows, `(81, 3)`, its middle row through the origin.

    Args:
        slopes: Angle of every strip between two rows against the ground, `(8,)` radians.
    """
    steps = STRIP * np.stack([np.cos(slopes), np.sin(slopes)], axis=1)
    profile = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    profile -= profile[COUNT // 2]
    along = STRIP * (np.arange(COUNT) - COUNT // 2)
    rows = np.broadcast_to(profile[:, None], (COUNT, COUNT, 2))
    columns = np.broadcast_to(along[None, :, None], (COUNT, COUNT, 1))
    return np.concatenate([rows[..., :1], columns, rows[..., 1:]], axis=2).reshape(-1, 3)


def turned(vertices: np.ndarray, yaw: float) -> np.ndarray:
    """Return the vertices turned about the vertical through the origin."""
    sine, cosine = math.sin(yaw), math.cos(yaw)
    return vertices @ np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def crumpled(rng: np.random.Generator) -> np.ndarray:
    """Draw a cloth from flat to scrunched, `(81, 3)`, above the origin, before it settles.

    Waves of up to 75 degrees run along it, and one edge, two or none are folded over; along rows
    of vertices, so that no length changes.
    """
    steepest, waves = rng.uniform(0.0, 1.3), rng.uniform(0.8, 1.8) * np.arange(COUNT - 1)
    slopes = steepest * np.sin(waves + rng.uniform(0.0, 2 * math.pi))
    if rng.random() < 0.5:
        folded = slice(rng.integers(5, 7), None)
        slopes[folded] = math.pi - slopes[folded]
    vertices = rolled(slopes).reshape(COUNT, COUNT, 3)
    if rng.random() < 0.3:
        column = rng.integers(5, 7)
        over = vertices[:, column + 1 :]
        over[..., 1] = 2 * vertices[:, column, None, 1] - over[..., 1]
        over[..., 2] += 2 * THICK
    vertices = vertices.reshape(-1, 3)
    vertices -= [*vertices[:, :2].mean(axis=0), vertices[:, 2].min() - 2 * THICK]
    return turned(vertices, rng.integers(4) * math.pi / 2)
