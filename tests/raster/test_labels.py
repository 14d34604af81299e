"""Labels come onto the grid of the image, wherever and however they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from scasnet_qgis.core.card import default_color
from scasnet_qgis.core.errors import Cancelled, InputError
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.footprint import window_on
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.label_class import says_no_class, value_text
from scasnet_qgis.raster.labels import IGNORE, LabelClass, Labels, classes_of

NORTH_UP = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)
SOUTH_UP = (500000.0, 0.5, 0.0, 3999940.0, 0.0, 0.5)
ROTATED = (500000.0, 0.4, 0.3, 4000000.0, 0.3, -0.4)
ROWS, COLS = 120, 160
AREA = [(500013.1, 3999952.3), (500060.7, 3999948.8), (500041.2, 3999989.6)]  # a triangle

pytestmark = pytest.mark.usefixtures("session")


def wkt(epsg: int) -> str:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    return str(reference.ExportToWkt())


def classes(*values: str) -> list[LabelClass]:
    return [LabelClass(each, f"class {each}", default_color(i)) for i, each in enumerate(values)]


def polygon(points: Sequence[tuple[float, float]]) -> str:
    return f"POLYGON(({','.join(f'{x:.9f} {y:.9f}' for x, y in [*points, points[0]])}))"


def square(x: float, y: float, size: float) -> str:
    return polygon([(x, y), (x + size, y), (x + size, y + size), (x, y + size)])


def write_layer(
    path: Path,
    features: Sequence[tuple[Any, str | None]],
    *,
    epsg: int | None = 32640,
    kind: int = ogr.OFTString,
    driver: str = "GPKG",
    name: str = "areas",
    shape: int = ogr.wkbPolygon,
) -> str:
    """A layer of (value, WKT) in the given system, WKT with x before y."""
    reference = None
    if epsg is not None:
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(epsg)
        reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    if path.exists():
        file = gdal.OpenEx(str(path), gdal.OF_VECTOR | gdal.OF_UPDATE)
    else:
        file = ogr.GetDriverByName(driver).CreateDataSource(str(path))
    layer = file.CreateLayer(name, reference, shape)
    layer.CreateField(ogr.FieldDefn("note", ogr.OFTString))
    layer.CreateField(ogr.FieldDefn("cover", kind))
    file.StartTransaction()
    for value, text in features:
        feature = ogr.Feature(layer.GetLayerDefn())
        if value is not None:
            feature.SetField("cover", value)
        if text is not None:
            feature.SetGeometry(ogr.CreateGeometryFromWkt(text))
        layer.CreateFeature(feature)
    file.CommitTransaction()
    return str(path)


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.mgrid[: grid.rows, : grid.cols] + 0.5
    return grid.to_map(rows, cols)


def inside(points: Sequence[tuple[float, float]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which places lie in a convex polygon that runs counter-clockwise."""
    found = np.ones(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]]):
        found &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
    return found


def in_windows(labels: Labels, grid: Grid, size: int = 50) -> np.ndarray:
    found = np.zeros((grid.rows, grid.cols), dtype=np.uint8)
    for row in range(0, grid.rows, size):
        for col in range(0, grid.cols, size):
            window = Window(row, col, size, size).intersect(grid.whole)
            found[row : window.row_end, col : window.col_end] = labels.read(window)
    return found


@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, ROTATED])
def test_polygons_are_burnt_by_pixel_centres_on_any_grid(tmp_path, placed):
    grid = Grid(ROWS, COLS, placed, wkt(32640))
    source = write_layer(tmp_path / "a.gpkg", [("wood", polygon(AREA))])
    labels = Labels(source, grid, classes("wood"), field="cover")
    expected = np.where(inside(AREA, *centres(grid)), 0, IGNORE)
    assert (expected == 0).sum() > 1000
    assert np.array_equal(in_windows(labels, grid), expected)
    window = labels.labelled_window()
    assert window is not None
    rows, cols = np.nonzero(expected == 0)
    assert window.row <= rows.min() <= rows.max() < window.row_end
    assert window.col <= cols.min() <= cols.max() < window.col_end
    if placed is not ROTATED:
        assert window.rows <= np.ptp(rows) + 5
        assert window.cols <= np.ptp(cols) + 5


