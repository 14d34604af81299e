"""Parameters for layers that several algorithms take; other modules read what they say."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
)

from scasnet_qgis.i18n import translate

MAP, EXTENT, MASK = "MAP", "EXTENT", "MASK"
REFERENCE, CLASS_FIELD = "REFERENCE", "CLASS_FIELD"
INPUT, LABELS = "INPUT", "LABELS"
VALIDATION_INPUT, VALIDATION_LABELS = "VALIDATION_INPUT", "VALIDATION_LABELS"
_FIELD_WIDGET = (
    "scasnet_qgis.qgis_ui.processing.field_widget.FieldWidget"  # imported where there are windows
)


def map_parameter() -> QgsProcessingParameterRasterLayer:
    return QgsProcessingParameterRasterLayer(MAP, translate("ScasNet", "Map"))


def extent_parameter() -> QgsProcessingParameterExtent:
    return QgsProcessingParameterExtent(EXTENT, translate("ScasNet", "Extent"), None, True)


def mask_parameter() -> QgsProcessingParameterFeatureSource:
    """Polygons, all of a layer's or those that are selected; may be left out."""
    kinds = [QgsProcessing.SourceType.TypeVectorPolygon]
    label = translate("ScasNet", "Mask")
    return QgsProcessingParameterFeatureSource(MASK, label, kinds, None, True)


def reference_parameter(*, points: bool) -> QgsProcessingParameterMapLayer:
    """A raster, polygons or ``points``; without points, which nothing else needs, optional."""
    source = QgsProcessing.SourceType
    kinds = [source.TypeRaster, source.TypeVectorPolygon]
    if points:
        kinds.append(source.TypeVectorPoint)
    label = translate("ScasNet", "Reference")
    return QgsProcessingParameterMapLayer(REFERENCE, label, None, not points, kinds)


def class_field_parameter() -> QgsProcessingParameterField:
    return field_parameter(CLASS_FIELD, translate("ScasNet", "Class field"), REFERENCE)


def field_parameter(name: str, label: str, parent: str) -> QgsProcessingParameterField:
    """An optional field of the layers of ``parent``, which may be rasters."""
    kind = QgsProcessingParameterField.DataType.Any
    parameter = QgsProcessingParameterField(name, label, None, parent, kind, False, True)
    parameter.setMetadata({"widget_wrapper": {"class": _FIELD_WIDGET}})
    return parameter
