"""What ``scasnet:train`` learns from: layers and folders, as entries of the training settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.labels.label_class import LabelClass
from scasnet_qgis.qgis_ui.layers.layer_files import (
    classes_in_legend,
    layer_file,
    name_of,
    raster_path,
)
from scasnet_qgis.qgis_ui.processing.parameters import (
    CLASS_FIELD,
    INPUT,
    LABELS,
    VALIDATION_INPUT,
    VALIDATION_LABELS,
    read,
)
from scasnet_qgis.training.data.options import BY_ORDER, DataOptions
from scasnet_qgis.training.data.sources import SPLIT, TRAIN, VALIDATION, check_folders

_EDGE = 0.01  # of an image's side; tiles beside each other may share a few pixels
_LAYERS = (INPUT, LABELS, VALIDATION_INPUT, VALIDATION_LABELS)


@dataclass(frozen=True)
class LayerExtent:
    """Where a layer lies."""

    box: QgsRectangle
    crs: QgsCoordinateReferenceSystem

    @classmethod
    def of(cls, layer: QgsMapLayer) -> LayerExtent:
        return cls(QgsRectangle(layer.extent()), QgsCoordinateReferenceSystem(layer.crs()))

    def intersects(self, other: LayerExtent, context: QgsCoordinateTransformContext) -> bool:
        """Whether the two overlap; where that cannot be known, reading them will tell."""
        if not (self.crs.isValid() and other.crs.isValid()) or self.crs == other.crs:
            return bool(self.box.intersects(other.box))
        for one, two in ((self, other), (other, self)):
            transform = QgsCoordinateTransform(two.crs, one.crs, context)
            try:
                box = transform.transformBoundingBox(two.box)
            except QgsCsException:  # beyond what that reference system can express
                continue
            return bool(one.box.intersects(box))
        return True

    def shares_area(self, other: LayerExtent) -> bool:
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
class ImageLayer:
    """An image; ``size`` is columns and rows."""

    name: str
    path: str
    size: tuple[int, int]
    extent: LayerExtent

    @classmethod
    def of(cls, layer: QgsMapLayer) -> ImageLayer:
        """Raises InputError where the layer is no raster or no file."""
        if not isinstance(layer, QgsRasterLayer):
            raise InputError(
                translate("ScasNet", "The layer {name} is not a raster: choose raster images."),
                name=name_of(layer),
            )
        size = (int(layer.width()), int(layer.height()))
        return cls(name_of(layer), raster_path(layer), size, LayerExtent.of(layer))


@dataclass(frozen=True)
class LabelLayer:
    """A layer of labels; ``size`` is None for polygons, ``classes`` empty where none are known."""

    name: str
    path: str
    layer: str
    field: str
    size: tuple[int, int] | None
    extent: LayerExtent
    classes: tuple[LabelClass, ...]

    @classmethod
    def of(
        cls,
        layer: QgsMapLayer,
        class_field: str,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> LabelLayer:
        """Raises InputError or SettingError where the layer cannot be labels."""
        size = None
        classes: Iterable[LabelClass] = ()
        if isinstance(layer, QgsVectorLayer):
            _check_polygons(layer)
        else:
            class_field = ""
        # Before the layer is saved, because this is where a wrong field is found.
        if isinstance(layer, (QgsRasterLayer, QgsVectorLayer)):
            classes = classes_in_legend(layer, class_field)
        file = layer_file(layer, context, feedback)
        if isinstance(layer, QgsRasterLayer):
            size = (int(layer.width()), int(layer.height()))
        extent = LayerExtent.of(layer)
        return cls(name_of(layer), file.path, file.layer, class_field, size, extent, tuple(classes))


def _check_polygons(layer: QgsVectorLayer) -> None:
    if layer.geometryType() != QgsWkbTypes.PolygonGeometry:
        raise InputError(
            translate(
                "ScasNet",
                "The labels {name} are not polygons: choose a polygon layer or a class raster.",
            ),
            name=name_of(layer),
        )
    if layer.featureCount() == 0:
        raise InputError(
            translate("ScasNet", "Labels {name} contain no polygons: draw some first."),
            name=name_of(layer),
        )


@dataclass
class TrainingData:
    """Entries of the settings (see training/data/sources.py), and what to say about them."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    labels: list[LabelLayer] = field(default_factory=list)  # those that entries use
    warnings: list[Message] = field(default_factory=list)

    @property
    def has_validation(self) -> bool:
        """Whether some data are for validation only."""
        return any(entry["role"] == VALIDATION for entry in self.entries)

    @property
    def known_classes(self) -> dict[tuple[str, str, str], tuple[LabelClass, ...]]:
        """What legends show, by file, layer and field."""
        return {(labels.path, labels.layer, labels.field): labels.classes for labels in self.labels}

    def add(self, image: ImageLayer, labels: LabelLayer, by_place: bool, role: str) -> None:
        """Learn from one image, or measure on it."""
        entry = {
            "image": image.path,
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

    def add_by_order(
        self, images: Sequence[ImageLayer], labels: Sequence[LabelLayer], role: str
    ) -> None:
        """The first labels for the first image and so on; by pixel where the sizes agree."""
        if len(images) != len(labels):
            raise SettingError(
                translate(
                    "ScasNet",
                    "There are {images} images and {labels} layers of labels: to match them by "
                    "order, choose as many labels as images.",
                ),
                images=len(images),
                labels=len(labels),
            )
        for image, its_labels in zip(images, labels):
            by_place = image.size != its_labels.size
            if by_place and not (image.extent.crs.isValid() and its_labels.extent.crs.isValid()):
                raise InputError(
                    translate(
                        "ScasNet",
                        "The image {image} and its labels {labels} differ in size and have no "
                        "common coordinate reference system: clip them to the same size.",
                    ),
                    image=image.name,
                    labels=its_labels.name,
                )
            self.add(image, its_labels, by_place, role)

    def add_by_place(
        self,
        images: Sequence[ImageLayer],
        labels: Sequence[LabelLayer],
        role: str,
        context: QgsCoordinateTransformContext,
    ) -> None:
        """Each image with the first labels that overlap it; raises InputError where none do."""
        used: list[LabelLayer] = []
        for image in images:
            found = [layer for layer in labels if image.extent.intersects(layer.extent, context)]
            used += found
            if not found:
                text = translate("ScasNet", "No labels overlap the image {image}: it is not used.")
                self.warnings.append(message(text, image=image.name))
                continue
            if len(found) > 1:
                text = translate(
                    "ScasNet",
                    "Several layers of labels overlap the image {image}: only {name} is used.",
                )
                self.warnings.append(message(text, image=image.name, name=found[0].name))
            self.add(image, found[0], True, role)
        if not used:
            raise InputError(
                translate(
                    "ScasNet",
                    "The labels do not overlap the images: check the extents and coordinate "
                    "reference systems of {labels} and {image}.",
                ),
                labels=labels[0].name,
                image=images[0].name,
            )
        for layer in labels:
            if layer not in used:
                text = translate("ScasNet", "The labels {name} overlap no image: not used.")
                self.warnings.append(message(text, name=layer.name))

    def warn_of_shared_area(
        self, images: Sequence[ImageLayer], validation_images: Sequence[ImageLayer]
    ) -> None:
        """Warn where a validation image shows an area that is learned from as well."""
        used = {(entry["image"], entry["role"]) for entry in self.entries}
        learned = [image for image in images if (image.path, TRAIN) in used]
        for image in validation_images:
            if (image.path, VALIDATION) not in used:
                continue
            shared = [other.name for other in learned if image.extent.shares_area(other.extent)]
            if shared:
                text = translate(
                    "ScasNet",
                    "The validation image {image} overlaps training data ({others}): where both "
                    "have labels, the accuracy is overestimated.",
                )
                self.warnings.append(message(text, image=image.name, others=", ".join(shared)))


class TrainingLayers:
    """The parameters that name data, read in the main thread; raises SettingError or InputError."""

    def __init__(
        self,
        algorithm: QgsProcessingAlgorithm,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        self._algorithm, self._parameters = algorithm, parameters
        self._context, self._feedback = context, feedback

    def data(self) -> TrainingData:
        """What to learn from, and what to measure on if that was chosen."""
        self.check()
        data = TrainingData()
        options = read(self._algorithm, self._parameters, self._context, DataOptions)
        images, labels = self._images(INPUT), self._labels(LABELS)
        validation_images = self._images(VALIDATION_INPUT)
        validation_labels = self._labels(VALIDATION_LABELS)
        folders = bool(options.image_folder or options.label_folder)
        _check_choice(bool(images), bool(labels), folders)
        if validation_labels and not validation_images:
            raise SettingError(
                translate(
                    "ScasNet",
                    "There are validation labels, but no validation images: choose both, or none.",
                )
            )
        role = TRAIN if validation_images else SPLIT
        if folders:
            check_folders(options.image_folder, options.label_folder)
            data.add_folders(options.image_folder, options.label_folder, role)
        else:
            self._pair(data, options, images, labels, role)
        if validation_labels:
            self._pair(data, options, validation_images, validation_labels, VALIDATION)
        elif validation_images and labels:  # those to learn from cover the others too
            place = self._context.transformContext()
            data.add_by_place(validation_images, labels, VALIDATION, place)
        elif validation_images:
            raise SettingError(
                translate("ScasNet", "The validation images need labels: choose them as well.")
            )
        data.warn_of_shared_area(images, validation_images)
        return data

    def _pair(
        self,
        data: TrainingData,
        options: DataOptions,
        images: Sequence[ImageLayer],
        labels: Sequence[LabelLayer],
        role: str,
    ) -> None:
        if options.match == BY_ORDER:
            data.add_by_order(images, labels, role)
        else:
            data.add_by_place(images, labels, role, self._context.transformContext())

    def _images(self, name: str) -> list[ImageLayer]:
        return [ImageLayer.of(layer) for layer in self._layers(name)]

    def _labels(self, name: str) -> list[LabelLayer]:
        class_field = self._algorithm.parameterAsString(
            self._parameters, CLASS_FIELD, self._context
        )
        return [
            LabelLayer.of(layer, str(class_field or ""), self._context, self._feedback)
            for layer in self._layers(name)
        ]

    def check(self) -> None:
        """Raise InputError for what QGIS would leave out silently or refuse without its name."""
        for name in _LAYERS:
            for given in self._given(name):
                if isinstance(given, str) and given and not self._opens(given):
                    raise InputError(
                        translate("ScasNet", "{name} cannot be opened as a layer: check its path."),
                        name=given,
                    )

    def _given(self, name: str) -> list[Any]:
        value = self._parameters.get(name)
        if isinstance(value, str) and ";" in value and not self._opens(value):
            return [path.strip() for path in value.split(";")]  # as it may be on a command line
        return list(value) if isinstance(value, (list, tuple)) else [value]

    def _layers(self, name: str) -> list[QgsMapLayer]:
        parameters = {**self._parameters, name: self._given(name)}
        return list(self._algorithm.parameterAsLayerList(parameters, name, self._context))

    def _opens(self, name: str) -> bool:
        layer = QgsProcessingUtils.mapLayerFromString(name, self._context)
        return layer is not None and bool(layer.isValid())


def _check_choice(images: bool, labels: bool, folders: bool) -> None:
    if folders and (images or labels):
        raise SettingError(
            translate("ScasNet", "Choose either images and labels or two folders, not both.")
        )
    if folders or (images and labels):
        return
    if images:
        raise SettingError(
            translate(
                "ScasNet",
                "There are no labels: choose a polygon layer or a class raster with the classes of "
                "places in the images.",
            )
        )
    raise SettingError(
        translate("ScasNet", "No training data: choose images and labels, or two folders.")
    )
