"""Layers of QGIS that say something else than the file behind them."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMultiBandColorRenderer,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
)

from tests.real_qgis import pixels


@pytest.fixture
def layer_of(qgis_app):
    """Adds a raster to the project under a name of its own."""
    added = []

    def make(source: str, name: str = "Luftbild, neu") -> QgsRasterLayer:
        layer = QgsRasterLayer(source, name)
        assert layer.isValid()
        QgsProject.instance().addMapLayer(layer)
        added.append(layer.id())
        return layer

    yield make
    QgsProject.instance().removeMapLayers(added)


@pytest.fixture(scope="module")
def plain(provider, image, tmp_path_factory):
    """The map of the plain image."""
    import processing

    target = tmp_path_factory.mktemp("plain") / "map.tif"
    processing.run("scasnet:segment", {"INPUT": str(image), "OUTPUT": str(target)})
    return pixels(target)


@pytest.mark.fault(
    "The layer has another name than its file, or shows other bands than red, green and blue.",
    "The map is that of the file: the layer's style changes nothing.",
)
def test_name_and_style_change_nothing(run, layer_of, image, plain, tmp_path):
    layer = layer_of(str(image))
    layer.setRenderer(QgsMultiBandColorRenderer(layer.dataProvider(), 3, 3, 1))
    run("scasnet:segment", INPUT=layer.id(), OUTPUT=str(tmp_path / "map.tif"))
    np.testing.assert_array_equal(pixels(tmp_path / "map.tif"), plain)


@pytest.mark.fault(
    "The user gave the layer another coordinate reference system than its file states.",
    "The map gets the layer's, so that both lie on each other.",
)
def test_reference_system_of_the_layer(run, layer_of, image, plain, tmp_path):
    layer = layer_of(str(image))
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    run("scasnet:segment", INPUT=layer, OUTPUT=str(tmp_path / "map.tif"))
    found = gdal.Open(str(tmp_path / "map.tif"))
    assert found.GetSpatialRef().GetAuthorityCode(None) == "32633"
    np.testing.assert_array_equal(pixels(tmp_path / "map.tif"), plain)


@pytest.mark.fault(
    "The file states no coordinate reference system, but the layer has one.",
    "The map gets the layer's.",
)
def test_reference_system_that_only_the_layer_has(run, layer_of, image, tmp_path):
    bare = tmp_path / "bare.tif"
    copy = gdal.Translate("", str(image), format="MEM")
    copy.SetProjection("")
    gdal.GetDriverByName("GTiff").CreateCopy(str(bare), copy)
    layer = layer_of(str(bare))
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32640"))
    outputs = run("scasnet:segment", INPUT=layer, OUTPUT=str(tmp_path / "map.tif"))
    found = gdal.Open(str(tmp_path / "map.tif"))
    assert found.GetSpatialRef().GetAuthorityCode(None) == "32640"
    assert outputs["AREA_UNIT"] == "m2"


@pytest.mark.fault(
    "The layer was opened with options of GDAL's driver.",
    "The raster is read with the same options.",
)
def test_options_of_a_layer(run, layer_of, image, tmp_path):
    cog = tmp_path / "cog.tif"
    options = ["OVERVIEW_COUNT=1", "BLOCKSIZE=128"]
    gdal.Translate(str(cog), str(image), format="COG", creationOptions=options)
    layer = layer_of(f"{cog}|option:OVERVIEW_LEVEL=0")
    assert (layer.width(), layer.height()) == (150, 130)
    run("scasnet:segment", INPUT=layer, OUTPUT=str(tmp_path / "map.tif"))
    found = gdal.Open(str(tmp_path / "map.tif"))
    assert (found.RasterXSize, found.RasterYSize) == (150, 130)
    box = layer.extent()
    left, width, _, top, _, height = found.GetGeoTransform()
    assert (left, top) == pytest.approx((box.xMinimum(), box.yMaximum()))
    assert (left + 150 * width, top + 130 * height) == pytest.approx(
        (box.xMaximum(), box.yMinimum())
    )


@pytest.mark.fault("The layer lies in memory only (/vsimem/).", "It is mapped like a file.")
def test_raster_in_memory(run, layer_of, image, plain, tmp_path):
    gdal.Translate("/vsimem/odd_layer.tif", str(image))
    layer = layer_of("/vsimem/odd_layer.tif")
    run("scasnet:segment", INPUT=layer, OUTPUT=str(tmp_path / "map.tif"))
    np.testing.assert_array_equal(pixels(tmp_path / "map.tif"), plain)


@pytest.mark.fault(
    "A layer with a colour palette.", "It is read as the red, green and blue of its colours."
)
def test_palette(run, layer_of, tmp_path):
    values = np.random.default_rng(3).integers(0, 9, (90, 100)).astype(np.uint8)
    path = str(tmp_path / "palette.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 100, 90, 1)
    table = gdal.ColorTable()
    for number in range(9):
        table.SetColorEntry(number, (25 * number, 255 - 20 * number, 7 * number, 255))
    dataset.GetRasterBand(1).SetColorTable(table)
    dataset.GetRasterBand(1).WriteArray(values)
    dataset = None
    gdal.Translate(str(tmp_path / "rgb.tif"), path, rgbExpand="rgb")
    run("scasnet:segment", INPUT=layer_of(path), OUTPUT=str(tmp_path / "a.tif"))
    run("scasnet:segment", INPUT=str(tmp_path / "rgb.tif"), OUTPUT=str(tmp_path / "b.tif"))
    np.testing.assert_array_equal(pixels(tmp_path / "a.tif"), pixels(tmp_path / "b.tif"))


@pytest.mark.fault(
    "An image with ground control points only, as QGIS shows it in its place.",
    "QGIS shows the map in the same place.",
)
def test_control_points(run, layer_of, image, tmp_path):
    path = tmp_path / "points.tif"
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32640)
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 300, 260, 3)
    dataset.WriteArray(pixels(image))
    corners = ((0, 0), (300, 0), (0, 260), (300, 260))
    points = [gdal.GCP(5e5 + col, 4e6 - row, 0, col, row) for col, row in corners]
    dataset.SetGCPs(points, reference.ExportToWkt())
    dataset = None
    layer = layer_of(str(path))
    run("scasnet:segment", INPUT=layer, OUTPUT=str(tmp_path / "map.tif"))
    found = QgsRasterLayer(str(tmp_path / "map.tif"), "map")
    assert found.crs().authid() == layer.crs().authid() == "EPSG:32640"
    assert found.extent().toString(3) == layer.extent().toString(3)


@pytest.mark.fault(
    "A range of values in the toolbox that is none.", "One sentence, before the run begins."
)
def test_range_of_values(run, image, plain, tmp_path):
    target = str(tmp_path / "map.tif")
    with pytest.raises(QgsProcessingException, match="bright"):
        run("scasnet:segment", INPUT=str(image), OUTPUT=target, VALUE_RANGE="bright")
    run("scasnet:segment", INPUT=str(image), OUTPUT=target, VALUE_RANGE="0;255")
    np.testing.assert_array_equal(pixels(target), plain)
    run("scasnet:segment", INPUT=str(image), OUTPUT=target, VALUE_RANGE="0;90")
    assert (pixels(target) != plain).any()
