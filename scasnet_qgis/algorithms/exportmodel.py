"""``scasnet:exportmodel``: a model or a training in, a model in the wanted precision out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsVectorLayer

from scasnet_qgis import dependencies, paths
from scasnet_qgis.algorithms import export_parameters as names
from scasnet_qgis.algorithms.base import (
    FeedbackProgress,
    ScasNetAlgorithm,
    sentence_of,
    translated,
)
from scasnet_qgis.algorithms.child_process import run_task
from scasnet_qgis.algorithms.layers import classes_in_legend, layer_file, raster_path
from scasnet_qgis.core.errors import InputError, ModelError, ScasNetError
from scasnet_qgis.core.progress import Stage
from scasnet_qgis.i18n import translate
from scasnet_qgis.models.onnx_file import inspect
from scasnet_qgis.raster.label_class import LabelClass
from scasnet_qgis.raster.labels import classes_of
from scasnet_qgis.raster.whole_files import check_targets, whole_files
from scasnet_qgis.training.export_request import ExportRequest, check_source
from scasnet_qgis.training.parity_report import write_report

_CLASSES_SHARE = 0.1  # of the progress, for finding the classes of the reference


class ExportModel(ScasNetAlgorithm):
    """Converts a model in a process of its own and reports how far it is from the original."""

    def __init__(self) -> None:
        super().__init__()
        self._raster = ""
        self._reference: dict[str, Any] | None = None
        self._legend: list[LabelClass] = []
        self._refusal: ScasNetError | None = None

    def name(self) -> str:
        return "exportmodel"

    def displayName(self) -> str:
        return translate("ScasNet", "Export a model")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Makes a smaller or faster file of a model, or one for others.")

    def shortHelpString(self) -> str:
        return names.help_text()

    def tags(self) -> list[str]:
        words = translate(
            "ScasNet", "onnx,quantisation,quantization,int8,half precision,Deepness,GeoDeep"
        )
        return list(words.split(","))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        names.add_to(self)

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        fine, message = super().checkParameterValues(parameters, context)
        if not fine:
            return fine, message
        dependencies.extend_path()
        given = {
            name: str(parameters.get(name) or "") for name in (names.CALIBRATION, names.REFERENCE)
        }
        reference = {"path": given[names.REFERENCE]} if given[names.REFERENCE] else None
        request = self._request(parameters, context, Path(), given[names.CALIBRATION], reference)
        try:
            request.check_choices()
            _check_input(request)
        except ScasNetError as error:
            return False, sentence_of(error)
        return True, ""

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        self._refusal = None
        try:
            self._read_layers(parameters, context, feedback)
        except ScasNetError as error:
            # QGIS shows no sentence of what is raised here: ``compute`` raises it again.
            self._refusal = error
        return True

    def _read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        self._raster, self._reference, self._legend = "", None, []
        if parameters.get(names.CALIBRATION) not in (None, ""):
            raster = self.parameterAsRasterLayer(parameters, names.CALIBRATION, context)
            if raster is None:
                text = translate("ScasNet", "The raster cannot be opened: choose another one.")
                raise InputError(text)
            self._raster = raster_path(raster)
        if parameters.get(names.REFERENCE) in (None, ""):
            return
        layer = self.parameterAsLayer(parameters, names.REFERENCE, context)
        if layer is None:
            text = translate("ScasNet", "The reference cannot be opened: choose another layer.")
            raise InputError(text)
        field = ""
        if isinstance(layer, QgsVectorLayer):
            chosen = self.parameterAsFields(parameters, names.CLASS_FIELD, context)
            field = str(chosen[0]) if chosen else ""
        self._legend = classes_in_legend(layer, field)
        file = layer_file(layer, context, feedback)
        self._reference = {"path": file.path, "layer": file.layer, "field": field}

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        if self._refusal is not None:
            raise self._refusal
        progress = FeedbackProgress(feedback)
        output = self.parameterAsFileOutput(parameters, names.OUTPUT, context)
        report_file = ""
        if parameters.get(names.REPORT) not in (None, ""):
            report_file = self.parameterAsFileOutput(parameters, names.REPORT, context)
        reports = [Path(report_file)] if report_file else []
        reference = self._whole_reference(Stage(progress, 0.0, _CLASSES_SHARE))
        request = self._request(parameters, context, Path(output), self._raster, reference)
        check_targets([request.output, *reports], [str(request.source)])
        report = run_task("export", _values(request), Stage(progress, _CLASSES_SHARE, 1.0))
        outputs = {names.OUTPUT: output, **names.output_values(report)}
        with whole_files(reports) as working:
            for file in reports:
                write_report(report, working[file], translated)
        return {**outputs, names.REPORT: report_file} if report_file else outputs

    def _whole_reference(self, progress: Stage) -> dict[str, Any] | None:
        """The reference with its classes; finding them may mean to read it."""
        if self._reference is None:
            return None
        classes = self._legend
        if not classes and not self._reference["field"]:
            classes = classes_of(self._reference["path"], progress=progress)
        return {**self._reference, "classes": [asdict(each) for each in classes]}

    def _request(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        output: Path,
        raster: str,
        reference: dict[str, Any] | None,
    ) -> ExportRequest:
        chosen = self.parameterAsString(parameters, names.INPUT, context)
        size = None
        if parameters.get(names.FIXED_SIZE) not in (None, ""):
            size = self.parameterAsInt(parameters, names.FIXED_SIZE, context)
        return ExportRequest(
            source=Path(chosen) if chosen else paths.default_model(),
            output=output,
            precision=self.parameterAsEnumString(parameters, names.PRECISION, context),
            raster=raster,
            demo=str(paths.resources() / "demo" / "dubai.tif"),
            bands=tuple(self.parameterAsInts(parameters, names.BANDS, context)),
            fixed_size=size,
            reference=reference,
        )


def _check_input(request: ExportRequest) -> None:
    """Raise ModelError or SettingError for a source that cannot be exported as it is wanted."""
    if request.is_model:
        check_source(inspect(request.source), request.fixed_size)
    elif not request.source.exists():
        raise ModelError(
            translate(
                "ScasNet", "{path} does not exist: choose a model (.onnx) or a training's folder."
            ),
            path=request.source,
        )


def _values(request: ExportRequest) -> dict[str, Any]:
    """The request as the task in the other process takes it."""
    values = {key: each for key, each in vars(request).items() if key not in ("source", "output")}
    return {**values, "input": str(request.source), "output": str(request.output)}
