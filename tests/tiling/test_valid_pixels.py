"""Which pixels hold data, put together from what was read; None stands for all of them."""

from __future__ import annotations

import numpy as np
import pytest

from scasnet_qgis.tiling.overlap_cache import RowSlice
from scasnet_qgis.tiling.valid_pixels import any_valid, intersect_masks, valid_mask
from scasnet_qgis.tiling.windows import Window

WINDOW = Window(10, 20, 4, 3)


def row_slice(window: Window, valid: np.ndarray | None) -> RowSlice:
    return RowSlice(window, np.zeros((1, window.rows, window.cols), np.uint8), valid)


def test_there_is_no_mask_where_all_that_was_read_holds_data() -> None:
    assert valid_mask(WINDOW, [row_slice(WINDOW, None)]) is None
    halves = [row_slice(Window(10, 20, 2, 3), None), row_slice(Window(12, 20, 2, 3), None)]
    assert valid_mask(WINDOW, halves) is None


def test_each_part_says_where_it_holds_data() -> None:
    """Read with a margin of one pixel, whose mask does not count; the last row was not read."""
    upper = np.random.default_rng(1).random((2, 5)) > 0.5
    upper[:, 1:4] = [[True, True, False], [True, False, True]]
    slices = [row_slice(Window(9, 19, 2, 5), upper), row_slice(Window(11, 19, 2, 5), None)]
    found = valid_mask(WINDOW, slices)
    expected = np.array([[1, 0, 1], [1, 1, 1], [1, 1, 1], [0, 0, 0]], dtype=np.bool_)
    np.testing.assert_array_equal(found, expected, strict=True)


def test_a_part_that_lies_beside_the_window_adds_nothing() -> None:
    """The rows above and below a tile are read for its margin alone."""
    above, below = Window(7, 20, 3, 3), Window(14, 20, 2, 3)
    inside = np.eye(4, 3, dtype=np.bool_)
    slices = [
        row_slice(above, np.zeros((3, 3), np.bool_)),
        row_slice(WINDOW, inside),
        row_slice(below, None),
    ]
    np.testing.assert_array_equal(valid_mask(WINDOW, slices), inside, strict=True)


A, B = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])


@pytest.mark.parametrize(
    ("valid", "inside", "expected"), [(A, B, A & B), (A, None, A), (None, B, B), (None, None, None)]
)
def test_what_holds_data_and_was_asked_for(
    valid: np.ndarray | None, inside: np.ndarray | None, expected: np.ndarray | None
) -> None:
    found = intersect_masks(valid, inside)
    if expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize(
    ("valid", "expected"), [(None, True), (A, True), (np.zeros((2, 2), np.bool_), False)]
)
def test_one_pixel_is_enough(valid: np.ndarray | None, expected: bool) -> None:
    assert any_valid(valid) is expected
