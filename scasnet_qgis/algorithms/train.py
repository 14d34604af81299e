"""``scasnet:train``: images and labels in, a model and a report on it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProcessingUtils

from scasnet_qgis.algorithms import train_names as names
from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm, sentence_of, translated
from scasnet_qgis.algorithms.child_process import run_task
from scasnet_qgis.algorithms.train_data import TrainingData
from scasnet_qgis.algorithms.train_layers import LayerReader
from scasnet_qgis.algorithms.train_parameters import add_to, help_text, output_values
from scasnet_qgis.algorithms.train_request import (
    check_targets,
    class_entries,
    settings_of,
    start_from,
    work_folder,
)
from scasnet_qgis.core.errors import ScasNetError
from scasnet_qgis.core.messages import Message
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.i18n import translate
from scasnet_qgis.raster.session import gdal_session
from scasnet_qgis.training.sources import expand


class Train(ScasNetAlgorithm):
    """Trains a network in a process of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._data = TrainingData()
        self._command = ""
        self._model = Path()
        self._report: Path | None = None
        self._refusal: ScasNetError | None = None

    def name(self) -> str:
        return "train"

    def displayName(self) -> str:
        return translate("ScasNet", "Train a model")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Makes a land-cover model from images and labels.")

    def shortHelpString(self) -> str:
        return help_text()

    def tags(self) -> list[str]:
        words = translate(
            "ScasNet", "land cover,classification,training,machine learning,deep learning,onnx"
        )
        return list(words.split(","))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        add_to(self)

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        try:
            LayerReader(self, parameters, context, QgsProcessingFeedback()).check()
        except ScasNetError as error:
            return False, sentence_of(error)
        fine, text = super().checkParameterValues(parameters, context)
        return bool(fine), str(text)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        self._refusal = None
        try:
            self._read_targets(parameters, context)
            self._data = LayerReader(self, parameters, context, feedback).data()
        except ScasNetError as error:
            # QGIS shows no sentence of what is raised here: ``compute`` raises it again.
            self._refusal = error
        self._command = self.asPythonCommand(parameters, context)
        return True

    def _read_targets(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Read them once: QGIS makes up another name for a temporary file each time."""
        self._model = Path(self.parameterAsFileOutput(parameters, names.MODEL, context))
        self._report = self._model.parent / f"{self._model.stem}_report.html"
        if names.REPORT in parameters:  # else a script or the command line: as in the toolbox
            chosen = self.parameterAsFileOutput(parameters, names.REPORT, context)
            self._report = Path(chosen) if chosen else None
        start = start_from(self.parameterAsString(parameters, names.START_FROM, context))
        check_targets(self._model, self._report, start)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        if self._refusal is not None:
            raise self._refusal
        progress = FeedbackProgress(feedback)
        for each in self._data.warnings:
            progress.warn(each)
        if Path(QgsProcessingUtils.tempFolder()) in self._model.parents:
            feedback.pushWarning(
                translate(
                    "ScasNet",
                    "The model is a temporary file, which is gone once QGIS is closed: copy it, or "
                    "choose a file for it.",
                )
            )
        request = {
            "config": self._settings(parameters, context, progress),
            "output": str(self._model.absolute()),
            "work": str(work_folder(self._model.absolute())),
            "command": self._command,
        }
        result = run_task("train", request, progress)
        outputs = {names.MODEL: str(self._model), **output_values(result)}
        if self._report is not None and _write_report(self._model, self._report, feedback):
            outputs[names.REPORT] = str(self._report)
        return outputs

    def _settings(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        with gdal_session():
            sources = expand(self._data.entries, Path())
            classes = class_entries(self._data, sources, progress)
            text = translate("ScasNet", "Classes: {names}")
            progress.info(text.format(names=", ".join(each["name"] for each in classes)))
            settings = settings_of(self, parameters, context, self._data, sources[0].image)
            text = translate("ScasNet", "Bands of the model: {names}")
            progress.info(text.format(names=", ".join(settings["bands"])))
        return {"data": self._data.entries, "classes": classes, **settings}


def _write_report(model: Path, report: Path, feedback: QgsProcessingFeedback) -> bool:
    """Whether the report was written; without it the model is still there, and not lost."""
    from scasnet_qgis.training.report import write_report

    try:
        write_report(work_folder(model), report, lambda text: translated(Message(text)))
    except ScasNetError as error:
        feedback.pushWarning(sentence_of(error))
        return False
    return True
