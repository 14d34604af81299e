"""A map against rasters and polygons, every count against numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal
from scipy import ndimage
from sklearn import metrics

from scasnet_qgis.accuracy.pixels import near_other_class
from scasnet_qgis.accuracy.run import assess
from scasnet_qgis.common.errors import Cancelled, InputError, SettingError
from tests.accuracy.conftest import (
    NAMES,
    PLACE,
    box,
    left_out,
    make_layer,
    name_classes,
    noisy,
    patches,
    request,
)

TRUTH = patches(130, 150, 1)
MAPPED = noisy(TRUTH, 2)
UNLABELLED = "without a class in the reference"
NO_MAP = "without a class in the map"


@pytest.fixture
def small_windows(window_size) -> None:
    window_size(32)


@pytest.fixture
def mapped(make_raster) -> str:
    return name_classes(make_raster(MAPPED, "map.tif", nodata=0))


def test_raster_on_the_same_grid(compare, mapped, make_raster, small_windows):
    result = compare(mapped, make_raster(TRUTH, "truth.tif"))
    expected = metrics.confusion_matrix(TRUTH.ravel(), MAPPED.ravel())
    np.testing.assert_array_equal(result.matrix.counts, expected)
    assert [label_class.name for label_class in result.classes] == list(NAMES)
    assert result.left_out == ()
    assert not result.points
    kappa = metrics.cohen_kappa_score(TRUTH.ravel(), MAPPED.ravel())
    assert result.matrix.kappa == pytest.approx(kappa)


def test_names_count_and_not_values(compare, mapped, make_raster):
    """In the reference, water is 1 and building 3."""
    swapped = name_classes(make_raster(4 - TRUTH, "truth.tif"), NAMES[::-1])
    expected = metrics.confusion_matrix(TRUTH.ravel(), MAPPED.ravel())
    np.testing.assert_array_equal(compare(mapped, swapped).matrix.counts, expected)


def test_what_is_left_out_is_counted_once_with_its_reason(compare, make_raster, small_windows):
    truth, mapped = TRUTH.copy(), MAPPED.copy()
    truth[:20] = 0
    mapped[10:40, :50] = 0
    source = name_classes(make_raster(mapped, "map.tif", nodata=0))
    reference = make_raster(truth, "truth.tif", nodata=0)
    result = compare(source, reference, boundary=2, ignored="3")
    near = near_other_class(np.where(truth == 0, 255, truth).astype(np.uint8), 2)
    labelled, ignored = truth > 0, truth == 3
    kept = labelled & ~ignored & ~near
    assert left_out(result) == {
        UNLABELLED: int((~labelled).sum()),
        "of an excluded class": int(ignored.sum()),
        "within 2 pixels of another reference class": int((labelled & ~ignored & near).sum()),
        NO_MAP: int((kept & (mapped == 0)).sum()),
    }
    both = kept & (mapped > 0)
    expected = metrics.confusion_matrix(truth[both], mapped[both], labels=[1, 2, 3])
    np.testing.assert_array_equal(result.matrix.counts, expected)
    assert result.matrix.total + sum(left_out(result).values()) == truth.size


def with_holes() -> np.ndarray:
    """Class indices 0, 1, 2 and 253 in patches, single pixels, holes without a label."""
    generator = np.random.default_rng(0)
    labels = np.kron(generator.integers(0, 4, (9, 12)), np.ones((7, 6), dtype=int))
    labels[generator.random(labels.shape) < 0.01] = 1
    labels[labels == 3] = 253
    labels[20:33, 10:45] = 255
    return labels.astype(np.uint8)


def disc(radius: int) -> np.ndarray:
    rows, cols = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return rows**2 + cols**2 <= radius**2


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 8, 40])
def test_near_is_what_each_other_class_dilated_with_a_disc_reaches(radius) -> None:
    """So neither edges nor missing labels are boundaries."""
    labels = with_holes()
    expected = np.zeros(labels.shape, dtype=bool)
    for value in (0, 1, 2, 253):
        others = (labels != value) & (labels != 255)
        expected |= (labels == value) & ndimage.binary_dilation(others, disc(radius))
    np.testing.assert_array_equal(near_other_class(labels, radius), expected)
    assert expected.any() == (radius > 0)
    np.testing.assert_array_equal(labels, with_holes(), "the input stays as it is")


def test_of_full_labels_it_is_the_erosion_of_each_class_with_a_disc() -> None:
    """The ISPRS protocol, where every pixel has a class."""
    labels = np.where(with_holes() == 255, 2, with_holes()).astype(np.uint8)
    kept = np.zeros(labels.shape, dtype=bool)
    for value in np.unique(labels):
        kept |= ndimage.binary_erosion(labels == value, disc(3), border_value=1)
    np.testing.assert_array_equal(~near_other_class(labels, 3), kept)


@pytest.mark.parametrize("radius", [1, 3, 20])
def test_boundaries_do_not_depend_on_the_windows(compare, mapped, make_raster, window_size, radius):
    reference = make_raster(TRUTH, "truth.tif")
    whole = compare(mapped, reference, boundary=radius) if radius < 20 else None
    window_size(17)
    if whole is None:  # patches are smaller than the disc
        with pytest.raises(InputError, match="within 20 pixels of another reference class"):
            compare(mapped, reference, boundary=radius)
        return
    again = compare(mapped, reference, boundary=radius)
    np.testing.assert_array_equal(again.matrix.counts, whole.matrix.counts)
    kept = ~near_other_class(TRUTH, radius)
    assert whole.matrix.total == kept.sum()


def test_boundary_of_an_extent_sees_what_lies_beyond(compare, mapped, make_raster):
    reference = make_raster(TRUTH, "truth.tif")
    left, top = PLACE[0] + 40 * 0.5, PLACE[3] - 25 * 0.5
    result = compare(
        mapped, reference, extent=(left, top - 50 * 0.5, left + 60 * 0.5, top), boundary=3
    )
    part = slice(25, 75), slice(40, 100)
    kept = ~near_other_class(TRUTH, 3)[part]
    expected = metrics.confusion_matrix(TRUTH[part][kept], MAPPED[part][kept], labels=[1, 2, 3])
    np.testing.assert_array_equal(result.matrix.counts, expected)


def test_reference_of_another_size_place_and_system(compare, mapped, make_raster, tmp_path):
    part = make_raster(TRUTH, "whole.tif")
    moved = str(tmp_path / "truth.tif")
    gdal.Warp(
        moved, part, dstSRS="EPSG:4326", resampleAlg="near", dstNodata=0, xRes=2e-6, yRes=2e-6
    )
    result = compare(mapped, moved)
    assert result.matrix.total > 0.99 * TRUTH.size
    expected = metrics.confusion_matrix(TRUTH.ravel(), MAPPED.ravel())
    assert abs(result.matrix.counts - expected).max() < 0.02 * expected.max()


def test_rasters_without_a_position_are_compared_pixel_by_pixel(compare, make_raster):
    bare = {"geotransform": None, "epsg": None}
    source = name_classes(make_raster(MAPPED, "map.tif", **bare))
    result = compare(source, make_raster(TRUTH, "truth.tif", **bare))
    assert result.matrix.overall_accuracy == (TRUTH == MAPPED).mean()


def test_polygons_on_the_grid(compare, mapped, tmp_path, small_windows):
    shapes = [(box(3, 5, 40, 30), "Water"), (box(60, 70, 33, 41), "GRASS"), (box(0, 0, 2, 2), None)]
    reference = make_layer(tmp_path / "truth.gpkg", shapes)
    result = compare(mapped, reference, "class")
    truth = np.zeros(MAPPED.shape, dtype=int)
    truth[3:43, 5:35] = 3
    truth[60:93, 70:111] = 2
    inside = truth > 0
    expected = metrics.confusion_matrix(truth[inside], MAPPED[inside], labels=[1, 2, 3])
    np.testing.assert_array_equal(result.matrix.counts, expected)
    assert left_out(result) == {UNLABELLED: int((~inside).sum())}


def test_polygons_in_another_system_with_numbers(compare, mapped, tmp_path):
    shapes = [(box(3, 5, 40, 30), 3), (box(60, 70, 33, 41), 2)]
    reference = make_layer(tmp_path / "truth.gpkg", shapes, epsg=4326, field_type=0)
    result = compare(mapped, reference, "class")
    assert result.matrix.in_reference[2] == pytest.approx(40 * 30, abs=2)
    assert result.matrix.in_reference[1] == pytest.approx(33 * 41, abs=2)
    assert "by value" in str(result.matching)


@pytest.mark.parametrize(("field", "kind"), [("", "a reference raster"), ("class", "polygons")])
def test_area_adjusted_figures_are_refused(compare, mapped, make_raster, tmp_path, field, kind):
    if field:
        reference = make_layer(tmp_path / "truth.gpkg", [(box(3, 5, 40, 30), "water")])
    else:
        reference = make_raster(TRUTH, "truth.tif")
    result = compare(mapped, reference, field)
    assert result.adjusted is None
    assert kind in str(result.not_adjusted)
    assert compare(mapped, reference, field, adjusted="no").not_adjusted is None
    with pytest.raises(SettingError, match=kind):
        compare(mapped, reference, field, adjusted="yes")


def test_log_tells_matching_and_what_was_left_out(mapped, make_raster, recorder):
    truth = TRUTH.copy()
    truth[:2] = 0
    reference = make_raster(truth, "truth.tif", nodata=0)
    assess(request(mapped, reference), recorder)
    assert recorder.infos[0].startswith("Classes are matched by value: class 1 = building (1)")
    assert recorder.infos[1] == "Ignored: 300 pixels without a class in the reference."
    assert "a reference raster is not a random sample" in recorder.infos[2]
    assert recorder.fractions[-1] == 1
    assert recorder.fractions == sorted(recorder.fractions)


def test_cancelled(mapped, make_raster, recorder):
    recorder.stop = True
    with pytest.raises(Cancelled):
        assess(request(mapped, make_raster(TRUTH, "truth.tif")), recorder)


def test_no_overlap_is_one_sentence(compare, mapped, make_raster, tmp_path):
    away = make_raster(TRUTH, "truth.tif", geotransform=(600000.0, 0.5, 0, 4000000.0, 0, -0.5))
    with pytest.raises(InputError, match="do not overlap: "):
        compare(mapped, away)
    polygons = make_layer(tmp_path / "away.gpkg", [(box(5000, 5000, 5, 5), "water")])
    with pytest.raises(InputError, match="do not overlap: "):
        compare(mapped, polygons, "class")
    with pytest.raises(InputError, match="extent is outside the raster"):
        compare(mapped, make_raster(TRUTH, "same.tif"), extent=(0, 0, 1, 1))


def test_a_map_without_data_there_is_one_sentence(compare, make_raster):
    mapped, truth = MAPPED.copy(), TRUTH.copy()
    mapped[:50] = 0
    truth[40:] = 0
    source = name_classes(make_raster(mapped, "map.tif", nodata=0))
    with pytest.raises(InputError, match="No pixel can be compared: 13,500 pixels are ignored, "):
        compare(source, make_raster(truth, "truth.tif", nodata=0))
    truth[:] = 0
    truth[0, 0] = 1
    with pytest.raises(InputError, match="ignored, without a class in the reference"):
        compare(source, make_raster(truth, "one.tif", nodata=0))


def test_another_set_of_classes_lists_both_sides(compare, mapped, make_raster):
    forest = name_classes(make_raster(TRUTH, "truth.tif"), ("forest", "grass", "water"))
    with pytest.raises(InputError, match=r"has forest \(1\), .*; the map has building \(1\), "):
        compare(mapped, forest)
