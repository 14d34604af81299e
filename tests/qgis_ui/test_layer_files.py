"""Layers become files, and their legends become classes."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal, ogr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsFillSymbol,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsRendererCategory,
    QgsVectorFileWriter,
    QgsVectorLayer,
    edit,
)
from qgis.PyQt.QtCore import QVariant
from qgis.PyQt.QtGui import QColor

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.qgis_ui.layers.layer_files import (
    check_field,
    classes_in_legend,
    classes_of_layer,
    layer_file,
)
from tests.real_qgis import pixels

COVER = ["forest", "lake", "forest", "sand"]
CODES = [3, 1, 3, 20]


@pytest.fixture
def polygons(qgis_app):
    """A scratch layer of four squares with a text, a number, a real number and a truth value."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32640", "land", "memory")
    kinds = {
        "cover": QVariant.String,
        "code": QVariant.Int,
        "share": QVariant.Double,
        "wet": QVariant.Bool,
    }
    layer.dataProvider().addAttributes([QgsField(name, kind) for name, kind in kinds.items()])
    layer.updateFields()
    features = []
    for index, (cover, code) in enumerate(zip(COVER, CODES)):
        feature = QgsFeature(layer.fields())
        square = QgsRectangle(10 * index, 0, 10 * index + 8, 8)
        feature.setGeometry(QgsGeometry.fromRect(square))
        feature.setAttributes([cover, code, code / 2, cover == "lake"])
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    return layer


def styled(layer, field, entries):
    """Give a layer a categorised renderer of (value, label, colour)."""
    categories = [
        QgsRendererCategory(value, QgsFillSymbol.createSimple({"color": color}), label)
        for value, label, color in entries
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer(field, categories))
    return layer


def facts(classes):
    return [(entry.value, entry.name, entry.color) for entry in classes]


def covers(file) -> list[str]:
    dataset = gdal.OpenEx(file.path, gdal.OF_VECTOR)
    layer = dataset.GetLayerByName(file.layer) if file.layer else dataset.GetLayer(0)
    return [feature.GetField("cover") for feature in layer]


