"""Reference points: where they lie on a map, what they say, and the classes below them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from scasnet_qgis.accuracy.points import (
    UNKNOWN_CLASS,
    ReferenceSource,
    holds_points,
    map_classes_at,
    read_points,
)
from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import open_raster
from scasnet_qgis.labels.label_class import IGNORE, LabelClass
from scasnet_qgis.labels.labels import Labels
from tests.accuracy.conftest import at, box, make_layer, point

CLASSES = [LabelClass("1", "class 1", "#ff0000"), LabelClass("2", "class 2", "#00ff00")]


def read(path: str, raster: str, wkt: str = ""):
    source = ReferenceSource(path, True, "", "class", wkt)
    return read_points(source, Grid.of(open_raster(raster)), CLASSES, Progress())


@pytest.fixture
def raster(make_raster) -> str:
    values = np.random.default_rng(0).integers(1, 3, (300, 700)).astype(np.uint8)
    values[100:110] = 0
    return make_raster(values, "map.tif", nodata=0)


@pytest.mark.parametrize("epsg", [32640, 4326, 3857, 32641])
def test_points_of_any_system_find_their_pixel(raster, tmp_path, epsg):
    places = np.random.default_rng(1).integers(0, (300, 700), (50, 2))
    shapes = [(point(row, col), "1") for row, col in places]
    points = read(make_layer(tmp_path / "p.gpkg", shapes, ogr.wkbPoint, epsg), raster)
    np.testing.assert_array_equal(np.stack((points.rows, points.cols), axis=1), places)
    assert (points.labels == 0).all()
    assert points.design is None


def test_corners_belong_to_the_map_and_what_is_beyond_does_not(raster, tmp_path):
    inside = [(0, 0), (-0.49, -0.49), (299, 699), (299.49, 699.49)]
    outside = [(-0.51, 5), (5, -0.51), (299.51, 5), (5, 699.51)]
    shapes = [(point(*position), "1") for position in inside + outside]
    points = read(make_layer(tmp_path / "p.gpkg", shapes, ogr.wkbPoint), raster)
    assert points.rows.tolist() == [0, 0, 299, 299, -1, -1, -1, -1]
    assert points.cols.tolist() == [0, 0, 699, 699, -1, -1, -1, -1]


def test_labels_of_points(raster, tmp_path):
    values = ["1", " 2 ", "2.0", "", "  ", None, "forest", "3"]
    shapes = [(point(1, 1), value) for value in values]
    points = read(make_layer(tmp_path / "p.gpkg", shapes, ogr.wkbPoint), raster)
    expected = [0, 1, 1, IGNORE, IGNORE, IGNORE, UNKNOWN_CLASS, UNKNOWN_CLASS]
    assert points.labels.tolist() == expected


def test_multipoints_count_each_part_and_empty_ones_none(raster, tmp_path):
    (x, y), (a, b) = at(3, 4), at(50, 60)
    shapes = [(f"MULTIPOINT (({x} {y}), ({a} {b}))", "2"), ("", "1"), ("MULTIPOINT EMPTY", "1")]
    points = read(make_layer(tmp_path / "p.gpkg", shapes, ogr.wkbMultiPoint), raster)
    assert points.rows.tolist() == [3, 50]
    assert points.labels.tolist() == [1, 1]
    assert points.without_geometry == 2


def test_a_place_that_the_map_s_system_does_not_have_is_outside(make_raster, tmp_path):
    raster = make_raster(np.ones((4, 4), np.uint8), "map.tif", epsg=32640)
    path = tmp_path / "p.geojson"
    shapes = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": xy},
            "properties": {"class": "1"},
        }
        for xy in ((57, 91), (237, 1), (57.0000001, 36.1))
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": shapes}))
    points = read(str(path), raster)
    assert points.rows.tolist() == [-1, -1, -1]


def test_reference_system_of_the_layer_where_the_file_has_none(raster, tmp_path):
    path = make_layer(tmp_path / "p.gpkg", [(point(20, 30), "1")], ogr.wkbPoint, 4326)
    bare = str(tmp_path / "bare.shp")
    gdal.VectorTranslate(bare, path)
    (tmp_path / "bare.prj").unlink()
    degrees = osr.SpatialReference()
    degrees.ImportFromEPSG(4326)
    assert read(bare, raster, degrees.ExportToWkt()).rows.tolist() == [20]
    assert read(bare, raster).rows.tolist() == [-1]


def test_map_classes_at_points_all_over_the_map(raster, tmp_path):
    values = open_raster(raster).ReadAsArray()
    places = np.random.default_rng(2).integers(0, (300, 700), (400, 2))
    shapes = [(point(row, col), "1") for row, col in places] + [(point(-5, 0), "1")]
    points = read(make_layer(tmp_path / "p.gpkg", shapes, ogr.wkbPoint), raster)
    mapped = Labels(raster, Grid.of(open_raster(raster)), CLASSES, by_place=False)
    chosen = np.ones(401, dtype=bool)
    chosen[:10] = False
    found = map_classes_at(points, chosen, mapped, Progress())
    expected = values[places[:, 0], places[:, 1]].astype(int) - 1
    expected[(expected < 0) | ~chosen[:400]] = IGNORE
    assert found.tolist() == [*expected.tolist(), IGNORE]
    assert (expected[10:] == IGNORE).any()


def test_kinds_of_layers(raster, tmp_path):
    polygons = make_layer(tmp_path / "a.gpkg", [(box(1, 1, 5, 5), "1")])
    unknown = make_layer(tmp_path / "b.gpkg", [("", "1"), (point(1, 1), "1")], ogr.wkbUnknown)
    empty = make_layer(tmp_path / "c.gpkg", [], ogr.wkbPoint)
    kinds = [
        holds_points(ReferenceSource(path, True, "", "class"))
        for path in (polygons, unknown, empty)
    ]
    assert kinds == [False, True, True]
    assert not holds_points(ReferenceSource(raster))


def test_points_mixed_with_polygons_are_refused(raster, tmp_path):
    shapes = [(point(1, 1), "1"), (box(1, 1, 5, 5), "1")]
    mixed = make_layer(tmp_path / "a.gpkg", shapes, ogr.wkbUnknown)
    with pytest.raises(InputError, match="points"):
        read(mixed, raster)
