"""Image, model and mask that are damaged, removed or changed while a map is made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import InputError, ModelError, ScasNetError
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.outputs import workspace as work
from scasnet_qgis.outputs.journal import Journal
from scasnet_qgis.outputs.provenance.stamp import read_record, read_stamp
from scasnet_qgis.outputs.work_folder import work_folder_of
from tests.conftest import Recorder
from tests.map_settings import changed
from tests.mapping.interrupting import fresh, interrupted, left, mapped, request_in
from tests.mapping.test_going_on import box, mask_of
from tests.models import tiny_models

pytestmark = pytest.mark.slow

MAP = ["map.tif", "map.tif.aux.xml", "map.tif.scasnet"]


@pytest.fixture(autouse=True)
def all_work_is_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., MapSettings]:
    return partial(request_in, tmp_path)


class Meddling(Recorder):
    """Does something once a share of the map is done."""

    def __init__(self, deed: Callable[[], object], share: float = 0.5) -> None:
        super().__init__()
        self._deed: Callable[[], object] | None = deed
        self._share = share

    def report(self, fraction: float) -> None:
        super().report(fraction)
        if self._deed and fraction > self._share:
            self._deed, deed = None, self._deed
            deed()


def refused(request: MapSettings, progress: Recorder, kind: type[ScasNetError]) -> str:
    """The sentence that a run ends with; no map is left."""
    with pytest.raises(kind) as caught:
        mapped(request, progress)
    assert not set(left(request)) & set(MAP)
    assert "\n" not in caught.value.sentence
    return caught.value.sentence


def other_image(path: Path) -> Path:
    """Another part of the same image, of the same size."""
    return Path(gdal.Translate(str(path), str(path.with_name("image.tif")),
                               options="-scale 0 255 255 0").GetDescription())  # fmt: skip


def compressed(request: MapSettings, compression: str, path: Path) -> Path:
    options = ["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", f"COMPRESS={compression}"]
    if gdal.Translate(str(path), request.image.source, creationOptions=options) is None:
        pytest.skip(f"this GDAL writes no {compression}")
    return path


def place_of_block(path: Path, col: int, row: int) -> tuple[int, int]:
    """Offset and size of a block in its file."""
    dataset = gdal.Open(str(path))
    band = dataset.GetRasterBand(1)
    found = [
        int(band.GetMetadataItem(f"BLOCK_{what}_{col}_{row}", "TIFF"))
        for what in ("OFFSET", "SIZE")
    ]
    return found[0], found[1]


@pytest.mark.fault(
    "a block in the middle of a compressed GeoTIFF is damaged (DEFLATE, LZW, ZSTD)",
    "one sentence with row and column; no map; what was finished before is kept",
)
@pytest.mark.parametrize("compression", ["DEFLATE", "LZW", "ZSTD"])
def test_a_damaged_block(request_of, tmp_path, compression) -> None:
    if compression not in gdal.GetDriverByName("GTiff").GetMetadataItem("DMD_CREATIONOPTIONLIST"):
        pytest.skip(f"this GDAL knows no {compression}")
    path = compressed(request_of(), compression, tmp_path / "c.tif")
    offset, size = place_of_block(path, 2, 3)
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = b"\xff" * size
    path.write_bytes(content)
    request = request_of(source=str(path))
    said = refused(request, Recorder(), InputError)
    assert said.startswith("The raster cannot be read at row ")
    assert Journal(work_folder_of(request.output.map) / "journal").chunks


@pytest.mark.fault(
    "a block of a JPEG in a GeoTIFF is cut off, or has zeros or other bytes in it",
    "one sentence; no map of pixels that the decoder made up. (A single changed bit in a JPEG "
    "cannot be told: it has no checksum.)",
)
@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\xff\xd9"])
def test_a_damaged_jpeg(request_of, tmp_path, filling) -> None:
    path = compressed(request_of(), "JPEG", tmp_path / "c.tif")
    offset, size = place_of_block(path, 2, 3)
    content = bytearray(path.read_bytes())
    end = offset + size if len(filling) == 1 else offset + size // 3 + 2
    content[offset + size // 3 : end] = (filling * size)[: end - offset - size // 3]
    path.write_bytes(content)
    assert refused(request_of(source=str(path)), Recorder(), InputError)


@pytest.mark.fault(
    "a block of a JPEG in a GeoTIFF with an alpha band, which is looked at first, is damaged",
    "one sentence; no map",
)
def test_a_damaged_jpeg_with_alpha(request_of, tmp_path) -> None:
    request = request_of()
    path = tmp_path / "c.tif"
    image = gdal.Open(request.image.source).ReadAsArray()
    options = ["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "COMPRESS=JPEG", "ALPHA=YES"]
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), image.shape[2], image.shape[1], 4, options=options
    )
    for number, band in enumerate((*image, np.full_like(image[0], 255)), start=1):
        dataset.GetRasterBand(number).WriteArray(band)
    del dataset
    offset, size = place_of_block(path, 2, 3)
    content = bytearray(path.read_bytes())
    content[offset + size // 3 : offset + size] = bytes(size - size // 3)
    path.write_bytes(content)
    assert refused(changed(request, source=str(path)), Recorder(), InputError)


@pytest.mark.fault(
    "the file of the image ends too early (a copy that broke off)", "one sentence; no map"
)
def test_a_file_that_ends_too_early(request_of, tmp_path) -> None:
    path = compressed(request_of(), "NONE", tmp_path / "c.tif")
    os.truncate(path, path.stat().st_size * 2 // 3)
    assert refused(request_of(source=str(path)), Recorder(), InputError)


@pytest.mark.fault(
    "the image is removed while it is read",
    "as long as the system lets it be read to its end, the map is that of the image as it was, and "
    "a warning says so; the description, too",
)
def test_an_image_that_is_removed(request_of, tmp_path) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    progress = Meddling(Path(request.image.source).unlink)
    mapped(request, progress)
    assert request.output.map.read_bytes() == expected
    assert progress.warnings
    assert read_record(request.output.map).at("warnings") == progress.warnings


@pytest.mark.fault(
    "one image of a virtual mosaic is removed while the mosaic is read",
    "the map of the whole mosaic as it was, or one sentence; no map with a hole",
)
def test_a_part_of_a_mosaic_that_is_removed(request_of, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GDAL_MAX_DATASET_POOL_SIZE", "2")
    request = request_of()
    parts = []
    for index in range(6):
        part = tmp_path / f"part{index}.tif"
        gdal.Translate(str(part), request.image.source, srcWin=[0, index * 40, 300, 40])
        parts.append(str(part))
    mosaic = tmp_path / "mosaic.vrt"
    gdal.BuildVRT(str(mosaic), parts).FlushCache()
    request = changed(request, source=str(mosaic))
    expected = fresh(request, tmp_path / "fresh")
    with suppress(InputError):
        mapped(request, Meddling(lambda: Path(parts[5]).unlink(), 0.3))
    assert not request.output.map.exists() or request.output.map.read_bytes() == expected


@pytest.mark.fault(
    "the image is replaced by another one of the same size, or written over, while it is read",
    "the run stops with one sentence: no map of two images; what is kept is of the first alone, "
    "so that the run goes on, byte for byte, once that is back, and begins anew with the other",
)
@pytest.mark.parametrize("how", ["replaced", "written over"])
@pytest.mark.parametrize("back", [True, False], ids=["put back", "left"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_an_image_that_is_changed(request_of, tmp_path, how, back, share) -> None:
    request = request_of()
    image = Path(request.image.source)
    expected = fresh(request, tmp_path / "fresh")
    saved = Path(shutil.copy2(image, tmp_path / "saved.tif"))
    other = other_image(tmp_path / "other.tif")
    as_it_was = Path(shutil.copy2(other, tmp_path / "copy.tif"))
    deed = (lambda: other.replace(image)) if how == "replaced" else (
        lambda: image.write_bytes(other.read_bytes()))  # fmt: skip
    said = refused(request, Meddling(deed, share), InputError)
    assert said
    if back:
        shutil.copy2(saved, image)
    progress, _ = mapped(request)
    if back:
        assert progress.kept or share < 0.9
        assert request.output.map.read_bytes() == expected
    else:
        assert not progress.kept
        shutil.copy2(as_it_was, image)
        assert request.output.map.read_bytes() == fresh(request, tmp_path / "again")


@pytest.mark.fault(
    "the image gets another time only (touched, copied back) while it is read",
    "nothing: the map is that of the image",
)
def test_an_image_that_is_touched(request_of, tmp_path) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    progress = Meddling(lambda: os.utime(request.image.source, (1, 1)))
    mapped(request, progress)
    assert progress.warnings == []
    assert request.output.map.read_bytes() == expected


@pytest.mark.fault(
    "the model's file is replaced or removed while a map is made",
    "the map is that of the model that was opened, and names its checksum",
)
@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_a_model_that_is_changed_on_the_way(request_of, tmp_path, how) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    stamp = read_stamp(tmp_path / "fresh" / "map.tif")
    other = tiny_models.pixelwise(tmp_path / "other.onnx", classes=5, activation=None)
    path = request.model.path
    mapped(request, Meddling(path.unlink if how == "removed" else lambda: other.replace(path)))
    assert request.output.map.read_bytes() == expected
    assert read_stamp(request.output.map) == stamp


@pytest.mark.fault(
    "the model's file is replaced just as it is opened",
    "one sentence; no map that names another model than it was made with",
)
def test_a_model_that_is_changed_as_it_is_opened(request_of, tmp_path, monkeypatch) -> None:
    request = request_of()
    other = tiny_models.pixelwise(tmp_path / "other.onnx", classes=5, activation=None)
    enter = OnnxBackend.__enter__

    def late(backend: OnnxBackend) -> OnnxBackend:
        other.replace(request.model.path)
        return enter(backend)

    monkeypatch.setattr(OnnxBackend, "__enter__", late)
    assert refused(request, Recorder(), ModelError)


@pytest.mark.fault("the model's file is gone when a run starts", "one sentence; no map")
def test_a_model_that_is_gone(request_of) -> None:
    request = request_of()
    request.model.path.unlink()
    refused(request, Recorder(), ModelError)
    with pytest.raises(ModelError):
        inspect(request.model.path)


@pytest.mark.fault(
    "the file of the mask is removed while a map is made",
    "the map of the mask as it was and a warning, or one sentence",
)
@pytest.mark.parametrize("ending", [".gpkg", ".geojson"])
def test_a_mask_that_is_removed(request_of, tmp_path, ending) -> None:
    mask = mask_of(tmp_path / f"mask{ending}", box(30, 30, 250, 230))
    request = request_of(mask=mask)
    expected = fresh(request, tmp_path / "fresh")
    progress = Meddling(Path(mask).unlink)
    with suppress(InputError):
        mapped(request, progress)
        assert progress.warnings
    assert not request.output.map.exists() or request.output.map.read_bytes() == expected


@pytest.mark.fault(
    "the polygons of the mask are changed while a map is made",
    "one sentence; no map of two masks. A mask with another time but the same polygons is the same",
)
@pytest.mark.parametrize("right", [250, 251])
def test_a_mask_that_is_changed(request_of, tmp_path, right) -> None:
    mask = mask_of(tmp_path / "mask.geojson", box(30, 30, 250, 230))
    other = mask_of(tmp_path / "other.geojson", box(30, 30, right, 230))
    request = request_of(mask=mask)
    expected = fresh(request, tmp_path / "fresh")
    progress = Meddling(lambda: Path(other).replace(mask))
    if right == 250:
        mapped(request, progress)
        assert request.output.map.read_bytes() == expected
        (warning,) = progress.warnings  # of a mask without a reference system, not of its time
        assert "no CRS" in warning
    else:
        assert refused(request, progress, InputError)


@pytest.mark.fault(
    "the image's file is changed and then put back, each within one interrupted run",
    "what is kept is of the image as it was when the run began, never of what it was between",
)
def test_what_is_kept_is_of_one_image(request_of, tmp_path) -> None:
    """A cancel comes before the change is noticed."""
    request = request_of()
    image = Path(request.image.source)
    expected = fresh(request, tmp_path / "fresh")
    saved = Path(shutil.copy2(image, tmp_path / "saved.tif"))
    other = other_image(tmp_path / "other.tif")
    progress = Meddling(lambda: image.write_bytes(other.read_bytes()), 0.3)
    with pytest.raises(InputError):
        mapped(request, progress)
    shutil.copy2(saved, image)
    interrupted(request, 0.8)
    mapped(request)
    assert request.output.map.read_bytes() == expected
