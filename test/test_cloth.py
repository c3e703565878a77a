"""The cloth by itself: its shapes, what it covers, how it falls."""

import numpy as np
import pytest

from medal_ros.sim.cloth import (
    COUNT,
    SIDE,
    STRIP,
    THICK,
    Cloth,
    cloth,
    crumpled,
    disc,
    rolled,
    turned,
)
from medal_ros.sim.scene import Scene

ROD = '<geom name="rod" type="capsule" size=".01" fromto="-.2 0 .2 .2 0 .2"/>'
FLAT = rolled(np.zeros(COUNT - 1))


@pytest.fixture(scope='module')
def scene():
    return Scene(f"""
      <mujoco>
        <option timestep=".01" integrator="discrete" cone="elliptic" impratio="10"/>
        <worldbody>
          <geom name="table" type="plane" size="1 1 .1"/>{ROD}{cloth([0, 0, 0.01])}
        </worldbody>
      </mujoco>""")


@pytest.fixture
def lying(scene):
    """A cloth flat on the table, its middle at the origin."""
    piece = Cloth(scene)
    piece.put(FLAT + [0.0, 0.0, THICK])
    scene.data.qvel[:] = 0.0
    scene.settle()
    return piece


def lengths(vertices):
    """Distances between neighbours along rows, columns and both diagonals."""
    grid = vertices.reshape(COUNT, COUNT, 3)
    ways = (grid[1:] - grid[:-1], grid[:, 1:] - grid[:, :-1],
            grid[1:, 1:] - grid[:-1, :-1], grid[1:, :-1] - grid[:-1, 1:])  # fmt: skip
    return [np.linalg.norm(way, axis=-1) for way in ways]


def test_flat_cloth_by_hand():
    corners = FLAT[[0, COUNT - 1, -COUNT, -1]]
    half = SIDE / 2
    np.testing.assert_allclose(
        corners,
        [[-half, -half, 0], [-half, half, 0], [half, -half, 0], [half, half, 0]],
        atol=1e-12,
    )


def test_no_start_stretches_the_cloth():
    """Rows and columns keep their length in every fold; no diagonal is longer than when flat."""
    for seed in range(20):
        rows, columns, *diagonals = lengths(turned(crumpled(np.random.default_rng(seed)), 0.3))
        assert rows.max() < STRIP + 1e-9
        assert columns.max() < STRIP + 2.01 * THICK
        assert max(way.max() for way in diagonals) < STRIP * 2**0.5 + 2.01 * THICK


def test_starts_reach_from_flat_to_scrunched():
    heights, widths = [], []
    for seed in range(40):
        vertices = crumpled(np.random.default_rng(seed))
        heights.append(np.ptp(vertices[:, 2]))
        widths.append(np.ptp(vertices[:, :2], axis=0).min())
    assert min(heights) < 0.01 and max(heights) > 0.04
    assert max(widths) > 0.95 * SIDE and min(widths) < 0.65 * SIDE


def test_disc_is_even_and_within_its_radius():
    points = disc(np.array([1.0, 2.0]), 0.05)
    distance = np.linalg.norm(points - [1.0, 2.0], axis=1)
    assert distance.max() <= 0.05
    assert (distance < 0.05 * 0.5**0.5).mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(points.mean(axis=0), [1.0, 2.0], atol=2e-3)


@pytest.mark.parametrize(('shift', 'share'), [
    ((0.0, 0.0), 1.0),
    ((SIDE / 2, 0.0), 0.5),
    ((SIDE / 2, SIDE / 2), 0.25),
    ((SIDE / 2 + 0.051, 0.0), 0.0),
])  # fmt: skip
def test_coverage_by_hand(lying, shift, share):
    assert lying.covered(disc(np.array(shift), 0.05)) == pytest.approx(share, abs=0.03)


def test_coverage_counts_cloth_above_a_height_only(scene, lying):
    """A cloth that rises along x from 0 to 0.2 m, so that half of it is above 0.1 m."""
    slope = np.arcsin(0.2 / SIDE)
    lying.put(rolled(np.full(COUNT - 1, slope)) + [0.0, 0.0, 0.1])
    scene.settle()
    points = disc(np.zeros(2), 0.05)
    assert lying.covered(points) == lying.covered(points, above=0.02) == 1.0
    assert lying.covered(points, above=0.1) == pytest.approx(0.5, abs=0.03)
    assert lying.covered(points, above=0.18) == 0.0
    west, east = points - [0.015, 0.0], points + [0.015, 0.0]
    assert lying.covered(west, above=0.1) < 0.4 and lying.covered(east, above=0.1) > 0.6


def test_a_folded_cloth_covers_half(scene, lying):
    lying.put(rolled(np.array([0, 0, 0, 0, np.pi, np.pi, np.pi, np.pi])) + [0, 0, THICK])
    scene.settle()
    assert lying.covered(disc(np.array([-SIDE / 4, 0.0]), 0.05)) == 1.0
    assert lying.covered(disc(np.array([SIDE / 4, 0.0]), 0.05)) == 0.0


def test_centre_and_top(scene, lying):
    vertices = turned(FLAT, 0.3) + [0.1, -0.05, 0.02]
    lying.put(vertices)
    scene.settle()
    np.testing.assert_allclose(lying.vertices, vertices, atol=1e-9)
    np.testing.assert_allclose(lying.centre, [0.1, -0.05, 0.02], atol=1e-9)
    assert lying.top(np.array([0.1, -0.05]), 0.03) == pytest.approx(0.02)
    assert lying.top(np.array([0.4, -0.05]), 0.03) == 0.0


def test_it_hangs_on_a_rod_and_slides_off_one_that_it_hardly_touches(scene, lying):
    rod, table = scene.model.geom('rod').id, scene.model.geom('table').id
    for aside, hangs in ((0.0, True), (0.10, False)):
        lying.put(FLAT + [0.0, aside, 0.23])
        scene.data.qvel[:] = 0.0
        scene.advance(250)
        assert bool(lying.touched_by([rod])) == hangs
        assert bool(lying.touched_by([table])) != hangs
        assert np.isfinite(scene.data.qpos).all()


def test_it_keeps_its_size(scene, lying):
    lying.put(FLAT + [0.0, 0.0, 0.23])
    scene.data.qvel[:] = 0.0
    scene.advance(150)  # it gives a little when it hits the rod
    rows, columns, *_ = lengths(lying.vertices)
    assert abs(rows / STRIP - 1).max() < 0.05 and abs(columns / STRIP - 1).max() < 0.05


def test_it_spreads_again_after_it_was_folded(scene, lying):
    """Without resistance to bending it would stay as it was dropped."""
    slopes = 1.2 * np.sin(np.arange(COUNT - 1))
    lying.put(rolled(slopes) + [0.3, 0.4, 0.05])
    scene.data.qvel[:] = 0.0
    scene.settle()
    narrow = np.ptp(lying.vertices[:, 0])
    scene.advance(150)
    assert narrow < 0.8 * SIDE
    assert np.ptp(lying.vertices[:, 0]) > 0.9 * SIDE
