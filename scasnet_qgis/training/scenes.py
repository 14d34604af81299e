"""Labelled images, kept on disk and read in windows."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal

from scasnet_qgis.core.errors import TrainingError

IGNORE = 255
_STRIP = 512  # rows copied at a time


@dataclass(frozen=True)
class Scene:
    """One labelled image: pixels [bands, rows, cols] and class indices [rows, cols].

    Both arrays are memory maps, so a scene takes memory only where it is looked at. Class
    indices are the positions in the list of classes; IGNORE marks pixels without a label.
    """

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def load_scenes(
    images: Path, labels: Path, values: list[int], bands: int, cache: Path
) -> list[Scene]:
    """Pair the files of two folders by their stem and unpack them into ``cache``.

    ``values`` are the label values in the order of the classes. Raises TrainingError where the
    folders do not pair up or an image does not fit its labels.
    """
    cache.mkdir(parents=True, exist_ok=True)
    pictures, masks = _by_stem(images), _by_stem(labels)
    unpaired = sorted(set(pictures) ^ set(masks))
    if not pictures or unpaired:
        raise TrainingError(
            f"The folders {images} and {labels} must hold files of the same names; "
            f"without a partner: {', '.join(unpaired[:5]) or 'all, as one folder is empty'}."
        )
    lookup = np.full(256, IGNORE, dtype=np.uint8)
    lookup[values] = np.arange(len(values), dtype=np.uint8)
    return [
        _unpack(stem, pictures[stem], masks[stem], lookup, bands, cache)
        for stem in sorted(pictures)
    ]


def split(scenes: list[Scene], pattern: str) -> tuple[list[Scene], list[Scene]]:
    """Training and validation scenes; validation are those whose name matches ``pattern``."""
    validation = [each for each in scenes if fnmatch.fnmatchcase(each.name, pattern)]
    training = [each for each in scenes if each not in validation]
    if not training or not validation:
        raise TrainingError(
            f"The pattern '{pattern}' leaves {len(training)} images for training and "
            f"{len(validation)} for validation: both are needed."
        )
    return training, validation


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise TrainingError(f"The folder {folder} does not exist.")
    endings = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".jp2", ".vrt"}
    return {each.stem: each for each in folder.iterdir() if each.suffix.lower() in endings}


def _unpack(
    name: str, image: Path, mask: Path, lookup: NDArray[np.uint8], bands: int, cache: Path
) -> Scene:
    source, truth = gdal.Open(str(image)), gdal.Open(str(mask))
    if source is None or truth is None:
        raise TrainingError(f"{image if source is None else mask} cannot be read as an image.")
    rows, cols = source.RasterYSize, source.RasterXSize
    if (truth.RasterYSize, truth.RasterXSize) != (rows, cols):
        raise TrainingError(f"{image.name} and its labels {mask.name} differ in size.")
    if source.RasterCount < bands:
        raise TrainingError(f"{image.name} has {source.RasterCount} bands, but {bands} are needed.")
    pixels_file, labels_file = cache / f"{name}.pixels.npy", cache / f"{name}.labels.npy"
    if not (pixels_file.exists() and labels_file.exists()):
        pixels = np.lib.format.open_memmap(
            pixels_file, mode="w+", dtype=np.uint8, shape=(bands, rows, cols)
        )
        classes = np.lib.format.open_memmap(
            labels_file, mode="w+", dtype=np.uint8, shape=(rows, cols)
        )
        for top in range(0, rows, _STRIP):
            height = min(_STRIP, rows - top)
            strip = source.ReadAsArray(0, top, cols, height, band_list=list(range(1, bands + 1)))
            pixels[:, top : top + height] = strip.reshape(bands, height, cols)
            classes[top : top + height] = lookup[
                truth.GetRasterBand(1).ReadAsArray(0, top, cols, height)
            ]
        pixels.flush()
        classes.flush()
    return Scene(name, np.load(pixels_file, mmap_mode="r"), np.load(labels_file, mmap_mode="r"))