def saved(layer, path, name):
    """Save a layer into a GeoPackage that may hold others already."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", name
    action = QgsVectorFileWriter.ActionOnExistingFile
    options.actionOnExistingFile = (
        action.CreateOrOverwriteLayer if path.exists() else action.CreateOrOverwriteFile
    )
    context = QgsProject.instance().transformContext()
    result = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    assert result[0] == QgsVectorFileWriter.WriterError.NoError, result
    return QgsVectorLayer(f"{path}|layername={name}", name, "ogr")


def test_scratch_layer_is_saved_with_its_features_and_place(polygons, context, feedback):
    file = layer_file(polygons, context, feedback)
    assert file.is_vector
    assert file.path.endswith(".gpkg")
    assert covers(file) == COVER
    assert "32640" in file.wkt


def test_layer_of_a_file_with_several_is_that_one(polygons, context, feedback, tmp_path):
    path = tmp_path / "land.gpkg"
    saved(polygons, path, "all")
    polygons.setSubsetString("cover = 'lake'")
    second = saved(polygons, path, "lakes")
    file = layer_file(second, context, feedback)
    assert (file.path, file.layer) == (str(path), "lakes")
    assert covers(file) == ["lake"]
    by_number = QgsVectorLayer(f"{path}|layerid=1", "second", "ogr")
    assert by_number.isValid()
    assert covers(layer_file(by_number, context, feedback)) == ["lake"]


def test_filtered_layer_has_only_what_the_filter_leaves(polygons, context, feedback, tmp_path):
    layer = saved(polygons, tmp_path / "land.gpkg", "all")
    layer.setSubsetString("code < 20")
    file = layer_file(layer, context, feedback)
    assert file.path != str(tmp_path / "land.gpkg")
    assert covers(file) == ["forest", "lake", "forest"]
    assert [entry.value for entry in classes_of_layer(layer, "cover")] == ["forest", "lake"]


def test_computed_field_is_saved(polygons, context, feedback, tmp_path):
    layer = saved(polygons, tmp_path / "land.gpkg", "all")
    layer.addExpressionField("upper(cover)", QgsField("loud", QVariant.String))
    file = layer_file(layer, context, feedback)
    dataset = gdal.OpenEx(file.path, gdal.OF_VECTOR)
    assert [feature.GetField("loud") for feature in dataset.GetLayer(0)][:2] == ["FOREST", "LAKE"]


def test_shapefile_is_taken_as_it_is(polygons, context, feedback, tmp_path):
    path = tmp_path / "land.shp"
    gdal.VectorTranslate(
        str(path), layer_file(polygons, context, feedback).path, format="ESRI Shapefile"
    )
    file = layer_file(QgsVectorLayer(str(path), "land", "ogr"), context, feedback)
    assert file.path == str(path)
    assert covers(file) == COVER


def test_layer_without_a_reference_system_says_so(context, feedback):
    layer = QgsVectorLayer("Polygon?field=cover:string", "nowhere", "memory")
    layer.setCrs(QgsCoordinateReferenceSystem())
    assert layer_file(layer, context, feedback).wkt == ""


def test_edits_that_are_not_saved_are_refused(polygons, context, feedback):
    with edit(polygons):
        polygons.changeAttributeValue(1, 0, "rock")
        with pytest.raises(InputError, match="land"):
            layer_file(polygons, context, feedback)
    assert covers(layer_file(polygons, context, feedback))[0] == "rock"


def test_legend_of_a_layer_gives_order_names_and_colours(polygons):
    entries = [
        ("lake", "Open water", "#0000ff"),
        ("forest", "Wood", "#00ff00"),
        ("glacier", "Ice", "#ffffff"),  # does not occur
        (None, "all other values", "#123456"),
    ]
    styled(polygons, "cover", entries)
    found = facts(classes_of_layer(polygons, "cover"))
    assert found[:2] == [("lake", "Open water", "#0000ff"), ("forest", "Wood", "#00ff00")]
    assert [entry[:2] for entry in found[2:]] == [("sand", "sand")]


def test_legend_of_numbers_names_them(polygons):
    styled(polygons, "code", [(1, "water", "#0000ff"), (3, "3", "#00ff00"), (20, "", "#ff0000")])
    assert facts(classes_of_layer(polygons, "code")) == [
        ("1", "water", "#0000ff"),
        ("3", "class 3", "#00ff00"),
        ("20", "class 20", "#ff0000"),
    ]


def test_legend_about_another_field_is_not_used(polygons):
    styled(polygons, "cover", [("lake", "Open water", "#0000ff")])
    found = classes_of_layer(polygons, "code")
    assert [(entry.value, entry.name) for entry in found] == [
        ("1", "class 1"),
        ("3", "class 3"),
        ("20", "class 20"),
    ]
    assert len({entry.color for entry in found}) == 3


@pytest.mark.parametrize(
    ("field", "values"), [("share", ["0.5", "1.5", "10"]), ("wet", ["0", "1"])]
)
def test_values_are_written_as_in_the_file(polygons, field, values):
    assert [entry.value for entry in classes_of_layer(polygons, field)] == values


def test_legend_entry_of_several_values_keeps_them_apart(polygons):
    styled(polygons, "cover", [(["lake", "sand"], "bare", "#0000ff"), ("forest", "W", "#00ff00")])
    found = classes_of_layer(polygons, "cover")
    assert [(entry.value, entry.name) for entry in found] == [
        ("lake", "lake"),
        ("sand", "sand"),
        ("forest", "W"),
    ]


def test_polygons_without_a_value_are_no_class(polygons):
    polygons.dataProvider().changeAttributeValues({1: {0: None}, 2: {0: ""}, 3: {0: None}})
    assert [entry.value for entry in classes_of_layer(polygons, "cover")] == ["sand"]


def test_field_that_is_missing_lists_those_that_are_there(polygons):
    with pytest.raises(SettingError, match=r"kind.*cover, code, share"):
        classes_of_layer(polygons, "kind")
    with pytest.raises(SettingError, match=r"land.*cover, code"):
        check_field(polygons, "")


@pytest.fixture
def labels(tmp_path, qgis_app):
    """A raster of the values 0 to 3, of which 0 means nothing; no colours, no names."""
    path = tmp_path / "labels.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 40, 30, 1)
    values = np.arange(40, dtype=np.uint8)[None, :].repeat(30, axis=0) // 10
    dataset.GetRasterBand(1).WriteArray(values)
    dataset = None
    return QgsRasterLayer(str(path), "labels")


def palette(layer, entries, band=1):
    rows = [
        QgsPalettedRasterRenderer.Class(value, QColor(color), name)
        for value, name, color in entries
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), band, rows))
    return layer


def test_palette_of_a_raster_gives_its_classes(labels, context, feedback):
    palette(labels, [(2, "lake", "#0000ff"), (1, "wood", "#00ff00"), (3, "3", "#ff0000")])
    assert facts(classes_of_layer(labels, "")) == [
        ("1", "wood", "#00ff00"),
        ("2", "lake", "#0000ff"),
        ("3", "class 3", "#ff0000"),
    ]
    file = layer_file(labels, context, feedback)
    assert (file.path, file.layer, file.is_vector) == (labels.source(), "", False)


def test_value_of_nodata_is_no_class(labels):
    dataset = gdal.Open(labels.source(), gdal.GA_Update)
    dataset.GetRasterBand(1).SetNoDataValue(0)
    dataset = None
    layer = QgsRasterLayer(labels.source(), "labels")
    palette(layer, [(0, "none of them", "#000000"), (1, "a", "#00ff00"), (2, "b", "#0000ff")])
    assert [entry.value for entry in classes_of_layer(layer, "")] == ["1", "2"]


def test_grey_raster_has_no_legend_but_classes(labels):
    assert classes_in_legend(labels, "") == []
    assert [entry.value for entry in classes_of_layer(labels, "")] == ["0", "1", "2", "3"]


def test_colour_table_of_the_file_is_no_list_of_classes(labels):
    """QGIS shows a row for each of its 256 entries."""
    path = labels.source()
    table = gdal.ColorTable()
    for value, color in enumerate([(1, 1, 1), (0, 255, 0), (0, 0, 255), (9, 8, 7)]):
        table.SetColorEntry(value, color)
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.GetRasterBand(1).SetColorTable(table)
    dataset = None
    layer = QgsRasterLayer(path, "labels")
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    found = facts(classes_of_layer(layer, ""))
    assert [entry[0] for entry in found] == ["0", "1", "2", "3"]
    assert found[1][2] == "#00ff00"


def test_own_map_as_labels_has_the_classes_of_its_legend(run, image, tmp_path):
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "map.tif"))
    found = classes_of_layer(QgsRasterLayer(str(tmp_path / "map.tif"), "map"), "")
    assert [(entry.value, entry.name) for entry in found] == [
        ("1", "building"),
        ("2", "land"),
        ("3", "road"),
        ("4", "vegetation"),
        ("5", "water"),
    ]
    assert pixels(tmp_path / "map.tif").max() <= 5


def test_raster_that_is_no_file_is_refused(context, feedback, qgis_app):
    layer = QgsRasterLayer("type=xyz&url=http://localhost/none/{z}/{x}/{y}.png", "tiles", "wms")
    with pytest.raises(InputError, match="tiles"):
        layer_file(layer, context, feedback)


def test_points_are_a_file_too(context, feedback, qgis_app):
    layer = QgsVectorLayer("Point?crs=EPSG:4326&field=cover:string", "spots", "memory")
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(1, 2)))
    feature.setAttributes(["lake"])
    layer.dataProvider().addFeatures([feature])
    file = layer_file(layer, context, feedback)
    assert covers(file) == ["lake"]
    dataset = gdal.OpenEx(file.path, gdal.OF_VECTOR)
    assert dataset.GetLayer(0).GetGeomType() == ogr.wkbPoint
