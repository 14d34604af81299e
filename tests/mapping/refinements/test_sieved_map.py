"""The files of a run with small patches merged and uncertain pixels left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled, OutputError
from scasnet_qgis.common.model_card import ModelClass
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.mapping.map_files import MapCounts
from scasnet_qgis.mapping.refinements.min_area import MinArea
from scasnet_qgis.mapping.refinements.refinement import RefinementSteps
from scasnet_qgis.outputs.atomic_output import AtomicOutput
from scasnet_qgis.outputs.class_map import ClassArea, ClassMapWriter
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.windows import Window
from tests.conftest import Recorder
from tests.mapping.refinements.test_sieve import sieved
from tests.outputs.test_geotiff import room_for
from tests.outputs.workspace import opened, steps_of

pytestmark = pytest.mark.usefixtures("session")
CLASSES = (
    ModelClass("building", "#c8502f"),
    ModelClass("road", "#010203"),
    ModelClass("water", "#3f7fb5"),
)
ROWS, COLS = 700, 640
GRID = Grid(ROWS, COLS, (5e5, 0.5, 0.0, 4e6, 0.0, -0.5))
SMALLEST = MinArea(30)
SIEVED = steps_of(GRID, sieve=30)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    """Large patches with speckle on them."""
    random = np.random.default_rng(8)
    large = np.kron(random.random((3, 7, 8)), np.ones((100, 80)))
    raw = large + 0.7 * random.random((3, ROWS, COLS)) ** 3
    return (raw / raw.sum(axis=0)).astype(np.float32)


@pytest.fixture(scope="module")
def valid() -> np.ndarray:
    mask = np.ones((ROWS, COLS), dtype=bool)
    mask[:300, :70] = False
    return mask


def make(
    folder: Path, scores: np.ndarray, valid: np.ndarray, steps: RefinementSteps, progress: Recorder
) -> MapCounts:
    """Write blocks as they come from two panels, finish and publish."""
    paths = (folder / "map.tif", folder / "scores.tif")
    with opened(*paths, GRID, CLASSES, steps) as products:
        for left, right in ((0, 512), (512, COLS)):
            for top in range(0, ROWS, 90):
                at = Window(top, left, 90, right - left).intersect(Window(0, 0, ROWS, COLS))
                part = (slice(at.row, at.row_end), slice(at.col, at.col_end))
                products.write(FinishedBlock(at, scores[(slice(None), *part)], valid[part]))
        products.finish(progress)
        return products.publish()


def found(folder: Path, name: str = "map.tif") -> np.ndarray:
    return gdal.Open(str(folder / name)).ReadAsArray()


def counted(labels: np.ndarray) -> list[ClassArea]:
    counts = np.bincount(labels.ravel(), minlength=4).tolist()
    return [
        ClassArea(value, model_class.name, model_class.color, counts[value], counts[value] * 0.25)
        for value, model_class in enumerate(CLASSES, start=1)
    ]


def test_the_map_is_sieved_and_so_are_areas_names_and_overviews(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray, recorder: Recorder
) -> None:
    counts = make(tmp_path, scores, valid, SIEVED, recorder)
    plain = np.where(valid, scores.argmax(axis=0) + 1, 0).astype(np.uint8)
    labels = sieved(plain, SMALLEST, 1000)
    np.testing.assert_array_equal(found(tmp_path), labels)
    assert counts == MapCounts(counted(labels), {"merged_pixels": int((labels != plain).sum())})
    merged = counts.refined["merged_pixels"]
    assert merged > 10_000
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    dataset.GetGeoTransform()  # GDAL 3.6 reads the side file only when asked for the place
    band = dataset.GetRasterBand(1)
    assert band.GetCategoryNames() == ["no data", "building", "road", "water"]
    table = band.GetDefaultRAT()
    pixels = [table.GetValueAsInt(row, 5) for row in range(3)]
    assert pixels == [area.pixels for area in counts.areas]
    coarse = band.GetOverview(0).ReadAsArray()
    assert (coarse == labels[::2, ::2]).mean() > 0.98
    assert any(f"{merged:,}" in text for text in recorder.infos)
    assert recorder.fractions == sorted(recorder.fractions)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["map.tif", "map.tif.aux.xml", "scores.tif"]


def test_no_block_is_written_twice(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray, recorder: Recorder
) -> None:
    make(tmp_path, scores, valid, SIEVED, recorder)
    again = AtomicOutput(tmp_path / "again.tif")
    writer = ClassMapWriter(again, GRID, CLASSES)
    writer.write_labels(GRID.whole, found(tmp_path))
    writer.finish(recorder)
    again.publish()
    assert (tmp_path / "map.tif").stat().st_size == again.path.stat().st_size


@pytest.mark.parametrize("smallest", [None, SMALLEST], ids=["every patch", "large patches"])
def test_uncertain_pixels_get_no_class_and_are_counted_apart(
    tmp_path: Path,
    scores: np.ndarray,
    valid: np.ndarray,
    recorder: Recorder,
    smallest: MinArea | None,
) -> None:
    steps = steps_of(GRID, min_confidence=0.45, sieve=0 if smallest is None else 30)
    counts = make(tmp_path, scores, valid, steps, recorder)
    sure = scores.max(axis=0) >= np.float32(0.45)
    plain = np.where(valid & sure, scores.argmax(axis=0) + 1, 0).astype(np.uint8)
    labels = plain if smallest is None else sieved(plain, smallest, 1000)
    np.testing.assert_array_equal(found(tmp_path), labels)
    assert counts.areas == counted(labels)
    assert (
        counts.refined["uncertain_pixels"] == counts.unclassified == (valid & ~sure).sum() > 10_000
    )
    kept = np.where(valid, scores, -1)
    np.testing.assert_array_equal(found(tmp_path, "scores.tif"), kept)


def test_a_score_of_just_that_confidence_is_enough() -> None:
    block = FinishedBlock(
        Window(0, 0, 1, 3),
        np.float32([[[0.6, 0.1, 0.5]], [[0.4, 0.9, 0.5]]]),
        np.array([[True, False, True]]),
    )
    assert block.uncertain(0.6).tolist() == [[False, False, True]]
    assert block.uncertain(0.61).tolist() == [[True, False, True]]


def test_a_cancel_while_patches_are_merged_leaves_nothing(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray
) -> None:
    class Impatient(Recorder):
        def report(self, fraction: float) -> None:
            super().report(fraction)
            self.stop = fraction > 0.6

    with pytest.raises(Cancelled):
        make(tmp_path, scores, valid, SIEVED, Impatient())
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, scores: np.ndarray, valid: np.ndarray, recorder: Recorder
) -> None:
    for room in (2_000, 15_000, 30_000, 45_000):
        with pytest.raises(OutputError, match=r"labels\.tif"), room_for(room):
            make_map_only(tmp_path, scores, valid, SIEVED, recorder)
        assert not list(tmp_path.iterdir())


def make_map_only(
    folder: Path, scores: np.ndarray, valid: np.ndarray, steps: RefinementSteps, progress: Recorder
) -> None:
    with opened(folder / "map.tif", None, GRID, CLASSES, steps) as products:
        products.write(FinishedBlock(GRID.whole, scores, valid))
        products.finish(progress)
        products.publish()