def test_polygons_of_another_reference_system_lie_where_they_are(tmp_path):
    """Degrees, of which some programs store the latitude first."""
    grid = Grid(ROWS, COLS, ROTATED, wkt(32640))
    metres, degrees = osr.SpatialReference(), osr.SpatialReference()
    metres.ImportFromEPSG(32640)
    degrees.ImportFromEPSG(4326)
    degrees.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    way = osr.CoordinateTransformation(metres, degrees)
    moved = [way.TransformPoint(*each)[:2] for each in AREA]
    expected = np.where(inside(AREA, *centres(grid)), 0, IGNORE)
    for driver, ending in (("GPKG", "gpkg"), ("GeoJSON", "geojson"), ("GML", "gml")):
        source = write_layer(
            tmp_path / f"a.{ending}", [("x", polygon(moved))], epsg=4326, driver=driver
        )
        labels = Labels(source, grid, classes("x"), field="cover")
        found = in_windows(labels, grid)
        assert (found != expected).sum() <= 3, driver  # GeoJSON rounds to centimetres
        window = labels.labelled_window()
        assert window is not None
        assert window.rows < ROWS
        outside = np.ones_like(found, dtype=bool)
        outside[window.row : window.row_end, window.col : window.col_end] = False
        assert (found[outside] == IGNORE).all()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ogr.OFTInteger, [3, 12]),
        (ogr.OFTInteger64, [3, 12]),
        (ogr.OFTReal, [3.0, 12.0]),
        (ogr.OFTString, ["3", " 12.0"]),
    ],
)
def test_values_are_compared_as_texts(tmp_path, kind, values):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    shapes = [square(500000, 3999995, 2), square(500005, 3999995, 2)]
    source = write_layer(tmp_path / "a.gpkg", list(zip(values, shapes)), kind=kind)
    assert [each.value for each in classes_of(source, field="cover")] == ["3", "12"]
    found = Labels(source, grid, classes("12", "3"), field="cover").read(grid.whole)
    assert (found == 1).sum() == (found == 0).sum() == 16


def test_the_later_polygon_wins_in_every_window(tmp_path):
    """An index gives features in no order of their own; windows must agree all the same."""
    grid = Grid(100, 100, NORTH_UP, wkt(32640))
    generator = np.random.default_rng(4)
    features = []
    expected = np.full((100, 100), IGNORE)
    for _ in range(300):
        value, row, col = (int(each) for each in generator.integers(0, (5, 80, 80)))
        features.append((str(value), square(500000 + col / 2, 4000000 - row / 2 - 8, 8)))
        expected[row : row + 16, col : col + 16] = value
    source = write_layer(tmp_path / "a.gpkg", features)
    labels = Labels(source, grid, classes(*"01234"), field="cover")
    assert np.array_equal(labels.read(grid.whole), expected)
    assert np.array_equal(in_windows(labels, grid, 17), expected)


def test_what_carries_no_class_is_no_label(tmp_path):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    place = square(500001, 3999995, 3)
    features = [
        (None, place), ("", place), ("other", place), ("a", None), ("a", "POLYGON EMPTY"),
    ]  # fmt: skip
    source = write_layer(tmp_path / "a.gpkg", features)
    labels = Labels(source, grid, classes("a", ""), field="cover")
    assert (labels.read(grid.whole) == IGNORE).all()
    assert labels.labelled_window() is None
    assert [each.value for each in classes_of(source, field="cover")] == ["a", "other"]


def test_an_empty_layer_and_one_far_away(tmp_path):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    empty = write_layer(tmp_path / "empty.gpkg", [])
    far = write_layer(tmp_path / "far.gpkg", [("a", square(510000, 3999995, 3))])
    for source in (empty, far):
        labels = Labels(source, grid, classes("a"), field="cover")
        assert labels.labelled_window() is None
        assert (labels.read(grid.whole) == IGNORE).all()
    assert classes_of(empty, field="cover") == []


