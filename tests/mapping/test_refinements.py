"""Whole runs with several looks at each tile, small patches merged, uncertain pixels left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.choices import FLIPS, SQUARE_METRES
from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.mapping.job import make_map
from scasnet_qgis.mapping.log import log_augmentation
from scasnet_qgis.mapping.refinements.min_area import MinArea
from scasnet_qgis.models import backend as backends
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.tiling.augmentation import Augmentation
from scasnet_qgis.tiling.resampling import resize
from tests.conftest import Recorder
from tests.map_settings import map_settings
from tests.mapping.refinements.test_sieve import sieved
from tests.mapping.test_job import CLASSES, TILES, direct, noise, run
from tests.models import tiny_models

pytestmark = pytest.mark.slow


def scores_of(inputs: np.ndarray) -> np.ndarray:
    """Class scores [classes, rows, cols] of inputs [bands, rows, cols] in 0-1."""
    logits = tiny_models.logits(inputs[None].astype(np.float32), CLASSES)
    return tiny_models.softmax(logits)[0].astype(np.float32)


def coarse_noise() -> np.ndarray:
    """Squares of 5 pixels with some noise, so that there are patches of all sizes."""
    squares = np.kron(noise(30, 34), np.ones((5, 5))).astype(np.int64)
    return np.clip(squares + noise() // 4 - 32, 1, 255).astype(np.uint8)


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ({}, {}),
        ({}, {"batch": 3}),
        ({"margin": 8}, {}),
        ({"size": (64, 64)}, {}),
        ({"size": (64, 64), "batch": 2, "margin": 8}, {}),
        ({"classes": 1, "activation": "Sigmoid"}, {}),
    ],
)
def test_a_model_that_sees_single_pixels_gives_the_same_in_all_views(
    make_raster, tmp_path, flips, model, settings
):
    image = noise()
    looks = Augmentation((1.0,), flips)
    labels, _ = run(make_raster(image), tmp_path, model, augmentation=looks, **settings)
    expected = direct(image / 255, classes=model.get("classes", CLASSES))
    np.testing.assert_array_equal(labels, expected)


def test_views_that_tiles_cannot_be_turned_into_can_still_be_mirrored(make_raster, tmp_path):
    image, model = noise(), {"size": (64, 96)}
    labels, _ = run(
        make_raster(image), tmp_path, model, augmentation=Augmentation((1.0,), "mirror")
    )
    np.testing.assert_array_equal(labels, direct(image / 255))
    with pytest.raises(SettingError, match="64 x 96"):
        run(make_raster(image), tmp_path, model, augmentation=Augmentation((1.0,), "full"))


@pytest.mark.parametrize("batch", [1, 2])
def test_scales_are_averaged_as_scores(make_raster, tmp_path, batch):
    """In one tile, where a whole array can be computed in the same way."""
    image, target = noise(152, 168), tmp_path / "scores.tif"
    looks = Augmentation((0.75, 1.0, 1.25))
    how = {"tile_size": 512, "batch": batch, "probabilities": target, "augmentation": looks}
    labels, result = run(make_raster(image), tmp_path, **how)
    assert result.plan.count == 1
    parts = [
        resize(scores_of(resize(image[None] / np.float32(255), *size)[0])[None], 152, 168)[0]
        for size in ((112, 128), (152, 168), (192, 208))
    ]
    expected = np.mean(parts, axis=0)
    np.testing.assert_allclose(gdal.Open(str(target)).ReadAsArray(), expected, atol=1e-4)
    assert (labels == expected.argmax(axis=0) + 1).mean() > 0.999
    assert (labels != direct(image / 255)).mean() > 0.05, "or this would test nothing"


def test_scaled_tiles_leave_no_seams(make_raster, tmp_path):
    """The same map from many tiles as from one, but for pixels at the borders of classes."""
    image = np.kron(noise(16, 16), np.ones((15, 15))).astype(np.uint8)
    looks = Augmentation((0.5, 1.0, 2.0), "mirror")
    whole, _ = run(make_raster(image), tmp_path, tile_size=512, augmentation=looks)
    tiled, result = run(make_raster(image), tmp_path, tile_size=96, overlap=32, augmentation=looks)
    assert result.plan.count > 4
    assert (whole != tiled).mean() < 0.03
    assert (whole[1:] != tiled[:-1]).mean() > 0.05, "or a shift would not show"


@pytest.mark.parametrize("model", [{"size": (64, 64)}, {"margin": 8}])
def test_models_of_one_size_are_not_scaled(make_raster, tmp_path, model):
    with pytest.raises(SettingError):
        run(make_raster(noise()), tmp_path, model, augmentation=Augmentation((0.75, 1.0)))
    assert not list(tmp_path.glob("map*"))


def test_memory_for_workers_is_counted_at_the_largest_scale(make_raster, tmp_path, monkeypatch):
    sizes = []
    count = backends.workers_for
    monkeypatch.setattr(
        backends, "workers_for", lambda *how: (sizes.append(how[1]), count(*how))[1]
    )
    _, result = run(make_raster(noise()), tmp_path, augmentation=Augmentation((0.5, 1.5)))
    run(make_raster(noise()), tmp_path)
    plan = result.plan
    tile = (plan.vertical.size, plan.horizontal.size)
    assert tile == (64, 56), "all tiles are as large as the image needs them"
    assert sizes == [(96, 80), tile]


def test_small_patches_are_merged(make_raster, tmp_path):
    image = coarse_noise()
    image[:, 30:60, 40:90] = 0
    raster = make_raster(image, nodata=0)
    plain, _ = run(raster, tmp_path)
    labels, result = run(raster, tmp_path, sieve=12)
    np.testing.assert_array_equal(labels, sieved(plain, MinArea(12), 1000))
    assert (labels != plain).sum() == result.counts.refined["merged_pixels"] > 1000
    counts = np.bincount(labels.ravel(), minlength=CLASSES + 1)
    assert [area.pixels for area in result.areas] == counts[1:].tolist()
    assert result.nodata_pixels == counts[0] == 1500


def test_small_patches_in_square_metres(make_raster, tmp_path):
    """Pixels of the test images are half a metre wide: 12 pixels have 3 square metres."""
    raster = make_raster(coarse_noise())
    pixels, _ = run(raster, tmp_path, sieve=12)
    metres, _ = run(raster, tmp_path, sieve=3.0, sieve_unit=SQUARE_METRES)
    np.testing.assert_array_equal(pixels, metres)
    plain = make_raster(coarse_noise(), "plain.tif", geotransform=None, epsg=None)
    with pytest.raises(SettingError):
        run(plain, tmp_path, sieve=3.0, sieve_unit=SQUARE_METRES)


def test_uncertain_pixels_get_no_class(make_raster, tmp_path):
    image, target = noise(), tmp_path / "scores.tif"
    image[:, :50, :50] = 0
    raster = make_raster(image, nodata=0)
    plain, _ = run(raster, tmp_path)
    labels, result = run(raster, tmp_path, min_confidence=0.6, probabilities=target)
    scores = gdal.Open(str(target)).ReadAsArray()
    sure = scores.max(axis=0) >= np.float32(0.6)
    np.testing.assert_array_equal(labels, np.where(sure, plain, 0))
    assert result.counts.refined["uncertain_pixels"] == (~sure & (plain > 0)).sum() > 1000
    assert result.nodata_pixels == 2500
    assert sum(area.pixels for area in result.areas) == (labels > 0).sum()
    np.testing.assert_allclose(scores[:, 50:, 50:].sum(axis=0), 1, atol=1e-4)


def said(raster: str, folder: Any, **settings: Any) -> str:
    """The log of a run."""
    info = inspect(tiny_models.pixelwise(folder / "tiny.onnx"))
    recorder = Recorder()
    request = map_settings(raster, info, folder / "map.tif", **{**TILES, **settings})
    make_map(request, recorder, lambda _path, _classes: None)
    return "\n".join(recorder.infos)


def test_the_log_says_what_was_done(make_raster, tmp_path):
    raster = make_raster(coarse_noise())
    looks = Augmentation((0.75, 1.0), "full")
    text = said(raster, tmp_path, augmentation=looks, sieve=9, min_confidence=0.35)
    for value in ("0.75;1", " 8 ", "12.5", "0.35", " 9 "):
        assert value in text


@pytest.mark.parametrize(
    ("looks", "values"),
    [
        (Augmentation((1.0,), "full"), ["8"]),
        (Augmentation((0.75, 1.0)), ["0.75;1"]),
        (Augmentation((0.75,), "mirror"), ["0.75", "2"]),
        (Augmentation((0.75,)), ["0.75"]),
    ],
)
def test_the_log_names_scales_and_views_where_there_are_some(looks, values, recorder):
    log_augmentation(looks, recorder)
    assert all(value in recorder.infos[0] for value in values)


def test_the_log_of_a_plain_run_says_nothing_of_it(make_raster, tmp_path):
    text = said(make_raster(coarse_noise()), tmp_path)
    assert not any(
        word in text for word in ("scales", "view", "unclassified", "mapping unit", "merged")
    )
