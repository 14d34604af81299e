"""A widget to choose or type a field of layers that may be rasters, which have no fields.

QGIS's own widget ends the whole program as soon as the layer that it takes its fields from is a
raster (up to QGIS 3.44 at least), and that may be before the dialog is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingParameterField,
    QgsProcessingParameters,
    QgsVectorLayer,
)
from qgis.gui import QgsAbstractProcessingParameterWidgetWrapper, QgsGui, QgsProcessingGui
from qgis.PyQt.QtWidgets import QComboBox


class FieldWidgetWrapper(QgsAbstractProcessingParameterWidgetWrapper):
    """Offers the fields that all vector layers of the parent parameter have."""

    def createWidget(self) -> QComboBox:
        box = QComboBox()
        box.setEditable(True)
        box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        box.setToolTip(self.parameterDefinition().toolTip())
        box.editTextChanged.connect(lambda _text: self.widgetValueHasChanged.emit(self))
        return box

    @property
    def _box(self) -> QComboBox:
        return self.wrappedWidget()  # QGIS owns it: the object made above knows it no more

    def setWidgetValue(self, value: Any, context: QgsProcessingContext) -> None:
        definition = self.parameterDefinition()
        self._box.setEditText(QgsProcessingParameters.parameterAsString(definition, value, context))

    def widgetValue(self) -> str | None:
        return self._box.currentText() or None

    def postInitialize(
        self, wrappers: Sequence[QgsAbstractProcessingParameterWidgetWrapper]
    ) -> None:
        super().postInitialize(wrappers)
        parent = self.parameterDefinition().parentLayerParameterName()
        for wrapper in wrappers:
            if wrapper.parameterDefinition().name() == parent:
                wrapper.widgetValueHasChanged.connect(self._offer_fields)
                self._offer_fields(wrapper)

    def _offer_fields(self, parent: QgsAbstractProcessingParameterWidgetWrapper) -> None:
        context = QgsProcessingContext()  # it owns layers that have to be opened for this
        context.setProject(self.widgetContext().project())
        layers = QgsProcessingParameters.parameterAsLayerList(
            parent.parameterDefinition(), parent.parameterValue(), context
        )
        vectors = [layer for layer in layers if isinstance(layer, QgsVectorLayer)]
        box, text = self._box, self._box.currentText()
        fields = _common_fields(vectors)
        box.blockSignals(True)
        box.clear()
        box.addItems(["", *fields])
        box.setEditText(text)
        box.blockSignals(False)
        box.setEnabled(bool(vectors) or not layers)
        if layers and text not in fields:
            box.setEditText("")


class FieldWidget:
    """What QGIS makes where a parameter's metadata name it: in a model, QGIS's own widget.

    There no layer is known, and values may also come from the model's inputs.
    """

    def __new__(
        cls, parameter: QgsProcessingParameterField, dialog: Any, _row: int = 0, _col: int = 0
    ) -> Any:
        if hasattr(dialog, "childId"):
            return QgsGui.processingGuiRegistry().createModelerParameterWidget(
                dialog.model, dialog.childId, parameter, dialog.context
            )
        return FieldWidgetWrapper(parameter, QgsProcessingGui.WidgetType.Standard)


def _common_fields(layers: Sequence[QgsVectorLayer]) -> list[str]:
    """Names of the fields that every layer has, in the order of the first."""
    names = [[field.name() for field in layer.fields()] for layer in layers]
    if not names:
        return []
    return [name for name in names[0] if all(name in present for present in names)]
