"""Whole runs without QGIS: every pixel of a map against the tiny model computed directly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import OutputError, SettingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.value_scaling import parse_value_range
from scasnet_qgis.mapping.job import MapResult, make_map
from scasnet_qgis.models.model_file import inspect
from tests.images.test_rendered_layer import UTM, Painted, layer_at
from tests.map_settings import map_settings
from tests.models import tiny_models

TILES = {"tile_size": 64, "overlap": 16}
CLASSES = 8  # of the tiny models, unless a test says otherwise
NORTH_UP = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)
ALPHA = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand)


def noise(rows: int = 150, cols: int = 170, bands: int = 3, kind: str = "uint8") -> np.ndarray:
    """An image whose neighbouring pixels have nothing in common, so that any shift shows."""
    top = np.iinfo(kind).max + 1 if kind.startswith("uint") else 256
    return np.random.default_rng(11).integers(1, top, (bands, rows, cols)).astype(kind)


def direct(inputs: np.ndarray, valid: Any = True, classes: int = CLASSES) -> np.ndarray:
    """The map of model inputs [bands, rows, cols] in 0-1, straight from the model's weights."""
    scores = tiny_models.logits(inputs[None].astype(np.float32), classes)[0]
    best = (scores[0] > 0).astype(int) if classes == 1 else scores.argmax(axis=0)
    return np.where(valid, best + 1, 0).astype(np.uint8)


def run(
    raster: str, folder: Path, model: dict[str, Any] | None = None, **settings: Any
) -> tuple[np.ndarray, MapResult]:
    """Map a raster with a tiny model of this kind."""
    file = tiny_models.pixelwise(folder / "tiny.onnx", **{"classes": CLASSES, **(model or {})})
    target = folder / "map.tif"
    tiles = {} if "size" in (model or {}) else TILES
    request = map_settings(raster, inspect(file), target, threads=2, **{**tiles, **settings})
    result = make_map(request, Progress(), lambda _path, _classes: None)
    return gdal.Open(str(target)).ReadAsArray(), result


def test_the_noise_has_many_classes() -> None:
    """Else the comparisons below would say little."""
    counts = np.bincount(direct(noise() / 255).ravel())
    assert (counts > 1000).sum() >= 4


@pytest.mark.parametrize("shape", [(150, 170), (40, 50), (1, 1)])
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ({}, {}),
        ({}, {"batch": 3}),
        ({"activation": None}, {}),
        ({"classes": 1, "activation": "Sigmoid"}, {}),
        ({"classes": 1, "activation": None}, {}),
        ({"margin": 8}, {"batch": 2}),
        ({"size": (64, 64)}, {"batch": 3}),
        ({"size": (64, 96), "batch": 2}, {"overlap": 20}),
        ({"size": (64, 64), "margin": 8}, {"overlap": 0}),
    ],
)
def test_every_kind_of_model_gives_each_pixel_its_class(
    make_raster, tmp_path, shape, model, settings
):
    image = noise(*shape)
    labels, result = run(make_raster(image), tmp_path, model, **settings)
    expected = direct(image / 255, classes=model.get("classes", CLASSES))
    np.testing.assert_array_equal(labels, expected)
    counts = np.bincount(expected.ravel(), minlength=len(result.areas) + 1)
    assert [area.pixels for area in result.areas] == counts[1:].tolist()
    assert result.report.computed_tiles == result.plan.count


def test_nodata_in_all_bands_is_no_data_and_in_one_band_a_value(make_raster, tmp_path):
    image = noise()
    image[:, 20:90, 30:120] = 0
    image[1, 100:, :] = 0
    valid = np.ones(image.shape[1:], dtype=bool)
    valid[20:90, 30:120] = False
    labels, _ = run(make_raster(image, nodata=0), tmp_path)
    np.testing.assert_array_equal(labels, direct(image / 255, valid))


