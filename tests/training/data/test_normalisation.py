"""Statistics of the pixels with data, and values scaled as they are when maps are made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scasnet_qgis.common.messages import Message
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.training.data import normalisation
from scasnet_qgis.training.data.normalisation import Normalisation, measure
from scasnet_qgis.training.data.scenes import Scene


def scene(pixels: np.ndarray, valid: np.ndarray | None = None) -> Scene:
    return Scene("one", pixels, np.zeros(pixels.shape[1:], dtype=np.uint8), valid)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, 1100, 70))


def test_statistics_are_those_of_the_pixels(noise):
    found = measure([scene(noise.astype(np.uint8))])
    scaled = noise.reshape(3, -1) / 255
    assert found.value_range == (0.0, 255.0)
    assert found.mean == pytest.approx(tuple(scaled.mean(axis=1)), abs=1e-4)
    assert found.std == pytest.approx(tuple(scaled.std(axis=1)), abs=1e-4)


def test_values_outside_a_given_range_count_as_its_ends(noise):
    found = measure([scene(noise.astype(np.int16))], (50.0, 100.0))
    scaled = ((noise.reshape(3, -1) - 50) / 50).clip(0, 1)
    assert found.value_range == (50.0, 100.0)
    assert found.mean == pytest.approx(tuple(scaled.mean(axis=1)), abs=1e-4)
    assert found.std == pytest.approx(tuple(scaled.std(axis=1)), abs=1e-4)


def test_pixels_without_data_count_nothing(noise):
    valid = np.random.default_rng(2).random((1100, 70)) < 0.3
    with_nodata = np.where(valid, noise, 60000).astype(np.uint16)
    found = measure([scene(with_nodata, valid)], (0.0, 300.0))
    chosen = noise[:, valid] / 300
    assert found.mean == pytest.approx(tuple(chosen.mean(axis=1)), abs=1e-4)
    assert found.std == pytest.approx(tuple(chosen.std(axis=1)), abs=1e-4)
    assert measure([scene(with_nodata, valid)]).value_range == pytest.approx((0, 255.5))


def test_one_range_for_all_bands_of_all_scenes_without_their_extremes():
    generator = np.random.default_rng(3)
    dark, bright = generator.normal(1000, 50, (2, 2, 900, 800)) * [[[1]], [[4]]]
    dark[:, :10, :10], bright[:, 5, 5] = -30000, 65000
    found = measure([scene(dark.astype(np.float32)), scene(bright.astype(np.float32))])
    low, high = found.value_range
    low_of, high_of = (
        np.percentile(np.stack([dark, bright], axis=1).reshape(2, -1), percentile, axis=1)
        for percentile in (0.1, 99.9)
    )
    assert low == pytest.approx(low_of.min(), abs=10)
    assert high == pytest.approx(high_of.max(), abs=10)
    assert high < 10000


def test_constant_and_empty_images_have_a_range_too():
    flat = np.full((1, 50, 60), 7, dtype=np.uint16)
    assert measure([scene(flat)]).value_range == (7.0, 8.0)
    nothing = measure([scene(flat, np.zeros((50, 60), dtype=bool))])
    assert np.isfinite([*nothing.mean, *nothing.std, *nothing.value_range]).all()


def test_of_large_scenes_a_part_spread_over_them_is_enough(monkeypatch):
    """The brightness falls from the top to the bottom; a part from one end would be wrong."""
    pixels = np.linspace(1, 0, 6000)[None, :, None] * np.full((1, 1, 1100), 3000.0)
    big = scene(pixels.astype(np.float32))
    whole = measure([big])
    monkeypatch.setattr(normalisation, "_ENOUGH", 2_000_000)
    monkeypatch.setattr(normalisation, "_SAMPLE", 50_000)
    part = measure([big])
    assert part != whole
    assert part.mean == pytest.approx(whole.mean, abs=0.1)
    assert part.value_range == pytest.approx(whole.value_range, abs=300)
    assert measure([big]) == part


def test_scaling_is_that_of_a_map():
    """Also where there is no data and where a band is no number."""
    raw = np.random.default_rng(5).normal(50, 100, (2, 30, 40)).astype(np.float32)
    raw[1, 3, 4:9] = np.nan
    valid = np.random.default_rng(6).random((30, 40)) < 0.8
    ours = Normalisation((-20.0, 180.0), (0.4, 0.6), (0.2, 0.3))
    scaling = Scaling((-20.0,) * 2, (180.0,) * 2, ours.mean, Message(""))
    found = ours.scale(torch.from_numpy(raw)[None], torch.from_numpy(valid)[None])[0]
    assert np.allclose(found.numpy(), scaling(raw, valid), atol=1e-6)
    whole = ours(torch.from_numpy(raw)[None], torch.from_numpy(valid)[None])
    assert whole[0, :, ~torch.from_numpy(valid)].abs().max() < 1e-6
    assert torch.allclose(whole, ours.standardise(found[None]))
