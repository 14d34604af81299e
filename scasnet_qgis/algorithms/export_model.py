"""``scasnet:exportmodel``: a model or a training in, a model in the wanted precision out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterLayer,
)

from scasnet_qgis import paths
from scasnet_qgis.common.errors import InputError, ModelError
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.i18n import translate
from scasnet_qgis.qgis_ui.processing.base import FeedbackProgress, ScasNetAlgorithm, translated
from scasnet_qgis.qgis_ui.processing.parameters import (
    REFERENCE,
    class_field_parameter,
    declare,
    read,
    reference_parameter,
)
from scasnet_qgis.training.export.request import CALIBRATION, ExportRequest

if TYPE_CHECKING:
    from scasnet_qgis.labels.label_class import LabelClass
    from scasnet_qgis.qgis_ui.layers.raster_inputs import ReferenceInput

INPUT, OUTPUT, REPORT = "INPUT", "OUTPUT", "REPORT"
LARGEST_DIFFERENCE, LABELS_AGREEING = "LARGEST_DIFFERENCE", "LABELS_AGREEING"
OVERALL_ACCURACY, OVERALL_ACCURACY_FP32 = "OVERALL_ACCURACY", "OVERALL_ACCURACY_FP32"
MEAN_IOU, MEAN_IOU_FP32, MEGABYTES = "MEAN_IOU", "MEAN_IOU_FP32", "MEGABYTES"
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
        return translate(
            "ScasNet",
            "Makes a model file (.onnx) of a training or of another model: in single precision "
            "(32 bit), in half precision (16 bit), or in 8 bit. The exported model is compared "
            "with the original on real tiles; the report tells how many labels agree and, with a "
            "reference, how accurate both are.\n\nThe work is done in a separate process, with the "
            "Python chosen in Settings > Options > Processing > Providers > ScasNet. Only a "
            "training needs PyTorch there; a model file is converted with the packages onnx and "
            "onnxruntime.",
        )

    def keywords(self) -> str:
        return translate(
            "ScasNet", "onnx,quantisation,quantization,int8,half precision,Deepness,GeoDeep"
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_source()
        declare(self, ExportRequest, "precision")
        label = translate("ScasNet", "Calibration raster")
        self.add(
            QgsProcessingParameterRasterLayer(CALIBRATION, label, None, True),
            translate(
                "ScasNet",
                "An image like those to be mapped. On one half of it, int8 measures which values "
                "occur; on the other half the exported model is compared with the original. "
                "Without one, fp32 and fp16 are compared on the demo image, if the model takes "
                "red, green and blue in 8 bit.",
            ),
        )
        declare(self, ExportRequest, "fixed_size")
        self.add(
            reference_parameter(points=False),
            translate(
                "ScasNet",
                "Known classes on the calibration raster, as a class raster or polygons: the "
                "accuracy of both models is measured against it. Classes are matched by name, or "
                "by value where one side has no names.",
            ),
        )
        self.add(
            class_field_parameter(), translate("ScasNet", "Field with the class of a polygon.")
        )
        declare(self, ExportRequest, "bands")
        self._add_files()
        self._add_outputs()

    def _add_source(self) -> None:
        # QGIS refuses what its filter does not match, and that is also a folder.
        files = translate("ScasNet", "Models and checkpoints (*.onnx *.json *.safetensors *)")
        label = translate("ScasNet", "Model or training folder")
        kind = QgsProcessingParameterFile.Behavior.File
        self.add(
            QgsProcessingParameterFile(INPUT, label, kind, "", None, True, files),
            translate(
                "ScasNet",
                "A model file (.onnx) in single precision, of this plugin or made for Deepness or "
                "GeoDeep; or a training: its folder (the model's name with _training added), or "
                "state.json in its folder best or checkpoint. Leave it empty for the built-in "
                "model.",
            ),
        )

    def _add_files(self) -> None:
        self.add_file(
            OUTPUT,
            translate("ScasNet", "Exported model"),
            translate("ScasNet", "Models (*.onnx)"),
            translate(
                "ScasNet",
                "The model file for Map land cover, with the description of the original.",
            ),
            required=True,
        )
        pages = translate("ScasNet", "HTML files (*.html)")
        self.add_file(
            REPORT,
            translate("ScasNet", "Report"),
            f"{pages};;{translate('ScasNet', 'JSON files (*.json)')}",
            translate(
                "ScasNet",
                "How much the exported model differs from the original, class by class: a web "
                "page, or a file for programs where its name ends in .json.",
            ),
        )

    def _add_outputs(self) -> None:
        numbers = {
            LARGEST_DIFFERENCE: translate("ScasNet", "Largest difference of a probability"),
            LABELS_AGREEING: translate("ScasNet", "Share of equal labels"),
            OVERALL_ACCURACY: translate("ScasNet", "Overall accuracy"),
            OVERALL_ACCURACY_FP32: translate("ScasNet", "Overall accuracy in fp32"),
            MEAN_IOU: translate("ScasNet", "Mean IoU"),
            MEAN_IOU_FP32: translate("ScasNet", "Mean IoU in fp32"),
            MEGABYTES: translate("ScasNet", "File size (MB)"),
        }
        self.add_outputs(QgsProcessingOutputNumber, numbers)

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        raster, reference = (str(parameters.get(name) or "") for name in (CALIBRATION, REFERENCE))
        known = {"path": reference} if reference else None
        check_source(self._request(parameters, context, Path(), raster, known))

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.qgis_ui.layers.layer_files import raster_path
        from scasnet_qgis.qgis_ui.layers.raster_inputs import read_reference

        self._raster, self._reference = "", None
        if parameters.get(CALIBRATION) not in (None, ""):
            raster = self.parameterAsRasterLayer(parameters, CALIBRATION, context)
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
        from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets
        from scasnet_qgis.qgis_ui.processing.worker_process import run_task
        from scasnet_qgis.training.export.report import write_report

        progress = FeedbackProgress(feedback)
        output = self.parameterAsFileOutput(parameters, OUTPUT, context)
        report_files = self.files_of(parameters, context, REPORT)
        reports = [Path(file) for file in report_files.values()]
        reference = reference_values(self._reference, Stage(progress, 0.0, _CLASSES_SHARE))
        request = self._request(parameters, context, Path(output), self._raster, reference)
        check_targets([request.output, *reports], [str(request.source)])
        report = run_task("export", vars(request), Stage(progress, _CLASSES_SHARE, 1.0))
        with atomic_files(reports) as working:
            for file in reports:
                write_report(report, working[file], translated)
        return {OUTPUT: output, **output_values(report), **report_files}

    def _request(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        output: Path,
        raster: str,
        reference: dict[str, Any] | None,
    ) -> ExportRequest:
        """What to export; ``raster`` and ``reference`` are what the layers say."""
        chosen = self.parameterAsString(parameters, INPUT, context)
        return read(
            self,
            parameters,
            context,
            ExportRequest,
            source=Path(chosen) if chosen else paths.default_model(),
            output=output,
            raster=raster,
            demo=str(paths.resources() / "demo" / "dubai.tif"),
            reference=reference,
        )


def check_source(request: ExportRequest) -> None:
    """Raise ModelError or SettingError for a source that cannot be exported as it is wanted."""
    from scasnet_qgis.models.model_file import inspect
    from scasnet_qgis.training.export import source as export_source

    if request.is_model:
        export_source.check_source(inspect(request.source), request.fixed_size)
    elif not request.source.exists():
        raise ModelError(
            translate(
                "ScasNet", "{path} does not exist: choose a model (.onnx) or a training's folder."
            ),
            path=request.source,
        )


def reference_values(reference: ReferenceInput | None, progress: Progress) -> dict[str, Any] | None:
    """The reference with its classes; finding them may mean to read it."""
    from scasnet_qgis.labels.labels import classes_of

    if reference is None:
        return None
    file, field = reference.file, reference.field
    classes: Sequence[LabelClass] = reference.legend
    if not classes and not field:
        classes = classes_of(file.path, progress=progress)
    entries = [asdict(label_class) for label_class in classes]
    return {"path": file.path, "layer": file.layer, "field": field, "classes": entries}


def output_values(report: dict[str, Any]) -> dict[str, Any]:
    """The values of all outputs but the files; accuracy only where there is a reference."""
    keys = {
        LARGEST_DIFFERENCE: "largest_difference",
        LABELS_AGREEING: "labels_agreeing",
        OVERALL_ACCURACY: "overall_accuracy",
        OVERALL_ACCURACY_FP32: "overall_accuracy_fp32",
        MEAN_IOU: "mean_iou",
        MEAN_IOU_FP32: "mean_iou_fp32",
    }
    found = {name: report[key] for name, key in keys.items() if report[key] is not None}
    return {**found, MEGABYTES: round(report["bytes"] / 1e6, 3)}
