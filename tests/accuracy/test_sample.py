"""Samples drawn from a map, and what follows from them once somebody has labelled the points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, ogr

from scasnet_qgis.accuracy.area_estimation import area_adjusted
from scasnet_qgis.accuracy.options import SampleOptions
from scasnet_qgis.accuracy.run import assess
from scasnet_qgis.accuracy.sample import (
    SampleRequest,
    SampleResult,
    count_strata,
    draw_pixels,
    draw_sample,
)
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import Cancelled, InputError, OutputError, SettingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import open_raster
from scasnet_qgis.labels.labels import Labels, classes_of
from tests.accuracy.conftest import (
    NAMES,
    left_out,
    make_layer,
    name_classes,
    noisy,
    patches,
    point,
    request,
)

pytestmark = pytest.mark.slow

TRUTH = patches(130, 150, 1, size=10)
MAPPED = noisy(TRUTH, 2)
MAPPED[:, :5] = 0
MAPPED[-1, -3:] = 4  # a rare class
POND = "Teich пруд"
WITH_POND = (*NAMES, POND)


@pytest.fixture
def mapped(make_raster) -> str:
    return name_classes(make_raster(MAPPED, "map.tif", nodata=0), WITH_POND)


def draw(source: str, output: Path, progress: Progress | None = None, **how: Any) -> SampleResult:
    classes = tuple(classes_of(source))
    extent = how.pop("extent", None)
    options = SampleOptions(**{"points": 200, "min_per_class": 20, **how})
    wanted = SampleRequest(source, classes, output, options, extent)
    return draw_sample(wanted, progress or Progress(), lambda _path, _strata: None)


def rows_of(path: Path | str) -> list[dict[str, Any]]:
    dataset = ogr.Open(str(path))
    found = []
    for feature in dataset.GetLayer():
        shape = feature.GetGeometryRef()
        found.append({**feature.items(), "x": shape.GetX(), "y": shape.GetY()})
    return found


def place_of(row: dict[str, Any]) -> tuple[int, int]:
    """Row and column on the map, and that it is the middle of the pixel."""
    col, line = (row["x"] - 500000.0) / 0.5 - 0.5, (4000000.0 - row["y"]) / 0.5 - 0.5
    assert col == pytest.approx(round(col), abs=1e-4)
    assert line == pytest.approx(round(line), abs=1e-4)
    return round(line), round(col)


def change(path: Path | str, how: Callable[[ogr.Layer], None]) -> None:
    dataset = ogr.Open(str(path), 1)
    layer = dataset.GetLayer()
    how(layer)
    del layer, dataset


def truth_at(row: dict[str, Any]) -> str:
    return NAMES[TRUTH[place_of(row)] - 1]


Labeller = Callable[[dict[str, Any]], "str | None"]


def label(path: Path, class_of: Labeller) -> None:
    """Write the class of each point as a person would; None leaves it empty."""

    def write(layer: ogr.Layer) -> None:
        layer.StartTransaction()
        for feature, row in zip(layer, rows_of(path)):
            text = class_of(row)
            if text is not None:
                feature["reference"] = text
                layer.SetFeature(feature)
        layer.CommitTransaction()

    change(path, write)


def labelled(
    source: str, folder: Path, class_of: Labeller = truth_at, name: str = "sample.gpkg"
) -> str:
    """A sample that somebody has labelled."""
    draw(source, folder / name)
    label(folder / name, class_of)
    return str(folder / name)


@pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson"])
def test_points_lie_on_different_pixels_of_their_class(mapped, tmp_path, ending):
    result = draw(mapped, tmp_path / f"sample.{ending}")
    rows = rows_of(tmp_path / f"sample.{ending}")
    places = [place_of(row) for row in rows]
    assert len(set(places)) == len(rows) == 200 == result.points
    assert [str(MAPPED[place]) for place in places] == [row["map_value"] for row in rows]
    counts = np.bincount(MAPPED.ravel())
    assert [stratum.pixels for stratum in result.strata] == counts[1:].tolist()
    assert result.nodata_pixels == counts[0]
    for row in rows:
        value = int(row["map_value"])
        assert row["map_class"] == WITH_POND[value - 1]
        assert row["map_pixels"] == counts[value]
        assert row["map_area"] == pytest.approx(counts[value] * 0.25)
        assert row["all_pixels"] == counts[1:].sum()
        assert row["area_unit"] == "m2"
        assert row["reference"] is None
    points = [sum(row["map_value"] == str(value) for row in rows) for value in (1, 2, 3, 4)]
    assert points == [stratum.points for stratum in result.strata]
    assert points[3] == 3, "all pixels of the rare class"


def test_order_does_not_tell_the_class(mapped, tmp_path):
    draw(mapped, tmp_path / "sample.gpkg")
    rows = rows_of(tmp_path / "sample.gpkg")
    assert [row["sample_id"] for row in rows] == list(range(1, 201))
    values = [row["map_value"] for row in rows]
    changes = sum(a != b for a, b in zip(values, values[1:]))
    assert changes > 100
    lines = [place_of(row)[0] for row in rows]
    assert lines != sorted(lines)


def test_the_seed_decides_and_the_windows_do_not(mapped, tmp_path, window_size):
    def places(name: str, seed: int) -> list[tuple[int, int]]:
        draw(mapped, tmp_path / name, seed=seed)
        return [place_of(row) for row in rows_of(tmp_path / name)]

    first = places("a.gpkg", 5)
    assert places("b.gpkg", 5) == first
    assert places("c.gpkg", 6) != first
    window_size(48)
    again = places("d.gpkg", 5)
    assert len(set(again)) == 200
    assert all(MAPPED[place] for place in again)


def test_every_pixel_is_drawn_equally_often(make_raster, window_size):
    """Over many seeds, also where a class goes through several windows."""
    window_size(5)
    values = np.random.default_rng(0).choice([1, 2], (8, 12), p=[0.75, 0.25]).astype(np.uint8)
    source = make_raster(values, "small.tif")
    grid = Grid.of(open_raster(source))
    labels = Labels(source, grid, classes_of(source), by_place=False)
    strata = count_strata(labels, grid, grid.whole, 2, Progress())
    assert strata.pixels == [int((values == value).sum()) for value in (1, 2)]
    hits = np.zeros(values.shape, dtype=int)
    for seed in range(400):
        generator = np.random.default_rng(seed)
        pixels = draw_pixels(labels, strata, (20, 10), generator, Progress())
        hits[pixels[:, 0], pixels[:, 1]] += 1
        assert (values[pixels[:, 0], pixels[:, 1]] == pixels[:, 2] + 1).all()
    assert hits[values == 1].sum() == 400 * 20
    for value in (1, 2):
        share = hits[values == value] / 400
        expected = share.mean()
        spread = (expected * (1 - expected) / 400) ** 0.5
        assert abs(share - expected).max() < 4.5 * spread


def test_extent_bounds_points_and_counts(mapped, tmp_path):
    extent = (500000.0 + 20, 4000000.0 - 40, 500000.0 + 60, 4000000.0 - 10)
    result = draw(mapped, tmp_path / "sample.gpkg", extent=extent)
    part = MAPPED[20:80, 40:120]
    assert sum(stratum.pixels for stratum in result.strata) == part.size
    places = np.array([place_of(row) for row in rows_of(tmp_path / "sample.gpkg")])
    assert (places >= (20, 40)).all()
    assert (places < (80, 120)).all()


def test_area_in_degrees_is_that_on_the_ground(make_raster, tmp_path):
    place = (57.0, 1e-4, 0.0, 60.0, 0.0, -1e-4)
    source = make_raster(np.ones((200, 100), np.uint8), "map.tif", geotransform=place, epsg=4326)
    result = draw(source, tmp_path / "sample.gpkg", points=50)
    assert result.area_unit == "m2"
    assert result.strata[0].area == pytest.approx(200 * 100 * 11.14 * 11.14 * 0.5, rel=0.01)


def test_number_of_points_for_a_standard_error(mapped, tmp_path, recorder):
    result = draw(mapped, tmp_path / "s.gpkg", recorder, target_error=0.02, expected_accuracy=0.8)
    assert 385 < result.points < 400  # 0.16 / 0.0004, less for a map this small
    assert "0.02" in recorder.infos[0]
    assert "80%" in recorder.infos[0]
    with pytest.raises(SettingError, match="maximum"):
        draw(make_large(tmp_path), tmp_path / "t.gpkg", target_error=0.0005)


def make_large(folder: Path) -> str:
    """A map of 640,000 pixels."""
    path = str(folder / "large.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 800, 800, 1, options=["COMPRESS=DEFLATE"])
    dataset.GetRasterBand(1).Fill(1)
    dataset = None
    return path


def test_whole_or_nothing(mapped, tmp_path, recorder):
    target = tmp_path / "sample.gpkg"
    recorder.stop = True
    with pytest.raises(Cancelled):
        draw(mapped, target, recorder)
    with pytest.raises(SettingError, match="too few"):
        draw(mapped, target, points=10)

    def fail(_path: Path, _strata: Any) -> None:
        raise KeyError("style")

    wanted = SampleRequest(mapped, tuple(classes_of(mapped)), target, SampleOptions())
    with pytest.raises(KeyError):
        draw_sample(wanted, Progress(), fail)
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif", "map.tif.aux.xml"]


def test_labelled_points_are_not_overwritten(mapped, tmp_path):
    target = tmp_path / "sample.gpkg"
    draw(mapped, target)
    draw(mapped, target, seed=2)  # nobody has labelled a point
    label(target, lambda row: "water" if row["sample_id"] <= 7 else None)
    with pytest.raises(OutputError, match="7 labelled points"):
        draw(mapped, target)
    assert sum(row["reference"] is not None for row in rows_of(target)) == 7


@pytest.mark.parametrize(
    ("name", "sentence"), [("sample.kml", r"ends in \.gpkg"), ("no/sample.gpkg", "create it first")]
)
def test_outputs_that_cannot_work(mapped, tmp_path, name, sentence):
    with pytest.raises((SettingError, OutputError), match=sentence):
        draw(mapped, tmp_path / name)


def test_a_map_without_data_has_no_sample(make_raster, tmp_path):
    source = name_classes(make_raster(np.zeros((9, 9), np.uint8), "empty.tif", nodata=0))
    with pytest.raises(InputError, match="no classes"):
        draw(source, tmp_path / "sample.gpkg")


@pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson"])
def test_labelled_sample_gives_area_adjusted_figures(compare, mapped, tmp_path, ending):
    sample = labelled(mapped, tmp_path, name=f"sample.{ending}")
    result = compare(mapped, sample, "reference")
    places = np.array([place_of(row) for row in rows_of(sample)])
    truth, found = TRUTH[tuple(places.T)], MAPPED[tuple(places.T)]
    matrix = ConfusionMatrix.of(truth - 1, found - 1, 4)
    np.testing.assert_array_equal(result.matrix.counts, matrix.counts)
    assert result.points
    assert result.not_adjusted is None
    pixels = np.bincount(MAPPED.ravel())[1:].tolist()
    assert result.adjusted is not None
    assert result.adjusted.pixels == tuple(pixels)
    expected = area_adjusted(matrix, pixels)
    assert result.adjusted.figures.overall == expected.overall
    assert result.adjusted.figures.shares == expected.shares
    assert result.adjusted.area == pytest.approx(sum(pixels) * 0.25)
    kept = MAPPED > 0
    truth_share = (TRUTH[kept] == 3).mean()
    share = result.adjusted.figures.shares[2]
    assert abs(share.value - truth_share) < 3 * share.standard_error


@pytest.mark.parametrize(
    "place",
    [
        {"geotransform": None, "epsg": None},
        {"geotransform": (500000.0, 0.4, 0.3, 4000000.0, 0.3, -0.4)},  # rotated
        {"geotransform": (500000.0, 0.5, 0.0, 4000000.0, 0.0, 0.5)},  # south-up
        {"geotransform": (57.0, 1e-5, 0.0, 36.0, 0.0, -1e-5), "epsg": 4326},
    ],
)
def test_maps_of_any_place_find_their_points_again(compare, make_raster, tmp_path, place):
    source = name_classes(make_raster(MAPPED, "map.tif", nodata=0, **place), WITH_POND)
    sample = labelled(source, tmp_path, lambda row: row["map_class"])
    result = compare(source, sample, "reference")
    assert result.matrix.overall_accuracy == 1
    assert result.adjusted is not None
    assert result.adjusted.figures.overall.value == pytest.approx(1)
    assert result.adjusted.area_unit == ("pixels" if place["geotransform"] is None else "m2")


def test_unlabelled_points_are_left_out_with_a_warning(mapped, tmp_path, recorder):
    sample = labelled(
        mapped, tmp_path, lambda row: truth_at(row) if row["sample_id"] <= 150 else None
    )
    result = assess(request(mapped, sample, "reference"), recorder)
    assert result.matrix.total == 150
    assert left_out(result) == {"without a class": 50}
    assert result.adjusted is not None
    assert recorder.warnings[0] == (
        "50 of 200 points have no class in the field reference: they are ignored."
    )


def test_no_labelled_point_is_one_sentence(compare, mapped, tmp_path):
    draw(mapped, tmp_path / "sample.gpkg")
    with pytest.raises(InputError, match="No point has a class in field reference"):
        compare(mapped, str(tmp_path / "sample.gpkg"), "reference")


def test_a_class_with_one_labelled_point_has_no_interval(compare, mapped, tmp_path):
    ponds = iter(range(3))
    sample = labelled(
        mapped,
        tmp_path,
        lambda row: None if row["map_value"] == "4" and next(ponds) else truth_at(row),
    )
    result = compare(mapped, sample, "reference")
    assert f"Only one labelled point in {POND}" in str(result.notes[-1])
    assert result.adjusted is not None
    assert np.isnan(result.adjusted.figures.users[3].standard_error)
    assert np.isnan(result.adjusted.figures.overall.standard_error)
    assert not np.isnan(result.adjusted.figures.overall.value)


def test_a_class_without_a_labelled_point_is_refused(compare, mapped, tmp_path):
    sample = labelled(
        mapped, tmp_path, lambda row: None if row["map_value"] == "4" else truth_at(row)
    )
    result = compare(mapped, sample, "reference")
    assert result.adjusted is None
    assert f"no labelled points in these map classes: {POND}" in str(result.not_adjusted)
    assert result.matrix.total == 197


def test_a_sample_of_another_map_is_refused(compare, mapped, make_raster, tmp_path):
    sample = labelled(mapped, tmp_path)
    other = name_classes(make_raster(noisy(MAPPED, 9), "other.tif", nodata=0), WITH_POND)
    with pytest.raises(InputError, match=" of 200 points are on another map class"):
        compare(other, sample, "reference")
    plain = compare(other, sample, "reference", adjusted="no")
    assert plain.matrix.total > 190
    assert plain.adjusted is None
    assert plain.not_adjusted is None


def test_a_sample_that_was_changed_is_refused_with_the_reason(compare, mapped, tmp_path):
    def reason(how: Callable[[ogr.Layer], None], **settings: Any) -> str:
        (tmp_path / "sample.gpkg").unlink(missing_ok=True)
        sample = labelled(mapped, tmp_path)
        change(sample, how)
        return str(compare(mapped, sample, "reference", **settings).not_adjusted)

    def remove_ponds(layer: ogr.Layer) -> None:
        layer.SetAttributeFilter("map_value = '4'")
        for feature in list(layer):
            layer.DeleteFeature(feature.GetFID())

    def set_weight(pixels: int | None) -> Callable[[ogr.Layer], None]:
        def change_third(layer: ogr.Layer) -> None:
            feature = layer.GetFeature(3)
            feature["map_pixels"] = pixels
            layer.SetFeature(feature)

        return change_third

    assert "all points of a class were removed" in reason(remove_ponds)
    assert "fields of the sampling design were changed" in reason(set_weight(17))
    assert "fields of the sampling design were changed" in reason(set_weight(None))
    extent = (500000.0, 4000000.0 - 65, 500000.0 + 40, 4000000.0)
    assert "outside the map or the extent" in reason(lambda _layer: None, extent=extent)


def test_hand_picked_points_give_plain_figures_only(compare, mapped, tmp_path):
    places = np.random.default_rng(5).integers(0, (130, 150), (60, 2))
    shapes = [(point(row, col), NAMES[TRUTH[row, col] - 1]) for row, col in places]
    shapes += [(point(500, 5), "water"), (point(1, 1), "")]
    picked = make_layer(tmp_path / "picked.gpkg", shapes, ogr.wkbPoint, epsg=4326)
    result = compare(mapped, picked, "class")
    found = MAPPED[tuple(places.T)]
    assert result.matrix.total == (found > 0).sum()
    expected = {"outside the map or the extent": 1, "without a class": 1}
    expected["without a class in the map"] = int((found == 0).sum())
    assert left_out(result) == expected
    assert "the points have no sampling design" in str(result.not_adjusted)
    with pytest.raises(SettingError, match="the points have no sampling design"):
        compare(mapped, picked, "class", adjusted="yes")
    with pytest.raises(SettingError, match="boundary"):
        compare(mapped, picked, "class", boundary=3)


def test_points_away_from_the_map_are_one_sentence(compare, mapped, tmp_path):
    picked = make_layer(tmp_path / "p.gpkg", [(point(900, 900), "water")], ogr.wkbPoint)
    with pytest.raises(InputError, match="No point can be compared: 1 points are ignored, outs"):
        compare(mapped, picked, "class")


def test_left_out_classes_of_a_sample(compare, mapped, tmp_path):
    sample = labelled(
        mapped, tmp_path, lambda row: "unclear" if row["sample_id"] <= 10 else truth_at(row)
    )
    with pytest.raises(InputError, match=r"the reference has .*unclear"):
        compare(mapped, sample, "reference")
    result = compare(mapped, sample, "reference", ignored="unclear")
    assert result.matrix.total == 190
    assert result.adjusted is not None
