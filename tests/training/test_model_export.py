"""The sample that a new model file is checked on."""

from __future__ import annotations

import numpy as np
import pytest

from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.model_export import SAMPLE_SIZE, sample_of

STATE = {"normalisation": {"value_range": [0.0, 200.0], "mean": [0.25, 0.75], "std": [1.0, 1.0]}}


def a_scene(rows: int, cols: int, valid: np.ndarray | None) -> Scene:
    """Values of 1 to 199; -9999, which is no value, where there are no data."""
    generator = np.random.default_rng(rows)
    pixels = generator.integers(1, 200, (2, rows, cols)).astype(np.int16)
    if valid is not None:
        pixels[:, ~valid] = -9999
    return Scene("a", pixels, np.full((rows, cols), IGNORE, np.uint8), valid)


def test_pixels_without_data_hold_the_mean() -> None:
    valid = np.ones((60, 50), dtype=np.bool_)
    valid[:20] = False
    scene = a_scene(60, 50, valid)
    sample = sample_of([scene], STATE).numpy()
    assert sample.shape == (2, 2, 60, 50)
    assert np.unique(sample[0, 0, :20]) == pytest.approx([0.25])
    assert np.unique(sample[0, 1, :20]) == pytest.approx([0.75])
    assert np.allclose(sample[1, :, 20:], scene.pixels[:, 20:] / 200.0)


def test_a_middle_without_data_is_left_for_a_window_with_some() -> None:
    rows, cols = 2 * SAMPLE_SIZE, 3 * SAMPLE_SIZE
    valid = np.zeros((rows, cols), dtype=np.bool_)
    valid[SAMPLE_SIZE:, -SAMPLE_SIZE:] = True
    scene = a_scene(rows, cols, valid)
    sample = sample_of([scene], STATE).numpy()
    wanted = scene.pixels[:, SAMPLE_SIZE:, -SAMPLE_SIZE:] / 200.0
    assert np.allclose(sample[0], wanted)


def test_without_gaps_it_is_the_middle_of_two_scenes() -> None:
    scenes = [a_scene(700, 600, None), a_scene(40, 30, None)]
    sample = sample_of(scenes, STATE).numpy()
    assert np.allclose(sample[0], scenes[0].pixels[:, 330:370, 285:315] / 200.0)
    assert np.allclose(sample[1], scenes[1].pixels / 200.0)
