"""Any polygons on any small grid, against each pixel's centre asked by itself."""

from __future__ import annotations

import tempfile
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.vectors.mask import AreaOfInterest
from scasnet_qgis.tiling.windows import Window
from tests.labels.layers import NORTH_UP, ROTATED, SOUTH_UP, polygon, wkt, write_layer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]
NEAR = 1e-6  # pixels; whether a centre so close to a border is inside, nobody can say

Ring = list[tuple[float, float]]


@st.composite
def stars(draw: st.DrawFn, rows: int, cols: int) -> Ring:
    """Corners around a middle, some near and some far, as (row, column) of the grid."""
    middle = draw(st.floats(-3, rows + 3)), draw(st.floats(-3, cols + 3))
    radii = draw(st.lists(st.floats(0.3, 14), min_size=3, max_size=9))
    turn = draw(st.floats(0, 1))
    angles = [2 * pi * (index + turn) / len(radii) for index in range(len(radii))]
    return [
        (middle[0] + radius * sin(angle), middle[1] + radius * cos(angle))
        for radius, angle in zip(radii, angles)
    ]


def crossings(ring: Ring, row: float, col: float) -> tuple[bool, float]:
    """Whether a place lies inside by the even-odd rule, and how far the nearest side is."""
    inside, nearest = False, float("inf")
    for (r1, c1), (r2, c2) in zip(ring, [*ring[1:], ring[0]]):
        if (r1 > row) != (r2 > row) and col < c1 + (row - r1) / (r2 - r1) * (c2 - c1):
            inside = not inside
        length = (r2 - r1) ** 2 + (c2 - c1) ** 2
        along = ((row - r1) * (r2 - r1) + (col - c1) * (c2 - c1)) / length if length else 0
        along = min(max(along, 0), 1)
        at = r1 + along * (r2 - r1), c1 + along * (c2 - c1)
        nearest = min(nearest, ((at[0] - row) ** 2 + (at[1] - col) ** 2) ** 0.5)
    return inside, nearest


def by_hand(rings: list[Ring], rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels lie in one of the rings, and which are too near to a side to tell."""
    inside, unsure = np.zeros((2, rows, cols), dtype=bool)
    for row, col in np.ndindex(rows, cols):
        found = [crossings(ring, row + 0.5, col + 0.5) for ring in rings]
        inside[row, col] = any(covered for covered, _ in found)
        unsure[row, col] = any(near < NEAR for _, near in found)
    return inside, unsure


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([NORTH_UP, SOUTH_UP, ROTATED]),
    st.integers(1, 25),
    st.data(),
)
def test_a_pixel_is_inside_where_its_centre_is(
    rows: int, cols: int, placed: tuple[float, ...], size: int, data: st.DataObject
) -> None:
    rings = data.draw(st.lists(stars(rows, cols), min_size=1, max_size=3))
    grid = Grid(rows, cols, placed, wkt(32640))
    expected, unsure = by_hand(rings, rows, cols)
    shapes = []
    for ring in rings:
        x, y = grid.to_map(np.array([r for r, _ in ring]), np.array([c for _, c in ring]))
        shapes.append(("x", polygon(list(zip(x.tolist(), y.tolist())))))
    with tempfile.TemporaryDirectory() as folder:
        source = write_layer(Path(folder) / "a.fgb", shapes, driver="FlatGeobuf")
        try:
            area = AreaOfInterest(source, grid)
        except InputError:
            assert not (expected & ~unsure).any(), "what overlaps is not refused"
            return
        found = np.zeros((rows, cols), dtype=bool)
        for row in range(0, rows, size):
            for col in range(0, cols, size):
                window = Window(row, col, size, size).intersect(grid.whole)
                part = area.inside(window)
                at = np.s_[row : window.row_end, col : window.col_end]
                found[at] = True if part is None else part
        np.testing.assert_array_equal(found[~unsure], expected[~unsure])
        around = area.window()
        found[around.row : around.row_end, around.col : around.col_end] = False
        assert not found.any(), "nothing is inside beyond the window"
        del area
