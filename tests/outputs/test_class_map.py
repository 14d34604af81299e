"""The map and the probabilities as finished files."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, osr

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.model_card import ModelClass
from scasnet_qgis.images.grid import Grid, metres_per_degree
from scasnet_qgis.outputs.atomic_output import AtomicOutput
from scasnet_qgis.outputs.class_map import ClassMapWriter, ProbabilityWriter, finish_all
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.windows import Window
from tests.conftest import Recorder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]
CLASSES = (
    ModelClass("building", "#c8502f"),
    ModelClass("Straße & Weg", "#010203"),
    ModelClass("water", "#3f7fb5"),
)
ROWS, COLS = 530, 300


def wkt(epsg: int) -> str:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    return str(reference.ExportToWkt())


def grid_of(
    placed: tuple[float, ...] | None = (5e5, 0.5, 0.0, 4e6, 0.0, -0.5), epsg: int = 32640
) -> Grid:
    return Grid(ROWS, COLS, placed, wkt(epsg))


@pytest.fixture
def scores() -> np.ndarray:
    raw = np.random.default_rng(4).random((3, ROWS, COLS), dtype=np.float32)
    raw[1, :, :100] += 1.0
    return raw / raw.sum(axis=0)


@pytest.fixture
def valid() -> np.ndarray:
    mask = np.ones((ROWS, COLS), dtype=bool)
    mask[:40, :70] = False
    return mask


def strips(scores: np.ndarray, valid: np.ndarray) -> list[FinishedBlock]:
    """Two panels, in rows of uneven height."""
    return [
        FinishedBlock(
            Window(top, left, end - top, right - left),
            scores[:, top:end, left:right],
            valid[top:end, left:right],
        )
        for left, right in ((0, 256), (256, COLS))
        for top, end in ((0, 100), (100, 400), (400, ROWS))
    ]


def make(folder: Path, grid: Grid, scores: np.ndarray, valid: np.ndarray) -> ClassMapWriter:
    outputs = [AtomicOutput(folder / "map.tif"), AtomicOutput(folder / "scores.tif")]
    label_writer = ClassMapWriter(outputs[0], grid, CLASSES)
    writers = [label_writer, ProbabilityWriter(outputs[1], grid, CLASSES)]
    for rows in strips(scores, valid):
        for writer in writers:
            writer.write(rows)
    progress = Recorder()
    finish_all(writers, progress)
    assert progress.fractions == sorted(progress.fractions)
    for atomic in outputs:
        atomic.publish()
    return label_writer


def truth(scores: np.ndarray, valid: np.ndarray) -> np.ndarray:
    return np.where(valid, scores.argmax(axis=0) + 1, 0)


def test_the_map_says_what_its_values_are(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray
) -> None:
    make(tmp_path, grid_of(), scores, valid)
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    band = dataset.GetRasterBand(1)
    np.testing.assert_array_equal(band.ReadAsArray(), truth(scores, valid))
    assert (dataset.RasterCount, band.DataType) == (1, gdal.GDT_Byte)
    assert band.GetNoDataValue() == 0
    assert band.GetCategoryNames() == ["no data", "building", "Straße & Weg", "water"]
    table = band.GetColorTable()
    assert [table.GetColorEntry(value) for value in range(4)] == [
        (0, 0, 0, 0),
        (200, 80, 47, 255),
        (1, 2, 3, 255),
        (63, 127, 181, 255),
    ]
    assert band.GetOverviewCount() == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        "map.tif",
        "map.tif.aux.xml",
        "scores.tif",
    }


def test_the_attribute_table(tmp_path: Path, scores: np.ndarray, valid: np.ndarray) -> None:
    make(tmp_path, grid_of(), scores, valid)
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    table = dataset.GetRasterBand(1).GetDefaultRAT()
    labels = truth(scores, valid)
    rows = [
        [table.GetValueAsString(row, column) for column in range(5)] + [table.GetValueAsInt(row, 5)]
        for row in range(table.GetRowCount())
    ]
    assert rows == [
        ["1", "building", "200", "80", "47", (labels == 1).sum()],
        ["2", "Straße & Weg", "1", "2", "3", (labels == 2).sum()],
        ["3", "water", "63", "127", "181", (labels == 3).sum()],
    ]
    uses = [table.GetUsageOfCol(column) for column in range(6)]
    assert uses[:2] == [gdal.GFU_MinMax, gdal.GFU_Name]
    assert uses[5] == gdal.GFU_PixelCount


def test_the_output_owes_nothing_to_the_input_s_nodata(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray
) -> None:
    """Peers copy it, and a class becomes "nodata"."""
    make(tmp_path, grid_of(), scores, valid)
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    band = dataset.GetRasterBand(1)
    np.testing.assert_array_equal(band.GetMaskBand().ReadAsArray() == 255, valid)


@pytest.mark.parametrize(
    ("placed", "epsg", "unit"),
    [
        ((5e5, 0.5, 0.0, 4e6, 0.0, -0.5), 32640, 0.25),
        ((5e5, 0.5, 0.0, 4e6, 0.0, 0.5), 32640, 0.25),
        ((5e5, 0.3, 0.4, 4e6, 0.4, -0.3), 32640, 0.25),
        ((0.0, 2.0, 0.0, 0.0, 0.0, -2.0), 2263, 4 * (1200 / 3937) ** 2),
        (None, 32640, 1.0),
    ],
)
def test_areas(
    tmp_path: Path,
    scores: np.ndarray,
    valid: np.ndarray,
    placed: tuple[float, ...] | None,
    epsg: int,
    unit: float,
) -> None:
    writer = make(tmp_path, grid_of(placed, epsg), scores, valid)
    labels = truth(scores, valid)
    for value, (area, model_class) in enumerate(zip(writer.areas, CLASSES), start=1):
        count = int((labels == value).sum())
        assert (area.value, area.name, area.color) == (value, model_class.name, model_class.color)
        assert area.pixels == count
        assert area.area == pytest.approx(count * unit)
    assert sum(area.pixels for area in writer.areas) == valid.sum()


def test_areas_in_degrees_follow_the_latitude(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray
) -> None:
    step = 0.05  # 26 degrees from top to bottom
    grid = grid_of((10.0, step, 0.0, 70.0, 0.0, -step), 4326)
    writer = make(tmp_path, grid, scores, valid)
    labels = truth(scores, valid)
    by_row = np.array([np.prod(metres_per_degree(70 - (r + 0.5) * step)) for r in range(ROWS)])
    for value, area in enumerate(writer.areas, start=1):
        expected = ((labels == value).sum(axis=1) * by_row).sum() * step**2
        assert area.area == pytest.approx(expected, rel=1e-3)


def test_the_probabilities(tmp_path: Path, scores: np.ndarray, valid: np.ndarray) -> None:
    make(tmp_path, grid_of(), scores, valid)
    dataset = gdal.Open(str(tmp_path / "scores.tif"))
    assert dataset.RasterCount == 3
    for number, model_class in enumerate(CLASSES, start=1):
        band = dataset.GetRasterBand(number)
        assert (band.DataType, band.GetNoDataValue()) == (gdal.GDT_Float32, -1.0)
        assert band.GetDescription() == model_class.name
        expected = np.where(valid, scores[number - 1], -1.0)
        np.testing.assert_array_equal(band.ReadAsArray(), expected)
    assert dataset.GetRasterBand(1).GetOverviewCount() == 2
    assert dataset.GetRasterBand(1).GetOverview(0).ReadAsArray(0, 0, 30, 15).max() == -1.0


@pytest.mark.parametrize(
    "placed", [(5e5, 0.5, 0.0, 4e6, 0.0, 0.5), (5e5, 0.3, 0.4, 4e6, 0.4, -0.3)]
)
def test_the_files_lie_on_the_grid(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray, placed: tuple[float, ...]
) -> None:
    grid = grid_of(placed)
    make(tmp_path, grid, scores, valid)
    for name in ("map.tif", "scores.tif"):
        found = Grid.of(gdal.Open(str(tmp_path / name)))
        assert found.geotransform == pytest.approx(placed)
        assert (found.rows, found.cols) == (ROWS, COLS)
        assert "32640" in found.wkt


def test_an_abandoned_map_leaves_nothing(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray
) -> None:
    atomic = AtomicOutput(tmp_path / "map.tif")
    writer = ClassMapWriter(atomic, grid_of(), CLASSES)
    writer.write(strips(scores, valid)[0])
    writer.abandon()
    atomic.discard()
    assert not list(tmp_path.iterdir())


def test_names_that_cannot_be_written_are_no_map(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray
) -> None:
    """They lie in a side file, and GDAL only warns where its disk is full."""
    atomic = AtomicOutput(tmp_path / "map.tif")
    writer = ClassMapWriter(atomic, grid_of(), CLASSES)
    (atomic.folder / "map.tif.aux.xml").mkdir()
    for rows in strips(scores, valid):
        writer.write(rows)
    with pytest.raises(OutputError, match=r"map\.tif"):
        writer.finish(Recorder())


def test_as_many_classes_as_a_map_can_hold(tmp_path: Path) -> None:
    many = [ModelClass(f"class {index}", "#102030") for index in range(254)]
    atomic = AtomicOutput(tmp_path / "map.tif")
    writer = ClassMapWriter(atomic, Grid(1, 254, None), many)
    scores = np.eye(254, dtype=np.float32)[:, None, :]
    writer.write(FinishedBlock(Window(0, 0, 1, 254), scores, np.ones((1, 254), dtype=bool)))
    writer.finish(Recorder())
    atomic.publish()
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    band = dataset.GetRasterBand(1)
    assert band.ReadAsArray()[0].tolist() == list(range(1, 255))
    assert {area.pixels for area in writer.areas} == {1}


@pytest.mark.parametrize("steps", [(100, 70), (400, 300), (900, 530), (256, 512)])
@pytest.mark.parametrize("panel_cols", [512, 768])
def test_blocks_of_any_size_arrive_whole_and_once(
    tmp_path: Path, steps: tuple[int, int], panel_cols: int
) -> None:
    """No row of blocks is gathered: only what does not fill a block of the file waits."""
    rows, cols, count = 540, 1100, 3
    scores = np.random.default_rng(2).random((count, rows, cols), dtype=np.float32)
    atomic, reference = AtomicOutput(tmp_path / "parts.tif"), AtomicOutput(tmp_path / "whole.tif")
    writer, whole = (
        ProbabilityWriter(output, Grid(rows, cols, None), CLASSES) for output in (atomic, reference)
    )
    for left, top in product(range(0, cols, panel_cols), range(0, rows, steps[0])):
        panel = (left, min(panel_cols, cols - left))
        for col in range(left, sum(panel), steps[1]):
            at = Window(top, col, *steps).intersect(Window(0, 0, rows, sum(panel)))
            part = scores[:, at.row : at.row_end, at.col : at.col_end].copy()
            writer.write(FinishedBlock(at, part, np.ones(part.shape[1:], bool), panel))
            part[:] = 9  # the blender may use it again
            waiting = writer._columns._waiting
            assert waiting is None or waiting.shape[2] < 256
            assert all(
                rows_waiting.shape[1] < 256 for rows_waiting in writer._writer._waiting.values()
            )
    assert not writer._writer._waiting
    whole.write(FinishedBlock(Window(0, 0, rows, cols), scores, np.ones((rows, cols), bool)))
    for opened in (writer, whole):
        opened._writer.close()
    np.testing.assert_array_equal(gdal.Open(str(atomic.working)).ReadAsArray(), scores)
    assert atomic.working.stat().st_size == reference.working.stat().st_size
    atomic.discard()
    reference.discard()