def test_points_are_one_pixel_and_lines_are_refused(tmp_path):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    source = write_layer(
        tmp_path / "p.gpkg", [("a", "POINT(500002.7 3999996.1)")], shape=ogr.wkbPoint
    )
    labels = Labels(source, grid, classes("a"), field="cover")
    assert np.argwhere(labels.read(grid.whole) == 0).tolist() == [[7, 5]]
    window = labels.labelled_window()
    assert window is not None
    assert window.intersect(Window(7, 5, 1, 1)) == Window(7, 5, 1, 1)
    lines = write_layer(
        tmp_path / "l.gpkg", [("a", "LINESTRING(0 0,1 1)")], shape=ogr.wkbLineString
    )
    with pytest.raises(InputError, match="are lines"):
        Labels(lines, grid, classes("a"), field="cover")


def test_polygons_over_an_image_without_a_position(tmp_path):
    """As QGIS shows it: columns to the right, rows downwards below 0."""
    grid = Grid(30, 40, None)
    source = write_layer(tmp_path / "a.gpkg", [("a", square(10, -20, 5))], epsg=None)
    labels = Labels(source, grid, classes("a"), field="cover")
    expected = np.full((30, 40), IGNORE)
    expected[15:20, 10:15] = 0
    assert np.array_equal(in_windows(labels, grid, 9), expected)


@pytest.mark.parametrize(("driver", "ending"), [("GPKG", "gpkg"), ("ESRI Shapefile", "shp")])
def test_a_layer_without_a_reference_system_is_taken_for_the_same(tmp_path, driver, ending):
    grid = Grid(ROWS, COLS, NORTH_UP, wkt(32640))
    features = [("wood", polygon(AREA))]
    source = write_layer(tmp_path / f"a.{ending}", features, epsg=None, driver=driver)
    found = Labels(source, grid, classes("wood"), field="cover").read(grid.whole)
    assert np.array_equal(found == 0, inside(AREA, *centres(grid)))


def test_layers_and_fields_are_chosen_by_name(tmp_path):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    source = write_layer(tmp_path / "a.gpkg", [("a", square(500000, 3999995, 2))])
    write_layer(tmp_path / "a.gpkg", [], name="layer_styles", shape=ogr.wkbNone)
    Labels(source, grid, classes("a"), field="cover")
    write_layer(tmp_path / "a.gpkg", [], name="more")
    with pytest.raises(InputError, match=r"Name the layer of .*: there is areas, more"):
        Labels(source, grid, classes("a"), field="cover")
    found = Labels(source, grid, classes("a"), layer="areas", field="cover").read(grid.whole)
    assert (found == 0).sum() == 16
    with pytest.raises(InputError, match=r"no field 'kind'.* there is note, cover"):
        Labels(source, grid, classes("a"), layer="more", field="kind")
    with pytest.raises(InputError, match="choose the field"):
        Labels(source, grid, classes("a"))
    with pytest.raises(InputError, match="cannot be read"):
        Labels(str(tmp_path / "none.gpkg"), grid, classes("a"), field="cover")


def test_a_polygon_around_the_world_lies_where_it_is(tmp_path):
    """Corners on the other side of the earth have no place in UTM, but come out somewhere."""
    grid = Grid(ROWS, COLS, NORTH_UP, wkt(32640))
    north = polygon([(-180, 10), (180, 10), (180, 90), (-180, 90)])
    source = write_layer(tmp_path / "a.gpkg", [("a", north)], epsg=4326)
    labels = Labels(source, grid, classes("a"), field="cover")
    assert labels.labelled_window() == grid.whole
    assert (labels.read(grid.whole) == 0).all()
    south = Grid(9, 9, (500000.0, 1.0, 0.0, 1000000.0, 0.0, -1.0), wkt(32640))
    assert Labels(source, south, classes("a"), field="cover").labelled_window() is None


def test_a_large_polygon_that_crosses_itself_is_said_where_it_must_be_cut(tmp_path):
    x, y = 500040.0, 3999970.0
    crossed = polygon(
        [(x - 900, y - 800), (x + 900, y + 800), (x + 900, y - 800), (x - 900, y + 800)]
    )
    here = write_layer(tmp_path / "here.gpkg", [("a", crossed)])
    grid = Grid(ROWS, COLS, NORTH_UP, wkt(32640))
    found = Labels(here, grid, classes("a"), field="cover").read(grid.whole)
    assert 0.3 < (found == 0).mean() < 0.7
    there = str(tmp_path / "there.gpkg")
    gdal.VectorTranslate(there, here, dstSRS="EPSG:32639", reproject=True)
    with pytest.raises(InputError, match="Fix geometries"):
        Labels(there, grid, classes("a"), field="cover").read(grid.whole)


