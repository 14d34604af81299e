"""The files of a run, filled by a thread of their own."""

from __future__ import annotations

import threading
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled, OutputError
from scasnet_qgis.common.model_card import ModelClass
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.mapping.map_files import MapFiles
from scasnet_qgis.outputs.writer_thread import NAME
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.windows import Window
from tests.conftest import Recorder
from tests.outputs.test_geotiff import room_for
from tests.outputs.workspace import opened, steps_of

pytestmark = pytest.mark.usefixtures("session")
CLASSES = (ModelClass("building", "#c8502f"), ModelClass("water", "#3f7fb5"))
ROWS, COLS = 900, 800
GRID = Grid(ROWS, COLS, (5e5, 0.5, 0.0, 4e6, 0.0, -0.5))
PLAIN = steps_of(GRID)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    first = np.random.default_rng(3).random((ROWS, COLS), dtype=np.float32)
    return np.stack((first, 1 - first))


def blocks(scores: np.ndarray) -> list[FinishedBlock]:
    """A panel of two blocks a row and one of a single block, as from a blender."""
    whole = Window(0, 0, ROWS, COLS)
    found = []
    for panel, lefts in (((0, 512), (0, 300)), ((512, 288), (512,))):
        for top, left in product(range(0, ROWS, 170), lefts):
            right = min(left + 300, sum(panel))
            at = Window(top, left, 170, right - left).intersect(whole)
            part = scores[:, at.row : at.row_end, at.col : at.col_end]
            found.append(FinishedBlock(at, part, np.ones(part.shape[1:], dtype=bool), panel))
    return found


def write_all(products: MapFiles, scores: np.ndarray) -> None:
    for block in blocks(scores):
        products.write(block)


def no_thread() -> bool:
    return NAME not in {thread.name for thread in threading.enumerate()}


def test_every_block_arrives(tmp_path: Path, scores: np.ndarray, recorder: Recorder) -> None:
    paths = tmp_path / "map.tif", tmp_path / "scores.tif"
    with opened(*paths, GRID, CLASSES, PLAIN) as products:
        write_all(products, scores)
        products.finish(recorder)
        assert no_thread(), "the files are whole, nobody writes"
        counts = products.publish()
    labels = scores.argmax(axis=0) + 1
    np.testing.assert_array_equal(gdal.Open(str(paths[0])).ReadAsArray(), labels)
    np.testing.assert_array_equal(gdal.Open(str(paths[1])).ReadAsArray(), scores)
    assert [area.pixels for area in counts.areas] == [(labels == 1).sum(), (labels == 2).sum()]
    assert recorder.fractions == sorted(recorder.fractions)


def test_files_are_written_while_the_next_block_is_made(tmp_path: Path, scores: np.ndarray) -> None:
    with opened(tmp_path / "map.tif", None, GRID, CLASSES, PLAIN) as products:
        write_all(products, scores)
        assert not no_thread()
    assert no_thread()


@pytest.mark.parametrize("handed_over", [0, 1, 7])
@pytest.mark.parametrize("sieve", [0, 20], ids=["plain", "sieved"])
def test_a_run_that_ends_midway_leaves_nothing(
    tmp_path: Path, scores: np.ndarray, handed_over: int, sieve: int
) -> None:
    paths = tmp_path / "map.tif", tmp_path / "scores.tif"

    def run() -> None:
        with opened(*paths, GRID, CLASSES, steps_of(GRID, sieve=sieve)) as products:
            for block in blocks(scores)[:handed_over]:
                products.write(block)
            raise Cancelled

    with pytest.raises(Cancelled):
        run()
    assert no_thread()
    assert not list(tmp_path.iterdir())


def test_a_cancel_at_the_end_leaves_nothing(
    tmp_path: Path, scores: np.ndarray, recorder: Recorder
) -> None:
    def run() -> None:
        with opened(tmp_path / "map.tif", None, GRID, CLASSES, PLAIN) as products:
            write_all(products, scores)
            recorder.stop = True
            products.finish(recorder)

    with pytest.raises(Cancelled):
        run()
    assert no_thread()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("room", [1_000, 10_000, 40_000, 80_000])
@pytest.mark.parametrize("probabilities", [False, True])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, scores: np.ndarray, room: int, probabilities: bool
) -> None:
    """It shows in the thread: at one of the next blocks, or at the end."""
    other = tmp_path / "scores.tif" if probabilities else None

    def run() -> None:
        with opened(tmp_path / "map.tif", other, GRID, CLASSES, PLAIN) as products:
            write_all(products, scores)
            products.finish(Progress())
            products.publish()

    with pytest.raises(OutputError), room_for(room):
        run()
    assert no_thread()
    assert not list(tmp_path.iterdir())


def test_what_went_wrong_is_said_again(tmp_path: Path, scores: np.ndarray) -> None:
    with opened(tmp_path / "map.tif", None, GRID, CLASSES, PLAIN) as products:
        with pytest.raises(OutputError) as first, room_for(2_000):
            write_all(products, scores)
        with pytest.raises(OutputError) as again:
            products.write(blocks(scores)[0])
        assert again.value is first.value
