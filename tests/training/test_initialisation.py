"""What a narrow encoder is fitted on where it starts from published weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scasnet_qgis.training.caffe.weights import EncoderWeights
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.initialisation import WINDOW, WINDOWS, image_pairs

NORMALISATION = Normalisation((0.0, 100.0), (0.2, 0.4, 0.6, 0.8), (0.5, 0.5, 0.5, 0.5))


@pytest.fixture
def weights() -> EncoderWeights:
    return EncoderWeights("vgg", {}, mean_bgr=(10.0, 20.0, 30.0), scale=2.0)


def a_scene(rows: int, cols: int, valid: np.ndarray, nodata: float) -> Scene:
    pixels = np.random.default_rng(1).uniform(0, 100, (4, rows, cols)).astype(np.float32)
    pixels[:, ~valid] = nodata
    return Scene("a", pixels, np.full((rows, cols), IGNORE, np.uint8), valid)


def test_pixels_without_data_hold_the_mean_in_both(weights) -> None:
    valid = np.ones((40, 30), dtype=np.bool_)
    valid[:, :10] = False
    pairs = image_pairs([a_scene(40, 30, valid, -9999.0)], weights, NORMALISATION, 1)
    assert len(pairs) == WINDOWS
    for narrow, published in pairs:
        assert (narrow.shape, published.shape) == ((1, 4, 40, 30), (1, 3, 40, 30))
        assert torch.allclose(narrow[..., :10], torch.zeros(()), atol=1e-6)
        for band, wanted in enumerate([2 * (153 - 10), 2 * (102 - 20), 2 * (51 - 30)]):
            assert torch.allclose(published[0, band, :, :10], torch.tensor(float(wanted)))
        assert narrow[..., 10:].std() > 0.1


def test_windows_lie_where_there_are_data(weights) -> None:
    """Half of the scene is empty, and so would be a third of the windows drawn blindly."""
    valid = np.zeros((4 * WINDOW, WINDOW + 1), dtype=np.bool_)
    valid[: 2 * WINDOW] = True
    pairs = image_pairs([a_scene(*valid.shape, valid, np.nan)], weights, NORMALISATION, 1)
    empty = [bool((narrow == 0).all()) for narrow, _ in pairs]
    assert not any(empty)
    assert all(bool(narrow.isfinite().all()) for narrow, _ in pairs)