@pytest.fixture
def image_grid() -> Grid:
    return Grid(ROWS, COLS, NORTH_UP, wkt(32640))


def test_a_raster_on_the_same_grid_may_lie_elsewhere(make_raster, image_grid):
    """It begins 10 rows above and 30 columns right of the image, and ends inside."""
    values = np.random.default_rng(1).integers(0, 4, (100, 90)).astype(np.uint8)
    placed = (500000 + 15.0, 0.5, 0.0, 4000000 + 5.0, 0.0, -0.5)
    source = make_raster(values, "labels.tif", geotransform=placed, nodata=0)
    labels = Labels(source, image_grid, classes("2", "1"))
    expected = np.full((ROWS, COLS), IGNORE)
    expected[:90, 30:120] = np.select([values == 2, values == 1], [0, 1], IGNORE)[10:]
    assert labels.labelled_window() == Window(0, 30, 90, 90)
    assert np.array_equal(in_windows(labels, image_grid), expected)


@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, ROTATED])
def test_a_raster_of_another_grid_gives_the_value_at_the_pixel_centre(make_raster, placed):
    """Coarser, shifted by parts of a pixel, with nodata, against the arithmetic."""
    values = np.random.default_rng(1).integers(0, 4, (40, 30)).astype(np.float32)
    coarse = (500003.3, 1.7, 0.0, 3999996.6, 0.0, -1.3)
    source = make_raster(values, "labels.tif", geotransform=coarse, nodata=1.0)
    grid = Grid(ROWS, COLS, placed, wkt(32640))
    labels = Labels(source, grid, classes("0", "1", "2", "3"))
    x, y = centres(grid)
    cols, rows = np.floor((x - coarse[0]) / 1.7), np.floor((coarse[3] - y) / 1.3)
    covered = (rows >= 0) & (rows < 40) & (cols >= 0) & (cols < 30)
    seen = values[rows.clip(0, 39).astype(int), cols.clip(0, 29).astype(int)]
    expected = np.where(covered & (seen != 1), seen, IGNORE)
    assert 4000 < (expected != IGNORE).sum() < ROWS * COLS * 0.9
    assert np.array_equal(in_windows(labels, grid), expected)
    window = labels.labelled_window()
    assert window is not None
    assert (expected[window.row_end :] == IGNORE).all()


def test_a_raster_of_another_reference_system(make_raster, image_grid, tmp_path):
    """The image in UTM, its labels in degrees: what is known of the places must fit."""
    values = np.zeros((ROWS, COLS), dtype=np.uint8)
    values[30:80, 40:100] = 7
    metres = make_raster(values, "metres.tif", geotransform=NORTH_UP)
    source = str(tmp_path / "degrees.tif")
    gdal.Warp(source, metres, dstSRS="EPSG:4326", xRes=2e-6, yRes=2e-6, dstNodata=255)
    labels = Labels(source, image_grid, classes("7", "0"))
    found = in_windows(labels, image_grid)
    assert (found[1:-1, 1:-1] != np.where(values == 7, 0, 1)[1:-1, 1:-1]).mean() < 0.01
    assert labels.labelled_window() == image_grid.whole


def test_rasters_without_a_position_match_pixel_by_pixel(make_raster):
    values = np.random.default_rng(1).integers(0, 3, (50, 60)).astype(np.uint8)
    source = make_raster(values, "labels.tif", geotransform=None, epsg=None)
    found = Labels(source, Grid(50, 60, None), classes("0", "1", "2"))
    assert np.array_equal(in_windows(found, Grid(50, 60, None), 7), values)
    with pytest.raises(InputError, match="have 60 x 50 pixels, but their raster has 60 x 51"):
        Labels(source, Grid(51, 60, None), classes("1"))
    with pytest.raises(InputError, match="no position on earth"):
        Labels(source, Grid(50, 60, NORTH_UP, wkt(32640)), classes("1"))
    by_order = Labels(source, Grid(50, 60, NORTH_UP, wkt(32640)), classes("1"), by_place=False)
    assert np.array_equal(by_order.read(Window(0, 0, 50, 60)) == 0, values == 1)
    with pytest.raises(InputError, match="60 x 50"):
        Labels(source, Grid(51, 60, NORTH_UP, wkt(32640)), classes("1"), by_place=False)


