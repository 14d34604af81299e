"""Styles of new layers: of a map, the name and colour of each class; of a sample, its form.

The attribute form of a sample offers the classes and hides the fields of its design.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, ClassVar

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsEditorWidgetSetup,
    QgsMapLayer,
    QgsMarkerSymbol,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsValueMapFieldFormatter,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from scasnet_qgis.accuracy.sample_file import HIDDEN_FIELDS, LAYER, REFERENCE, SAMPLE_ID, Stratum
from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.model_card import ModelClass
from scasnet_qgis.i18n import translate

_UNLABELLED = "#ff00ff"


class StyleOnLoad(QgsProcessingLayerPostProcessorInterface):
    """Styles the layer that Processing adds to the project; its own loader ignores the QML."""

    _kept: ClassVar[list[StyleOnLoad]] = []  # QGIS holds no reference

    @classmethod
    def of(cls, style: Callable[[Any, Any], None], classes: Sequence[Any]) -> StyleOnLoad:
        """``style`` is called with the layer and the ``classes``."""
        styler = cls()
        styler._style, styler._classes = style, list(classes)
        cls._kept.append(styler)
        return styler

    def __init__(self) -> None:
        super().__init__()
        self._style: Callable[[Any, Any], None] | None = None
        self._classes: list[Any] = []

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        if self._style is not None and isinstance(layer, (QgsRasterLayer, QgsVectorLayer)):
            self._style(layer, self._classes)
            layer.triggerRepaint()
        if self in self._kept:
            self._kept.remove(self)


def style_map(layer: QgsRasterLayer, classes: Sequence[ModelClass]) -> None:
    """Give a map the colours and names of its classes; class k has value k + 1."""
    entries = [
        QgsPalettedRasterRenderer.Class(value, QColor(entry.color), entry.name)
        for value, entry in enumerate(classes, start=1)
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, entries))


def write_qml(raster: Path, classes: Sequence[ModelClass]) -> Path:
    """Write the style beside a map, where QGIS finds it on loading."""
    target = raster.with_suffix(".qml")
    layer = QgsRasterLayer(str(raster), raster.stem)
    if not layer.isValid():
        raise OutputError(
            translate("ScasNet", "The map {name} cannot be opened to write its style."),
            name=raster.name,
        )
    style_map(layer, classes)
    message, saved = layer.saveNamedStyle(str(target))
    if not saved:
        raise OutputError(
            translate("ScasNet", "The style {name} cannot be written."), message, name=target.name
        )
    return target


def style_sample(layer: QgsVectorLayer, strata: Sequence[Stratum]) -> None:
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
    categories.append(QgsRendererCategory("", _symbol(_UNLABELLED), label))
    return QgsCategorizedSymbolRenderer(REFERENCE, categories)


def _symbol(color: str) -> QgsMarkerSymbol:
    properties = {"name": "circle", "color": color, "outline_color": "#000000", "size": "2.6"}
    return QgsMarkerSymbol.createSimple(properties)


def write_style(sample: Path, strata: Sequence[Stratum]) -> None:
    """Put the style into a GeoPackage, where QGIS finds it; other formats have no place for it."""
    if sample.suffix.lower() != ".gpkg":
        return
    layer = QgsVectorLayer(f"{sample}|layername={LAYER}", sample.stem, "ogr")
    problem = "the layer is not valid"
    if layer.isValid():
        style_sample(layer, strata)
        problem = str(layer.saveStyleToDatabase(LAYER, "", True, ""))
    if problem:
        text = translate("ScasNet", "The style of the sample {name} cannot be written.")
        raise OutputError(text, problem, name=sample.name)
