"""The classes and bands of a new model, as the images and labels give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from osgeo import gdal

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import check_class_count
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.bands import is_alpha
from scasnet_qgis.images.reader import open_image
from scasnet_qgis.labels.label_class import LabelClass
from scasnet_qgis.labels.labels import classes_of
from scasnet_qgis.training.data.sources import Source

_COLORS = {gdal.GCI_RedBand: "red", gdal.GCI_GreenBand: "green", gdal.GCI_BlueBand: "blue"}

LabelKey = tuple[str, str, str]  # file, layer and field of labels
KnownClasses = Mapping[LabelKey, Sequence[LabelClass]]


def model_classes(
    sources: Sequence[Source], known: KnownClasses, progress: Progress
) -> list[dict[str, Any]]:
    """All classes of the labels, each value once; names and colours are those met first.

    ``known`` are classes that a legend shows; others are read from the labels.
    Raises InputError where there are fewer than two or more than a map can hold.
    """
    found: dict[str, LabelClass] = {}
    for classes in _classes_by_labels(sources, known, progress):
        for label_class in classes:
            found.setdefault(label_class.value, label_class)
    names: set[str] = set()
    entries = []
    for label_class in found.values():
        name = label_class.name
        if name in names:
            name = f"{name} ({label_class.value})"
        names.add(name)
        entries.append({"value": label_class.value, "name": name, "color": label_class.color})
    _check_enough(entries)
    return entries


def _classes_by_labels(
    sources: Sequence[Source], known: KnownClasses, progress: Progress
) -> Iterator[Sequence[LabelClass]]:
    keys = dict.fromkeys((source.labels, source.layer, source.field) for source in sources)
    for path, layer, field in keys:
        progress.check()
        classes = known.get((path, layer, field))
        yield classes or classes_of(path, layer=layer, field=field, progress=_Quiet(progress))


class _Quiet(Progress):
    """Notices a cancel, but does not show how far it is: this is a small part of the whole."""

    def __init__(self, whole: Progress) -> None:
        self._whole = whole

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled


def _check_enough(entries: Sequence[Mapping[str, Any]]) -> None:
    if len(entries) < 2:
        text = translate(
            "ScasNet",
            "The labels have {count} class ({name}), but a model needs at least two: add labels of "
            "another class.",
        )
        raise InputError(text, count=len(entries), name=entries[0]["name"] if entries else "-")
    check_class_count(len(entries))


def model_bands(image: str, chosen: Sequence[int]) -> tuple[list[str], list[int]]:
    """Names of the model's bands, and their numbers where they are not found by name.

    Without a choice these are red, green and blue, or all bands of an image that has no colours
    to offer. To be used within a gdal_session. Raises InputError and SettingError.
    """
    dataset = open_image(image, list(chosen))
    count = dataset.RasterCount
    for number in chosen:
        if number > count:
            text = translate(
                "ScasNet", "Band {number} does not exist: {image} has bands 1 to {count}."
            )
            raise SettingError(text, number=number, image=image, count=count)
    colors = [number for number in range(1, count + 1) if not is_alpha(dataset, number)]
    if not chosen and count >= 3:
        return ["red", "green", "blue"], []
    numbers = list(chosen) or colors or list(range(1, count + 1))
    if count == 1:
        return ["grey"], numbers
    return _band_names(dataset, numbers), numbers


def _band_names(dataset: gdal.Dataset, numbers: Sequence[int]) -> list[str]:
    """By colour or description; "band 4" where the file says nothing, or the same twice."""
    found = []
    for number in numbers:
        band = dataset.GetRasterBand(number)
        color = _COLORS.get(band.GetColorInterpretation())
        found.append(color or band.GetDescription().strip().lower())
    return [
        name if name and found.count(name) == 1 else f"band {number}"
        for name, number in zip(found, numbers)
    ]
