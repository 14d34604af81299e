"""What ``scasnet:train`` learns from: layers and folders, as entries of the training settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)

from scasnet_qgis.algorithms.layers import classes_in_legend, layer_file, name_of, raster_path
from scasnet_qgis.core.errors import InputError, SettingError
from scasnet_qgis.core.messages import Message, message, translate
from scasnet_qgis.raster.label_class import LabelClass
from scasnet_qgis.training.sources import TRAIN, VALIDATION

_EDGE = 0.01  # of an image's side; tiles beside each other may share a few pixels


@dataclass(frozen=True)
class Place:
    """Where a layer lies."""

    box: QgsRectangle
    crs: QgsCoordinateReferenceSystem

    @classmethod
    def of(cls, layer: QgsMapLayer) -> Place:
        return cls(QgsRectangle(layer.extent()), QgsCoordinateReferenceSystem(layer.crs()))

    def meets(self, other: Place, context: QgsCoordinateTransformContext) -> bool:
        """Whether the two overlap; where that cannot be known, reading them will tell."""
        if not (self.crs.isValid() and other.crs.isValid()) or self.crs == other.crs:
            return bool(self.box.intersects(other.box))
        for one, two in ((self, other), (other, self)):
            try:
                box = QgsCoordinateTransform(two.crs, one.crs, context).transformBoundingBox(
                    two.box
                )
            except QgsCsException:  # beyond what that reference system can express
                continue
            return bool(one.box.intersects(box))
        return True

    def shares_ground(self, other: Place) -> bool:
        """Whether the two overlap by more than an edge; only told within one reference system."""
        if not self.crs.isValid() or self.crs != other.crs:
            return False
        both = self.box.intersect(other.box)
        least = [
            _EDGE * min(size(self.box), size(other.box))
            for size in (QgsRectangle.width, QgsRectangle.height)
        ]
        return bool(both.width() > least[0] and both.height() > least[1])


@dataclass(frozen=True)
class Picture:
    """An image; ``size`` is columns and rows."""

    name: str
    path: str
    size: tuple[int, int]
    place: Place


@dataclass(frozen=True)
class Labels:
    """A layer of labels; ``size`` is None for polygons, ``classes`` empty where none are known."""

    name: str
    path: str
    layer: str
    field: str
    size: tuple[int, int] | None
    place: Place
    classes: tuple[LabelClass, ...]


@dataclass
class TrainingData:
    """Entries of the settings (see training/sources.py), and what to say about them."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)  # those that entries use
    warnings: list[Message] = field(default_factory=list)

    def add(self, picture: Picture, labels: Labels, by_place: bool, role: str) -> None:
        """Learn from one image, or measure on it."""
        entry = {
            "image": picture.path,
            "labels": labels.path,
            "layer": labels.layer,
            "field": labels.field,
            "by_place": by_place,
            "role": role,
        }
        self.entries.append(entry)
        if labels not in self.labels:
            self.labels.append(labels)

    def add_folders(self, images: str, labels: str, role: str) -> None:
        """Learn from two folders of equally named files."""
        self.entries.append({"image": images, "labels": labels, "by_place": False, "role": role})


def picture_of(layer: QgsMapLayer) -> Picture:
    """A raster layer as an image; raises InputError where it is none or no file."""
    if not isinstance(layer, QgsRasterLayer):
        raise InputError(
            translate("ScasNet", "The layer {name} is not a raster: choose images to learn from."),
            name=name_of(layer),
        )
    size = (int(layer.width()), int(layer.height()))
    return Picture(name_of(layer), raster_path(layer), size, Place.of(layer))


