"""Whole runs in which the model sees other pixels than the raster's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.mapping import plan as mapping_plan
from scasnet_qgis.mapping import views as mapping_regridding
from scasnet_qgis.mapping.job import MapResult, make_map
from scasnet_qgis.mapping.model_grid import model_grid
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.outputs import workspace as work
from scasnet_qgis.outputs.geotiff import BLOCK
from scasnet_qgis.outputs.provenance.stamp import read_record
from scasnet_qgis.tiling.augmentation import Augmentation
from scasnet_qgis.tiling.score_resampling import PIECE_BYTES
from scasnet_qgis.tiling.windows import Window
from tests.conftest import MakeRaster, Recorder
from tests.labels.layers import polygon, wkt, write_layer
from tests.map_settings import changed, map_settings
from tests.mapping.interrupting import fresh, interrupted, mapped, request_in
from tests.models import tiny_models
from tests.tiling.test_score_resampling import whole

CLASSES = 4
TILES = {"tile_size": 64, "overlap": 16, "threads": 2}
FINE, COARSE = (3.0, 3.3), (0.5, 0.55)  # of models for rasters of 1 m
ROWS, COLS = 300, 420


def patches(rows: int = ROWS, cols: int = COLS, bands: int = 3) -> np.ndarray:
    """An image with areas of some size, so that scores differ from place to place."""
    random = np.random.default_rng(4)
    coarse = random.integers(0, 256, (bands, -(-rows // 9), -(-cols // 9)))
    image = coarse.repeat(9, axis=1).repeat(9, axis=2)[:, :rows, :cols]
    return np.clip(image + random.integers(-9, 9, image.shape), 1, 255).astype(np.uint8)


def placed(size: float = 1.0) -> tuple[float, ...]:
    return (500000.0, size, 0.0, 4000000.0, 0.0, -size)


def run(
    raster: str,
    folder: Path,
    resolution: tuple[float, float] | None,
    progress: Recorder | None = None,
    **settings: Any,
) -> tuple[np.ndarray, MapResult]:
    """The map of a raster by a tiny model whose card states a resolution."""
    info = inspect(tiny_models.pixelwise(folder / "tiny.onnx", classes=CLASSES))
    info = replace(info, card=replace(info.card, resolution=resolution))
    target = folder / "map.tif"
    request = map_settings(raster, info, target, **{**TILES, **settings})
    result = make_map(request, progress or Recorder(), lambda _path, _classes: None)
    return gdal.Open(str(target)).ReadAsArray(), result


def expected(image: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of a raster that is ``factor`` times too fine, straight from the model."""
    from scasnet_qgis.tiling.resampling import AxisResampling

    bands, rows, cols = image.shape
    means = image.reshape(bands, rows // factor, factor, cols // factor, factor).mean(axis=(2, 4))
    scores = tiny_models.softmax(tiny_models.logits(np.rint(means)[None] / 255, CLASSES))[0]
    links = [AxisResampling(length, length // factor, 0, length) for length in (rows, cols)]
    return whole(links[0], links[1], scores, np.ones(scores.shape[1:], dtype=bool))


def is_sure(scores: np.ndarray) -> np.ndarray:
    """Where the highest score is so by more than rounding."""
    return np.diff(np.sort(scores, axis=0)[-2:], axis=0)[0] > 1e-3


def test_a_finer_raster_is_mapped_as_the_model_sees_it(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    image = patches()
    target = tmp_path / "scores.tif"
    source = make_raster(image, geotransform=placed())
    labels, result = run(source, tmp_path, (3.0, 3.0), probabilities=target)
    scores, best = expected(image, 3)
    found = gdal.Open(str(target)).ReadAsArray()
    np.testing.assert_allclose(found, scores, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    assert (labels == best)[is_sure(scores)].all()
    assert (result.plan.rows, result.plan.cols) == (ROWS // 3, COLS // 3)
    assert result.nodata_pixels == 0
    assert sum(area.pixels for area in result.areas) == ROWS * COLS
    assert sum(area.area for area in result.areas) == pytest.approx(ROWS * COLS)
    plain, _ = run(source, tmp_path, (3.0, 3.0))
    assert (plain == labels).mean() > 0.9999, "labels alone are those of the scores"
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    assert dataset.GetGeoTransform() == placed()


@pytest.mark.parametrize("resolution", [FINE, COARSE, (20.0, 20.0)])
def test_panels_and_strips_do_not_show(
    make_raster: MakeRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolution: Any
) -> None:
    source = make_raster(patches(530, 800), geotransform=placed())
    once, _ = run(source, tmp_path, resolution)
    monkeypatch.setattr(mapping_plan, "PANEL_BYTES", 1)
    again, result = run(source, tmp_path, resolution)
    assert len(result.plan.panels) == 4
    np.testing.assert_array_equal(again, once)
    assert once.min() > 0


@pytest.mark.parametrize("way", ["nodata", "mask", "alpha", "nan"])
@pytest.mark.parametrize("resolution", [FINE, COARSE])
def test_the_raster_s_own_gaps_are_those_of_the_map(
    make_raster: MakeRaster, tmp_path: Path, way: str, resolution: tuple[float, float]
) -> None:
    """To the pixel, also where single ones have data or none."""
    from tests.images.test_resampled_reader import ways_to_mark

    image = patches()
    holds = np.random.default_rng(6).random((ROWS, COLS)) > 0.1
    holds[100:200, 50:300] = np.random.default_rng(7).random((100, 250)) > 0.99
    values, how = ways_to_mark(image, holds)[way]
    source = make_raster(values, geotransform=placed(), **how)
    labels, result = run(source, tmp_path, resolution)
    np.testing.assert_array_equal(labels > 0, holds)
    assert result.nodata_pixels == (~holds).sum()
    target = tmp_path / "scores.tif"
    again, _ = run(source, tmp_path, resolution, probabilities=target)
    scores = gdal.Open(str(target)).ReadAsArray()
    np.testing.assert_allclose(scores.sum(axis=0)[holds], 1, atol=1e-5)
    assert (scores[:, ~holds] == -1).all()
    assert (again == labels).mean() > 0.999


def test_empty_tiles_are_not_computed(make_raster: MakeRaster, tmp_path: Path) -> None:
    image = patches(600, 900)
    image[:, :, 300:] = 0
    source = make_raster(image, geotransform=placed(), nodata=0)
    labels, result = run(source, tmp_path, FINE)
    assert result.report.skipped_tiles >= result.plan.count // 2
    np.testing.assert_array_equal(labels > 0, image.any(axis=0))


@pytest.mark.parametrize("resolution", [FINE, COARSE])
def test_an_extent_is_the_same_part_of_the_map(
    make_raster: MakeRaster, tmp_path: Path, resolution: tuple[float, float]
) -> None:
    source = make_raster(patches(), geotransform=placed())
    full, _ = run(source, tmp_path, resolution)
    box = (500037.0, 4000000.0 - 251, 500303.0, 4000000.0 - 61)
    part, result = run(source, tmp_path, resolution, extent=box)
    assert part.shape == (190, 266)
    np.testing.assert_array_equal(part, full[61:251, 37:303])
    assert result.pixels == part.size


@pytest.mark.parametrize("resolution", [FINE, COARSE, (20.0, 20.0)])
def test_a_mask_ends_where_its_polygons_do(
    make_raster: MakeRaster, tmp_path: Path, resolution: tuple[float, float]
) -> None:
    source = make_raster(patches(), geotransform=placed())
    full, _ = run(source, tmp_path, resolution)
    thin = [(5.2, 3.2), (200.7, 90.4), (201.7, 90.4), (6.4, 3.2)]
    block = [(300.2, 150.2), (401.4, 150.2), (401.4, 290.8), (300.2, 290.8)]
    shapes = [
        ("a", polygon([(500000 + x, 4000000 - y) for x, y in ring])) for ring in (thin, block)
    ]
    layer = write_layer(tmp_path / "mask.gpkg", shapes)
    labels, result = run(source, tmp_path, resolution, mask=layer)
    plain, _ = run(source, tmp_path, None, mask=layer)
    inside = plain > 0
    assert 13_000 < inside.sum() < 16_000
    np.testing.assert_array_equal(labels > 0, inside)
    np.testing.assert_array_equal(labels[inside], full[inside])
    if result.plan.count > 20:
        assert result.report.skipped_tiles > 0


def test_without_the_tick_nothing_is_resampled(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = make_raster(patches(), geotransform=placed())
    plain, _ = run(source, tmp_path, None)
    before = (tmp_path / "map.tif").read_bytes()
    progress = Recorder()
    off, _ = run(source, tmp_path, FINE, progress, resample=False)
    np.testing.assert_array_equal(off, plain)
    assert len([line for line in progress.warnings if "resolution of 1 m" in line]) == 1
    fits = Recorder()
    run(source, tmp_path, (0.97, 1.2), fits)
    assert (tmp_path / "map.tif").read_bytes() == before, "what fits is mapped as ever"
    assert fits.warnings == []
    assert not any("resampled" in line for line in fits.infos)


def test_what_was_done_is_told_and_kept(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = make_raster(patches(), geotransform=placed())
    progress = Recorder()
    run(source, tmp_path, FINE, progress)
    told = [info for info in progress.infos if "3.146 m" in info]
    assert len(told) == 1
    assert "1 m" in told[0].replace("3.146 m", "")
    record = read_record(tmp_path / "map.tif")
    assert record.texts("settings", "used", "model_sees") == ["95", "133"]
    assert record.number("settings", "used", "model_sees_m") == pytest.approx(3.146, abs=1e-3)
    assert "RESAMPLE" not in record.at("repeat", "parameters")
    assert record.count("map", "rows") == ROWS
    run(source, tmp_path, FINE, resample=False)
    off = read_record(tmp_path / "map.tif")
    assert off.at("repeat", "parameters", "RESAMPLE") == "false"
    assert off.at("settings", "used", "model_sees") is None


def test_all_refinements_together(make_raster: MakeRaster, tmp_path: Path) -> None:
    image = patches()
    source = make_raster(image, geotransform=placed())
    target = tmp_path / "scores.tif"
    how = {
        "min_confidence": 0.9,
        "probabilities": target,
        "augmentation": Augmentation((1.0,), "mirror"),
    }
    labels, result = run(source, tmp_path, FINE, **how)
    scores = gdal.Open(str(target)).ReadAsArray()
    np.testing.assert_array_equal(labels == 0, scores.max(axis=0) < np.float32(0.9))
    assert result.counts.refined["uncertain_pixels"] == (labels == 0).sum() > 0
    sieved, result = run(source, tmp_path, FINE, sieve=40)
    assert result.counts.refined["merged_pixels"] > 0
    assert sieved.min() > 0


@pytest.mark.parametrize("resolution", [FINE, COARSE])
def test_a_raster_is_asked_by_one_thread_at_a_time(
    make_raster: MakeRaster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resolution: tuple[float, float],
) -> None:
    """GDAL's datasets are not for several; tiles are read while the map is given out."""
    busy = threading.Lock()
    threads, together = set(), []

    def watched(done: Callable[..., Any]) -> Callable[..., Any]:
        def alone(reader: RasterReader, window: Window) -> Any:
            threads.add(threading.get_ident())
            is_alone = busy.acquire(blocking=False)
            together.append(not is_alone)
            try:
                time.sleep(0.001)  # time for others to come
                return done(reader, window)
            finally:
                if is_alone:
                    busy.release()

        return alone

    for name in ("may_hold_data", "read"):
        monkeypatch.setattr(RasterReader, name, watched(getattr(RasterReader, name)))
    image = patches()
    image[:, 90:140, 200:260] = 0
    run(make_raster(image, nodata=0, geotransform=placed()), tmp_path, resolution)
    assert len(threads) > 1
    assert not any(together)


@pytest.fixture
def request_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MapSettings]:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)
    return partial(request_in, tmp_path)


def seen_as(request: MapSettings, resolution: tuple[float, float]) -> MapSettings:
    card = replace(request.model.card, resolution=resolution)
    return changed(request, model=replace(request.model, card=card))


@pytest.mark.parametrize("scores", [False, True], ids=["labels", "scores"])
@pytest.mark.parametrize("share", [0.35, 0.7])
@pytest.mark.parametrize(("resolution", "size"), [(2.1, 32), (0.45, 128)], ids=["finer", "coarser"])
def test_an_interrupted_run_ends_with_the_same_bytes(
    request_of: Callable[..., MapSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resolution: float,
    size: int,
    share: float,
    scores: bool,
) -> None:
    monkeypatch.setattr(mapping_regridding, "strips_for", lambda *_, **__: (256, 32))
    target = tmp_path / "out" / "scores.tif" if scores else None
    tiles = {"tile_size": size, "overlap": size // 4}
    request = seen_as(request_of(probabilities=target, **tiles), (resolution, resolution))
    interrupted(request, share)
    progress, result = mapped(request)
    assert len(progress.kept) == 1
    assert len(result.plan.panels) == 2
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
    if target is not None:
        assert target.read_bytes() == (tmp_path / "fresh" / "scores.tif").read_bytes()
    if share > 0.5:
        assert result.report.computed_tiles < result.plan.count


def test_another_resolution_begins_anew(
    request_of: Callable[..., MapSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping_regridding, "strips_for", lambda *_, **__: (256, 32))
    request = seen_as(request_of(tile_size=32, overlap=8), (2.1, 2.1))
    interrupted(request, 0.9)
    progress, _ = mapped(changed(request, resample=False))
    assert any("resolution" in line for line in progress.infos)
    assert not progress.kept


@pytest.mark.parametrize(
    ("geotransform", "epsg"),
    [
        ((55.0, 4e-6, 0.0, 25.0, 0.0, -4e-6), 4326),
        ((5e5, 0.3, 0.0, 4e6, 0.0, -0.6), 32640),
        ((5e5, 0.3, 0.4, 4e6, 0.4, -0.3), 32640),
        ((5e5, 0.5, 0.0, 4e6, 0.0, 0.5), 32640),
        ((55.0, 6e-6, 0.0, 60.0, 0.0, -3e-6), 4326),
    ],
    ids=["degrees", "not square", "rotated", "south up", "far north"],
)
def test_the_model_sees_square_metres(
    make_raster: MakeRaster, tmp_path: Path, geotransform: tuple[float, ...], epsg: int
) -> None:
    """On any grid: the same area is as many pixels, and as high as wide; the map is on the grid."""
    source = make_raster(patches(), geotransform=geotransform, epsg=epsg)
    labels, result = run(source, tmp_path, (1.5, 1.5))
    area = sum(class_area.area for class_area in result.areas)
    assert result.plan.rows * result.plan.cols == pytest.approx(area / 1.5**2, rel=0.02)
    down, across = Grid.of(gdal.Open(source)).pixel_lengths or (0.0, 0.0)
    assert result.plan.rows == pytest.approx(ROWS * down / 1.5, abs=1)
    assert result.plan.cols == pytest.approx(COLS * across / 1.5, abs=1)
    assert labels.shape == (ROWS, COLS)
    assert gdal.Open(str(tmp_path / "map.tif")).GetGeoTransform() == geotransform


@pytest.mark.parametrize("classes", [2, 20, 254])
@pytest.mark.parametrize("metres", [0.05, 0.35, 2.1])
def test_a_panel_takes_no_more_memory_than_any(tmp_path: Path, classes: int, metres: float) -> None:
    info = inspect(tiny_models.pixelwise(tmp_path / "tiny.onnx", classes=classes))
    info = replace(info, card=replace(info.card, resolution=(1.05, 1.05)))
    size = round(200_000 / metres)
    grid = Grid(size, size, placed(metres), wkt(32640))
    seen = model_grid(info.card, grid, grid.whole)
    assert seen is not None
    width, rows = mapping_regridding.strips_for(
        seen, 456, 32, classes, 900, with_probabilities=False
    )
    assert width % BLOCK == 0 == BLOCK % rows
    kept = 456 + rows / seen.down.factor + 2
    scores = 4 * classes * kept * width / seen.across.factor
    least = 4 * classes * kept * BLOCK / seen.across.factor
    assert scores <= max(mapping_plan.PANEL_BYTES, 1.01 * least)
    assert 4 * classes * rows * BLOCK <= 2 * PIECE_BYTES


def test_a_raster_without_metres_is_mapped_as_it_is(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    source = make_raster(patches(), geotransform=None, epsg=None)
    dataset = gdal.Open(source, gdal.GA_Update)
    corners = ((0, 0), (COLS, 0), (0, ROWS), (COLS, ROWS))
    points = [gdal.GCP(55 + 1e-6 * col, 25 - 1e-6 * row, 0, col, row) for col, row in corners]
    dataset.SetGCPs(points, wkt(4326))
    del dataset
    labels, result = run(source, tmp_path, FINE)
    assert (result.plan.rows, result.plan.cols) == labels.shape
