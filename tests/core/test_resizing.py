"""Resizing against PyTorch's, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scasnet_qgis.tiling.resampling import resize


def noise(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(0).random((2, 3, rows, cols), dtype=np.float32)


@pytest.mark.parametrize(
    ("before", "after"),
    [((33, 47), (70, 55)), ((64, 80), (48, 60)), ((64, 80), (17, 90)), ((5, 7), (1, 1))],
)
def test_as_pytorch_does(before: tuple[int, int], after: tuple[int, int]) -> None:
    image = noise(*before)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image), after, mode="bilinear", antialias=True, align_corners=False
    )
    result = resize(image, *after)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-5)


def test_scores_still_add_up_to_one() -> None:
    scores = noise(40, 50)
    scores /= scores.sum(axis=1, keepdims=True)
    for size in ((25, 64), (80, 30)):
        np.testing.assert_allclose(resize(scores, *size).sum(axis=1), 1, atol=1e-5)


def test_nothing_moves() -> None:
    """A slope stays where it is, but for the outermost pixels: no part of a pixel is lost."""
    slope = np.tile(np.arange(64, dtype=np.float32) + 0.5, (1, 1, 64, 1))
    for size in (32, 48, 96, 128):
        result = resize(slope, 64, size)[0, 0, 0]
        expected = (np.arange(size) + 0.5) * 64 / size
        shift = (result - expected)[4:-4]
        assert np.abs(shift).max() < 0.1  # pixels
        assert abs(shift.mean()) < 1e-3


def test_fine_patterns_are_smoothed_where_it_shrinks() -> None:
    stripes = np.tile(np.float32([0, 1]), (1, 1, 64, 32))
    inner = resize(stripes, 32, 32)[0, 0, 2:-2, 2:-2]
    np.testing.assert_allclose(inner, 0.5, atol=1e-6)


def test_the_same_size_is_the_same_array() -> None:
    image = noise(9, 8)
    assert resize(image, 9, 8) is image
