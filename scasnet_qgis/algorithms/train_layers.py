"""The parameters of ``scasnet:train`` that name data, read in the main thread."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingUtils,
)

from scasnet_qgis.algorithms import train_names as names
from scasnet_qgis.algorithms.train_data import (
    Labels,
    Picture,
    TrainingData,
    check_folders,
    labels_of,
    pair_by_order,
    pair_by_place,
    picture_of,
    warn_of_shared_ground,
)
from scasnet_qgis.core.errors import InputError, SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.training.sources import SPLIT, TRAIN, VALIDATION


class LayerReader:
    """Turns layers into plain values; raises SettingError or InputError."""

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
        pictures, labels = self._pictures(names.INPUT), self._labels(names.LABELS)
        images, masks = self._folder(names.IMAGE_FOLDER), self._folder(names.LABEL_FOLDER)
        measured = self._pictures(names.VALIDATION_INPUT)
        truth = self._labels(names.VALIDATION_LABELS)
        _check_choice(bool(pictures), bool(labels), bool(images or masks))
        if truth and not measured:
            raise SettingError(
                translate(
                    "ScasNet",
                    "There are labels for validation, but no images for validation: choose them "
                    "as well, or neither.",
                )
            )
        role = TRAIN if measured else SPLIT
        if images or masks:
            check_folders(images, masks)
            data.add_folders(images, masks, role)
        else:
            self._pair(data, pictures, labels, role)
        if measured:
            self._pair_measured(data, measured, truth, labels)
            warn_of_shared_ground(data, pictures, measured)
        return data

    def _pair_measured(
        self, data: TrainingData, measured: list[Picture], truth: list[Labels], labels: list[Labels]
    ) -> None:
        if truth:
            self._pair(data, measured, truth, VALIDATION)
        elif labels:  # those to learn from cover the others too
            context = self._context.transformContext()
            pair_by_place(data, measured, labels, VALIDATION, context)
        else:
            raise SettingError(
                translate("ScasNet", "The images for validation need labels: choose them as well.")
            )

    def _pair(
        self, data: TrainingData, pictures: list[Picture], labels: list[Labels], role: str
    ) -> None:
        match = self._algorithm.parameterAsEnumString(self._parameters, names.MATCH, self._context)
        if match == names.BY_ORDER:
            pair_by_order(data, pictures, labels, role)
        else:
            pair_by_place(data, pictures, labels, role, self._context.transformContext())

    def _pictures(self, name: str) -> list[Picture]:
        return [picture_of(each) for each in self._layers(name)]

    def _labels(self, name: str) -> list[Labels]:
        field = self._algorithm.parameterAsString(
            self._parameters, names.CLASS_FIELD, self._context
        )
        return [
            labels_of(each, str(field or ""), self._context, self._feedback)
            for each in self._layers(name)
        ]

    def _folder(self, name: str) -> str:
        return str(self._algorithm.parameterAsFile(self._parameters, name, self._context) or "")

    def check(self) -> None:
        """Raise InputError for what QGIS would leave out silently or refuse without its name."""
        for name in (names.INPUT, names.LABELS, names.VALIDATION_INPUT, names.VALIDATION_LABELS):
            for each in self._given(name):
                if isinstance(each, str) and each and not self._opens(each):
                    raise InputError(
                        translate(
                            "ScasNet",
                            "{name} cannot be opened as a layer: check its name and place.",
                        ),
                        name=each,
                    )

    def _given(self, name: str) -> list[Any]:
        value = self._parameters.get(name)
        if isinstance(value, str) and ";" in value and not self._opens(value):
            return [each.strip() for each in value.split(";")]  # as it may be on a command line
        return list(value) if isinstance(value, (list, tuple)) else [value]

    def _layers(self, name: str) -> list[QgsMapLayer]:
        parameters = {**self._parameters, name: self._given(name)}
        return list(self._algorithm.parameterAsLayerList(parameters, name, self._context))

    def _opens(self, name: str) -> bool:
        layer = QgsProcessingUtils.mapLayerFromString(name, self._context)
        return layer is not None and bool(layer.isValid())


def _check_choice(pictures: bool, labels: bool, folders: bool) -> None:
    if folders and (pictures or labels):
        raise SettingError(
            translate("ScasNet", "Choose either images and labels or two folders, not both.")
        )
    if folders or (pictures and labels):
        return
    if pictures:
        raise SettingError(
            translate(
                "ScasNet",
                "There are no labels: choose a polygon layer or a raster of class values that "
                "says what is where in the images.",
            )
        )
    raise SettingError(
        translate(
            "ScasNet", "There is nothing to learn from: choose images and labels, or two folders."
        )
    )
