"""The reference layer and class field parameters, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsVectorLayer,
)

from scasnet_qgis.algorithms.input_parameters import CLASS_FIELD, REFERENCE
from scasnet_qgis.algorithms.layers import LayerFile, classes_in_legend, layer_file
from scasnet_qgis.core.errors import InputError
from scasnet_qgis.i18n import translate
from scasnet_qgis.raster import sample_file
from scasnet_qgis.raster.label_class import LabelClass


@dataclass(frozen=True)
class ReferenceInput:
    """``field`` is "" for rasters; ``legend`` are the classes that QGIS shows."""

    file: LayerFile
    field: str
    legend: tuple[LabelClass, ...]


def read_reference(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> ReferenceInput:
    """Call it in the main thread; raises InputError and SettingError."""
    layer = algorithm.parameterAsLayer(parameters, REFERENCE, context)
    if layer is None:
        text = translate("ScasNet", "The reference cannot be opened: choose another layer.")
        raise InputError(text)
    field = ""
    if isinstance(layer, QgsVectorLayer):
        chosen = algorithm.parameterAsFields(parameters, CLASS_FIELD, context)
        field = str(chosen[0]) if chosen else _field_of_sample(layer)
    legend = tuple(classes_in_legend(layer, field))
    return ReferenceInput(layer_file(layer, context, feedback), field, legend)


def _field_of_sample(layer: QgsVectorLayer) -> str:
    """The field in which a sample is labelled; "" where the layer is no sample."""
    names = {field.name() for field in layer.fields()}
    is_sample = names.issuperset((sample_file.REFERENCE, *sample_file.DESIGN_FIELDS))
    return sample_file.REFERENCE if is_sample else ""
