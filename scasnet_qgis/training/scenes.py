"""Labelled images, kept on disk and read in windows."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, gdal_array

from scasnet_qgis.core.errors import TrainingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.training.config import TrainingConfig

IGNORE = 255
_STRIP = 512  # rows copied at a time


@dataclass(frozen=True)
class Scene:
    """One labelled image: pixels [bands, rows, cols] and class indices [rows, cols].

    Pixels have the type and the values of the image, to which the run's ``value_range`` refers.
    Both arrays are memory maps, so a scene takes memory only where it is looked at. Class
    indices are the positions in the list of classes; IGNORE marks pixels without a label.
    """

    name: str
    pixels: NDArray[Any]
    labels: NDArray[np.uint8]


def load_scenes(
    images: Path, labels: Path, values: list[int], bands: int, cache: Path
) -> list[Scene]:
    """Pair the files of two folders by their stem and unpack them into ``cache``.

    ``values`` are the label values in the order of the classes; every other value means that a
    pixel has no label. Raises TrainingError where the
    folders do not pair up or an image does not fit its labels.
    """
    cache.mkdir(parents=True, exist_ok=True)
    pictures, masks = _by_stem(images), _by_stem(labels)
    unpaired = sorted(set(pictures) ^ set(masks))
    if not pictures or unpaired:
        raise TrainingError(
            translate(
                "ScasNet",
                "The folders {images} and {labels} must hold files of the same names; without "
                "a partner: {value}.",
            ),
            images=images,
            labels=labels,
            value=", ".join(unpaired[:5]) or "all, as one folder is empty",
        )
    return [
        _unpack(stem, pictures[stem], masks[stem], values, bands, cache)
        for stem in sorted(pictures)
    ]


def scenes_of(config: TrainingConfig, work: Path) -> tuple[list[Scene], list[Scene]]:
    """Training and validation scenes of a run in the folder ``work``, which keeps the copies."""
    scenes = load_scenes(
        config.path(config.images),
        config.path(config.labels),
        [int(each["value"]) for each in config.classes],
        len(config.bands),
        work / "scenes",
    )
    return split(scenes, config.validation)


def split(scenes: list[Scene], pattern: str) -> tuple[list[Scene], list[Scene]]:
    """Training and validation scenes; validation are those whose name matches ``pattern``."""
    validation = [each for each in scenes if fnmatch.fnmatchcase(each.name, pattern)]
    training = [each for each in scenes if each not in validation]
    if not training or not validation:
        raise TrainingError(
            translate(
                "ScasNet",
                "The pattern '{pattern}' leaves {training} images for training and {validation} "
                "for validation: both are needed.",
            ),
            pattern=pattern,
            training=len(training),
            validation=len(validation),
        )
    return training, validation


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise TrainingError(
            translate("ScasNet", "The folder {folder} does not exist."), folder=folder
        )
    endings = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".jp2", ".vrt"}
    return {each.stem: each for each in folder.iterdir() if each.suffix.lower() in endings}


def _unpack(
    name: str, image: Path, mask: Path, values: list[int], bands: int, cache: Path
) -> Scene:
    source, truth = _open(image), _open(mask)
    if (truth.RasterYSize, truth.RasterXSize) != (source.RasterYSize, source.RasterXSize):
        raise TrainingError(
            translate("ScasNet", "{image} and its labels {labels} differ in size."),
            image=image.name,
            labels=mask.name,
        )
    if source.RasterCount < bands:
        raise TrainingError(
            translate("ScasNet", "{name} has {count} bands, but {bands} are needed."),
            name=image.name,
            count=source.RasterCount,
            bands=bands,
        )
    # The name says what the files were made from, so that no other run's are taken for them.
    made_from = _fingerprint([source, truth], values, bands)
    pixels_file = cache / f"{name}.{made_from}.pixels.npy"
    labels_file = cache / f"{name}.{made_from}.labels.npy"
    if not (pixels_file.exists() and labels_file.exists()):
        with tempfile.TemporaryDirectory(suffix=".part", dir=cache) as unfinished:
            pixels, labels = Path(unfinished) / "pixels.npy", Path(unfinished) / "labels.npy"
            _copy(source, truth, values, bands, pixels, labels)
            pixels.replace(pixels_file)
            labels.replace(labels_file)
    return Scene(name, np.load(pixels_file, mmap_mode="r"), np.load(labels_file, mmap_mode="r"))


def _open(path: Path) -> Any:
    dataset = gdal.Open(str(path))
    if dataset is None:
        raise TrainingError(translate("ScasNet", "{path} cannot be read as an image."), path=path)
    return dataset


def _fingerprint(datasets: list[Any], values: list[int], bands: int) -> str:
    """Changes with the files behind the data sets, the label values and the bands."""
    # A data set may lie in several files: a VRT and the images it names.
    files = [Path(name) for each in datasets for name in each.GetFileList() or []]
    found = [(each.resolve(), each.stat()) for each in files if each.is_file()]
    sources = [(str(path), status.st_size, status.st_mtime_ns) for path, status in found]
    return hashlib.sha256(json.dumps([sources, values, bands]).encode()).hexdigest()[:16]


def _copy(
    source: Any, truth: Any, values: list[int], bands: int, pixels_file: Path, labels_file: Path
) -> None:
    rows, cols = source.RasterYSize, source.RasterXSize
    create = np.lib.format.open_memmap
    pixels = create(pixels_file, "w+", _pixel_type(source, bands), (bands, rows, cols))
    labels = create(labels_file, "w+", np.dtype(np.uint8), (rows, cols))
    for top in range(0, rows, _STRIP):
        height = min(_STRIP, rows - top)
        strip = source.ReadAsArray(0, top, cols, height, band_list=list(range(1, bands + 1)))
        marks = truth.GetRasterBand(1).ReadAsArray(0, top, cols, height)
        if strip is None or marks is None:
            damaged = (source if strip is None else truth).GetDescription()
            raise TrainingError(
                translate("ScasNet", "{damaged} is damaged and cannot be read to its end."),
                damaged=damaged,
            )
        strip, classes = strip.reshape(bands, height, cols), _indices(marks, values)
        if pixels.dtype.kind == "f":
            # One such pixel would make the band statistics, and with them every loss, NaN.
            finite = np.isfinite(strip)
            strip, classes = np.where(finite, strip, 0), np.where(finite.all(0), classes, IGNORE)
        pixels[:, top : top + height] = strip
        labels[top : top + height] = classes
    pixels.flush()
    labels.flush()


def _pixel_type(source: Any, bands: int) -> np.dtype[Any]:
    """The type that holds the values of all the bands."""
    kinds = [source.GetRasterBand(band).DataType for band in range(1, bands + 1)]
    found = np.result_type(*map(gdal_array.GDALTypeCodeToNumericTypeCode, kinds))
    if found.kind == "c":
        raise TrainingError(
            translate("ScasNet", "{value} has complex values: convert it to real ones first."),
            value=source.GetDescription(),
        )
    return found


def _indices(marks: NDArray[Any], values: list[int]) -> NDArray[np.uint8]:
    """Label values to positions in ``values``, of any type and size."""
    classes = np.full(marks.shape, IGNORE, dtype=np.uint8)
    for index, value in enumerate(values):
        classes[marks == value] = index
    return classes
