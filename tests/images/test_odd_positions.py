"""Images in any reference system and in odd positions: the map lies where the image lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, osr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.outputs.provenance.stamp import read_record
from scasnet_qgis.tiling.windows import Window
from tests.conftest import MakeRaster
from tests.mapping.test_job import direct, noise, run

IMAGE = noise(90, 80)
METRES = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)
DEGREES = (10.0, 1e-5, 0.0, 50.0, 0.0, -1e-5)
LOCAL = 'LOCAL_CS["building site",UNIT["metre",1]]'
CUSTOM = "+proj=tmerc +lat_0=12 +lon_0=34 +k=0.9999 +x_0=1000 +y_0=0 +ellps=bessel +units=m"


def reference(definition: int | str) -> osr.SpatialReference:
    result = osr.SpatialReference()
    if isinstance(definition, int):
        result.ImportFromEPSG(definition)
    else:
        result.SetFromUserInput(definition)
    return result


def placed(source: str, definition: int | str) -> str:
    dataset = gdal.Open(source, gdal.GA_Update)
    dataset.SetProjection(reference(definition).ExportToWkt())
    return source


@pytest.mark.fault(
    "An image in feet, degrees, Web Mercator, a compound, a custom or a local reference system.",
    "The map has the very same system and position, and areas in square metres.",
)
@pytest.mark.parametrize(
    ("definition", "place"),
    [
        (2263, METRES),
        (4326, DEGREES),
        (3857, METRES),
        (7405, METRES),
        (3035, METRES),
        (CUSTOM, METRES),
        (LOCAL, METRES),
    ],
    ids=["feet", "degrees", "web mercator", "compound", "europe", "custom", "local"],
)
def test_the_map_has_the_system_of_the_image(
    make_raster: MakeRaster, tmp_path: Path, definition: int | str, place: tuple[float, ...]
) -> None:
    source = placed(make_raster(IMAGE, geotransform=place, epsg=None), definition)
    labels, result = run(source, tmp_path)
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))
    found, image = gdal.Open(str(tmp_path / "map.tif")), gdal.Open(source)
    assert found.GetGeoTransform() == image.GetGeoTransform()
    assert found.GetSpatialRef().IsSame(image.GetSpatialRef())
    assert result.area_unit == "m2"
    assert sum(entry.area for entry in result.areas) > 0


@pytest.mark.fault(
    "The layer in QGIS has another reference system than its file, as the user set it.",
    "The map gets the layer's, so that it lies where the image is seen; the description says so.",
)
@pytest.mark.parametrize(("wins", "code"), [(True, "3857"), (False, "32640")])
def test_the_system_of_the_layer(
    make_raster: MakeRaster, tmp_path: Path, wins: bool, code: str
) -> None:
    wkt = reference(3857).ExportToWkt()
    run(make_raster(IMAGE), tmp_path, fallback_wkt=wkt, layer_wins=wins)
    found = gdal.Open(str(tmp_path / "map.tif"))
    assert found.GetSpatialRef().GetAuthorityCode(None) == code
    record = read_record(tmp_path / "map.tif")
    assert record.at("input", "crs_from_layer") is wins
    assert len(record.texts("repeat", "notes")) == int(wins)


def only_points(source: str, shift: float = 0.0) -> str:
    """Give a raster control points at its corners and one inside, that fit no geotransform."""
    dataset = gdal.Open(source, gdal.GA_Update)
    corners = [(0, 0), (0, 80), (90, 0), (90, 80), (30, 50)]
    points = [
        gdal.GCP(
            500000 + 0.5 * col + shift * (row == 90), 4e6 - 0.5 * row, 7.0, col, row, "", f"{n}"
        )
        for n, (row, col) in enumerate(corners)
    ]
    dataset.SetGCPs(points, reference(32640).ExportToWkt())
    dataset = None
    return source


def points_of(path: Path | str) -> list[tuple[float, ...]]:
    points = gdal.Open(str(path)).GetGCPs()
    return [(point.GCPLine, point.GCPPixel, point.GCPX, point.GCPY, point.GCPZ) for point in points]


@pytest.mark.fault(
    "An image with a position by ground control points only.",
    "The map gets the same control points and their reference system.",
)
@pytest.mark.parametrize("shift", [0.0, 9.0])
def test_control_points(make_raster: MakeRaster, tmp_path: Path, shift: float) -> None:
    source = only_points(make_raster(IMAGE, geotransform=None, epsg=None), shift)
    labels, result = run(source, tmp_path)
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))
    assert points_of(tmp_path / "map.tif") == points_of(source)
    found = gdal.Open(str(tmp_path / "map.tif"))
    assert found.GetGeoTransform(can_return_null=True) is None
    assert found.GetGCPSpatialRef().GetAuthorityCode(None) == "32640"
    assert result.area_unit == "pixels"


@pytest.mark.fault(
    "An extent for an image with ground control points only.", "One sentence: warp it first."
)
def test_an_extent_among_control_points(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = only_points(make_raster(IMAGE, geotransform=None, epsg=None))
    with pytest.raises(InputError, match="ground control points"):
        run(source, tmp_path, extent=(500000.0, 3999990.0, 500010.0, 4000000.0))


def test_control_points_of_a_part(make_raster: MakeRaster) -> None:
    source = only_points(make_raster(IMAGE, geotransform=None, epsg=None))
    part = Grid.of(gdal.Open(source)).part(Window(10, 20, 30, 40))
    assert part.geotransform is None
    assert (part.control[4].row, part.control[4].col) == (20, 30)
    assert part.control[4].x == 500025.0


@pytest.mark.fault(
    "Control points beside a geotransform.", "The geotransform is the position, as in QGIS."
)
def test_a_geotransform_beside_control_points(make_raster: MakeRaster) -> None:
    virtual = gdal.Translate("", make_raster(IMAGE), format="VRT")
    virtual.SetGCPs([gdal.GCP(0, 0, 0, 0, 0)], "")
    virtual.SetGeoTransform(METRES)
    grid = Grid.of(virtual)
    assert grid.geotransform == METRES
    assert grid.control == ()


@pytest.mark.fault(
    "A geotransform that puts all pixels in one place or on one line.",
    "The map is made without a position, and a warning says why.",
)
@pytest.mark.parametrize(
    "place", [(5.0, 0.0, 0.0, 5.0, 0.0, 0.0), (5.0, 1.0, 1.0, 5.0, 1.0, 1.0)], ids=["point", "line"]
)
def test_a_degenerate_geotransform(
    make_raster: MakeRaster, tmp_path: Path, place: tuple[float, ...]
) -> None:
    source = make_raster(IMAGE, geotransform=place)
    labels, result = run(source, tmp_path)
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))
    found = gdal.Open(str(tmp_path / "map.tif"))
    assert found.GetGeoTransform(can_return_null=True) is None
    assert result.area_unit == "pixels"
    (warning,) = RasterReader(source, ("red", "green", "blue"), (), Progress()).warnings
    assert "invalid geotransform" in str(warning)
