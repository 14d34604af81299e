"""``scasnet:train``: images and labels in, a model and a report on it out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProcessingUtils

from scasnet_qgis.algorithms import train_names as names
from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm, sentence_of
from scasnet_qgis.algorithms.train_parameters import add_to, help_text
from scasnet_qgis.core.errors import ScasNetError
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.train_data import TrainingData


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
        from scasnet_qgis.algorithms.train_layers import LayerReader

        # Before QGIS looks, which refuses some of it without saying which layer it is about.
        try:
            LayerReader(self, parameters, context, QgsProcessingFeedback()).check()
        except ScasNetError as error:
            return False, sentence_of(error)
        return super().checkParameterValues(parameters, context)

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.algorithms.train_layers import LayerReader

        self._command = self.asPythonCommand(parameters, context)
        self._read_targets(parameters, context)
        self._data = LayerReader(self, parameters, context, feedback).data()

    def _read_targets(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Read them once: QGIS makes up another name for a temporary file each time."""
        from scasnet_qgis.algorithms.train_request import check_targets, start_from

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
        from scasnet_qgis.algorithms.child_process import run_task
        from scasnet_qgis.algorithms.train_request import (
            config_of,
            output_values,
            work_folder,
            write_report,
        )

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
            "config": config_of(self, parameters, context, self._data, progress),
            "output": str(self._model.absolute()),
            "work": str(work_folder(self._model.absolute())),
            "command": self._command,
        }
        result = run_task("train", request, progress)
        outputs = {names.MODEL: str(self._model), **output_values(result)}
        if self._report is not None and write_report(self._model, self._report, feedback):
            outputs[names.REPORT] = str(self._report)
        return outputs
