"""The report about a training run: one HTML file from the run's work folder.

Needs no PyTorch, because it runs in QGIS as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scasnet_qgis.common.options import labels as option_labels
from scasnet_qgis.common.options import options_of
from scasnet_qgis.core import html
from scasnet_qgis.core.accuracy import ConfusionMatrix
from scasnet_qgis.core.errors import TrainingError
from scasnet_qgis.core.messages import Message, translate
from scasnet_qgis.raster.whole_files import check_targets, whole_files
from scasnet_qgis.training.config import TrainingConfig
from scasnet_qgis.training.events import text_of
from scasnet_qgis.training.examples import read_examples, save_examples
from scasnet_qgis.training.history import History, smoothed

__all__ = ("EXAMPLES", "LOG", "REPORT", "save_examples", "write_report")

Translator = Callable[[str], str]

LOG, REPORT, EXAMPLES = "log.jsonl", "report/report.json", "report/examples"
_MOST_CURVES = 8  # classes whose IoU is drawn over time


def write_report(work: Path, output: Path, tr: Translator) -> None:
    """Write ``output`` (HTML) about the run in ``work``, whole or not at all.

    ``tr`` translates templates. Raises TrainingError where the folder holds no
    whole report and OutputError where the file cannot be written.
    """
    try:
        report = json.loads((work / REPORT).read_text(encoding="utf-8"))
        history = History.read(work / LOG)
        examples = read_examples(work / EXAMPLES)
        text = _Report(report, history, tr).page(examples)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise TrainingError(
            translate(
                "ScasNet",
                "The training folder {folder} holds no whole report: run the training again with "
                "the same settings, and it goes on from where it was.",
            ),
            f"{type(error).__name__}: {error}",
            folder=work,
        ) from error
    check_targets([output], [])
    with whole_files([output]) as working:
        working[output].write_text(text, encoding="utf-8")


class _Report:
    """The sections of one report."""

    def __init__(self, report: dict[str, Any], history: History, tr: Translator) -> None:
        self._report, self._history, self._tr = report, history, tr
        self._classes = [(str(each["name"]), str(each["color"])) for each in report["classes"]]
        self._names = [name for name, _ in self._classes]
        size = len(self._names)
        counts = np.array(report.get("confusion") or np.zeros((size, size)), dtype=np.int64)
        self._matrix = ConfusionMatrix(counts.reshape(size, size))

    def page(self, examples: list[tuple[bytes, ...]]) -> str:
        tr, report = self._tr, self._report
        parts = [self._summary(), self._curves(), self._accuracy(), self._tiles(examples)]
        parts += [self._facts(), self._repeat()]
        title = tr(translate("ScasNet", "Training report"))
        if report.get("title"):
            title += f": {report['title']}"
        lang = tr(translate("ScasNet", "en"))  # the code of the language the texts are in
        return html.page(title, *[each for each in parts if each], lang=lang)

    def _summary(self) -> str:
        tr, report, history = self._tr, self._report, self._history
        pairs = [
            (tr(translate("ScasNet", "Overall accuracy")), _figure(report["overall_accuracy"])),
            (tr(translate("ScasNet", "Mean IoU")), _figure(report["mean_iou"])),
            (tr(translate("ScasNet", "Validation pixels")), html.count(self._matrix.total)),
            (tr(translate("ScasNet", "Training steps")), html.count(history.steps)),
            (tr(translate("ScasNet", "Minutes of training")), html.decimal(history.minutes, 1)),
        ]
        text = translate(
            "ScasNet",
            "All figures are of the best network of this run, measured on the validation data, "
            "from which nothing was learned. They chose the network, though, so expect somewhat "
            "less elsewhere. IoU is the intersection over union: the share that reference and map "
            "have in common of what either of them calls the class.",
        )
        warnings = [html.warning(each) for each in self._notes()]
        return html.section(
            tr(translate("ScasNet", "Result")),
            *warnings,
            html.facts(pairs),
            html.paragraph(tr(text)),
        )

    def _notes(self) -> list[str]:
        tr, report = self._tr, self._report
        notes = []
        if not report.get("finished", True):
            text = translate(
                "ScasNet",
                "The training was stopped before its end: the figures are those of the best "
                "network up to then.",
            )
            notes.append(tr(text))
        absent = [
            name for name, pixels in zip(self._names, self._matrix.in_reference) if not pixels
        ]
        if absent and self._matrix.total:
            text = translate(
                "ScasNet",
                "Classes without a pixel in the validation data, so of unknown accuracy: {names}",
            )
            notes.append(tr(text).format(names=", ".join(absent)))
        return [*notes, *(_filled(text_of(each), tr) for each in report.get("notes", []))]

    def _curves(self) -> str:
        tr, history = self._tr, self._history
        if not history.losses and not history.scores:
            return ""
        across = tr(
            translate("ScasNet", "Epoch") if history.in_epochs else translate("ScasNet", "Step")
        )
        charts = []
        if history.losses:
            loss, name = history.curve("loss"), tr(translate("ScasNet", "Loss"))
            mean = tr(translate("ScasNet", "Loss, running mean"))
            curves = {mean: smoothed(loss), name: loss}
            charts.append(html.line_chart(curves, x_label=across, y_label=name))
        scores = {
            tr(translate("ScasNet", "Overall accuracy")): history.curve("overall_accuracy"),
            tr(translate("ScasNet", "Mean IoU")): history.curve("mean_iou"),
        }
        if history.scores:
            label = tr(translate("ScasNet", "Accuracy of the validation"))
            charts.append(html.line_chart(scores, x_label=across, y_label=label, y_range=(0, 1)))
        if len(history.scores) > 1 and len(self._names) <= _MOST_CURVES:
            each_iou = {name: history.class_curve(name) for name in self._names}
            label = tr(translate("ScasNet", "IoU of each class"))
            charts.append(html.line_chart(each_iou, x_label=across, y_label=label, y_range=(0, 1)))
        if history.losses:
            name = tr(translate("ScasNet", "Learning rate"))
            rate = {name: history.curve("learning_rate")}
            charts.append(html.line_chart(rate, x_label=across, y_label=name))
        return html.section(tr(translate("ScasNet", "Course of the training")), *charts)

    def _accuracy(self) -> str:
        tr, matrix = self._tr, self._matrix
        if not matrix.total:
            return ""
        caption = translate(
            "ScasNet",
            "Validation pixels by the class of the reference (rows) and of the map (columns), with "
            "their share of the row; outlined where both agree",
        )
        heat = html.heat_map(
            matrix.counts,
            self._names,
            self._names,
            corner=tr(translate("ScasNet", "Reference ↓ Map →")),
            caption=tr(caption),
        )
        title = tr(translate("ScasNet", "Accuracy of the classes"))
        return html.section(title, self._table(), heat)

    def _table(self) -> str:
        tr, matrix = self._tr, self._matrix
        head = [
            tr(translate("ScasNet", "Class")),
            tr(translate("ScasNet", "Reference pixels")),
            tr(translate("ScasNet", "Precision")),
            tr(translate("ScasNet", "Recall")),
            tr(translate("ScasNet", "F1")),
            tr(translate("ScasNet", "IoU")),
        ]
        shares = np.stack([matrix.precision, matrix.recall, matrix.f1, matrix.iou], axis=1)
        rows = [
            [name, html.count(int(pixels)), *map(_figure, values)]
            for name, pixels, values in zip(self._names, matrix.in_reference, shares.tolist())
        ]
        means = (matrix.mean_precision, matrix.mean_recall, matrix.mean_f1, matrix.mean_iou)
        mean = tr(translate("ScasNet", "Mean"))
        rows.append([mean, html.count(matrix.total), *map(_figure, means)])
        colors = [color for _, color in self._classes]
        caption = translate(
            "ScasNet",
            "Precision is the share of the pixels mapped as a class that are it, recall the share "
            "of a class's pixels that are mapped as it, F1 their harmonic mean",
        )
        return html.table(head, rows, colors, caption=tr(caption))

    def _tiles(self, examples: list[tuple[bytes, ...]]) -> str:
        if not examples:
            return ""
        tr = self._tr
        captions = (
            tr(translate("ScasNet", "Image {number}")),
            tr(translate("ScasNet", "Reference {number}")),
            tr(translate("ScasNet", "Map {number}")),
        )
        rows = [
            html.picture_row(
                [(each.format(number=number), png) for each, png in zip(captions, pictures)]
            )
            for number, pictures in enumerate(examples, start=1)
        ]
        text = translate(
            "ScasNet",
            "Parts of the validation data. Where the reference names no class, it is chequered.",
        )
        title = tr(translate("ScasNet", "Examples"))
        return html.section(title, html.paragraph(tr(text)), html.legend(self._classes), *rows)

    def _facts(self) -> str:
        tr = self._tr
        labels = {
            "resolution": tr(translate("ScasNet", "Ground resolution (metres per pixel)")),
            "training_data": tr(translate("ScasNet", "Training data")),
            "validation_data": tr(translate("ScasNet", "Validation data")),
        }
        facts = _items(self._report, "data")
        data = [(labels.get(str(key), str(key)), _setting(each)) for key, each in facts]
        settings = self._settings()
        parts = [
            html.section(tr(translate("ScasNet", "Data")), html.facts(data)) if data else "",
            html.section(tr(translate("ScasNet", "Settings")), html.facts(settings))
            if settings
            else "",
        ]
        return "\n".join(each for each in parts if each)

    def _settings(self) -> list[tuple[str, str]]:
        declared = options_of(TrainingConfig)
        labels = {
            # First those that the dialog asks for.
            **{name: setting.label for name, setting in declared.items() if setting.parameter},
            **option_labels(TrainingConfig),
            "best_step": translate("ScasNet", "Step of the best network"),
            "steps_done": translate("ScasNet", "Training steps"),
            "minutes": translate("ScasNet", "Minutes of training"),
            "normalisation": translate("ScasNet", "Normalisation of the bands"),
        }
        rows = dict(_items(self._report, "settings"))
        names = [name for name in labels if name in rows]
        names += [name for name in rows if name not in labels]
        return [(self._tr(labels.get(name, str(name))), _setting(rows[name])) for name in names]

    def _repeat(self) -> str:
        tr, command = self._tr, self._report.get("command")
        if not command:
            return ""
        text = translate(
            "ScasNet", "This command trains the model again, with the same data and settings:"
        )
        title = tr(translate("ScasNet", "How to repeat it"))
        return html.section(title, html.paragraph(tr(text)), html.preformatted(str(command)))


def _items(report: Mapping[str, Any], key: str) -> list[tuple[Any, Any]]:
    return list((report.get(key) or {}).items())


def _filled(text: Message, tr: Translator) -> str:
    return text.filled(tr(text.template))


def _figure(value: float | None) -> str:
    return html.decimal(value if value is not None else math.nan, 3)


def _setting(value: Any) -> str:
    """A setting as it would be typed; a dash where it has none."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and all(isinstance(each, (str, int, float)) for each in value):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)
