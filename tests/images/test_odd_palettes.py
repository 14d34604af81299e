"""Images of numbers that stand for colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.bands import is_expanded
from scasnet_qgis.images.reader import RasterReader, open_image, open_raster
from tests.conftest import MakeRaster
from tests.mapping.test_job import direct, noise, run

RGB = ("red", "green", "blue")
COLOURS = np.random.default_rng(4).integers(1, 256, (256, 3)).astype(np.uint8)
GREYS = np.arange(255, -1, -1, dtype=np.uint8)[:, None].repeat(3, axis=1)


@pytest.fixture
def numbers() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 200, (90, 80)).astype(np.uint8)


def paletted(
    make_raster: MakeRaster,
    values: np.ndarray,
    colours: np.ndarray = COLOURS,
    *,
    clear: tuple[int, ...] = (),
    options: tuple[str, ...] = (),
    **how: Any,
) -> str:
    """A raster with a colour table whose entries ``clear`` are transparent."""
    source = make_raster(values, options=("PHOTOMETRIC=PALETTE", *options), **how)
    dataset = gdal.Open(source, gdal.GA_Update)
    table = gdal.ColorTable()
    for number, colour in enumerate(colours):
        table.SetColorEntry(number, (*map(int, colour), 0 if number in clear else 255))
    dataset.GetRasterBand(1).SetColorTable(table)
    if not clear:
        return source
    virtual = source.replace(".tif", ".vrt")  # a GeoTIFF keeps no transparency
    copy = gdal.Translate(virtual, dataset, format="VRT")
    copy.GetRasterBand(1).SetColorTable(table)
    return virtual


def seen(values: np.ndarray, colours: np.ndarray = COLOURS) -> np.ndarray:
    """The colours [3, rows, cols] of the numbers."""
    return colours[values].transpose(2, 0, 1)


@pytest.mark.fault(
    "An image with a colour palette.", "It is read as the red, green and blue of its colours."
)
@pytest.mark.parametrize("colours", [COLOURS, GREYS], ids=["colours", "grey ramp"])
def test_a_palette_is_expanded(
    make_raster: MakeRaster, tmp_path: Path, numbers: np.ndarray, colours: np.ndarray
) -> None:
    source = paletted(make_raster, numbers, colours)
    labels, _ = run(source, tmp_path)
    np.testing.assert_array_equal(labels, direct(seen(numbers, colours) / 255))
    found, image = gdal.Open(str(tmp_path / "map.tif")), gdal.Open(source)
    assert found.GetGeoTransform() == image.GetGeoTransform()
    assert found.GetSpatialRef().IsSame(image.GetSpatialRef())


@pytest.mark.fault(
    "A palette of 1, 2 or 4 bits.", "Its colours are read in full, whatever the numbers' bits."
)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_small_palettes(make_raster: MakeRaster, tmp_path: Path, bits: int) -> None:
    values = np.random.default_rng(1).integers(0, 2**bits, (70, 60)).astype(np.uint8)
    source = paletted(make_raster, values, COLOURS[: 2**bits], options=(f"NBITS={bits}",))
    labels, _ = run(source, tmp_path)
    np.testing.assert_array_equal(labels, direct(seen(values) / 255))


@pytest.mark.fault(
    "A palette with a nodata value, or with colours that are fully transparent.",
    "Pixels of these numbers hold no data, also where another number has the same colour.",
)
@pytest.mark.parametrize(("nodata", "clear"), [(7, ()), (None, (7, 9)), (8, (9, 11))])
def test_transparent_entries(
    make_raster: MakeRaster,
    tmp_path: Path,
    numbers: np.ndarray,
    nodata: int | None,
    clear: tuple[int, ...],
) -> None:
    colours = COLOURS.copy()
    colours[20] = colours[7]
    source = paletted(make_raster, numbers, colours, clear=clear, nodata=nodata)
    labels, _ = run(source, tmp_path)
    valid = ~np.isin(numbers, [*clear, nodata if nodata is not None else 255])
    assert 0 < valid.sum() < valid.size
    np.testing.assert_array_equal(labels, direct(seen(numbers, colours) / 255, valid))


@pytest.mark.fault(
    "A palette with a mask band.", "The mask says where data is, as in any other image."
)
def test_a_mask_band(make_raster: MakeRaster, tmp_path: Path, numbers: np.ndarray) -> None:
    valid = numbers > 60
    labels, _ = run(paletted(make_raster, numbers, mask=valid), tmp_path)
    np.testing.assert_array_equal(labels, direct(seen(numbers) / 255, valid))


@pytest.mark.fault("A PNG or GIF with a palette.", "It is read as its colours, too.")
@pytest.mark.parametrize("driver", ["PNG", "GIF"])
def test_other_formats(
    make_raster: MakeRaster, tmp_path: Path, numbers: np.ndarray, driver: str
) -> None:
    if gdal.GetDriverByName(driver) is None:
        pytest.skip(f"this GDAL has no driver {driver}")
    source = gdal.Open(paletted(make_raster, numbers, epsg=None, geotransform=None))
    path = tmp_path / f"image.{driver.lower()}"
    gdal.GetDriverByName(driver).CreateCopy(str(path), source)
    labels, _ = run(str(path), tmp_path)
    np.testing.assert_array_equal(labels, direct(seen(numbers) / 255))


def test_a_palette_for_a_model_of_one_band(make_raster: MakeRaster, numbers: np.ndarray) -> None:
    reader = RasterReader(paletted(make_raster, numbers, GREYS), ("grey",), (), Progress())
    pixels, _ = reader.read(reader.grid.whole)
    np.testing.assert_array_equal(pixels[0], GREYS[numbers][:, :, 0])


@pytest.mark.fault(
    "Bands are chosen for an image with a palette.",
    "They count its colours: 3;2;1 is blue, green, red. The only band thrice is refused.",
)
def test_chosen_bands(make_raster: MakeRaster, tmp_path: Path, numbers: np.ndarray) -> None:
    source = paletted(make_raster, numbers)
    labels, _ = run(source, tmp_path, bands=(3, 2, 1))
    np.testing.assert_array_equal(labels, direct(seen(numbers)[::-1] / 255))
    with pytest.raises(SettingError):
        run(source, tmp_path, bands=(1, 1, 1))


@pytest.mark.fault(
    "An image with a palette and further bands.", "One sentence: convert it first with PCT to RGB."
)
def test_a_palette_among_several_bands(
    make_raster: MakeRaster, tmp_path: Path, numbers: np.ndarray
) -> None:
    first = paletted(make_raster, numbers)
    others = [make_raster(plane, f"{index}.tif") for index, plane in enumerate(noise(90, 80))]
    gdal.BuildVRT(str(tmp_path / "all.vrt"), [first, *others], separate=True)
    dataset = gdal.Open(str(tmp_path / "all.vrt"), gdal.GA_Update)
    numbered = gdal.Open(first)  # a band does not outlive its dataset
    dataset.GetRasterBand(1).SetColorTable(numbered.GetRasterBand(1).GetColorTable())
    dataset.GetRasterBand(1).SetColorInterpretation(gdal.GCI_PaletteIndex)
    dataset = None
    with pytest.raises(InputError):
        run(str(tmp_path / "all.vrt"), tmp_path)


@pytest.mark.fault(
    "A model is trained on images with a palette.", "It learns from their red, green and blue."
)
def test_training_sees_the_colours(make_raster: MakeRaster, numbers: np.ndarray) -> None:
    source = paletted(make_raster, numbers)
    dataset = open_image(source, ())
    assert dataset.RasterCount == 3
    np.testing.assert_array_equal(dataset.ReadAsArray(), seen(numbers))
    assert is_expanded(dataset)
    assert not is_expanded(open_raster(source))
