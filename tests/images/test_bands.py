"""Which raster band feeds which model band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.bands import assign_bands
from scasnet_qgis.images.reader import RasterReader
from tests.conftest import MakeRaster

R, G, B = gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand
GRAY, NONE, ALPHA = gdal.GCI_GrayIndex, gdal.GCI_Undefined, gdal.GCI_AlphaBand
RGB = ("red", "green", "blue")
NOISE = np.random.default_rng(0).integers(0, 256, (8, 70, 50)).astype(np.uint8)


@pytest.mark.fault(
    "Bands in another order, or without a meaning.",
    "They are found by their colours, then by their order; the log names them.",
)
@pytest.mark.parametrize(
    ("meaning", "wanted", "expected"),
    [
        ((R, G, B), RGB, [1, 2, 3]),
        ((B, G, R), RGB, [3, 2, 1]),
        ((B, G, R, NONE), (*RGB, "nir"), [3, 2, 1, 4]),
        ((NONE, B, G, R), RGB, [4, 3, 2]),
        ((GRAY, NONE, NONE), RGB, [1, 2, 3]),
        ((GRAY, NONE, NONE), ("swir", "tir"), [1, 2]),
        ((R, R, B), ("red", "blue"), [1, 3]),
        ((NONE, R, R), ("red", "first", "second"), [1, 2, 3]),
        ((ALPHA, GRAY, NONE), ("first", "second"), [2, 3]),
        ((B, G, R), ("Red", "Green", "Blue"), [3, 2, 1]),
        ((R, G, B, ALPHA), RGB, [1, 2, 3]),
        ((R, G, B, ALPHA), (*RGB, "nir"), [1, 2, 3, 4]),
        ((R, G, B, ALPHA), ("nir", "red", "green"), [4, 1, 2]),
        ((R, G, B, NONE), ("nir", "red", "green"), [4, 1, 2]),
        ((B, G, R, NONE), ("first", "band 4", "red"), [1, 4, 3]),
        ((NONE, NONE, NONE, NONE), ("band 3", "first", "band 9"), [3, 1, 2]),
    ],
)
def test_bands_are_found_by_colour_and_then_by_order(
    make_raster: MakeRaster, meaning: Sequence[int], wanted: Sequence[str], expected: list[int]
) -> None:
    source = make_raster(NOISE[: len(meaning)], meaning=meaning)
    assert RasterReader(source, wanted, (), Progress()).bands == expected


def test_bands_are_found_by_their_description(make_raster: MakeRaster) -> None:
    source = make_raster(NOISE[:3], meaning=(GRAY, NONE, NONE))
    dataset = gdal.Open(source, gdal.GA_Update)
    for number, name in enumerate(("NIR", " Red ", "green"), start=1):
        dataset.GetRasterBand(number).SetDescription(name)
    assert assign_bands(dataset, ("red", "green", "nir")) == [2, 3, 1]


def test_the_pixels_are_those_of_the_bands(make_raster: MakeRaster) -> None:
    reader = RasterReader(make_raster(NOISE[:3], meaning=(B, G, R)), RGB, (), Progress())
    pixels, _ = reader.read(reader.grid.whole)
    np.testing.assert_array_equal(pixels, NOISE[[2, 1, 0]])


@pytest.mark.parametrize("chosen", [[3, 1, 2], [2, 2, 2], [4, 3, 1]])
def test_chosen_bands_win(make_raster: MakeRaster, chosen: list[int]) -> None:
    source = make_raster(NOISE[:4], meaning=(B, G, R, NONE))
    reader = RasterReader(source, RGB, chosen, Progress())
    assert reader.bands == chosen
    pixels, _ = reader.read(reader.grid.whole)
    np.testing.assert_array_equal(pixels, NOISE[[number - 1 for number in chosen]])


@pytest.mark.fault(
    "A band is chosen that does not exist.", "One sentence says which ones there are."
)
@pytest.mark.parametrize("number", [0, -1, 5])
def test_a_band_that_does_not_exist(make_raster: MakeRaster, number: int) -> None:
    with pytest.raises(SettingError, match=rf"{number}\b.*4"):
        RasterReader(make_raster(NOISE[:4]), RGB, (1, 2, number), Progress())


@pytest.mark.parametrize("chosen", [(1,), (1, 2, 3, 4)])
def test_a_wrong_count_of_chosen_bands(make_raster: MakeRaster, chosen: Sequence[int]) -> None:
    with pytest.raises(SettingError, match="3"):
        RasterReader(make_raster(NOISE[:4]), RGB, chosen, Progress())


@pytest.mark.fault(
    "An image with fewer bands than the model needs.",
    "One sentence names the bands; none is repeated.",
)
@pytest.mark.parametrize("count", [1, 2])
def test_too_few_bands_are_never_repeated(make_raster: MakeRaster, count: int) -> None:
    with pytest.raises(InputError, match=rf"\b{count}\b.*3.*red, green, blue"):
        RasterReader(make_raster(NOISE[:count]), RGB, (), Progress())


@pytest.mark.fault(
    "A model with near infrared, and an image whose fourth band is a mask.",
    "One sentence; chosen by hand it is taken.",
)
def test_a_transparency_mask_is_no_near_infrared(make_raster: MakeRaster) -> None:
    image = NOISE[:4].copy()
    image[3] = np.where(image[3] > 50, 255, 0)
    source = make_raster(image, meaning=(R, G, B, ALPHA))
    with pytest.raises(InputError, match="4"):
        RasterReader(source, (*RGB, "nir"), (), Progress())
    assert RasterReader(source, (*RGB, "nir"), (1, 2, 3, 4), Progress()).bands == [1, 2, 3, 4]