@pytest.mark.fault("An image that is nearly all nodata.", "What holds no data is not computed.")
def test_windows_without_data_are_skipped(make_raster, tmp_path):
    image = noise(200, 300)
    valid = np.zeros((200, 300), dtype=bool)
    valid[150:, 201:] = True
    image[:, ~valid] = 0
    labels, result = run(make_raster(image, nodata=0), tmp_path, batch=2)
    np.testing.assert_array_equal(labels, direct(image / 255, valid))
    tiles = [
        tile.out
        for panel in result.plan.panels
        for row in range(len(result.plan.vertical))
        for tile in result.plan.row_tiles(panel, row)
    ]
    empty = [not valid[t.row : t.row_end, t.col : t.col_end].any() for t in tiles]
    assert 0 < sum(empty) < len(tiles)
    assert result.report.skipped_tiles == sum(empty)
    assert result.report.computed_tiles == len(tiles) - sum(empty)


@pytest.mark.fault("An image without any data.", "The map is empty.")
def test_raster_without_any_data_gives_an_empty_map(make_raster, tmp_path):
    labels, result = run(make_raster(np.zeros((3, 90, 80), np.uint8), nodata=0), tmp_path)
    assert not labels.any()
    assert result.report.computed_tiles == 0


def test_alpha_of_0_and_255_says_where_data_is(make_raster, tmp_path):
    image = noise(bands=4)
    valid = image[3] > 60
    image[3] = np.where(valid, 255, 0)
    labels, _ = run(make_raster(image, meaning=ALPHA), tmp_path)
    np.testing.assert_array_equal(labels, direct(image[:3] / 255, valid))


@pytest.mark.parametrize("bands", [3, 4])
def test_near_infrared_that_is_flagged_as_alpha_is_data(make_raster, tmp_path, bands):
    """As in the images of the United States' NAIP: 0 occurs in the fourth band and means dark."""
    image = noise(bands=4)
    image[3, :40] = 0
    labels, _ = run(make_raster(image, meaning=ALPHA), tmp_path, {"bands": bands})
    np.testing.assert_array_equal(labels, direct(image[:bands] / 255))


def test_mask_band_says_where_data_is(make_raster, tmp_path):
    image = noise()
    valid = noise(bands=1)[0] > 99
    labels, _ = run(make_raster(image, mask=valid), tmp_path)
    np.testing.assert_array_equal(labels, direct(image / 255, valid))


@pytest.mark.parametrize("order", [(3, 1, 2), (2, 2, 2)])
def test_chosen_bands_feed_the_model_in_their_order(make_raster, tmp_path, order):
    image = noise()
    labels, _ = run(make_raster(image), tmp_path, bands=order)
    np.testing.assert_array_equal(labels, direct(image[[number - 1 for number in order]] / 255))


@pytest.mark.fault(
    "An image that is rotated, south-up or without a position.",
    "The map has the very same position, or none.",
)
@pytest.mark.parametrize(
    "placed",
    [
        NORTH_UP,
        (500000.0, 0.5, 0.0, 4000000.0, 0.0, 0.5),
        (500000.0, 0.4, 0.3, 4000000.0, 0.3, -0.4),
        None,
    ],
    ids=["north up", "south up", "rotated", "none"],
)
def test_map_lies_where_the_image_lies(make_raster, tmp_path, placed):
    image = noise(90, 80)
    labels, _ = run(make_raster(image, geotransform=placed), tmp_path)
    np.testing.assert_array_equal(labels, direct(image / 255))
    found = gdal.Open(str(tmp_path / "map.tif")).GetGeoTransform(can_return_null=True)
    assert found == placed


@pytest.mark.parametrize("step", [-0.5, 0.5], ids=["north up", "south up"])
@pytest.mark.parametrize(
    "part",
    [(0, 0, 150, 170), (33, 47, 80, 70), (149, 169, 1, 1), (100, 120, 50, 50), (0, 3, 150, 9)],
)
def test_extent_maps_that_part_as_the_whole(make_raster, tmp_path, step, part):
    image = noise()
    row, col, rows, cols = part
    place = (500000.0, 0.5, 0.0, 4000000.0, 0.0, step)
    x, y = place[0] + col * 0.5, place[3] + row * step
    ends = sorted((y, y + rows * step))
    box = (x, ends[0], x + cols * 0.5, ends[1])
    labels, _ = run(make_raster(image, geotransform=place), tmp_path, extent=box)
    expected = direct(image / 255)[row : row + rows, col : col + cols]
    np.testing.assert_array_equal(labels, expected)
    assert gdal.Open(str(tmp_path / "map.tif")).GetGeoTransform() == (x, *place[1:3], y, 0.0, step)


