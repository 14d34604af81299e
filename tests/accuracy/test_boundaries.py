"""Pixels near a boundary, against SciPy's morphology."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from scasnet_qgis.accuracy.pixels import near_other_class


def patches(seed: int = 0) -> np.ndarray:
    """Patches of classes 0, 1, 2 and 253, single pixels, holes without a label."""
    generator = np.random.default_rng(seed)
    labels = np.kron(generator.integers(0, 4, (9, 12)), np.ones((7, 6), dtype=int))
    labels[generator.random(labels.shape) < 0.01] = 1
    labels[labels == 3] = 253
    labels[20:33, 10:45] = 255
    return labels.astype(np.uint8)


def disc(radius: int) -> np.ndarray:
    rows, cols = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return rows**2 + cols**2 <= radius**2


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 8, 40])
def test_as_dilating_each_other_class_with_a_disc(radius) -> None:
    labels = patches()
    expected = np.zeros(labels.shape, dtype=bool)
    for value in (0, 1, 2, 253):
        others = (labels != value) & (labels != 255)
        expected |= (labels == value) & ndimage.binary_dilation(others, disc(radius))
    np.testing.assert_array_equal(near_other_class(labels, radius), expected)
    assert expected.any()


def test_of_full_labels_it_is_the_erosion_of_each_class_with_a_disc() -> None:
    """The ISPRS protocol, where every pixel has a class."""
    labels = np.where(patches() == 255, 2, patches()).astype(np.uint8)
    kept = np.zeros(labels.shape, dtype=bool)
    for value in np.unique(labels):
        kept |= ndimage.binary_erosion(labels == value, disc(3), border_value=1)
    np.testing.assert_array_equal(~near_other_class(labels, 3), kept)


def test_one_pixel_takes_a_disc_of_29_pixels_with_it() -> None:
    labels = np.zeros((9, 9), dtype=np.uint8)
    labels[4, 4] = 1
    near = near_other_class(labels, 3)
    assert near.sum() == 29
    np.testing.assert_array_equal(near[1:8, 1:8], disc(3))


@pytest.mark.parametrize("value", [0, 7])
def test_neither_edges_nor_missing_labels_are_boundaries(value) -> None:
    labels = np.full((20, 30), value, dtype=np.uint8)
    labels[5:9, 3:20] = 255
    assert not near_other_class(labels, 3).any()


def test_radius_0_leaves_everything() -> None:
    assert not near_other_class(patches(), 0).any()


def test_the_input_stays_as_it_is() -> None:
    labels = patches()
    near_other_class(labels, 4)
    np.testing.assert_array_equal(labels, patches())
