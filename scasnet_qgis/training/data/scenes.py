"""Labelled images, kept on disk and read in windows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.errors import InputError, TrainingError
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.images.gdal_session import gdal_session
from scasnet_qgis.labels.labels import IGNORE, LabelClass
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.data.memmaps import Unpacked, cut, unpack
from scasnet_qgis.training.data.sources import SPLIT, TRAIN, VALIDATION, Source
from scasnet_qgis.training.data.split import Divided, Split, count_labels, divide

__all__ = ["IGNORE", "Scene", "load_scenes"]

_UNPACKING = 0.9  # of the progress
_OURS = re.compile(r".+\.([0-9a-f]{16}|part)")  # folders in the cache


@dataclass(frozen=True)
class Scene:
    """One labelled image: pixels [bands, rows, cols] and class indices [rows, cols].

    Pixels have the type and the values of the image. The arrays are memory maps, so a scene takes
    memory only where it is looked at. Class indices are the positions in the list of classes;
    IGNORE marks pixels without a label. ``valid`` is false where a pixel holds no data; None
    means that all do.
    """

    name: str
    pixels: NDArray[Any]
    labels: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None = None

    def part(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pixels [bands, rows, cols] of a window, and which of them hold data [rows, cols]."""
        pixels = np.array(cut(self.pixels, window), dtype=np.float32)
        if self.valid is None:
            return pixels, np.ones(pixels.shape[1:], dtype=np.bool_)
        return pixels, np.array(cut(self.valid, window))

    def fullest(self, windows: Iterable[Window]) -> Window:
        """The one with the most data; the first without a gap ends the search."""
        best, most = Window(0, 0, 0, 0), -1
        for window in windows:
            if self.valid is None:
                return window
            valid = cut(self.valid, window)
            count = int(np.count_nonzero(valid))
            if count == valid.size:
                return window
            if count > most:
                best, most = window, count
        return best


_Counted = tuple[Scene, NDArray[np.int64]]  # with the pixels of each class


def load_scenes(
    sources: Sequence[Source],
    classes: Sequence[LabelClass],
    bands: Sequence[str],
    chosen: Sequence[int],
    cache: Path,
    split: Split,
    progress: Progress,
) -> tuple[list[Scene], list[Scene]]:
    """Scenes to learn from and scenes to judge by, unpacked into the folder ``cache``.

    ``bands`` are the names of the model's bands and ``chosen`` the user's band numbers, or none.
    What earlier calls left in the folder is used again where nothing has changed, else removed.

    Raises TrainingError where there is nothing to learn from or to judge by, InputError where an
    image or its labels cannot be used, OutputError where the disk is full, Cancelled.
    """
    with gdal_session():
        found = _unpack_all(sources, classes, bands, chosen, cache, progress)
        rest = Stage(progress, _UNPACKING, 1.0)
        shared = [unpacked for unpacked in found if unpacked.source.role == SPLIT]
        divided = iter(divide(shared, len(classes), split, cache, rest))
    training: list[_Counted] = []
    validation: list[_Counted] = []
    for unpacked in found:
        part = next(divided) if unpacked.source.role == SPLIT else _undivided(unpacked)
        training += _counted(unpacked, part.training, len(classes))
        validation += _counted(unpacked, part.validation, len(classes))
    _check(training, validation, classes, progress)
    kept = [scene for scene, _ in (*training, *validation)]
    _remove_others(cache, {unpacked.folder.name for unpacked in found}, kept)
    progress.report(1.0)
    return [scene for scene, _ in training], [scene for scene, _ in validation]


