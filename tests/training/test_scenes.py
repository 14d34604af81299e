"""Scenes on disk are those of the run that asks, whole, and with the image's own values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from osgeo import gdal, gdal_array

from scasnet_qgis.core.errors import TrainingError
from scasnet_qgis.training.config import TrainingConfig
from scasnet_qgis.training.evaluation import confusion
from scasnet_qgis.training.normalisation import measure
from scasnet_qgis.training.sampling import CropSampler
from scasnet_qgis.training.scenes import IGNORE, Scene, load_scenes

ROWS, COLS = 700, 30  # more than one strip


def _write(path: Path, values: np.ndarray) -> None:
    """Write [bands, rows, cols] as GeoTIFF of the array's type."""
    path.parent.mkdir(exist_ok=True)
    bands, rows, cols = values.shape
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(values.dtype)
    file = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, bands, kind)
    for band, layer in enumerate(values, 1):
        file.GetRasterBand(band).WriteArray(layer)
    file.FlushCache()


def _pair(folder: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    _write(folder / "images" / "one.tif", pixels)
    _write(folder / "labels" / "one.tif", labels[None])


def _load(folder: Path, values: tuple[int, ...] = (1, 2), bands: int = 2) -> Scene:
    images, labels = folder / "images", folder / "labels"
    return load_scenes(images, labels, list(values), bands, folder / "cache")[0]


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(2).integers(1, 200, (2, ROWS, COLS)).astype(np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(3).integers(1, 4, (ROWS, COLS)).astype(np.uint8)


def _expected(labels: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    return np.select([labels == each for each in values], range(len(values)), IGNORE)


def test_unpacking_that_was_cut_short_starts_again(tmp_path, pixels, labels, monkeypatch):
    _pair(tmp_path, pixels, labels)
    read, calls = gdal.Dataset.ReadAsArray, []

    def read_once(*arguments, **options):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return read(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(gdal.Dataset, "ReadAsArray", read_once)
        with pytest.raises(KeyboardInterrupt):
            _load(tmp_path)
    scene = _load(tmp_path)
    assert np.array_equal(scene.pixels, pixels)
    assert np.array_equal(scene.labels, _expected(labels, (1, 2)))


def test_unpacked_scenes_are_used_again(tmp_path, pixels, labels, monkeypatch):
    _pair(tmp_path, pixels, labels)
    _load(tmp_path)
    monkeypatch.delattr(gdal.Dataset, "ReadAsArray")
    assert np.array_equal(_load(tmp_path).pixels, pixels)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("values", [(2, 1), (1, 3), (1,)])
def test_other_label_values_are_unpacked_anew(tmp_path, pixels, labels, values):
    _pair(tmp_path, pixels, labels)
    _load(tmp_path, (1, 2))
    assert np.array_equal(_load(tmp_path, values).labels, _expected(labels, values))


def test_other_bands_are_unpacked_anew(tmp_path, pixels, labels):
    _pair(tmp_path, pixels, labels)
    _load(tmp_path)
    assert _load(tmp_path, bands=1).pixels.shape == (1, ROWS, COLS)


def test_changed_files_are_unpacked_anew(tmp_path, pixels, labels):
    _pair(tmp_path, pixels, labels)
    _load(tmp_path)
    _pair(tmp_path, 255 - pixels, 4 - labels)
    scene = _load(tmp_path)
    assert np.array_equal(scene.pixels, 255 - pixels)
    assert np.array_equal(scene.labels, _expected(4 - labels, (1, 2)))


@pytest.mark.parametrize(
    ("kind", "value_range"),
    [
        (np.uint8, (0.0, 250.0)),
        (np.uint16, (1000.0, 50000.0)),
        (np.int16, (-3000.0, 9000.0)),
        (np.float32, (-0.5, 1.5)),
    ],
)
def test_pixels_keep_their_values(tmp_path, pixels, labels, kind, value_range):
    """From the file to statistics, crops and evaluation; values outside the range are clipped."""
    low, high = value_range
    share = pixels / np.float32(180.0)  # some above 1
    given = (low + share * (high - low)).clip(*_limits(kind)).astype(kind)
    _pair(tmp_path, given, labels)
    scene = _load(tmp_path)
    assert scene.pixels.dtype == kind
    assert np.array_equal(scene.pixels, given)
    seen = ((given.astype(np.float64) - low) / (high - low)).clip(0, 1)
    found = measure([scene], value_range)
    assert found.mean == pytest.approx(tuple(seen.mean(axis=(1, 2))), abs=1e-4)
    assert found.std == pytest.approx(tuple(seen.std(axis=(1, 2))), abs=1e-4)
    config = TrainingConfig(
        "", "", "", [{}, {}], value_range=value_range, crop=32, scale_range=(1.0, 1.0)
    )
    crops, _ = CropSampler([scene], config).batch(config, np.random.default_rng(1))
    assert float(crops.mean()) == pytest.approx(float(seen.mean()), abs=0.15)
    assert confusion(torch.nn.Identity(), [scene], found, 2).counts.sum() == (labels < 3).sum()


def _limits(kind: type) -> tuple[float, float]:
    return (0, 1e9) if kind is np.float32 else (np.iinfo(kind).min, np.iinfo(kind).max)


def test_bands_of_different_types_and_files(tmp_path, pixels, labels):
    """As in a VRT of band files, of which a change is noticed, too."""
    _pair(tmp_path, pixels, labels)
    (tmp_path / "images" / "one.tif").unlink()
    parts = [str(tmp_path / "narrow.tif"), str(tmp_path / "wide.tif")]
    for factor in (300, 200):
        _write(tmp_path / "narrow.tif", pixels[:1])
        _write(tmp_path / "wide.tif", pixels[1:].astype(np.uint16) * factor)
        gdal.BuildVRT(str(tmp_path / "images" / "one.vrt"), parts, separate=True).FlushCache()
        found = _load(tmp_path).pixels
        assert np.array_equal(found[0], pixels[0])
        assert np.array_equal(found[1], pixels[1].astype(int) * factor)


def test_pixels_that_are_no_number_carry_no_label(tmp_path, pixels, labels):
    given = pixels.astype(np.float32)
    given[1, 600, 5:9] = np.nan, np.inf, -np.inf, np.nan
    _pair(tmp_path, given, labels)
    scene = _load(tmp_path)
    assert np.isfinite(scene.pixels).all()
    assert (scene.labels[600, 5:9] == IGNORE).all()
    assert (scene.labels == IGNORE).sum() <= (labels == 3).sum() + 4


def test_complex_pixels_are_refused(tmp_path, pixels, labels):
    _pair(tmp_path, pixels.astype(np.complex64), labels)
    with pytest.raises(TrainingError, match="complex values"):
        _load(tmp_path)


def test_label_values_above_255(tmp_path, pixels, labels):
    _pair(tmp_path, pixels, labels.astype(np.uint16) * 300)
    scene = _load(tmp_path, (300, 900))
    assert np.array_equal(scene.labels, _expected(labels, (1, 3)))


def test_damaged_labels_are_said(tmp_path, labels):
    """Not read as a map of whatever: 256 columns are the case that numpy would let through."""
    labels = np.tile(labels, 9)[:, :256]
    _pair(tmp_path, np.zeros((2, ROWS, 256), np.uint8), labels)
    file = tmp_path / "labels" / "one.tif"
    file.write_bytes(file.read_bytes()[: ROWS * 128])
    with pytest.raises(TrainingError, match=r"cannot be read"):
        _load(tmp_path)
