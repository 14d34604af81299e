"""Scenes hold the image's own values, and labels where there are data."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal, ogr

from scasnet_qgis.common.errors import InputError, TrainingError
from scasnet_qgis.training.data.normalisation import measure
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from tests.labels.layers import polygon, write_layer
from tests.training.data.labelled import (
    COLS,
    PLACED,
    ROTATED,
    ROWS,
    expected,
    files_in,
    jpeg,
    load,
    pair,
    squares,
    write,
)

pytestmark = pytest.mark.usefixtures("session")


def test_folders_give_scenes_to_learn_from_and_to_judge_by(tmp_path, pixels, labels, recorder):
    pair(tmp_path, pixels, labels)
    training, validation = load(tmp_path, progress=recorder)
    assert ([scene.name for scene in training], [scene.name for scene in validation]) == (
        ["one"], ["two"],
    )  # fmt: skip
    assert np.array_equal(training[0].pixels, pixels)
    assert np.array_equal(validation[0].labels, expected(labels, (1, 2)))
    assert training[0].valid is None
    assert isinstance(training[0].pixels, np.memmap)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1
    assert not recorder.warnings


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_pixels_keep_their_values(tmp_path, pixels, labels, kind):
    given = (pixels.astype(np.float64) * 300).clip(0, np.iinfo(np.int16).max).astype(kind)
    pair(tmp_path, given, labels)
    scene = load(tmp_path)[0][0]
    assert scene.pixels.dtype == kind
    assert np.array_equal(scene.pixels, given)
    found = measure([scene], (0.0, 20000.0))
    seen = (given / 20000).clip(0, 1)
    assert found.mean == pytest.approx(tuple(seen.mean(axis=(1, 2))), abs=1e-4)


def test_bands_of_different_types_and_files(tmp_path, pixels, labels):
    """As in a VRT of band files, of which a change is noticed, too."""
    pair(tmp_path, pixels, labels)
    (tmp_path / "images" / "one.tif").unlink()
    parts = [str(tmp_path / "narrow.tif"), str(tmp_path / "wide.tif")]
    for factor in (300, 200):
        write(tmp_path / "narrow.tif", pixels[:1])
        write(tmp_path / "wide.tif", pixels[1:].astype(np.uint16) * factor)
        gdal.BuildVRT(str(tmp_path / "images" / "one.vrt"), parts, separate=True).FlushCache()
        found = load(tmp_path)[0][0].pixels
        assert np.array_equal(found[0], pixels[0])
        assert np.array_equal(found[1], pixels[1].astype(int) * factor)


def test_bands_are_chosen_by_number(tmp_path, pixels, labels):
    pair(tmp_path, pixels, labels)
    training, _ = load(tmp_path, bands=("x",), chosen=(2,))
    assert np.array_equal(training[0].pixels, pixels[1:])


def test_pixels_that_are_no_number_carry_no_label(tmp_path, pixels, labels):
    given = pixels.astype(np.float32)
    given[1, 600, 5:9] = np.nan, np.inf, -np.inf, np.nan
    given[:, 10, 10] = np.nan
    pair(tmp_path, given, labels)
    scene = load(tmp_path)[0][0]
    assert np.isfinite(scene.pixels).all()
    assert scene.valid is not None
    assert np.argwhere(~scene.valid).tolist() == [[10, 10], *([600, col] for col in range(5, 9))]
    assert np.array_equal(scene.labels, np.where(scene.valid, expected(labels, (1, 2)), IGNORE))


def test_pixels_without_data_carry_no_label(tmp_path, pixels, labels):
    """Nodata in every band; in one of them the value may mean what it says."""
    given = pixels.astype(np.uint16)
    given[:, 100:300, :20], given[0, 400] = 65535, 65535
    pair(tmp_path, given, labels, nodata=65535)
    scene = load(tmp_path)[0][0]
    holds = np.ones((ROWS, COLS), dtype=bool)
    holds[100:300, :20] = False
    assert np.array_equal(scene.valid, holds)
    assert np.array_equal(scene.labels, np.where(holds, expected(labels, (1, 2)), IGNORE))


def test_labels_whose_nodata_is_a_class_elsewhere(tmp_path, pixels, labels):
    pair(tmp_path, pixels, labels)
    write(tmp_path / "labels" / "one.tif", labels[None], nodata=2)
    training, validation = load(tmp_path, (1, 2, 3))
    assert set(np.unique(training[0].labels)) == {0, 2, IGNORE}
    assert set(np.unique(validation[0].labels)) == {0, 1, 2}


def test_label_values_above_255(tmp_path, pixels, labels):
    pair(tmp_path, pixels, labels.astype(np.uint16) * 300)
    assert np.array_equal(load(tmp_path, (300, 900))[0][0].labels, expected(labels, (1, 3)))


def test_what_cannot_be_read_is_said_with_its_name(tmp_path, pixels, labels):
    pair(tmp_path, pixels.astype(np.complex64), labels)
    with pytest.raises(InputError, match="one"):
        load(tmp_path)
    pair(tmp_path, pixels, labels[:-1])
    with pytest.raises(InputError, match=r"one.*30 x 699.*30 x 700"):
        load(tmp_path)
    pair(tmp_path, pixels, labels)
    file = tmp_path / "labels" / "two.tif"
    file.write_bytes(file.read_bytes()[: ROWS * COLS // 2])
    with pytest.raises(InputError, match=r"two.*two\.tif"):
        load(tmp_path)
    assert len(files_in(tmp_path / "cache")) == 2, "what is whole is kept"


def test_images_without_a_position(tmp_path):
    """A JPEG with its PNG of labels, and with polygons as QGIS shows them over it."""
    pixels = np.full((3, 200, 300), 90, dtype=np.uint8)
    jpeg(tmp_path / "image.jpg", pixels)
    labels = np.repeat(np.arange(300)[None] // 50 % 3, 200, axis=0).astype(np.uint8)
    memory = gdal.GetDriverByName("MEM").Create("", 300, 200, 1)
    memory.WriteArray(labels)
    gdal.GetDriverByName("PNG").CreateCopy(str(tmp_path / "labels.png"), memory)
    bands = ("red", "green", "blue")
    training, validation = load(tmp_path, (0, 1, 2), bands, image="image.jpg", labels="labels.png")
    merged = np.minimum(training[0].labels, validation[0].labels)
    assert (merged[merged != IGNORE] == labels[merged != IGNORE]).all()
    features = [
        (str(col // 50 % 3), polygon([(col, -row), (col + 40, -row), (col + 40, 40 - row)]))
        for col in range(0, 300, 50)
        for row in range(50, 200, 50)
    ]
    write_layer(tmp_path / "areas.gpkg", features, epsg=None)
    training, validation = load(
        tmp_path, (0, 1, 2), bands, image="image.jpg", labels="areas.gpkg", field="cover"
    )
    merged = np.minimum(training[0].labels, validation[0].labels)
    assert (merged != IGNORE).sum() > 3000
    assert (merged[merged != IGNORE] == labels[merged != IGNORE]).all()


@pytest.mark.parametrize("placed", [PLACED, ROTATED])
def test_sparse_polygons_of_another_reference_system(tmp_path, make_raster, placed, recorder):
    """The normal case: a few dozen in a GeoPackage, a 16-bit image with nodata."""
    values = np.random.default_rng(1).integers(200, 3000, (4, 420, 500)).astype(np.uint16)
    values[:, :30] = 0
    image = make_raster(values, geotransform=placed, nodata=0)
    found = squares(420, 500, placed)
    source = write_layer(tmp_path / "metres.gpkg", [(kind, shape) for kind, *_, shape in found])
    areas = str(tmp_path / "degrees.gpkg")
    gdal.VectorTranslate(areas, source, dstSRS="EPSG:4326", reproject=True)
    training, validation = load(
        tmp_path,
        (0, 1, 2),
        ("red", "green", "blue", "nir"),
        recorder,
        image=image,
        labels=areas,
        field="cover",
    )
    whole = np.full((420, 500), IGNORE, dtype=np.uint8)
    for kind, row, col, _ in found:
        whole[row : row + 24, col : col + 24] = kind
    whole[:30] = IGNORE
    merged = np.minimum(training[0].labels, validation[0].labels)
    wrong = (merged != whole) & (merged != IGNORE)  # GeoPackage corners lie on pixel corners
    assert wrong.mean() < 0.001
    assert ((training[0].labels != IGNORE) & (validation[0].labels != IGNORE)).sum() == 0
    for scenes in (training, validation):
        assert set(np.unique(scenes[0].labels)) == {0, 1, 2, IGNORE}
    assert training[0].pixels.filename == validation[0].pixels.filename
    assert not training[0].valid[:30].any()
    assert training[0].valid[30:].all()
    assert np.array_equal(training[0].pixels, values)
    assert not recorder.warnings
    again, _ = load(
        tmp_path, (0, 1, 2), ("r", "g", "b", "n"), image=image, labels=areas, field="cover"
    )
    assert np.array_equal(again[0].labels, training[0].labels)


def test_images_that_the_labels_do_not_overlap_are_left_out(tmp_path, make_raster, recorder):
    values = np.zeros((1, 300, 300), dtype=np.uint8)
    here = make_raster(values, "here.tif", geotransform=PLACED)
    there = make_raster(values, "there.tif", geotransform=(600000.0, 0.5, 0, 4000000.0, 0, -0.5))
    found = squares(300, 300, PLACED)
    areas = write_layer(tmp_path / "a.gpkg", [(kind, shape) for kind, *_, shape in found])

    def both(*images: str) -> tuple[list[Scene], list[Scene]]:
        entries = [{"image": image, "labels": areas, "field": "cover"} for image in images]
        return load(tmp_path, (0, 1, 2), ("grey",), recorder, entries=entries)

    training, _ = both(there, here)
    assert [scene.name for scene in training] == ["here"]
    (warning,) = recorder.warnings
    assert "a.gpkg" in warning
    assert "there" in warning
    with pytest.raises(TrainingError, match="overlap"):
        both(there)


def test_labels_that_cannot_be_learned_from_are_refused(tmp_path, pixels, labels, recorder):
    pair(tmp_path, pixels, labels)
    with pytest.raises(TrainingError, match="cover 7, cover 8"):
        load(tmp_path, (7, 8))
    with pytest.raises(TrainingError, match="cover 2"):
        load(tmp_path, (2, 8))
    pair(tmp_path, np.zeros((1, 20, 20), np.uint8), np.repeat([[1, 2] * 10], 20, axis=0))
    one = {"image": "images/one.tif", "labels": "labels/one.tif"}
    for role, said in (("train", "validation"), ("validation", "none"), ("split", "validation")):
        with pytest.raises(TrainingError, match=said):
            load(tmp_path, (1, 2), ("grey",), **one, role=role)


def test_classes_that_are_missing_on_one_side_are_named(tmp_path, pixels, labels, recorder):
    pair(tmp_path, pixels, labels)
    write(tmp_path / "labels" / "two.tif", np.where(labels == 3, 9, labels)[None])
    load(tmp_path, (1, 2, 3, 9, 7), progress=recorder)
    learned, judged = recorder.warnings
    assert "cover 9, cover 7" in learned
    assert "cover 3, cover 7" in judged


def test_images_of_different_types_are_warned_of(tmp_path, pixels, labels, recorder):
    pair(tmp_path, pixels, labels)
    write(tmp_path / "images" / "two.tif", pixels.astype(np.int16))
    load(tmp_path, progress=recorder)
    assert "int16, uint8" in recorder.warnings[0]


def test_a_layer_with_no_value_for_it(tmp_path, make_raster):
    """A field whose values are none of the classes is as good as no overlap."""
    image = make_raster(np.zeros((1, 100, 100), np.uint8))
    features = [(kind, shape) for kind, *_, shape in squares(100, 100, PLACED)]
    areas = write_layer(tmp_path / "a.gpkg", features, kind=ogr.OFTReal)
    with pytest.raises(TrainingError, match=r"cover wood|overlap"):
        load(tmp_path, ("wood",), ("grey",), image=image, labels=areas, field="cover")
