"""``scasnet:modelinfo``: what a model file is, ours or another program's, or a map made by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
)

from scasnet_qgis import paths
from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.i18n import translate
from scasnet_qgis.qgis_ui.processing.base import ScasNetAlgorithm

INPUT, TEXT, JSON, HTML = "INPUT", "TEXT", "JSON", "HTML"

Check = Callable[[], None]
Writers = dict[str, Callable[[], str]]


class ModelInformation(ScasNetAlgorithm):
    """Prints a model's card, or a map's origin, as text, JSON and HTML."""

    def name(self) -> str:
        return "modelinfo"

    def displayName(self) -> str:
        return translate("ScasNet", "About a model or a map")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Describes a model, or how a map was made.")

    def shortHelpString(self) -> str:
        return translate(
            "ScasNet",
            "Describes a model file: its classes and colours, the bands, values and ground "
            "resolution it was made for, its accuracy and on what data, its licence, size and "
            "checksum.\n\nIt reads models of this plugin and those made for Deepness or GeoDeep. "
            "What a file does not say is omitted or shown as the default that would be used.\n\n"
            "For a map (.tif) it shows how the map was made: the image, the model, the settings, "
            "the software and the date, the area of each class, whether the file is unchanged "
            "since creation, and the command that makes it again.",
        )

    def keywords(self) -> str:
        return translate("ScasNet", "model card,onnx,metadata,licence,provenance,history")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(
            QgsProcessingParameterFile(
                INPUT,
                translate("ScasNet", "Model or map"),
                QgsProcessingParameterFile.Behavior.File,
                "",
                None,
                True,
                translate("ScasNet", "Models and maps (*.onnx *.tif *.tiff)"),
            ),
            translate(
                "ScasNet",
                "A model file (.onnx), or a map made by this plugin (.tif). Leave it empty for the"
                " built-in model.",
            ),
        )
        self.add_file(
            JSON,
            translate("ScasNet", "Description (JSON)"),
            translate("ScasNet", "JSON files (*.json)"),
            translate("ScasNet", "A JSON file with every field, for other programs."),
        )
        self.add_file(
            HTML,
            translate("ScasNet", "Description (HTML)"),
            translate("ScasNet", "HTML files (*.html)"),
            translate("ScasNet", "A web page with all of it; it needs no internet."),
        )
        self.addOutput(QgsProcessingOutputString(TEXT, translate("ScasNet", "Text")))

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        from scasnet_qgis.models.model_file import inspect
        from scasnet_qgis.qgis_ui.about.map_facts import MapFacts, is_map

        chosen = self._chosen(parameters, context)
        if is_map(chosen):
            MapFacts.without_checksum(chosen)
        else:
            inspect(chosen)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets
        from scasnet_qgis.outputs.provenance.run_record import record_file
        from scasnet_qgis.qgis_ui.about.map_facts import is_map

        def check() -> None:
            if feedback.isCanceled():
                raise Cancelled

        chosen = self._chosen(parameters, context)
        targets = self.files_of(parameters, context, JSON, HTML)
        files = {name: Path(target) for name, target in targets.items()}
        check_targets(list(files.values()), [str(chosen), str(record_file(chosen))])
        text, writers = _map_texts(chosen, check) if is_map(chosen) else _texts(chosen, check)
        for line in text.splitlines():
            feedback.pushInfo(line)
        with atomic_files(list(files.values())) as working:
            for name, file in files.items():
                working[file].write_text(writers[name](), encoding="utf-8")
        return {TEXT: text, **targets}

    def _chosen(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Path:
        chosen = self.parameterAsFile(parameters, INPUT, context)
        return Path(chosen) if chosen else paths.default_model()


def _texts(path: Path, check: Check) -> tuple[str, Writers]:
    """The text about a model, and what makes the files."""
    from scasnet_qgis.models.model_file import inspect
    from scasnet_qgis.qgis_ui.about import model_facts, model_report

    facts = model_facts.ModelFacts.of(inspect(path), check)
    writers: Writers = {
        JSON: partial(model_facts.as_json, facts),
        HTML: partial(model_report.as_html, facts),
    }
    return model_report.as_text(facts), writers


def _map_texts(path: Path, check: Check) -> tuple[str, Writers]:
    """The same about a map."""
    from scasnet_qgis.qgis_ui.about import map_facts, map_report

    facts = map_facts.MapFacts.of(path, check)
    writers: Writers = {
        JSON: partial(map_facts.as_json, facts),
        HTML: partial(map_report.as_html, facts),
    }
    return map_report.as_text(facts), writers
