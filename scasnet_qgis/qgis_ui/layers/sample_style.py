"""Style and attribute form of sample points: a list of classes, the design fields hidden."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsEditorWidgetSetup,
    QgsMarkerSymbol,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRendererCategory,
    QgsValueMapFieldFormatter,
    QgsVectorLayer,
)

from scasnet_qgis.accuracy.sample_file import HIDDEN_FIELDS, LAYER, REFERENCE, SAMPLE_ID, Stratum
from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.i18n import translate

UNLABELLED = "#ff00ff"


def style(layer: QgsVectorLayer, strata: Sequence[Stratum]) -> None:
    """Points without a class stand out; the form offers the classes and hides the map's."""
    layer.setRenderer(_renderer(strata))
    fields = layer.fields()
    layer.setEditorWidgetSetup(fields.indexOf(REFERENCE), _class_choice(strata))
    table = layer.attributeTableConfig()
    table.update(fields)
    columns = table.columns()
    for name in HIDDEN_FIELDS:
        layer.setEditorWidgetSetup(fields.indexOf(name), QgsEditorWidgetSetup("Hidden", {}))
    for column in columns:
        column.hidden = column.hidden or column.name in HIDDEN_FIELDS
    table.setColumns(columns)
    layer.setAttributeTableConfig(table)
    form = layer.editFormConfig()
    form.setReadOnly(fields.indexOf(SAMPLE_ID), True)
    layer.setEditFormConfig(form)


def _class_choice(strata: Sequence[Stratum]) -> QgsEditorWidgetSetup:
    unlabelled = {translate("ScasNet", "not labelled yet"): QgsValueMapFieldFormatter.NULL_VALUE}
    entries = [unlabelled, *({stratum.name: stratum.name} for stratum in strata)]
    return QgsEditorWidgetSetup("ValueMap", {"map": entries})


def _renderer(strata: Sequence[Stratum]) -> QgsCategorizedSymbolRenderer:
    categories = [
        QgsRendererCategory(stratum.name, _symbol(stratum.color), stratum.name)
        for stratum in strata
    ]
    label = translate("ScasNet", "not labelled yet")
    categories.append(QgsRendererCategory("", _symbol(UNLABELLED), label))
    return QgsCategorizedSymbolRenderer(REFERENCE, categories)


def _symbol(color: str) -> QgsMarkerSymbol:
    properties = {"name": "circle", "color": color, "outline_color": "#000000", "size": "2.6"}
    return QgsMarkerSymbol.createSimple(properties)


def write_style(sample: Path, strata: Sequence[Stratum]) -> None:
    """Put the style into a GeoPackage, where QGIS finds it; other formats have no place for it."""
    if sample.suffix.lower() != ".gpkg":
        return
    layer = QgsVectorLayer(f"{sample}|layername={LAYER}", sample.stem, "ogr")
    if not layer.isValid():
        raise _not_written(sample, "the layer is not valid")
    style(layer, strata)
    problem = layer.saveStyleToDatabase(LAYER, "", True, "")
    if problem:
        raise _not_written(sample, str(problem))


def _not_written(sample: Path, detail: str) -> OutputError:
    text = translate("ScasNet", "The style of the sample {name} cannot be written.")
    return OutputError(text, detail, name=sample.name)


class SampleStyler(QgsProcessingLayerPostProcessorInterface):
    """Styles the layer that Processing adds to the project."""

    _kept: ClassVar[list[SampleStyler]] = []  # QGIS holds no reference

    @classmethod
    def of(cls, strata: Sequence[Stratum]) -> SampleStyler:
        styler = cls()
        styler._strata = list(strata)
        cls._kept.append(styler)
        return styler

    def __init__(self) -> None:
        super().__init__()
        self._strata: list[Stratum] = []

    def postProcessLayer(
        self,
        layer: QgsVectorLayer,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        if isinstance(layer, QgsVectorLayer):
            style(layer, self._strata)
            layer.triggerRepaint()
        if self in self._kept:
            self._kept.remove(self)
