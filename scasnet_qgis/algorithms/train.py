"""``scasnet:train``: images and labels in, a model and a report on it out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterMultipleLayers,
)

from scasnet_qgis.common.errors import OutputError, ScasNetError
from scasnet_qgis.common.messages import Message, message
from scasnet_qgis.common.options import options_of
from scasnet_qgis.i18n import translate
from scasnet_qgis.qgis_ui.processing.base import (
    FeedbackProgress,
    ScasNetAlgorithm,
    is_temporary,
    sentence_of,
    translated,
)
from scasnet_qgis.qgis_ui.processing.parameters import (
    CLASS_FIELD,
    INPUT,
    LABELS,
    VALIDATION_INPUT,
    VALIDATION_LABELS,
    declare,
    field_parameter,
    read,
    read_option,
)
from scasnet_qgis.training.data.options import DataOptions
from scasnet_qgis.training.settings.config import TrainingConfig

if TYPE_CHECKING:
    from scasnet_qgis.common.progress import Progress
    from scasnet_qgis.qgis_ui.layers.training_layers import TrainingData

MODEL, REPORT = "MODEL", "REPORT"
OVERALL_ACCURACY, MEAN_IOU, CLASS_ACCURACY = "OVERALL_ACCURACY", "MEAN_IOU", "CLASS_ACCURACY"
EPOCHS_DONE, STEPS, RESUMED = "EPOCHS_DONE", "STEPS", "RESUMED"
_BANDS = options_of(TrainingConfig)["band_numbers"]
_SHARE = options_of(TrainingConfig)["validation_share"]
_START = options_of(TrainingConfig)["start_from"]


class Train(ScasNetAlgorithm):
    """Trains a network in a process of its own."""

    _data: TrainingData

    def __init__(self) -> None:
        super().__init__()
        self._command = ""
        self._model = Path()
        self._report: Path | None = None

    def name(self) -> str:
        return "train"

    def displayName(self) -> str:
        return translate("ScasNet", "Train a model")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Makes a land-cover model from images and labels.")

    def shortHelpString(self) -> str:
        return translate(
            "ScasNet",
            "Trains a model for your own area, from images and from polygons or rasters that give "
            "the class of places in them. The result is a model file for Map land cover, and a "
            "report on its accuracy.\n\nTraining runs in a separate process, with a Python that "
            "has PyTorch: QGIS's, or the one chosen in Settings > Options > Processing > Providers "
            "> ScasNet. Check the set-up tells whether there is one.\n\nCancel ends a training "
            "within seconds and keeps the best model so far. To continue it, also after a crash, "
            "run it again with the same settings and the same model file.",
        )

    def keywords(self) -> str:
        return translate(
            "ScasNet", "land cover,classification,training,machine learning,deep learning,onnx"
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_layers()
        declare(self, TrainingConfig, "band_numbers", "validation_share", "variant", "start_from")
        declare(self, TrainingConfig, "time_budget", "epochs", "card")
        self._add_files()
        declare(self, DataOptions)
        self._add_validation_layers()
        declare(self, TrainingConfig, "width", "crop", "batch", "optimizer", "learning_rate")
        declare(self, TrainingConfig, "head_rate", "device", "threads", "seed")
        self._add_outputs()

    def _add_layers(self) -> None:
        self.add(
            _layers(INPUT, translate("ScasNet", "Images"), QgsProcessing.SourceType.TypeRaster),
            translate(
                "ScasNet",
                "Aerial or satellite images to learn from, all with the same bands. Only the parts "
                "around labels are read.",
            ),
        )
        self.add(
            _layers(
                LABELS,
                translate("ScasNet", "Training polygons or a class raster"),
                QgsProcessing.SourceType.TypeMapLayer,
            ),
            translate(
                "ScasNet",
                "Polygons with a class, or rasters of class values, in any coordinate reference "
                "system. A few dozen polygons are enough to begin with; areas without a label are "
                "not used. Class names and colours come from the layer's legend, or from the file.",
            ),
        )
        self.add(
            field_parameter(CLASS_FIELD, translate("ScasNet", "Class field"), LABELS),
            translate(
                "ScasNet",
                "Field with the class of a polygon, as text or number. Polygons without "
                "a value are not used. Rasters need no field.",
            ),
        )

    def _add_files(self) -> None:
        self.add_file(
            MODEL,
            translate("ScasNet", "Model"),
            translate("ScasNet", "Models (*.onnx)"),
            translate(
                "ScasNet",
                "The model file for Map land cover. A folder of the same name with _training added "
                "is made beside it, from which a later run can continue.",
            ),
            required=True,
        )
        self.add_file(
            REPORT,
            translate("ScasNet", "Report"),
            translate("ScasNet", "HTML files (*.html)"),
            translate(
                "ScasNet",
                "A web page with the accuracy of each class, the confusion matrix, the course of "
                "the training, examples, the settings, and the command that repeats it. On the "
                "command line it is written beside the model where no name is given.",
            ),
            by_default=True,
        )

    def _add_validation_layers(self) -> None:
        self.add(
            _layers(
                VALIDATION_INPUT,
                translate("ScasNet", "Validation images"),
                QgsProcessing.SourceType.TypeRaster,
            ),
            translate(
                "ScasNet",
                "Images to measure the accuracy on. With them, all other images are learned from, "
                "and no share is set aside.",
            ),
            advanced=True,
        )
        self.add(
            _layers(
                VALIDATION_LABELS,
                translate("ScasNet", "Validation labels"),
                QgsProcessing.SourceType.TypeMapLayer,
            ),
            translate(
                "ScasNet",
                "Labels of the validation images. Leave it empty if the labels above cover them "
                "as well.",
            ),
            advanced=True,
        )

    def _add_outputs(self) -> None:
        numbers = {
            OVERALL_ACCURACY: translate("ScasNet", "Overall accuracy on the validation data"),
            MEAN_IOU: translate("ScasNet", "Mean IoU on the validation data"),
            EPOCHS_DONE: translate("ScasNet", "Epochs done"),
            STEPS: translate("ScasNet", "Steps done"),
        }
        self.add_outputs(QgsProcessingOutputNumber, numbers)
        label = translate("ScasNet", "IoU of each class on the validation data (JSON)")
        self.addOutput(QgsProcessingOutputString(CLASS_ACCURACY, label))
        label = translate("ScasNet", "Whether an earlier run was resumed")
        self.addOutput(QgsProcessingOutputBoolean(RESUMED, label))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        from scasnet_qgis.qgis_ui.layers.training_layers import TrainingLayers

        # Before QGIS looks, which refuses some of it without saying which layer it is about.
        try:
            TrainingLayers(self, parameters, context, QgsProcessingFeedback()).check()
        except ScasNetError as error:
            return False, sentence_of(error)
        return super().checkParameterValues(parameters, context)

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.qgis_ui.layers.training_layers import TrainingLayers

        self._command = self.asPythonCommand(parameters, context)
        self._read_targets(parameters, context)
        self._data = TrainingLayers(self, parameters, context, feedback).data()

    def _read_targets(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Read them once: QGIS makes up another name for a temporary file each time."""
        self._model = Path(self.parameterAsFileOutput(parameters, MODEL, context))
        self._report = self._model.parent / f"{self._model.stem}_report.html"
        if REPORT in parameters:  # else a script or the command line: as in the toolbox
            chosen = self.parameterAsFileOutput(parameters, REPORT, context)
            self._report = Path(chosen) if chosen else None
        start = read_option(self, parameters, context, _START)
        check_targets(self._model, self._report, Path(start))

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.qgis_ui.processing.worker_process import run_task

        progress = FeedbackProgress(feedback)
        self._warn(progress)
        config = self.config(parameters, context, self._data, progress)
        model = self._model.absolute()
        request = {
            "config": config.as_dict(),
            "output": str(model),
            "work": str(training_folder(model)),
            "command": self._command,
        }
        result = run_task("train", request, progress)
        outputs = {MODEL: str(self._model), **output_values(result)}
        if self._report is not None and self._write_report(self._report, progress):
            outputs[REPORT] = str(self._report)
        self._tell_what_next(outputs, progress)
        return outputs

    def config(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        data: TrainingData,
        progress: Progress,
    ) -> TrainingConfig:
        """All settings; the log names the classes and the bands.

        Raises SettingError and InputError.
        """
        from scasnet_qgis.images.gdal_session import gdal_session
        from scasnet_qgis.training.data.model_inputs import model_bands, model_classes
        from scasnet_qgis.training.data.sources import expand

        chosen = parameters.get(_BANDS.parameter)
        if isinstance(chosen, (list, tuple)):
            parameters = {**parameters, _BANDS.parameter: ";".join(map(str, chosen))}
        with gdal_session():
            sources = expand(data.entries, Path())
            classes = model_classes(sources, data.known_classes, progress)
            text = translate("ScasNet", "Classes: {names}")
            progress.info(message(text, names=", ".join(entry["name"] for entry in classes)))
            wanted = read_option(self, parameters, context, _BANDS)
            bands, numbers = model_bands(sources[0].image, wanted)
            text = translate("ScasNet", "Bands of the model: {names}")
            progress.info(message(text, names=", ".join(bands)))
        share = 0.0 if data.has_validation else read_option(self, parameters, context, _SHARE)
        return read(
            self,
            parameters,
            context,
            TrainingConfig,
            data=data.entries,
            classes=classes,
            bands=bands,
            band_numbers=numbers,
            validation_share=share,
        )

    def _warn(self, progress: Progress) -> None:
        for warning in self._data.warnings:
            progress.warn(warning)
        if is_temporary(self._model):
            progress.warn(
                translate(
                    "ScasNet",
                    "The model is a temporary file and will be deleted when QGIS closes: choose a "
                    "file for it, or copy it.",
                )
            )

    def _write_report(self, report: Path, progress: Progress) -> bool:
        """Whether the report was written; without it the model is still there, and not lost."""
        from scasnet_qgis.training.report import write_report

        folder = training_folder(self._model)
        try:
            write_report(folder, report, lambda text: translated(Message(text)))
        except ScasNetError as error:
            progress.warn(error.message)
            return False
        return True

    def _tell_what_next(self, outputs: dict[str, Any], progress: Progress) -> None:
        if REPORT in outputs:
            text = translate("ScasNet", "Accuracy of each class and examples: see {report}")
            progress.info(message(text, report=outputs[REPORT]))
        text = translate(
            "ScasNet", "To map an image with this model, choose it in Map land cover: {model}"
        )
        progress.info(message(text, model=outputs[MODEL]))

    def cancelled_text(self) -> str:
        return translate(
            "ScasNet",
            "Cancelled before there was a model. Run it again with the same settings and the same "
            "model file to continue.",
        )