def test_a_raster_elsewhere_has_no_labels_here(make_raster, image_grid):
    values = np.ones((50, 60), dtype=np.uint8)
    for index, epsg in enumerate((32640, 3857, 4326)):
        source = make_raster(values, f"{index}.tif", geotransform=(10, 1, 0, 20, 0, -1), epsg=epsg)
        labels = Labels(source, image_grid, classes("1"))
        assert labels.labelled_window() is None
        assert (labels.read(image_grid.whole) == IGNORE).all()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (np.uint8, ["0", "200", "300", "-1", "forest"]),
        (np.uint16, ["300", "65535", "70000", "2.5", "1"]),
        (np.int16, ["-5", "300", "12", "1", "0"]),
        (np.int32, ["-70000", "70000", "12", "1", "0"]),
        (np.float32, ["0.1", "2.5", "-3", "1e3", "0"]),
    ],
)
def test_values_of_all_types(make_raster, kind, values):
    known = [each for each in values if each != "forest"]
    limits = (-1e9, 1e9) if kind is np.float32 else (np.iinfo(kind).min, np.iinfo(kind).max)
    possible = [
        each
        for each in known
        if limits[0] <= float(each) <= limits[1]
        and (kind is np.float32 or float(each).is_integer())
    ]
    pixels = np.array([float(each) for each in possible]).astype(kind)[None].repeat(3, axis=0)
    source = make_raster(pixels, "labels.tif")
    grid = Grid(*pixels.shape, NORTH_UP, wkt(32640))
    found = Labels(source, grid, classes(*values)).read(grid.whole)
    assert found[0].tolist() == [values.index(each) for each in possible]
    assert {each.value for each in classes_of(source)} == {
        value_text(float(each)) for each in possible
    }


def test_images_are_no_labels(make_raster, image_grid):
    source = make_raster(np.zeros((3, 10, 10), np.uint8))
    with pytest.raises(InputError, match="have 3 bands"):
        Labels(source, image_grid, classes("1"))
    noise = make_raster(np.arange(600, dtype=np.uint16).reshape(20, 30), "noise.tif")
    with pytest.raises(InputError, match="more than 254 different values"):
        classes_of(noise)
    assert len(classes_of(make_raster(np.arange(254, dtype=np.uint8)[None] + 1, "many.tif"))) == 254


def test_damaged_labels_are_said(make_raster, image_grid):
    values = np.random.default_rng(1).integers(0, 4, (ROWS, COLS)).astype(np.uint8)
    source = Path(make_raster(values, "labels.tif"))
    source.write_bytes(source.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"labels.tif cannot be read"):
        in_windows(Labels(str(source), image_grid, classes("1")), image_grid)


def test_a_damaged_layer_is_said(tmp_path, image_grid):
    """It must not seem to end where the damage begins."""
    shapes = [("a", square(500000 + each / 100, 3999990, 1)) for each in range(3000)]
    source = Path(write_layer(tmp_path / "a.gpkg", shapes))
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60_000] = bytes([255]) * 60_000
    source.write_bytes(content)
    with pytest.raises(InputError, match=r"a.gpkg cannot be read"):
        classes_of(str(source), field="cover")
    with pytest.raises(InputError, match=r"a.gpkg cannot be read"):
        Labels(str(source), image_grid, classes("a"), field="cover").labelled_window()


