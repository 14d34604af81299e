"""scasnet:segment inside polygons only: what lies outside is neither mapped nor computed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, ogr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProject,
    QgsVectorLayer,
)

from scasnet_qgis.tiling.windows import plan_axis, tile_shape
from tests.algorithms.graphical_models import Source, graphical_model
from tests.labels.layers import polygon, write_layer
from tests.real_qgis import leftovers, pixels, qgis_process

LEFT, TOP, SIZE = 500000.0, 2790000.0, 1.05  # the image in UTM zone 40N
ROWS, COLS = 260, 300
TILES = {"TILE_SIZE": 64, "OVERLAP": 16}
L_SHAPE = [(0, 0), (0, 40), (220, 40), (220, 300), (260, 300), (260, 0)]  # row, col of corners


@pytest.fixture(scope="session")
def placed(image, tmp_path_factory) -> Path:
    """The corner of the demo image, put where it was taken."""
    path = tmp_path_factory.mktemp("placed") / "placed.tif"
    bounds = [LEFT, TOP, LEFT + COLS * SIZE, TOP - ROWS * SIZE]
    gdal.Translate(str(path), str(image), outputSRS="EPSG:32640", outputBounds=bounds)
    return path


@pytest.fixture(scope="session")
def whole(provider, placed, tmp_path_factory) -> Path:
    """The map of all of the image; where a mask is, a map must be the same."""
    import processing

    folder = tmp_path_factory.mktemp("whole")
    parameters = {
        "INPUT": str(placed),
        "OUTPUT": str(folder / "map.tif"),
        "PROBABILITIES": str(folder / "scores.tif"),
        **TILES,
    }
    processing.run("scasnet:segment", parameters)
    return folder


def shape(corners: list[tuple[float, float]]) -> str:
    """WKT of a polygon given by rows and columns of the image."""
    return polygon([(LEFT + col * SIZE, TOP - row * SIZE) for row, col in corners])


def box(row: int, col: int, rows: int, cols: int) -> str:
    end, right = row + rows, col + cols
    return shape([(row, col), (end, col), (end, right), (row, right)])


def with_hole(outer: str, hole: str) -> str:
    return f"{outer[:-1]},{hole[len('POLYGON(') :]}"


def in_box(row: int, col: int, rows: int, cols: int) -> np.ndarray:
    found = np.zeros((ROWS, COLS), dtype=bool)
    found[row : row + rows, col : col + cols] = True
    return found


def write(path: Path, *shapes: str, **how) -> str:
    return write_layer(path, [(str(number), area) for number, area in enumerate(shapes)], **how)


def tiles_touching(expected: np.ndarray) -> tuple[int, int]:
    """How many tiles of a run hold a pixel that is to be mapped, and how many do not."""
    sides = tile_shape(*expected.shape, (64, 64), 16)
    vertical = plan_axis(expected.shape[0], sides[0], 16, fixed=False)
    horizontal = plan_axis(expected.shape[1], sides[1], 16, fixed=False)
    touching = [
        expected[row : row + vertical.size, col : col + horizontal.size].any()
        for row in vertical.starts
        for col in horizontal.starts
    ]
    return sum(touching), len(touching) - sum(touching)


def tiles_told(feedback) -> tuple[int, int]:
    told = [re.match(r"(\d+) tiles computed, (\d+) skipped", line) for line in feedback.lines]
    (found,) = [match for match in told if match]
    return int(found[1]), int(found[2])


@pytest.fixture
def masked(run, placed, whole, tmp_path, feedback):
    """Map with a mask; check pixels and counted tiles against the map of everything."""

    def check(mask, expected: np.ndarray) -> dict:
        target = tmp_path / "map.tif"
        outputs = run("scasnet:segment", INPUT=str(placed), OUTPUT=str(target), MASK=mask, **TILES)
        assert np.array_equal(pixels(target), np.where(expected, pixels(whole / "map.tif"), 0))
        assert tiles_told(feedback) == tiles_touching(expected)
        assert tiles_told(feedback)[1] > 0
        feedback.lines.clear()
        return outputs

    return check


@pytest.fixture
def scratch(qgis_app):
    """A layer in memory with a square in each corner of the image."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32640&field=name:string", "corners", "memory")
    features = []
    for name, place in (("a", (10, 10)), ("b", (10, 240)), ("c", (210, 10)), ("d", (210, 240))):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([name])
        feature.setGeometry(QgsGeometry.fromWkt(box(*place, 40, 50)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    yield layer
    QgsProject.instance().removeAllMapLayers()


def test_an_l_shape_computes_only_the_tiles_it_touches(masked, tmp_path, feedback):
    """Its bounding box is the whole image, so that only looking at each tile skips any."""
    expected = in_box(0, 0, ROWS, 40) | in_box(220, 0, 40, COLS)
    computed, skipped = tiles_touching(expected)
    assert skipped > computed
    outputs = masked(write(tmp_path / "l.gpkg", shape(L_SHAPE)), expected)
    counted = sum(entry["pixels"] for entry in json.loads(outputs["CLASS_STATISTICS"]))
    assert counted == expected.sum()
    assert leftovers(tmp_path, "l.gpkg") == [
        "map.qml",
        "map.tif",
        "map.tif.aux.xml",
        "map.tif.scasnet",
    ]


def test_holes_are_not_mapped(masked, tmp_path):
    ring = with_hole(box(0, 0, ROWS, COLS), box(30, 40, 190, 210))
    expected = ~in_box(30, 40, 190, 210)
    masked(write(tmp_path / "ring.gpkg", ring), expected)


def test_a_mask_in_degrees_and_probabilities(run, placed, whole, tmp_path, feedback):
    metres = write(tmp_path / "metres.gpkg", shape(L_SHAPE))
    mask = str(tmp_path / "degrees.geojson")
    gdal.VectorTranslate(
        mask, metres, dstSRS="EPSG:4326", reproject=True, layerCreationOptions=["RFC7946=NO"]
    )
    outputs = {"OUTPUT": str(tmp_path / "map.tif"), "PROBABILITIES": str(tmp_path / "scores.tif")}
    run("scasnet:segment", INPUT=str(placed), MASK=mask, **outputs, **TILES)
    expected = in_box(0, 0, ROWS, 40) | in_box(220, 0, 40, COLS)
    scores, everywhere = pixels(tmp_path / "scores.tif"), pixels(whole / "scores.tif")
    assert np.array_equal(pixels(tmp_path / "map.tif") > 0, expected)
    assert np.allclose(scores, np.where(expected, everywhere, -1), atol=1e-6)
    assert tiles_told(feedback) == tiles_touching(expected)
    assert any("57,200" in line for line in feedback.lines)


def test_a_mask_and_an_extent(run, placed, tmp_path, feedback):
    """The map has the grid of the extent, and holds what lies in both."""
    left, top = LEFT + 100 * SIZE, TOP - 50 * SIZE
    extent = f"{left},{left + 150 * SIZE},{top - 200 * SIZE},{top} [EPSG:32640]"
    mask = write(tmp_path / "a.gpkg", box(0, 0, 120, 130), box(240, 240, 20, 60))
    target = tmp_path / "map.tif"
    run("scasnet:segment", INPUT=str(placed), OUTPUT=str(target), EXTENT=extent, MASK=mask, **TILES)
    expected = (in_box(0, 0, 120, 130) | in_box(240, 240, 20, 60))[50:250, 100:250]
    found = pixels(target)
    assert np.array_equal(found > 0, expected)
    assert tiles_told(feedback) == tiles_touching(expected)
    without = tmp_path / "without.tif"
    run("scasnet:segment", INPUT=str(placed), OUTPUT=str(without), EXTENT=extent, **TILES)
    assert np.array_equal(found, np.where(expected, pixels(without), 0))
    beside = write(tmp_path / "b.gpkg", box(0, 0, 40, 40))
    with pytest.raises(QgsProcessingException, match=r"b\.gpkg"):
        run("scasnet:segment", INPUT=str(placed), OUTPUT=str(target), EXTENT=extent, MASK=beside)


def test_selected_features_only(masked, run, placed, scratch, tmp_path):
    masked(scratch, in_box(10, 10, 40, 50) | in_box(10, 240, 40, 50)
           | in_box(210, 10, 40, 50) | in_box(210, 240, 40, 50))  # fmt: skip
    selected = QgsProcessingFeatureSourceDefinition(scratch.id(), True)
    with pytest.raises(QgsProcessingException, match="corners"):
        run("scasnet:segment", INPUT=str(placed), OUTPUT=str(tmp_path / "m.tif"), MASK=selected)
    scratch.selectByExpression("name in ('a', 'd')")
    masked(selected, in_box(10, 10, 40, 50) | in_box(210, 240, 40, 50))
    masked(scratch, in_box(10, 10, 40, 50) | in_box(10, 240, 40, 50)
           | in_box(210, 10, 40, 50) | in_box(210, 240, 40, 50))  # fmt: skip


def test_filters_and_layers_of_one_file(masked, tmp_path):
    path = write(tmp_path / "a.gpkg", box(10, 10, 40, 50), box(210, 240, 40, 50))
    write(tmp_path / "a.gpkg", box(100, 100, 30, 30), name="more")
    layer = QgsVectorLayer(f"{path}|layername=areas", "areas", "ogr")
    layer.setSubsetString("cover = '1'")
    QgsProject.instance().addMapLayer(layer)
    masked(layer.id(), in_box(210, 240, 40, 50))
    layer.setSubsetString("")
    masked(layer.id(), in_box(10, 10, 40, 50) | in_box(210, 240, 40, 50))
    masked(f"{path}|layername=more", in_box(100, 100, 30, 30))
    masked(f"{path}|layerid=1", in_box(100, 100, 30, 30))
    QgsProject.instance().removeAllMapLayers()


def test_a_reference_system_that_only_qgis_knows(masked, tmp_path, feedback):
    mask = write(tmp_path / "a.shp", box(10, 10, 40, 50), epsg=None, driver="ESRI Shapefile")
    layer = QgsVectorLayer(mask, "a", "ogr")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32640"))
    QgsProject.instance().addMapLayer(layer)
    masked(layer.id(), in_box(10, 10, 40, 50))
    assert feedback.warnings == []
    QgsProject.instance().removeAllMapLayers()
    layer = QgsVectorLayer(mask, "a", "ogr")
    layer.setCrs(QgsCoordinateReferenceSystem())
    QgsProject.instance().addMapLayer(layer)
    masked(layer.id(), in_box(10, 10, 40, 50))
    assert feedback.warnings
    QgsProject.instance().removeAllMapLayers()


def test_doubtful_pixels_and_small_patches_only_inside(run, placed, tmp_path, feedback):
    mask = write(tmp_path / "l.gpkg", shape(L_SHAPE))
    target = tmp_path / "map.tif"
    rules = {"SIEVE": 50, "MIN_CONFIDENCE": 0.5}
    outputs = run(
        "scasnet:segment", INPUT=str(placed), OUTPUT=str(target), MASK=mask, **rules, **TILES
    )
    expected = in_box(0, 0, ROWS, 40) | in_box(220, 0, 40, COLS)
    found = pixels(target)
    assert not found[~expected].any()
    assert outputs["UNCERTAIN_PIXELS"] == (found[expected] == 0).sum() > 0
    assert any("57,200" in line for line in feedback.lines)


def test_masks_that_cannot_be_used_are_said_in_one_sentence(
    refused, placed, image, scratch, tmp_path
):
    line = ogr.wkbLineString
    lines = write(tmp_path / "l.gpkg", f"LINESTRING({LEFT} {TOP},{LEFT + 9} {TOP - 9})", shape=line)
    far = write(tmp_path / "far.gpkg", polygon([(0, 0), (9, 0), (9, 9)]))
    empty = write(tmp_path / "empty.gpkg")
    values = {"INPUT": str(placed), "OUTPUT": str(tmp_path / "map.tif")}
    for mask, words in (
        (lines, "LINESTRING"),
        (far, "far"),
        (empty, "empty"),
        ("/nowhere/mask.gpkg", "MASK"),
    ):
        sentence = refused("scasnet:segment", **values, MASK=mask)
        assert words.casefold() in sentence.casefold()
    scratch.startEditing()
    scratch.deleteFeature(1)
    assert "corners" in refused("scasnet:segment", **values, MASK=scratch)
    scratch.rollBack()
    plain = tmp_path / "plain.tif"
    gdal.GetDriverByName("GTiff").Create(str(plain), 90, 70, 3).WriteArray(
        pixels(image)[:, :70, :90]
    )
    sentence = refused("scasnet:segment", **{**values, "INPUT": str(plain)}, MASK=scratch)
    assert "georeferenced" in sentence
    assert not list(tmp_path.glob("map*"))


@pytest.mark.long
def test_a_mask_on_the_command_line(placed, whole, tmp_path):
    path = write(tmp_path / "a.gpkg", box(10, 10, 40, 50))
    write(tmp_path / "a.gpkg", box(100, 100, 30, 30), name="more")
    target = tmp_path / "map.tif"
    done = qgis_process(
        "run", "scasnet:segment", "--", f"INPUT={placed}", f"OUTPUT={target}",
        f"MASK={path}|layername=more", "TILE_SIZE=64", "OVERLAP=16",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = np.where(in_box(100, 100, 30, 30), pixels(whole / "map.tif"), 0)
    assert np.array_equal(pixels(target), expected)


def test_a_mask_made_by_another_algorithm_of_a_model(
    provider, context, feedback, placed, scratch, tmp_path
):
    """Polygons -> those by an expression -> the land cover inside."""
    import processing

    chosen = {"INPUT": Source.fromModelParameter("areas"), "EXPRESSION": "name = 'c'"}
    mapped = {"INPUT": str(placed), "MASK": Source.fromChildOutput("chosen", "OUTPUT")}
    steps = {
        "chosen": ("native:extractbyexpression", chosen),
        "mapped": ("scasnet:segment", mapped),
    }
    inputs = [QgsProcessingParameterFeatureSource("areas", "areas")]
    model, name = graphical_model(inputs, steps, "mapped")
    parameters = {"areas": scratch.id(), name: str(tmp_path / "map.tif")}
    processing.run(model, parameters, context=context, feedback=feedback)
    assert np.array_equal(pixels(tmp_path / "map.tif") > 0, in_box(210, 10, 40, 50))