def _layers(
    name: str, label: str, kind: QgsProcessing.SourceType
) -> QgsProcessingParameterMultipleLayers:
    """Several layers, or none."""
    return QgsProcessingParameterMultipleLayers(name, label, kind, None, True)


def training_folder(model: Path) -> Path:
    """Where a training keeps what a later run continues from."""
    return model.with_name(f"{model.stem}_training")


def check_targets(model: Path, report: Path | None, start: Path) -> None:
    """Raise OutputError where the results could not be written, before hours are spent."""
    from scasnet_qgis.common.file_errors import check_ending, check_replaceable, check_target

    check_ending(model, ".onnx")
    for path in (model, report):
        if path is not None:
            check_target(path)
            check_replaceable(path)
    if model.absolute() == start:
        raise OutputError(
            translate("ScasNet", "The training starts from {model}: choose another name."),
            model=model,
        )


def output_values(result: dict[str, Any]) -> dict[str, Any]:
    """The values of all outputs but the files, from what the training process gave."""
    return {
        OVERALL_ACCURACY: result["overall_accuracy"],
        MEAN_IOU: result["mean_iou"],
        CLASS_ACCURACY: json.dumps(result["iou"], ensure_ascii=False),
        EPOCHS_DONE: result["epochs"],
        STEPS: result["steps"],
        RESUMED: bool(result["resumed"]),
    }
