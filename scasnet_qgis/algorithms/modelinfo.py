"""``scasnet:modelinfo``: what a model file is, ours or another program's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)

from scasnet_qgis import dependencies, paths
from scasnet_qgis.algorithms.base import ScasNetAlgorithm, sentence_of
from scasnet_qgis.algorithms.model_facts import ModelFacts, as_json
from scasnet_qgis.algorithms.model_report import as_html, as_text
from scasnet_qgis.core.errors import Cancelled, ScasNetError
from scasnet_qgis.i18n import translate
from scasnet_qgis.models.onnx_file import ModelInfo, inspect
from scasnet_qgis.raster.whole_files import check_targets, whole_files

INPUT, TEXT, JSON, HTML = "INPUT", "TEXT", "JSON", "HTML"


class ModelInformation(ScasNetAlgorithm):
    """Prints a model's card as text, JSON and HTML."""

    def name(self) -> str:
        return "modelinfo"

    def displayName(self) -> str:
        return translate("ScasNet", "About a model")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Tells what a model file knows, wants and is allowed for.")

    def shortHelpString(self) -> str:
        return translate(
            "ScasNet",
            "Tells what a model file is: its classes and colours, the bands, values and ground "
            "resolution it was made for, how good it is and on what data, its licence, its size "
            "and checksum.\n\nIt reads models of this plugin and those made for Deepness or "
            "GeoDeep. What a file does not say is left out or shown as the default that would be "
            "used.",
        )

    def tags(self) -> list[str]:
        return list(translate("ScasNet", "model card,onnx,metadata,licence").split(","))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(
            QgsProcessingParameterFile(
                INPUT,
                translate("ScasNet", "Model"),
                QgsProcessingParameterFile.Behavior.File,
                "onnx",
                None,
                True,
            ),
            translate(
                "ScasNet",
                "The model file (.onnx). Leave it empty for the model that comes with the plugin.",
            ),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                JSON,
                translate("ScasNet", "Description for programs"),
                translate("ScasNet", "JSON files (*.json)"),
                None,
                True,
                False,
            ),
            translate("ScasNet", "A JSON file with every field, to be read by other programs."),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                HTML,
                translate("ScasNet", "Description to read"),
                translate("ScasNet", "HTML files (*.html)"),
                None,
                True,
                False,
            ),
            translate(
                "ScasNet", "A page with all of it, to be opened in a browser; it needs no internet."
            ),
        )
        self.addOutput(QgsProcessingOutputString(TEXT, translate("ScasNet", "Text")))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        fine, message = super().checkParameterValues(parameters, context)
        if not fine:
            return fine, message
        dependencies.extend_path()
        try:
            self._model(parameters, context)
        except ScasNetError as error:
            return False, sentence_of(error)
        return True, ""

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        def check() -> None:
            if feedback.isCanceled():
                raise Cancelled

        model = self._model(parameters, context)
        targets = {
            name: self.parameterAsFileOutput(parameters, name, context)
            for name in (JSON, HTML)
            if parameters.get(name) not in (None, "")
        }
        files = {name: Path(target) for name, target in targets.items()}
        check_targets(list(files.values()), [str(model.path)])
        facts = ModelFacts.of(model, check)
        text = as_text(facts)
        for line in text.splitlines():
            feedback.pushInfo(line)
        writers = {JSON: as_json, HTML: as_html}
        with whole_files(list(files.values())) as working:
            for name, file in files.items():
                working[file].write_text(writers[name](facts), encoding="utf-8")
        return {TEXT: text, **targets}

    def _model(self, parameters: dict[str, Any], context: QgsProcessingContext) -> ModelInfo:
        chosen = self.parameterAsFile(parameters, INPUT, context)
        return inspect(Path(chosen) if chosen else paths.default_model())