def _unpack_all(
    sources: Sequence[Source],
    classes: Sequence[LabelClass],
    bands: Sequence[str],
    chosen: Sequence[int],
    cache: Path,
    progress: Progress,
) -> list[Unpacked]:
    found: list[Unpacked] = []
    share = _UNPACKING / max(len(sources), 1)
    for index, source in enumerate(sources):
        stage = Stage(progress, index * share, (index + 1) * share)
        try:
            unpacked = unpack(source, classes, bands, chosen, cache, stage)
        except InputError as error:
            if len(sources) == 1:
                raise
            # The sentence alone would not tell which of the images it is about.
            text = translate("ScasNet", "{image}: {reason}")
            raise InputError(
                text, error.detail, image=source.name, reason=error.sentence
            ) from error
        if unpacked is None:
            text = translate("ScasNet", "{labels} do not overlap {image}: this image is not used.")
            progress.warn(message(text, labels=Path(source.labels).name, image=source.name))
        else:
            found.append(unpacked)
    if not found:
        text = translate(
            "ScasNet",
            "No labels overlap the images: check the extents and coordinate reference systems of "
            "both.",
        )
        raise TrainingError(text)
    _warn_of_types(found, progress)
    return found


def _warn_of_types(found: Sequence[Unpacked], progress: Progress) -> None:
    kinds = sorted({str(unpacked.pixels.dtype) for unpacked in found})
    if len(kinds) > 1:
        text = translate(
            "ScasNet",
            "The images have different data types ({kinds}) but are scaled by the same value "
            "range: convert them to one type unless equal values mean the same.",
        )
        progress.warn(message(text, kinds=", ".join(kinds)))


def _undivided(scene: Unpacked) -> Divided:
    role = scene.source.role
    return Divided(
        scene.labels if role == TRAIN else None, scene.labels if role == VALIDATION else None
    )


def _counted(unpacked: Unpacked, labels: NDArray[np.uint8] | None, classes: int) -> list[_Counted]:
    """The scene and its pixels of each class; nothing where it has no labels."""
    if labels is None:
        return []
    counts = count_labels(labels, classes, Window(0, 0, *labels.shape))
    scene = Scene(unpacked.source.name, unpacked.pixels, labels, unpacked.valid)
    return [(scene, counts)] if counts.any() else []


def _check(
    training: Sequence[_Counted],
    validation: Sequence[_Counted],
    classes: Sequence[LabelClass],
    progress: Progress,
) -> None:
    """Refuse what cannot be learned from or judged by, and warn where a part of it is missing."""
    if not training and not validation:
        text = translate(
            "ScasNet",
            "No valid pixel has a label of the classes {names}: check the labels and the class "
            "values.",
        )
        raise TrainingError(text, names=", ".join(label_class.name for label_class in classes))
    to_learn, to_judge = _missing(training, classes), _missing(validation, classes)
    if len(classes) - len(to_learn) < 2:
        known = [label_class.name for label_class in classes if label_class.name not in to_learn]
        text = translate(
            "ScasNet",
            "A training needs labels of at least two classes, but the training labels are of "
            "{names} only: label more, or choose a smaller validation share.",
        )
        raise TrainingError(text, names=", ".join(known) or "none")
    if not validation:
        text = translate(
            "ScasNet",
            "No labels are left for validation: label more, or choose a larger validation share or "
            "validation images.",
        )
        raise TrainingError(text)
    if to_learn:
        text = translate("ScasNet", "No training labels of {names}: the model will never map it.")
        progress.warn(message(text, names=", ".join(to_learn)))
    if to_judge:
        text = translate("ScasNet", "No validation labels of {names}: its accuracy stays unknown.")
        progress.warn(message(text, names=", ".join(to_judge)))


def _missing(scenes: Sequence[_Counted], classes: Sequence[LabelClass]) -> list[str]:
    total = sum((counts for _, counts in scenes), np.zeros(len(classes), dtype=np.int64))
    return [label_class.name for label_class, count in zip(classes, total) if not count]


def _remove_others(cache: Path, folders: set[str], scenes: Sequence[Scene]) -> None:
    """Remove what former settings and killed runs left; it can be as large as the images."""
    used = folders | {
        Path(scene.labels.filename).parent.name
        for scene in scenes
        if isinstance(scene.labels, np.memmap) and scene.labels.filename
    }
    for folder in cache.iterdir():
        if folder.is_dir() and folder.name not in used and _OURS.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
