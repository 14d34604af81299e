"""Images that say in odd ways where they hold no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.reader import RasterReader
from tests.conftest import MakeRaster, Recorder
from tests.mapping.test_job import direct, noise, run

RGB = ("red", "green", "blue")
NAIP = Path(__file__).parents[1] / "data" / "naip" / "naip_rgbn_060cm.tif"


def stacked(make_raster: MakeRaster, tmp_path: Path, image: Any, values: list[Any]) -> str:
    """The bands of an image, each with a nodata value of its own, or none."""
    files = [
        make_raster(plane, f"{number}.tif", nodata=value)
        for number, (plane, value) in enumerate(zip(image, values))
    ]
    target = str(tmp_path / "all.vrt")
    gdal.BuildVRT(target, files, separate=True)
    return target


@pytest.mark.fault(
    "Each band has another nodata value.",
    "A pixel holds no data where every band holds its own; elsewhere the value is a value.",
)
def test_a_nodata_value_for_each_band(make_raster: MakeRaster, tmp_path: Path) -> None:
    image, values = noise(90, 80), [3, 40, 200]
    image[:, 20:50, 10:60] = np.array(values)[:, None, None]
    image[0, 60:], image[1, :5], image[:, 55:58] = 3, 40, 200
    valid = ~(image == np.array(values)[:, None, None]).all(axis=0)
    assert valid.sum() == 90 * 80 - 30 * 50
    labels, _ = run(stacked(make_raster, tmp_path, image, values), tmp_path)
    np.testing.assert_array_equal(labels, direct(image / 255, valid))


def warped(source: str, target: Path, *options: str) -> str:
    """An image turned by a tenth of a circle, as between two reference systems."""
    turned = str(target.with_suffix(".vrt"))
    dataset = gdal.Translate(turned, source)
    dataset.SetGeoTransform((500000.0, 0.8, 0.6, 4000000.0, 0.6, -0.8))
    dataset = None
    gdal.Warp(str(target), turned, options=gdal.WarpOptions(options=list(options)))
    return str(target)


@pytest.mark.fault(
    "An image that was warped without an alpha band, so that its corners are black.",
    "They are mapped, as nothing marks them; a warning says so and what to do.",
)
def test_black_corners(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = make_raster(noise(90, 80) // 2 + 1)
    ways: tuple[tuple[tuple[str, ...], int], ...] = (
        ((), 1),
        (("-dstalpha",), 0),
        (("-dstnodata", "0"), 0),
    )
    for number, (options, warnings) in enumerate(ways):
        path = warped(source, tmp_path / f"{number}.tif", *options)
        found = [str(warning) for warning in RasterReader(path, RGB, (), Progress()).warnings]
        assert len(found) == warnings
        assert all("black" in warning for warning in found)


@pytest.mark.parametrize(
    ("corners", "band", "warnings"),
    [(1, slice(None), 0), (2, slice(None), 1), (4, slice(None), 1), (4, slice(0, 2), 0)],
)
def test_how_many_black_corners_are_told(
    make_raster: MakeRaster, recorder: Recorder, corners: int, band: slice, warnings: int
) -> None:
    """One may be a shadow, and what is black in some bands is a colour."""
    image = noise(90, 80) // 2 + 1
    places = [(slice(3), slice(3)), (slice(-3, None), slice(-3, None))]
    places += [(slice(3), slice(-3, None)), (slice(-3, None), slice(3))]
    for rows, cols in places[:corners]:
        image[band, rows, cols] = 0
    assert len(list(RasterReader(make_raster(image), RGB, (), recorder).warnings)) == warnings


@pytest.mark.fault(
    "Only some of the bands have a nodata value.",
    "It is not used, since it says nothing about the others; a warning says so.",
)
def test_a_nodata_value_for_some_bands(
    make_raster: MakeRaster, tmp_path: Path, recorder: Recorder
) -> None:
    image = noise(90, 80)
    image[:, 20:50, 10:60] = 3
    source = stacked(make_raster, tmp_path, image, [3, None, 3])
    reader = RasterReader(source, RGB, (), recorder)
    assert reader.rule.kind == "none"
    assert len(recorder.warnings) == 1
    labels, _ = run(source, tmp_path)
    np.testing.assert_array_equal(labels, direct(image / 255))


@pytest.mark.fault(
    "Near infrared that the file flags as alpha, in a real image of NAIP.",
    "It is taken as data and a warning says so; a model with near infrared gets it.",
)
def test_near_infrared_of_naip(tmp_path: Path, session: None, recorder: Recorder) -> None:
    image = gdal.Open(str(NAIP)).ReadAsArray()
    reader = RasterReader(str(NAIP), RGB, (), recorder)
    assert len(recorder.warnings) == 1
    assert reader.read(reader.grid.whole)[1] is None
    four = RasterReader(str(NAIP), (*RGB, "nir"), (), Progress())
    np.testing.assert_array_equal(four.read(four.grid.whole)[0], image)
    labels, _ = run(str(NAIP), tmp_path)
    np.testing.assert_array_equal(labels, direct(image[:3] / 255))


@pytest.mark.fault(
    "A nodata value that the file's type cannot hold, and blocks that are not stored.",
    "What is not stored reads as a value and is mapped.",
)
def test_missing_blocks_that_are_not_nodata(make_raster: MakeRaster, tmp_path: Path) -> None:
    path = str(tmp_path / "sparse.tif")
    options = ["SPARSE_OK=TRUE", "TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"]
    dataset = gdal.GetDriverByName("GTiff").Create(path, 128, 128, 3, options=options)
    for number, plane in enumerate(noise(64, 64), start=1):
        dataset.GetRasterBand(number).SetNoDataValue(-9999)
        dataset.GetRasterBand(number).WriteArray(plane)
    dataset = None
    read = gdal.Open(path).ReadAsArray()
    labels, result = run(path, tmp_path)
    np.testing.assert_array_equal(labels, direct(read / 255))
    assert result.report.skipped_tiles == 0


@pytest.mark.fault(
    "Parts of the file that are not stored (sparse), with a nodata value, a mask or an alpha band.",
    "They hold no data and are passed over without being read.",
)
@pytest.mark.parametrize("kind", ["values", "mask", "alpha"])
def test_parts_that_are_not_stored(
    tmp_path: Path, session: None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "sparse.tif")
    options = ["SPARSE_OK=TRUE", "TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"]
    bands = 4 if kind == "alpha" else 3
    options += ["ALPHA=YES"] if kind == "alpha" else []
    dataset = gdal.GetDriverByName("GTiff").Create(path, 640, 512, bands, options=options)
    image = noise(100, 90)
    for number, plane in enumerate(image, start=1):
        if kind == "values":
            dataset.GetRasterBand(number).SetNoDataValue(0)
        dataset.GetRasterBand(number).WriteArray(plane, 200, 300)
    full = np.full((100, 90), 255, np.uint8)
    if kind == "alpha":
        dataset.GetRasterBand(4).WriteArray(full, 200, 300)
    if kind == "mask":
        gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", "NO")
        dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
        dataset.GetRasterBand(1).GetMaskBand().WriteArray(full, 200, 300)
    dataset = None
    windows = []
    read = RasterReader.read
    monkeypatch.setattr(
        RasterReader, "read", lambda self, window: windows.append(window) or read(self, window)
    )
    labels, result = run(path, tmp_path)
    expected = np.zeros((512, 640), np.uint8)
    expected[300:400, 200:290] = direct(image / 255)
    np.testing.assert_array_equal(labels, expected)
    assert result.report.skipped_tiles > 80
    if kind != "mask":  # an external mask file is compressed, and all of it is stored
        assert len(windows) < result.report.computed_tiles + 20
