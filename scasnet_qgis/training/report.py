"""The report on a training: one HTML file from the run's work folder, with its example pictures.

Needs no PyTorch, because it runs in QGIS as well.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import OutputError, TrainingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.options import labels as option_labels
from scasnet_qgis.common.options import options_of
from scasnet_qgis.common.reports import page as html
from scasnet_qgis.common.reports.escaping import safe_color
from scasnet_qgis.images.png import png_bytes
from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets
from scasnet_qgis.training.run_log import LOG, Curve, History, smoothed
from scasnet_qgis.training.settings.config import TrainingConfig
from scasnet_qgis.training.worker.protocol import text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # Pixels [3, rows, cols], class indices of the reference and of the network [rows, cols].
    Example = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

Translator = Callable[[str], str]

REPORT, EXAMPLES = "report/report.json", "report/examples"
PICTURES = ("image", "truth", "prediction")  # of an example
_IMAGE_NAME = re.compile(r"(\d{2})_image\.png")
_LIGHT, _GREY, _SQUARE = 244, 220, 8  # the chequered ground where there is no class
_MAX_CURVES = 8  # classes whose IoU is drawn over time


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
                "The training folder {folder} has no complete report: run the training again "
                "with the same settings to resume it.",
            ),
            f"{type(error).__name__}: {error}",
            folder=work,
        ) from error
    check_targets([output], [])
    with atomic_files([output]) as working:
        working[output].write_text(text, encoding="utf-8")


class _Report:
    """The sections of one report."""

    def __init__(self, report: dict[str, Any], history: History, tr: Translator) -> None:
        self._report, self._history, self._tr = report, history, tr
        self._classes = [(str(entry["name"]), str(entry["color"])) for entry in report["classes"]]
        self._names = [name for name, _ in self._classes]
        size = len(self._names)
        counts = np.array(report.get("confusion") or np.zeros((size, size)), dtype=np.int64)
        self._matrix = ConfusionMatrix(counts.reshape(size, size))

    def page(self, examples: list[tuple[bytes, ...]]) -> str:
        tr, report = self._tr, self._report
        sections = (
            self._result(),
            self._next_steps(),
            self._curves(),
            self._accuracy(),
            self._examples(examples),
            self._values("data", translate("ScasNet", "Data")),
            self._values("settings", translate("ScasNet", "Settings")),
            self._command(),
        )
        title = tr(translate("ScasNet", "Training report"))
        if report.get("title"):
            title += f": {report['title']}"
        lang = tr(translate("ScasNet", "en"))  # the code of the language the texts are in
        return html.page(title, *filter(None, sections), lang=lang)

    def _section(self, title: str, *parts: str) -> str:
        return html.section(self._tr(title), *parts)

    def _paragraph(self, text: str) -> str:
        return html.paragraph(self._tr(text))

    def _facts(self, facts: Mapping[str, str]) -> str:
        return html.facts([(self._tr(label), value) for label, value in facts.items()])

    def _result(self) -> str:
        report, history = self._report, self._history
        facts = {
            translate("ScasNet", "Overall accuracy"): _figure(report["overall_accuracy"]),
            translate("ScasNet", "Mean IoU"): _figure(report["mean_iou"]),
            translate("ScasNet", "Validation pixels"): html.count(self._matrix.total),
            translate("ScasNet", "Training steps"): html.count(history.steps),
            translate("ScasNet", "Training time (minutes)"): html.decimal(history.minutes, 1),
        }
        text = translate(
            "ScasNet",
            "Measured on the validation data, which the network was not trained on. They were "
            "used to pick its best state, so expect slightly less elsewhere. Overall accuracy is "
            "the share of pixels with the right class. The IoU (intersection over union) of a "
            "class is the area on which map and reference agree, divided by the area that either "
            "of them gives to the class.",
        )
        warnings = map(html.warning, self._warnings())
        title = translate("ScasNet", "Result")
        return self._section(title, *warnings, self._facts(facts), self._paragraph(text))

    def _warnings(self) -> list[str]:
        tr, report = self._tr, self._report
        warnings = []
        if not report.get("finished", True):
            text = translate(
                "ScasNet",
                "The training was stopped early: this is the best model up to then. Run it again "
                "with the same settings to resume.",
            )
            warnings.append(tr(text))
        absent = [name for name, count in zip(self._names, self._matrix.in_reference) if not count]
        if absent and self._matrix.total:
            text = translate(
                "ScasNet", "Accuracy unknown, because there are no validation pixels: {names}"
            )
            warnings.append(tr(text).format(names=", ".join(absent)))
        messages = map(text_of, report.get("notes", []))
        return [*warnings, *(message.filled(tr(message.template)) for message in messages)]

    def _next_steps(self) -> str:
        texts = (
            translate(
                "ScasNet",
                "Use the model: choose its file (.onnx) in Map land cover, for images with the "
                "same bands and a similar ground resolution.",
            ),
            translate(
                "ScasNet",
                "Check the map: Draw sample points and Evaluate a map tell its accuracy with "
                "confidence intervals.",
            ),
            translate(
                "ScasNet",
                "Improve the model: add training polygons of the classes with a low IoU, above "
                "all where the confusion matrix shows them mixed up, and train again.",
            ),
        )
        title = translate("ScasNet", "What to do next")
        return self._section(title, *(self._paragraph(text) for text in texts))

    def _curves(self) -> str:
        tr, history = self._tr, self._history
        if not history.losses and not history.scores:
            return ""
        x_label = tr(
            translate("ScasNet", "Epoch") if history.in_epochs else translate("ScasNet", "Step")
        )
        charts: list[tuple[str, dict[str, Curve], tuple[float, float] | None]] = []
        if history.losses:
            loss, label = history.curve("loss"), tr(translate("ScasNet", "Loss"))
            mean = tr(translate("ScasNet", "Loss, running mean"))
            charts.append((label, {mean: smoothed(loss), label: loss}, None))
        if history.scores:
            scores = {
                tr(translate("ScasNet", "Overall accuracy")): history.curve("overall_accuracy"),
                tr(translate("ScasNet", "Mean IoU")): history.curve("mean_iou"),
            }
            charts.append((tr(translate("ScasNet", "Validation accuracy")), scores, (0, 1)))
        if len(history.scores) > 1 and len(self._names) <= _MAX_CURVES:
            class_curves = {name: history.class_curve(name) for name in self._names}
            charts.append((tr(translate("ScasNet", "IoU by class")), class_curves, (0, 1)))
        if history.losses:
            label = tr(translate("ScasNet", "Learning rate"))
            charts.append((label, {label: history.curve("learning_rate")}, None))
        text = translate(
            "ScasNet",
            "A step trains on one batch of image crops, an epoch on as many crops as cover the "
            "training data once. The loss is the error on these crops: it should fall and then "
            "level off. If the validation accuracy still rises at the end, train for longer.",
        )
        drawn = (
            html.line_chart(curves, x_label=x_label, y_label=y_label, y_range=y_range)
            for y_label, curves, y_range in charts
        )
        title = translate("ScasNet", "Training progress")
        return self._section(title, self._paragraph(text), *drawn)

    def _accuracy(self) -> str:
        tr, matrix = self._tr, self._matrix
        if not matrix.total:
            return ""
        caption = translate(
            "ScasNet",
            "Confusion matrix: validation pixels by reference class (rows) and mapped class "
            "(columns), with their share of the row. Correct pixels are outlined.",
        )
        heat_map = html.heat_map(
            matrix.counts,
            self._names,
            self._names,
            corner=tr(translate("ScasNet", "Reference ↓ Map →")),
            caption=tr(caption),
        )
        title = translate("ScasNet", "Accuracy by class")
        return self._section(title, self._class_table(), heat_map)

    def _class_table(self) -> str:
        tr, matrix = self._tr, self._matrix
        head = (
            translate("ScasNet", "Class"),
            translate("ScasNet", "Reference pixels"),
            translate("ScasNet", "Precision"),
            translate("ScasNet", "Recall"),
            translate("ScasNet", "F1"),
            translate("ScasNet", "IoU"),
        )
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
            "Precision (user's accuracy): share of the pixels mapped as a class that belong to it. "
            "Recall (producer's accuracy): share of the pixels of a class that are mapped as it. "
            "F1: harmonic mean of both.",
        )
        return html.table(list(map(tr, head)), rows, colors, caption=tr(caption))

    def _examples(self, examples: list[tuple[bytes, ...]]) -> str:
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
                [(caption.format(number=number), png) for caption, png in zip(captions, pictures)]
            )
            for number, pictures in enumerate(examples, start=1)
        ]
        text = translate(
            "ScasNet", "Parts of the validation data; chequered where the reference has no class."
        )
        title = translate("ScasNet", "Examples")
        return self._section(title, self._paragraph(text), html.legend(self._classes), *rows)

    def _values(self, key: str, title: str) -> str:
        """A section with what the report holds under ``key``."""
        labels, values = _labels(), self._report.get(key) or {}
        names = [name for name in labels if name in values]
        names += [name for name in values if name not in labels]
        pairs = [(self._tr(labels.get(name, str(name))), _setting(values[name])) for name in names]
        return self._section(title, html.facts(pairs)) if pairs else ""

    def _command(self) -> str:
        command = self._report.get("command")
        if not command:
            return ""
        text = translate(
            "ScasNet", "This command trains the model again with the same data and settings:"
        )
        title = translate("ScasNet", "Repeat this training")
        return self._section(title, self._paragraph(text), html.preformatted(str(command)))


def _figure(value: float | None) -> str:
    return html.decimal(value if value is not None else math.nan, 3)


def _labels() -> dict[str, str]:
    """What the data and the settings are called, those that the dialog asks for first."""
    declared = options_of(TrainingConfig)
    return {
        "resolution": translate("ScasNet", "Ground resolution (m per pixel)"),
        "training_data": translate("ScasNet", "Training data"),
        "validation_data": translate("ScasNet", "Validation data"),
        **{name: setting.label for name, setting in declared.items() if setting.parameter},
        **option_labels(TrainingConfig),
        "best_step": translate("ScasNet", "Step of the best network"),
        "steps_done": translate("ScasNet", "Training steps"),
        "minutes": translate("ScasNet", "Minutes of training"),
        "normalisation": translate("ScasNet", "Normalisation of the bands"),
    }


def _setting(value: Any) -> str:
    """A setting as it would be typed; a dash where it has none."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)