def test_names_and_colours_of_a_raster_that_has_them(make_raster):
    values = np.full((10, 10), 2, dtype=np.uint8)
    source = make_raster(values, "labels.tif", nodata=5)
    file = gdal.Open(source, gdal.GA_Update)
    file.GetGeoTransform()  # else GDAL 3.6 forgets the names
    band = file.GetRasterBand(1)
    band.SetCategoryNames(["Unlabelled", "field", "wood", "", "field", "nothing"])
    table = gdal.ColorTable()
    for value, color in enumerate([(0, 0, 0), (255, 255, 0), (0, 128, 0), (1, 1, 1)]):
        table.SetColorEntry(value, (*color, 255))
    band.SetColorTable(table)
    del band, file
    assert classes_of(source) == [
        LabelClass("1", "field", "#ffff00"),
        LabelClass("2", "wood", "#008000"),
        LabelClass("4", "field (4)", "#000000"),
    ]


def test_names_and_colours_of_an_attribute_table(make_raster):
    source = make_raster(np.full((10, 10), 3, dtype=np.uint16), "labels.tif")
    table = gdal.RasterAttributeTable()
    for title, kind, use in (
        ("Value", gdal.GFT_Integer, gdal.GFU_Generic),
        ("Class_name", gdal.GFT_String, gdal.GFU_Generic),
        ("R", gdal.GFT_Integer, gdal.GFU_Red),
        ("G", gdal.GFT_Integer, gdal.GFU_Green),
        ("B", gdal.GFT_Integer, gdal.GFU_Blue),
    ):
        table.CreateColumn(title, kind, use)
    table.SetRowCount(3)
    for row, (value, name, *color) in enumerate(
        [(1000, "lake", 0, 0, 255), (3, "rock", 90, 80, 70), (0, "no data", 0, 0, 0)]
    ):
        table.SetValueAsInt(row, 0, value)
        table.SetValueAsString(row, 1, name)
        for column, part in enumerate(color, start=2):
            table.SetValueAsInt(row, column, part)
    file = gdal.Open(source, gdal.GA_Update)
    file.GetRasterBand(1).SetDefaultRAT(table)
    del file
    assert classes_of(source) == [
        LabelClass("3", "rock", "#5a5046"),
        LabelClass("1000", "lake", "#0000ff"),
    ]


def test_without_names_the_values_are_the_classes(make_raster, recorder):
    values = np.full((600, 2100), 9, dtype=np.int16)
    values[-1, -1], values[0, 0] = -4, 0
    source = make_raster(values, nodata=0)
    assert classes_of(source) == [
        LabelClass("-4", "class -4", default_color(0)),
        LabelClass("9", "class 9", default_color(1)),
    ]
    recorder.stop = True
    with pytest.raises(Cancelled):
        classes_of(source, progress=recorder)


def test_classes_of_a_layer(tmp_path):
    place = square(500000, 3999995, 2)
    texts = ["wood", "10", "9", "wood", None, "No label", "9.0"]
    source = write_layer(tmp_path / "a.gpkg", [(each, place) for each in texts])
    assert [(each.value, each.name) for each in classes_of(source, field="cover")] == [
        ("9", "class 9"), ("10", "class 10"), ("wood", "wood"),
    ]  # fmt: skip
    many = write_layer(tmp_path / "b.gpkg", [(str(each), place) for each in range(300)])
    with pytest.raises(InputError, match="more than 254"):
        classes_of(many, field="cover")


def test_names_that_say_that_there_is_no_class():
    names = ["Unlabelled", "unlabeled", "no data", "NoData", "no-label", "not labelled", "ignore"]
    assert all(map(says_no_class, names))
    others = ["background", "label", "data centre", "land", "0", "unlabelled roads", ""]
    assert not any(map(says_no_class, others))


def test_windows_on_other_grids():
    grid = Grid(100, 200, NORTH_UP, wkt(32640))
    half = Grid(50, 50, (500020.0, 1.0, 0.0, 3999990.0, 0.0, -1.0), wkt(32640))
    assert window_on(grid, half, Window(10, 5, 4, 3)) == Window(40, 50, 8, 6)
    assert window_on(grid, half, Window(45, 5, 4, 3)) is None
    turned = Grid(50, 50, (500020.0, 0.8, 0.6, 3999990.0, 0.6, -0.8), wkt(32640))
    found = window_on(grid, turned, Window(0, 0, 10, 10))
    assert found == Window(8, 40, 28, 28)