def test_float_with_nan(make_raster, tmp_path):
    """NaN in every band is no data; in one band the model's mean stands in for it."""
    image = noise().astype(np.float32) / 255
    image[0, 10:60, :] = np.nan
    image[:, 40:100, 90:] = np.nan
    metadata = {"scasnet_value_range": "[0, 1]"}
    labels, _ = run(make_raster(image), tmp_path, {"metadata": metadata})
    filled = np.where(np.isnan(image), 0.5, image)
    np.testing.assert_array_equal(labels, direct(filled, ~np.isnan(image).all(axis=0)))


@pytest.mark.fault(
    "Only a part of a 16-bit image is mapped.",
    "It gets the very classes that it has in the map of the whole.",
)
def test_16_bit_is_scaled_by_percentiles_of_the_data_in_the_whole_raster(make_raster, tmp_path):
    """Also where only a part is mapped; nodata counts for nothing."""
    image = noise(kind="uint16") // 20 + 1
    image[2, 75:] *= 9  # so that a part would be scaled otherwise
    image[:, :30, :] = 0
    low, high = np.percentile(image[:, 30:].reshape(3, -1), (2, 98), axis=1)[..., None, None]
    inputs = np.clip((image - low) / (high - low), 0, 1)
    box = (NORTH_UP[0], NORTH_UP[3] - 75, NORTH_UP[0] + 85, NORTH_UP[3] - 25)
    labels, _ = run(make_raster(image, nodata=0), tmp_path)
    np.testing.assert_array_equal(labels, direct(inputs, image.any(axis=0)))
    part, _ = run(make_raster(image, "again.tif", nodata=0), tmp_path, extent=box)
    np.testing.assert_array_equal(part, labels[50:])


def test_16_bit_model_takes_its_own_range(make_raster, tmp_path):
    image = noise(kind="uint16")
    metadata = {"scasnet_value_range": "[0, 65535]"}
    labels, _ = run(make_raster(image), tmp_path, {"metadata": metadata})
    np.testing.assert_array_equal(labels, direct(image / 65535))


def test_probabilities_are_those_of_the_model(make_raster, tmp_path):
    image = noise()
    image[:, :50, :50] = 0
    target = tmp_path / "probabilities.tif"
    run(make_raster(image, nodata=0), tmp_path, probabilities=target)
    expected = tiny_models.softmax(tiny_models.logits((image / 255)[None], CLASSES))[0]
    expected[:, :50, :50] = -1
    np.testing.assert_allclose(gdal.Open(str(target)).ReadAsArray(), expected, atol=1e-4)


@pytest.mark.parametrize("option", ["", "|option:NUM_THREADS=1"])
def test_the_style_of_the_image_is_not_replaced(make_raster, tmp_path, option):
    image = tmp_path / "map.jpg"
    gdal.Translate(str(image), make_raster(noise()), format="JPEG")
    with pytest.raises(OutputError, match=r"map\.tif"):
        run(f"{image}{option}", tmp_path)
    assert not (tmp_path / "map.tif").exists()


def test_a_map_may_have_the_name_of_its_model(make_raster, tmp_path):
    model = tiny_models.pixelwise(tmp_path / "map.onnx", classes=CLASSES)
    request = map_settings(make_raster(noise()), inspect(model), tmp_path / "map.tif", **TILES)
    make_map(request, Progress(), lambda _path, _classes: None)
    assert request.output.map.exists()


@pytest.mark.parametrize(("limit", "text", "said"), [(1, "0;200", "1"), (100, "2%;98%", None)])
def test_nothing_of_a_rendered_layer_is_fetched_before_its_limit_is_kept(
    tmp_path, limit, text, said
):
    layer = layer_at(limit=limit)
    given = parse_value_range(text)
    with pytest.raises(SettingError, match=said):
        run("", tmp_path, layer=layer, extent=UTM, value_range=given)
    assert isinstance(layer.block_renderer, Painted)
    assert not layer.block_renderer.parts
