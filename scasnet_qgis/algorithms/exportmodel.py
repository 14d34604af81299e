"""``scasnet:exportmodel``: a model or a training in, a model in the wanted precision out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback

from scasnet_qgis.algorithms import export_parameters as names
from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm, translated
from scasnet_qgis.algorithms.input_parameters import REFERENCE
from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.progress import Stage
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.reference_input import ReferenceInput

_CLASSES_SHARE = 0.1  # of the progress, for finding the classes of the reference


class ExportModel(ScasNetAlgorithm):
    """Converts a model in a process of its own and reports how far it is from the original."""

    def __init__(self) -> None:
        super().__init__()
        self._raster = ""
        self._reference: ReferenceInput | None = None

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

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        from scasnet_qgis.algorithms.export_request import check_request, request_of

        raster, chosen = (
            str(parameters.get(each) or "") for each in (names.CALIBRATION, REFERENCE)
        )
        reference = {"path": chosen} if chosen else None
        check_request(request_of(self, parameters, context, Path(), raster, reference))

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.algorithms.layers import raster_path
        from scasnet_qgis.algorithms.reference_input import read_reference

        self._raster, self._reference = "", None
        if parameters.get(names.CALIBRATION) not in (None, ""):
            raster = self.parameterAsRasterLayer(parameters, names.CALIBRATION, context)
            if raster is None:
                text = translate("ScasNet", "The raster cannot be opened: choose another one.")
                raise InputError(text)
            self._raster = raster_path(raster)
        if parameters.get(REFERENCE) not in (None, ""):
            self._reference = read_reference(self, parameters, context, feedback)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.algorithms.child_process import run_task
        from scasnet_qgis.algorithms.export_request import request_of, values_of, whole_reference
        from scasnet_qgis.raster.whole_files import check_targets, whole_files
        from scasnet_qgis.training.parity_report import write_report

        progress = FeedbackProgress(feedback)
        output = self.parameterAsFileOutput(parameters, names.OUTPUT, context)
        report_file = ""
        if parameters.get(names.REPORT) not in (None, ""):
            report_file = self.parameterAsFileOutput(parameters, names.REPORT, context)
        reports = [Path(report_file)] if report_file else []
        reference = whole_reference(self._reference, Stage(progress, 0.0, _CLASSES_SHARE))
        request = request_of(self, parameters, context, Path(output), self._raster, reference)
        check_targets([request.output, *reports], [str(request.source)])
        report = run_task("export", values_of(request), Stage(progress, _CLASSES_SHARE, 1.0))
        outputs = {names.OUTPUT: output, **names.output_values(report)}
        with whole_files(reports) as working:
            for file in reports:
                write_report(report, working[file], translated)
        return {**outputs, names.REPORT: report_file} if report_file else outputs
