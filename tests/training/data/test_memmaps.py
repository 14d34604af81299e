"""Unpacked images are those of the run that asks, and whole."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled, OutputError
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.training.data.memmaps import CONTEXT, ArrayFile
from scasnet_qgis.training.data.scenes import IGNORE
from tests.labels.layers import write_layer
from tests.training.data.labelled import (
    COLS,
    PLACED,
    ROWS,
    expected,
    files_in,
    load,
    pair,
    squares,
    write,
)

pytestmark = pytest.mark.usefixtures("session")


def test_unpacking_that_was_cut_short_starts_again(tmp_path, pixels, labels, monkeypatch):
    pair(tmp_path, pixels, labels)
    read, calls = RasterReader.read, []

    def read_twice(*arguments):
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return read(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RasterReader, "read", read_twice)
        with pytest.raises(KeyboardInterrupt):
            load(tmp_path)
    assert files_in(tmp_path / "cache") == []
    assert np.array_equal(load(tmp_path)[0][0].pixels, pixels)


def test_cancelling_leaves_nothing(tmp_path, pixels, labels, recorder):
    pair(tmp_path, pixels, labels)
    recorder.stop = True
    with pytest.raises(Cancelled):
        load(tmp_path, progress=recorder)
    assert files_in(tmp_path / "cache") == []


def test_unpacked_scenes_are_used_again(tmp_path, pixels, labels, monkeypatch):
    pair(tmp_path, pixels, labels)
    load(tmp_path)
    monkeypatch.delattr(RasterReader, "read")
    assert np.array_equal(load(tmp_path)[0][0].pixels, pixels)
    assert len(files_in(tmp_path / "cache")) == 4


@pytest.mark.parametrize("values", [(2, 1), (1, 3), (1, 2, 3)])
def test_other_label_values_are_unpacked_anew(tmp_path, pixels, labels, values):
    pair(tmp_path, pixels, labels)
    load(tmp_path, (1, 2))
    (tmp_path / "cache" / f"old.{'0' * 16}").mkdir()
    (tmp_path / "cache" / "abc.part").mkdir()
    (tmp_path / "cache" / "something else").mkdir()
    training, _ = load(tmp_path, values)
    assert np.array_equal(training[0].labels, expected(labels, values))
    assert len(files_in(tmp_path / "cache")) == 4, "the former ones are removed"
    assert len(list((tmp_path / "cache").iterdir())) == 3
    assert (tmp_path / "cache" / "something else").is_dir()


def test_other_bands_are_unpacked_anew(tmp_path, pixels, labels):
    pair(tmp_path, pixels, labels)
    load(tmp_path)
    assert load(tmp_path, bands=("one",))[0][0].pixels.shape == (1, ROWS, COLS)


def test_changed_files_are_unpacked_anew(tmp_path, pixels, labels):
    pair(tmp_path, pixels, labels)
    load(tmp_path)
    pair(tmp_path, 255 - pixels, 4 - labels)
    training, _ = load(tmp_path)
    assert np.array_equal(training[0].pixels, 255 - pixels)
    assert np.array_equal(training[0].labels, expected(4 - labels, (1, 2)))


def test_changed_polygons_are_burnt_anew(tmp_path, make_raster):
    image = make_raster(np.zeros((1, 300, 300), np.uint8))
    found = squares(300, 300, PLACED)
    seen = []
    for shift in (0, 1):
        (tmp_path / "a.gpkg").unlink(missing_ok=True)
        features = [((kind + shift) % 3, shape) for kind, *_, shape in found]
        areas = write_layer(tmp_path / "a.gpkg", features)
        training, _ = load(tmp_path, (0, 1, 2), ("grey",), image=image, labels=areas, field="cover")
        seen.append(np.array(training[0].labels))
    both = (seen[0] != IGNORE) & (seen[1] != IGNORE)
    assert both.any()
    assert ((seen[0][both] + 1) % 3 == seen[1][both]).all()


def test_only_what_is_around_the_labels_is_unpacked(tmp_path, make_raster):
    values = np.random.default_rng(1).integers(0, 255, (1, 1500, 2000)).astype(np.uint8)
    image = make_raster(values)
    labels = make_raster(
        np.repeat([[1, 2] * 50], 40, axis=0).astype(np.uint8),
        "labels.tif",
        geotransform=(500000 + 900 * 0.5, 0.5, 0.0, 4000000 - 1300 * 0.5, 0.0, -0.5),
    )
    training, _ = load(tmp_path, (1, 2), ("grey",), image=image, labels=labels)
    top, left = 1300 - CONTEXT, 900 - CONTEXT
    assert np.array_equal(
        training[0].pixels, values[:, top : 1340 + CONTEXT, left : 1000 + CONTEXT]
    )
    rows, cols = np.nonzero(np.asarray(training[0].labels) != IGNORE)
    assert (rows.min() + top, cols.min() + left) >= (1300, 900)
    assert (rows.max() + top, cols.max() + left) < (1340, 1000)


def test_a_full_disk_is_said_before_and_while_it_fills(tmp_path, pixels, labels, monkeypatch):
    pair(tmp_path, pixels, labels)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=3_000))
        with pytest.raises(OutputError, match=r"one.*1 MB.*0 MB"):
            load(tmp_path)

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ArrayFile, "write", full)
        with pytest.raises(OutputError, match="cache"):
            load(tmp_path)
    assert files_in(tmp_path / "cache") == []
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").touch()
    with pytest.raises(OutputError, match="cache"):
        load(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_array_on_a_full_disk_raises():
    """Through a memory map it would end the process."""
    from scasnet_qgis.tiling.windows import Window

    values = np.ones((600, 600), dtype=np.uint8)
    with pytest.raises(OSError, match="No space left"):  # noqa: SIM117
        with ArrayFile(Path("/dev/full"), values.dtype, values.shape) as file:
            file.write(Window(0, 0, 600, 600), values)


def test_memory_does_not_grow_with_the_image(tmp_path):
    """Sparse files; what numpy takes, of which the arrays of GDAL are a part."""
    peaks = []
    for rows in (1024, 6144):
        folder = tmp_path / str(rows)
        folder.mkdir()
        for name, bands in (("image", 3), ("labels", 1)):
            path, options = str(folder / f"{name}.tif"), ["TILED=YES", "SPARSE_OK=TRUE"]
            file = gdal.GetDriverByName("GTiff").Create(path, 1024, rows, bands, options=options)
            if name == "labels":
                stripes = np.repeat([[1, 2] * 512], 300, axis=0).astype(np.uint8)
                file.GetRasterBand(1).WriteArray(stripes, 0, 0)
                file.GetRasterBand(1).WriteArray(stripes, 0, rows - 300)
            del file
        tracemalloc.start()
        entry = {"image": str(folder / "image.tif"), "labels": str(folder / "labels.tif")}
        load(folder, (1, 2), ("red", "green", "blue"), **entry)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2_000_000  # 5 million pixels more


def test_several_images_in_a_file_are_not_mixed_up(tmp_path, pixels, labels):
    pages = tmp_path / "pages.tif"
    for page, options in ((pixels, []), (255 - pixels, ["APPEND_SUBDATASET=YES"])):
        file = gdal.GetDriverByName("GTiff").Create(str(pages), COLS, ROWS, 2, options=options)
        file.WriteArray(page)
        file = None
    write(tmp_path / "labels.tif", labels[None])
    entries = [
        {"image": f"GTIFF_DIR:{number}:{pages}", "labels": "labels.tif", "role": role}
        for number, role in ((1, "train"), (2, "validation"))
    ]
    found = load(tmp_path, entries=entries)
    assert np.array_equal(found[0][0].pixels, pixels)
    assert np.array_equal(found[1][0].pixels, 255 - pixels)