def save_examples(folder: Path, examples: Sequence[Example], colors: Sequence[str]) -> None:
    """Write ``NN_image.png``, ``NN_truth.png`` and ``NN_prediction.png`` for each example.

    ``colors`` are those of the classes, ``#rrggbb``; an index beyond them, such as 255 for no
    class, becomes a light chequered ground. Earlier examples in the folder are removed. Raises
    OutputError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in PICTURES:
            for old in folder.glob(f"[0-9][0-9]_{kind}.png"):
                old.unlink()
        for number, (image, *labels) in enumerate(examples, start=1):
            pictures = (image, *(label_picture(indices, colors) for indices in labels))
            for kind, pixels in zip(PICTURES, pictures):
                (folder / f"{number:02d}_{kind}.png").write_bytes(png_bytes(pixels))
    except OSError as error:
        text = translate("ScasNet", "Cannot write to {folder}: free some space or choose another.")
        raise OutputError(text, str(error), folder=folder) from error


def read_examples(folder: Path) -> list[tuple[bytes, ...]]:
    """The pictures (PNG) of every example, in the order of PICTURES; none where there are none.

    Raises OSError where one of the three is missing.
    """
    numbers = sorted(
        match[1]
        for path in folder.glob("*_image.png")
        if (match := _IMAGE_NAME.fullmatch(path.name))
    )
    return [
        tuple((folder / f"{number}_{kind}.png").read_bytes() for kind in PICTURES)
        for number in numbers
    ]


def label_picture(indices: NDArray[np.uint8], colors: Sequence[str]) -> NDArray[np.uint8]:
    """Class indices [rows, cols] as a picture [3, rows, cols]."""
    rows, cols = np.indices(indices.shape) // _SQUARE
    ground = np.where((rows + cols) % 2, _GREY, _LIGHT)
    table = np.zeros((256, 3), dtype=np.uint8)
    for index, color in enumerate(colors):
        table[index] = [int(safe_color(color)[at : at + 2], 16) for at in (1, 3, 5)]
    picture = np.where((indices < len(colors))[..., None], table[indices], ground[..., None])
    return np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.uint8)
