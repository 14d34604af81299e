"""GeoTIFFs from rows: whole blocks, nothing lost, a full disk is noticed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled, OutputError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.outputs import overviews
from scasnet_qgis.outputs.geotiff import BLOCK, GeoTiffWriter
from scasnet_qgis.outputs.overviews import Reduce, close, most_frequent
from scasnet_qgis.tiling.windows import Window
from tests.conftest import Recorder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]
NORTH_UP = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)


def labels_of(rows: int, cols: int, bands: int = 1) -> np.ndarray:
    return np.random.default_rng(9).integers(0, 6, (bands, rows, cols)).astype(np.uint8)


def write(
    path: Path,
    values: np.ndarray,
    heights: Sequence[int] = (10_000,),
    panel_cols: int = 10_000,
    kind: int = gdal.GDT_Byte,
    reduce: Reduce | None = None,
) -> GeoTiffWriter:
    """Write panel by panel, in strips of ``heights`` in turn; the last one repeats."""
    bands, rows, cols = values.shape
    writer = GeoTiffWriter(path, Grid(rows, cols, NORTH_UP), bands, kind, 0, (), reduce)
    with abandoned_on_failure(writer):
        for left in range(0, cols, panel_cols):
            right, top, turn = min(left + panel_cols, cols), 0, iter(heights)
            while top < rows:
                end = min(top + next(turn, heights[-1]), rows)
                strip = values[:, top:end, left:right].copy()
                writer.write(Window(top, left, end - top, right - left), strip)
                strip[:] = 99  # what was written may be overwritten
                top = end
    return writer


@contextmanager
def abandoned_on_failure(writer: GeoTiffWriter) -> Iterator[None]:
    try:
        yield
    except OutputError:
        writer.abandon()
        raise


def pixels_of(path: Path) -> np.ndarray:
    dataset = gdal.Open(str(path))
    return dataset.ReadAsArray().reshape(
        dataset.RasterCount, dataset.RasterYSize, dataset.RasterXSize
    )


@pytest.mark.parametrize("heights", [(1,), (300, 1, 7, 255, 256, 257), (10_000,), (256,)])
@pytest.mark.parametrize("panel_cols", [BLOCK, 2 * BLOCK])
@pytest.mark.parametrize("shape", [(1, 600, 700), (3, 257, 256), (1, 1, 513), (1, 300, 1)])
def test_rows_of_any_height_arrive_whole_and_once(
    tmp_path: Path, shape: tuple[int, int, int], panel_cols: int, heights: Sequence[int]
) -> None:
    values = labels_of(shape[1], shape[2], shape[0])
    path, reference = tmp_path / "map.tif", tmp_path / "reference.tif"
    write(path, values, heights, panel_cols).close()
    np.testing.assert_array_equal(pixels_of(path), values)
    write(reference, values).close()
    assert path.stat().st_size == reference.stat().st_size, "a block was written twice"


def test_the_file_is_tiled_and_compressed(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", np.ones((1, 1000, 1000), np.uint8)).close()
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    band = dataset.GetRasterBand(1)
    assert band.GetBlockSize() == [BLOCK, BLOCK]
    assert dataset.GetMetadataItem("COMPRESSION", "IMAGE_STRUCTURE") == "DEFLATE"
    assert (tmp_path / "map.tif").stat().st_size < 20_000
    assert dataset.GetGeoTransform() == NORTH_UP
    assert (band.DataType, band.GetNoDataValue()) == (gdal.GDT_Byte, 0)


def test_rows_that_wait_hold_no_rows_that_are_written(tmp_path: Path) -> None:
    writer = GeoTiffWriter(tmp_path / "map.tif", Grid(1000, 300, None), 1, gdal.GDT_Float32, 0)
    writer.write(Window(0, 0, 600, 300), labels_of(600, 300).astype(np.float32))
    waiting = writer._waiting[0].values()
    assert waiting.shape[1] == 600 - 512
    assert waiting.base is None


def test_labels_wait_packed(tmp_path: Path) -> None:
    labels = np.ones((1, 600, 300), dtype=np.uint8)
    writer = GeoTiffWriter(tmp_path / "map.tif", Grid(1000, 300, None), 1, gdal.GDT_Byte, 0)
    writer.write(Window(0, 0, 600, 300), labels)
    waiting = writer._waiting[0]
    assert len(waiting.content) < 1000
    np.testing.assert_array_equal(waiting.values(), labels[:, 512:])


def test_overviews_go_down_to_one_block(tmp_path: Path, recorder: Recorder) -> None:
    path = tmp_path / "map.tif"
    values = np.repeat(np.repeat(labels_of(64, 160), 8, axis=1), 8, axis=2)
    writer = write(path, values, reduce=most_frequent)
    writer.fill_overviews(recorder)
    writer.close()
    dataset = gdal.Open(str(path))
    band = dataset.GetRasterBand(1)
    sizes = [band.GetOverview(i).XSize for i in range(band.GetOverviewCount())]
    assert sizes == [640, 320, 160]
    np.testing.assert_array_equal(band.GetOverview(1).ReadAsArray(), values[0, ::4, ::4])
    assert list(tmp_path.iterdir()) == [path], "inside the file"
    np.testing.assert_array_equal(pixels_of(path), values)
    assert recorder.fractions[-1] == 1.0


def test_a_small_map_needs_no_overviews(tmp_path: Path) -> None:
    writer = write(tmp_path / "map.tif", labels_of(BLOCK, 10), reduce=most_frequent)
    writer.fill_overviews(Progress())
    writer.close()
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    assert dataset.GetRasterBand(1).GetOverviewCount() == 0


def test_a_file_without_rows_has_overviews(tmp_path: Path) -> None:
    grid = Grid(300, 600, None)
    writer = GeoTiffWriter(tmp_path / "map.tif", grid, 1, gdal.GDT_Byte, 0, (), most_frequent)
    writer.fill_overviews(Progress())
    writer.close()
    dataset = gdal.Open(str(tmp_path / "map.tif"))
    assert dataset.GetRasterBand(1).GetOverviewCount() == 2


def test_what_overviews_lack_can_be_cancelled(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overviews, "OPEN_BLOCKS", 0)
    writer = write(tmp_path / "map.tif", labels_of(1000, 1000), reduce=most_frequent)
    recorder.stop = True
    with pytest.raises(Cancelled):
        writer.fill_overviews(recorder)
    writer.abandon()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"map\.tif") as caught:
        write(tmp_path / "none" / "map.tif", labels_of(10, 10))
    assert caught.value.detail


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond ``size`` bytes, as on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.fault(
    "a file cannot grow beyond nine sizes, from its first blocks to its last byte",
    "an error at each of them, never a short file that looks whole",
)
@pytest.mark.parametrize("kind", [gdal.GDT_Byte, gdal.GDT_Float32])
def test_a_full_disk_is_an_output_error_at_any_moment(tmp_path: Path, kind: int) -> None:
    values, path = labels_of(600, 600), tmp_path / "map.tif"

    def whole() -> None:
        writer = write(path, values, (256,), 512, kind, most_frequent)
        with abandoned_on_failure(writer):
            writer.fill_overviews(Progress())
            writer.close()

    whole()
    size = path.stat().st_size
    for room in [*np.linspace(0.05, 0.98, 7) * size, size - 400, size - 1]:
        path.unlink()
        with pytest.raises(OutputError, match=r"map\.tif"), room_for(int(room)):
            whole()


def test_a_full_disk_shows_while_writing(tmp_path: Path) -> None:
    """Not when the block cache happens to be emptied, perhaps by the thread that reads."""
    with pytest.raises(OutputError), room_for(20_000):
        write(tmp_path / "map.tif", labels_of(1100, 1100), (256,))


# What is freed twice ends the process, so it is a process of its own.
FAILING_CLOSE = """
import gc, resource, sys
from osgeo import gdal
from scasnet_qgis.outputs.overviews import close
gdal.UseExceptions()
dataset = gdal.GetDriverByName("GTiff").Create(sys.argv[1], 2000, 2000)
dataset.GetRasterBand(1).Fill(7)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    close(dataset)
except RuntimeError:
    print("raised", dataset.this)
del dataset
gc.collect()
for _ in range(50):  # would meet what a second free has left
    gdal.GetDriverByName("MEM").Create("", 100, 100)
print("alive")
"""


def test_a_dataset_whose_closing_fails_is_freed_once(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", FAILING_CLOSE, str(tmp_path / "map.tif")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["raised", "None", "alive"]), done.stderr


class _FailingDataset:
    """As of GDAL 3.8: where ``Close`` raises, the object still owns what has been freed."""

    def __init__(self) -> None:
        self.this, self.thisown, self.owned_when_closed = object(), True, True

    def Close(self) -> None:
        self.owned_when_closed = self.thisown
        raise RuntimeError("the disk is full")


def test_close_of_newer_gdal_leaves_nothing_to_free() -> None:
    dataset = _FailingDataset()
    with pytest.raises(RuntimeError):
        close(dataset)
    assert not dataset.owned_when_closed
    assert dataset.this is None
