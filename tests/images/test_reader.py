"""Reading windows, and one stretch for the whole raster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled, InputError
from scasnet_qgis.common.model_card import ModelCard, ModelClass
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.reader import RasterReader, open_raster
from scasnet_qgis.tiling.windows import Window
from tests.conftest import MakeRaster, Recorder

RGB = ("red", "green", "blue")
CLASSES = (ModelClass("land", "#aabbcc"), ModelClass("water", "#001122"))
CARD = ModelCard("test", CLASSES)
ROWS, COLS = 120, 140


def noise(dtype: Any, low: int = 0, high: int = 256, bands: int = 3) -> np.ndarray:
    values = np.random.default_rng(7).integers(low, high, (bands, ROWS, COLS))
    return values.astype(dtype)


def reader_of(source: str) -> RasterReader:
    return RasterReader(source, RGB, (), Progress())


@pytest.mark.parametrize("interleave", ["PIXEL", "BAND"])
@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64]
)
def test_windows_have_the_values_and_the_type_of_the_file(
    make_raster: MakeRaster, dtype: Any, interleave: str
) -> None:
    image = noise(dtype)
    reader = reader_of(make_raster(image, options=(f"INTERLEAVE={interleave}", "TILED=YES")))
    for window in (reader.grid.whole, Window(3, 90, 64, 50), Window(119, 139, 1, 1)):
        pixels, valid = reader.read(window)
        part = image[:, window.row : window.row_end, window.col : window.col_end]
        np.testing.assert_array_equal(pixels, part)
        assert pixels.dtype == dtype
        assert valid is None


@pytest.mark.fault(
    "The bands have several data types.", "All are read in the type that holds every value."
)
def test_bands_of_several_types(make_raster: MakeRaster, tmp_path: Path) -> None:
    parts = [noise(np.uint8)[0], noise(np.uint16, 0, 60000)[1], noise(np.int32, 0, 2**31)[2]]
    files = [make_raster(part, f"{number}.tif") for number, part in enumerate(parts)]
    gdal.BuildVRT(str(tmp_path / "all.vrt"), files, separate=True)
    reader = reader_of(str(tmp_path / "all.vrt"))
    pixels, _ = reader.read(reader.grid.whole)
    np.testing.assert_array_equal(pixels, np.stack([part.astype(np.float64) for part in parts]))
    assert not reader.is_byte


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_values_are_scaled_by_percentiles(make_raster: MakeRaster, dtype: Any) -> None:
    """Peers divide by 255, or stretch each tile by itself, which shows as seams."""
    image = noise(dtype, 100, 2101)
    image[:, :, 70:] *= 3  # one half is much brighter
    reader = reader_of(make_raster(image))
    scaling = reader.scaling(CARD)
    np.testing.assert_allclose(scaling.low, np.percentile(image, 2, axis=(1, 2)))
    np.testing.assert_allclose(scaling.high, np.percentile(image, 98, axis=(1, 2)))
    assert "percentiles" in str(scaling.rule)
    whole = scaling(*reader.read(reader.grid.whole))
    assert 0.3 < whole.mean() < 0.7
    for window in (Window(0, 0, 50, 50), Window(60, 90, 50, 50)):
        part = scaling(*reader.read(window))
        at = (slice(window.row, window.row_end), slice(window.col, window.col_end))
        np.testing.assert_array_equal(part, whole[(slice(None), *at)])


HOLE = np.arange(COLS)[None, :].repeat(ROWS, axis=0) >= 60  # True where there is data


@pytest.mark.fault(
    "Infinities in an image whose percentiles are wanted.", "They do not count for the percentiles."
)
@pytest.mark.parametrize(
    ("dtype", "nodata", "how"),
    [
        (np.uint16, 0, {"nodata": 0}),
        (np.float32, 0.1, {"nodata": 0.1}),
        (np.float32, np.nan, {}),
        (np.float32, np.inf, {}),
        (np.uint16, 0, {"mask": HOLE}),
    ],
)
def test_pixels_without_data_do_not_shift_the_percentiles(
    make_raster: MakeRaster, dtype: Any, nodata: float, how: dict[str, Any]
) -> None:
    image = noise(dtype, 1000, 3000)
    filled = np.where(HOLE, image, np.array(nodata, dtype=dtype))
    scaling = reader_of(make_raster(filled, **how)).scaling(CARD)
    expected = np.percentile(image[:, HOLE], (2, 98), axis=1)
    np.testing.assert_allclose((scaling.low, scaling.high), expected)


@pytest.mark.fault(
    "All values of a 16-bit image are the same, or it holds no data.",
    "A range is found all the same.",
)
def test_a_constant_or_empty_raster_has_percentiles(make_raster: MakeRaster) -> None:
    for image in (np.full((3, 9, 9), 700, np.uint16), np.full((3, 9, 9), np.nan, np.float32)):
        scaling = reader_of(make_raster(image)).scaling(CARD)
        assert all(low < high for low, high in zip(scaling.low, scaling.high))


@pytest.mark.fault("The image does not exist.", "One sentence.")
def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.tif"):
        open_raster(str(tmp_path / "none.tif"))


@pytest.mark.fault("The image is an empty, a cut or another kind of file.", "One sentence.")
@pytest.mark.parametrize("content", [b"", b"a letter, no raster", b"II*\0" + bytes(200)])
def test_a_file_that_is_no_raster(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.tif"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"letter\.tif"):
        open_raster(str(path))


@pytest.fixture
def damage() -> Callable[[str], str]:
    """Overwrites the middle of a file, where its pixels are."""

    def spoil(source: str) -> str:
        path = Path(source)
        content = bytearray(path.read_bytes())
        start, end = len(content) // 10, len(content) * 9 // 10
        content[start:end] = bytes(end - start)
        path.write_bytes(content)
        return source

    return spoil


PACKED = ("COMPRESS=DEFLATE", "TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64")


@pytest.mark.fault(
    "The image's blocks are damaged.", "One sentence says where, by row and column; no map is left."
)
def test_a_damaged_file_says_where(make_raster: MakeRaster, damage: Callable[[str], str]) -> None:
    reader = reader_of(damage(make_raster(noise(np.uint8), options=PACKED)))
    with pytest.raises(InputError, match=r"60.*70") as caught:
        reader.read(Window(60, 70, 50, 50))
    assert caught.value.detail


def test_a_damaged_file_whose_percentiles_are_wanted(
    make_raster: MakeRaster, damage: Callable[[str], str]
) -> None:
    reader = reader_of(damage(make_raster(noise(np.uint16), options=PACKED)))
    with pytest.raises(InputError):
        reader.scaling(CARD)


@pytest.mark.fault("The image's alpha band is damaged.", "One sentence, before the run begins.")
def test_a_damaged_alpha(make_raster: MakeRaster, damage: Callable[[str], str]) -> None:
    meaning = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand)
    source = damage(make_raster(noise(np.uint8, bands=4), meaning=meaning, options=PACKED))
    with pytest.raises(InputError):
        reader_of(source)


class Watched(RasterReader):
    """Keeps the windows that are read; cancelled at the tenth."""

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        self.windows = [*getattr(self, "windows", []), window]
        self._progress.stop = len(self.windows) == 10 and self._progress.stops
        return super().read(window)


def watched(source: str, *, stops: bool = False) -> Watched:
    progress = Recorder()
    progress.stops = stops
    return Watched(source, RGB, (), progress)


def slope(rows: int, cols: int) -> np.ndarray:
    """Brighter from left to right and from top to bottom, differently in each band."""
    plane = np.arange(rows)[:, None] * 3 + np.arange(cols)[None] * 2 + 100
    return np.stack([plane, plane * 2, plane[::-1]]).astype(np.uint16)


def test_the_percentiles_of_a_large_raster_come_from_all_over_it(make_raster: MakeRaster) -> None:
    image = slope(2000, 3000)
    source = make_raster(image)
    reader = watched(source)
    scaling = reader.scaling(CARD)
    expected = np.percentile(image, (2, 98), axis=(1, 2))
    span = expected[1] - expected[0]
    assert (np.abs(np.array((scaling.low, scaling.high)) - expected) < 0.02 * span).all()
    assert len(reader.windows) == 256
    assert sum(window.rows * window.cols for window in reader.windows) == 1024 * 1024
    assert (reader.windows[0].row, reader.windows[0].col) == (30, 61)
    assert (reader.windows[-1].row, reader.windows[-1].col) == (1905, 2874)
    assert watched(source).scaling(CARD) == scaling


def test_reading_for_percentiles_can_be_cancelled(make_raster: MakeRaster) -> None:
    reader = watched(make_raster(slope(1100, 1200)), stops=True)
    with pytest.raises(Cancelled):
        reader.scaling(CARD)
    assert len(reader.windows) == 10


@pytest.mark.fault(
    "A 16-bit image that is nearly all nodata.", "Its percentiles are those of the small rest."
)
def test_a_small_island_of_data_is_found(make_raster: MakeRaster) -> None:
    image = np.zeros((3, 3000, 3000), np.uint16)
    image[:, 1320:1360, 1320:1360] = 5000  # between the windows of the coarse grid
    image[:, 1340:1360, 1320:1360] = 7000
    scaling = reader_of(make_raster(image, nodata=0)).scaling(CARD)
    assert (scaling.low, scaling.high) == ((5000.0,) * 3, (7000.0,) * 3)
