"""What a training learns from: pairs of an image and its labels."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import SettingError, TrainingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.images.reader import file_of

SPLIT, TRAIN, VALIDATION = "split", "train", "validation"

_KEYS = ("image", "labels", "layer", "field", "by_place", "role", "validation")
_ENDINGS = (".tif", ".tiff", ".jpg", ".jpeg", ".png", ".jp2", ".vrt", ".img", ".bmp")
# What GDAL opens that is no path: /vsizip/..., GPKG:file:table. A drive has one letter.
_NO_PATH = re.compile(r"/vsi|[A-Za-z][\w+.-]+:")
_FEW = 5  # names that a sentence lists


@dataclass(frozen=True)
class Source:
    """An image and its labels, a raster or (with ``field``) a vector layer.

    Of a source with the role "split" a share is set aside for validation. ``by_place`` false
    means that pixels match by their order, see labels/labels.py.
    """

    image: str
    labels: str
    layer: str = ""
    field: str = ""
    by_place: bool = True
    role: str = SPLIT
    name: str = ""


def expand(entries: Sequence[Mapping[str, Any]], folder: Path) -> list[Source]:
    """Sources from plain values; relative paths start at ``folder``.

    An entry has ``image`` and ``labels`` and may have ``layer``, ``field``, ``by_place`` and
    ``role``. Where both are folders, it stands for the files of equal name (without ending) in
    them, which match pixel by pixel; of these the ones whose name fits the pattern ``validation``
    (as in file globbing) are set aside and the others learned from.

    Raises TrainingError, also where the same labels of the same image have both roles.
    """
    found = [source for entry in entries for source in _sources(entry, folder)]
    if not found:
        raise TrainingError(
            translate("ScasNet", "No training data: choose an image and its labels.")
        )
    _check_apart(found)
    return found


def check_folders(images: str, labels: str) -> None:
    """Raise SettingError where one of two folders is missing."""
    if not (images and labels):
        text = translate(
            "ScasNet", "Images in a folder need labels in another folder: choose both folders."
        )
        raise SettingError(text)
    for folder in (images, labels):
        if not Path(folder).is_dir():
            raise SettingError(
                translate("ScasNet", "Folder {folder} does not exist."), folder=folder
            )


def _check_apart(sources: Sequence[Source]) -> None:
    learned = {_identity(source) for source in sources if source.role != VALIDATION}
    for source in sources:
        if source.role == VALIDATION and _identity(source) in learned:
            text = translate(
                "ScasNet",
                "{name} is both a training and a validation image, with the same labels: choose "
                "another validation image, or none to set a share aside.",
            )
            raise TrainingError(text, name=source.name)


def _identity(source: Source) -> tuple[str, str, str]:
    return _real(source.image), _real(source.labels), source.layer


def _real(path: str) -> str:
    return path if _NO_PATH.match(path) else str(Path(path).resolve())


def _sources(entry: Mapping[str, Any], folder: Path) -> list[Source]:
    unknown = sorted(set(entry) - set(_KEYS))
    role = str(entry.get("role", SPLIT))
    if unknown or not {"image", "labels"} <= set(entry) or role not in (SPLIT, TRAIN, VALIDATION):
        text = translate(
            "ScasNet",
            "An entry of the training data needs 'image' and 'labels' and may have {names}, the "
            "role being {roles}; it has {given}.",
        )
        raise TrainingError(
            text,
            names=", ".join(_KEYS[2:]),
            roles=", ".join((SPLIT, TRAIN, VALIDATION)),
            given=", ".join(f"{key}={value}" for key, value in sorted(entry.items())) or "-",
        )
    image, labels = (_place(str(entry[key]), folder) for key in ("image", "labels"))
    if Path(image).is_dir() and Path(labels).is_dir():
        return _paired(Path(image), Path(labels), role, entry.get("validation"))
    for path in (image, labels):
        if not _NO_PATH.match(path) and not Path(file_of(path)).is_file():
            raise _missing(path)
    return [
        Source(
            image,
            labels,
            str(entry.get("layer", "")),
            str(entry.get("field", "")),
            bool(entry.get("by_place", True)),
            role,
            Path(file_of(image)).stem,
        )
    ]


def _place(path: str, folder: Path) -> str:
    return path if _NO_PATH.match(path) else str(folder / path)


def _missing(path: str) -> TrainingError:
    if Path(path).is_dir():
        text = translate(
            "ScasNet",
            "{path} is a folder: images in a folder need labels in a folder, and vice versa.",
        )
        return TrainingError(text, path=path)
    return TrainingError(translate("ScasNet", "{path} does not exist."), path=path)


def _paired(images: Path, labels: Path, role: str, pattern: str | None) -> list[Source]:
    pictures, masks = _by_stem(images), _by_stem(labels)
    alone = sorted(set(pictures) ^ set(masks))
    if alone or not pictures:
        text = translate(
            "ScasNet",
            "The folders {images} and {labels} must have files of the same names; without a "
            "counterpart: {names}.",
        )
        raise TrainingError(
            text,
            images=str(images),
            labels=str(labels),
            names=_some(alone) if alone else "all, as both folders are empty",
        )
    found = [
        Source(
            str(pictures[stem]),
            str(masks[stem]),
            by_place=False,
            role=role
            if pattern is None
            else VALIDATION
            if fnmatch.fnmatchcase(stem, pattern)
            else TRAIN,
            name=stem,
        )
        for stem in sorted(pictures)
    ]
    if pattern is not None and len({source.role for source in found}) == 1:
        count = sum(source.role == VALIDATION for source in found)
        text = translate(
            "ScasNet",
            "The pattern '{pattern}' leaves {training} images for training and {validation} for "
            "validation: both are needed.",
        )
        raise TrainingError(text, pattern=pattern, training=len(found) - count, validation=count)
    return found


def _by_stem(folder: Path) -> dict[str, Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)
    stems = [path.stem for path in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        text = translate(
            "ScasNet",
            "The folder {folder} has several files of the same name ({names}): keep one of each.",
        )
        raise TrainingError(text, folder=str(folder), names=_some(twice))
    return dict(zip(stems, files))


def _some(names: list[str]) -> str:
    return ", ".join([*names[:_FEW], *(["..."] if len(names) > _FEW else [])])
