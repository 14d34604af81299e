"""Parameters of algorithms: layers, and declared settings (common/options.py) with their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from scasnet_qgis.common.options import (
    BandNumbers,
    Choice,
    FilePath,
    Flag,
    Number,
    Option,
    Text,
    options_of,
)
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.qgis_ui.processing.base import ScasNetAlgorithm

MAP, EXTENT, MASK = "MAP", "EXTENT", "MASK"
REFERENCE, CLASS_FIELD = "REFERENCE", "CLASS_FIELD"
INPUT, LABELS = "INPUT", "LABELS"
VALIDATION_INPUT, VALIDATION_LABELS = "VALIDATION_INPUT", "VALIDATION_LABELS"
_FIELD_WIDGET = (
    "scasnet_qgis.qgis_ui.processing.field_widget.FieldWidget"  # imported where there are windows
)
Settings = TypeVar("Settings")


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


def declare(algorithm: ScasNetAlgorithm, settings: type, *names: str, **defaults: Any) -> None:
    """Add the parameters of a settings class, or of some of its attributes, in their order.

    ``defaults`` by attribute are shown in place of the declared ones.
    """
    declared = options_of(settings)
    for name in names or declared:
        setting = replace(declared[name], default=defaults.get(name, declared[name].default))
        make = _PARAMETERS[type(setting.kind)]
        parameter = make(setting, translate("ScasNet", setting.label))
        algorithm.add(parameter, translate("ScasNet", setting.help), setting.advanced)


def read(
    algorithm: QgsProcessingAlgorithm,
    parameters: Mapping[str, Any],
    context: QgsProcessingContext,
    settings: type[Settings],
    **others: Any,
) -> Settings:
    """The settings that a user gave; ``others`` are attributes that are no parameters.

    Raises SettingError where a text cannot be read.
    """
    values = {}
    for name, setting in options_of(settings).items():
        if setting.parameter and name not in others:
            values[name] = read_option(algorithm, parameters, context, setting)
    return settings(**values, **others)


def read_option(
    algorithm: QgsProcessingAlgorithm,
    parameters: Mapping[str, Any],
    context: QgsProcessingContext,
    setting: Option,
) -> Any:
    """The value of one setting; raises SettingError where it cannot be read."""
    value = _READERS[type(setting.kind)](algorithm, parameters, context, setting)
    return value if setting.parse is None else setting.parse(value)


def _number(setting: Option, label: str) -> QgsProcessingParameterDefinition:
    kind: Any = setting.kind
    types = QgsProcessingParameterNumber.Type
    parameter = QgsProcessingParameterNumber(
        setting.parameter,
        label,
        types.Integer if kind.integer else types.Double,
        setting.default,
        kind.optional,
    )
    if kind.minimum is not None:
        parameter.setMinimum(kind.minimum)
    if kind.maximum is not None:
        parameter.setMaximum(kind.maximum)
    return parameter


def _choice(setting: Option, label: str) -> QgsProcessingParameterDefinition:
    kind: Any = setting.kind
    parameter = QgsProcessingParameterEnum(
        setting.parameter, label, list(kind.values), False, setting.default
    )
    parameter.setUsesStaticStrings(True)
    return parameter


def _flag(setting: Option, label: str) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterBoolean(setting.parameter, label, setting.default)


def _text(setting: Option, label: str) -> QgsProcessingParameterDefinition:
    default = None if setting.default is None else setting.text(setting.default) or None
    return QgsProcessingParameterString(
        setting.parameter, label, default, False, optional=default is None
    )


def _bands(setting: Option, label: str) -> QgsProcessingParameterDefinition:
    kind: Any = setting.kind
    return QgsProcessingParameterBand(setting.parameter, label, None, kind.parent, True, True)


def _file(setting: Option, label: str) -> QgsProcessingParameterDefinition:
    kind: Any = setting.kind
    behaviors = QgsProcessingParameterFile.Behavior
    behavior = behaviors.Folder if kind.folder else behaviors.File
    return QgsProcessingParameterFile(
        setting.parameter,
        label,
        behavior,
        kind.extension,
        None,
        True,
        translate("ScasNet", kind.file_filter) if kind.file_filter else "",
    )


_Maker = Callable[[Option, str], QgsProcessingParameterDefinition]
_PARAMETERS: dict[type, _Maker] = {
    Number: _number,
    Choice: _choice,
    Flag: _flag,
    Text: _text,
    BandNumbers: _bands,
    FilePath: _file,
}


def _read_number(
    algorithm: QgsProcessingAlgorithm,
    parameters: Mapping[str, Any],
    context: QgsProcessingContext,
    setting: Option,
) -> float | int | None:
    kind: Any = setting.kind
    if kind.optional and parameters.get(setting.parameter, setting.default) in (None, ""):
        return None
    if kind.integer:
        return int(algorithm.parameterAsInt(parameters, setting.parameter, context))
    return float(algorithm.parameterAsDouble(parameters, setting.parameter, context))


_Reader = Callable[[QgsProcessingAlgorithm, Mapping[str, Any], QgsProcessingContext, Option], Any]
_READERS: dict[type, _Reader] = {
    Number: _read_number,
    Choice: lambda algorithm, parameters, context, setting: str(
        algorithm.parameterAsEnumString(parameters, setting.parameter, context)
    ),
    Flag: lambda algorithm, parameters, context, setting: bool(
        algorithm.parameterAsBool(parameters, setting.parameter, context)
    ),
    Text: lambda algorithm, parameters, context, setting: str(
        algorithm.parameterAsString(parameters, setting.parameter, context)
    ),
    BandNumbers: lambda algorithm, parameters, context, setting: tuple(
        algorithm.parameterAsInts(parameters, setting.parameter, context)
    ),
    FilePath: lambda algorithm, parameters, context, setting: str(
        algorithm.parameterAsFile(parameters, setting.parameter, context)
    ),
}