def labels_of(
    layer: QgsMapLayer,
    class_field: str,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> Labels:
    """A layer as labels; raises InputError or SettingError where it cannot be any."""
    size = None
    if isinstance(layer, QgsVectorLayer):
        _check_polygons(layer)
    else:
        class_field = ""
    # Before the layer is saved, because this is where a wrong field is found.
    classes = tuple(classes_in_legend(layer, class_field)) if _is_map(layer) else ()
    file = layer_file(layer, context, feedback)
    if isinstance(layer, QgsRasterLayer):
        size = (int(layer.width()), int(layer.height()))
    return Labels(
        name_of(layer), file.path, file.layer, class_field, size, Place.of(layer), classes
    )


def _is_map(layer: QgsMapLayer) -> bool:
    return isinstance(layer, (QgsRasterLayer, QgsVectorLayer))


def _check_polygons(layer: QgsVectorLayer) -> None:
    if layer.geometryType() != QgsWkbTypes.PolygonGeometry:
        raise InputError(
            translate(
                "ScasNet",
                "The labels {name} are not polygons: choose a polygon layer or a raster of class "
                "values.",
            ),
            name=name_of(layer),
        )
    if layer.featureCount() == 0:
        raise InputError(
            translate("ScasNet", "The labels {name} hold no polygons: draw some first."),
            name=name_of(layer),
        )


def pair_by_order(
    data: TrainingData, pictures: Sequence[Picture], labels: Sequence[Labels], role: str
) -> None:
    """The first labels for the first image and so on; pixel by pixel where the sizes agree."""
    if len(pictures) != len(labels):
        raise SettingError(
            translate(
                "ScasNet",
                "There are {images} images and {labels} layers of labels: to be matched by order "
                "they must be equally many.",
            ),
            images=len(pictures),
            labels=len(labels),
        )
    for picture, marks in zip(pictures, labels):
        by_place = picture.size != marks.size
        if by_place and not (picture.place.crs.isValid() and marks.place.crs.isValid()):
            raise InputError(
                translate(
                    "ScasNet",
                    "The image {image} and its labels {labels} differ in size, and without a "
                    "coordinate reference system they cannot be matched: cut them to one size.",
                ),
                image=picture.name,
                labels=marks.name,
            )
        data.add(picture, marks, by_place, role)


def pair_by_place(
    data: TrainingData,
    pictures: Sequence[Picture],
    labels: Sequence[Labels],
    role: str,
    context: QgsCoordinateTransformContext,
) -> None:
    """Each image with the first labels that overlap it; raises InputError where none do."""
    used: list[Labels] = []
    for picture in pictures:
        found = [each for each in labels if picture.place.meets(each.place, context)]
        used += found
        if not found:
            text = translate("ScasNet", "No labels overlap the image {image}: it is left out.")
            data.warnings.append(message(text, image=picture.name))
            continue
        if len(found) > 1:
            text = translate(
                "ScasNet",
                "Several layers of labels overlap the image {image}: only {name} is used for it.",
            )
            data.warnings.append(message(text, image=picture.name, name=found[0].name))
        data.add(picture, found[0], True, role)
    if not used:
        raise InputError(
            translate(
                "ScasNet",
                "The labels do not overlap the images: check that {labels} lies where {image} "
                "does, and that both have the right coordinate reference system.",
            ),
            labels=labels[0].name,
            image=pictures[0].name,
        )
    for each in labels:
        if each not in used:
            text = translate("ScasNet", "The labels {name} overlap no image: they are left out.")
            data.warnings.append(message(text, name=each.name))


def warn_of_shared_ground(
    data: TrainingData, pictures: Sequence[Picture], measured: Sequence[Picture]
) -> None:
    """Warn where an image for validation shows ground that is learned from as well."""
    used = {(each["image"], each["role"]) for each in data.entries}
    learned = [each for each in pictures if (each.path, TRAIN) in used]
    for picture in measured:
        if (picture.path, VALIDATION) not in used:
            continue
        shared = [each.name for each in learned if picture.place.shares_ground(each.place)]
        if shared:
            text = translate(
                "ScasNet",
                "The image for validation {image} shows the same ground as {others}, which is "
                "learned from: where both have labels, the accuracy looks better than it is.",
            )
            data.warnings.append(message(text, image=picture.name, others=", ".join(shared)))


def check_folders(images: str, labels: str) -> None:
    """Raise SettingError where one of two folders is missing."""
    if not (images and labels):
        raise SettingError(
            translate(
                "ScasNet",
                "A folder of images needs a folder of labels, and the other way round: choose "
                "both.",
            )
        )
    for each in (images, labels):
        if not Path(each).is_dir():
            raise SettingError(
                translate("ScasNet", "The folder {folder} does not exist."), folder=each
            )
