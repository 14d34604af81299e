"""The comparison of an exported model with its original: for the log, as JSON and as a page.

Needs neither PyTorch nor the package onnx, because it runs in QGIS as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.redaction import redacted
from scasnet_qgis.common.reports import page as html
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.training.export.comparison import Parity
from scasnet_qgis.training.export.request import ExportRequest

Translator = Callable[[Message], str]

MIN_AGREEMENT = 0.98  # share of labels; where fewer agree, the user is warned


def report_of(
    request: ExportRequest, exact: ModelInfo, other: ModelInfo, parity: Parity
) -> dict[str, Any]:
    """The findings as JSON values; None where there is no reference."""
    judged = parity.exact.total > 0
    return {
        "name": other.card.name,
        "input": str(request.source),
        "output": str(request.output),
        "precision": request.precision,
        "fixed_size": other.fixed_size and other.fixed_size[0],
        "bytes": other.path.stat().st_size,
        "bytes_fp32": exact.path.stat().st_size,
        "windows": parity.windows,
        "pixels": parity.labels.total,
        "largest_difference": parity.largest_difference,
        "labels_agreeing": parity.agreeing,
        "seconds": parity.other_seconds,
        "seconds_fp32": parity.exact_seconds,
        "classes": [{"name": kind.name, "color": kind.color} for kind in other.card.classes],
        "labels": parity.labels.counts.tolist(),
        "overall_accuracy": parity.other.overall_accuracy if judged else None,
        "overall_accuracy_fp32": parity.exact.overall_accuracy if judged else None,
        "mean_iou": parity.other.mean_iou if judged else None,
        "mean_iou_fp32": parity.exact.mean_iou if judged else None,
        "confusion": parity.other.counts.tolist() if judged else None,
        "confusion_fp32": parity.exact.counts.tolist() if judged else None,
        "reference": None if request.reference is None else str(request.reference["path"]),
    }


def summary_of(report: Mapping[str, Any]) -> list[Message]:
    """The findings in lines for the log."""
    text = translate(
        "ScasNet",
        "Compared with the original (fp32) on {windows} windows ({pixels:,} pixels) of {raster}: "
        "{agreeing} of the labels agree; largest difference of a probability {difference:.2g}",
    )
    lines = [
        message(
            text,
            windows=report["windows"],
            pixels=report["pixels"],
            raster=Path(report["raster"]).name,
            agreeing=html.percent(report["labels_agreeing"], 2),
            difference=report["largest_difference"],
        )
    ]
    if report["overall_accuracy"] is not None:
        text = translate(
            "ScasNet",
            "Overall accuracy {accuracy:.4f} (fp32: {accuracy_fp32:.4f}), mean IoU {iou:.4f} "
            "(fp32: {iou_fp32:.4f})",
        )
        lines.append(
            message(
                text,
                accuracy=report["overall_accuracy"],
                accuracy_fp32=report["overall_accuracy_fp32"],
                iou=report["mean_iou"],
                iou_fp32=report["mean_iou_fp32"],
            )
        )
    text = translate(
        "ScasNet",
        "File size {size:.1f} MB (fp32: {size_fp32:.1f} MB); time on this CPU: {share} of fp32",
    )
    sizes = {"size": report["bytes"] / 1e6, "size_fp32": report["bytes_fp32"] / 1e6}
    lines.append(message(text, share=_time_share(report), **sizes))
    return lines


def _time_share(report: Mapping[str, Any]) -> str:
    """The time of the exported model in percent of that of its original."""
    before = float(report["seconds_fp32"])
    return html.percent(report["seconds"] / before if before > 0 else math.nan, 0)


def notes_of(report: Mapping[str, Any]) -> list[Message]:
    """What the user should know before using the model."""
    notes = []
    if report["labels_agreeing"] < MIN_AGREEMENT:
        text = translate(
            "ScasNet",
            "Only {agreeing} of the labels agree with the original (fp32): calibrate on a raster "
            "that is more like those to map, or choose fp16.",
        )
        notes.append(message(text, agreeing=html.percent(report["labels_agreeing"], 1)))
    if report["shared"] and report["calibrated_on"]:
        text = translate(
            "ScasNet",
            "The raster is small, so the model was compared on the same windows that it was "
            "calibrated on: on other images more labels may differ.",
        )
        notes.append(message(text))
    return notes


def write_report(report: Mapping[str, Any], path: Path, tr: Translator = str) -> None:
    """Write ``path``: JSON where its name ends so, else HTML; ``tr`` translates texts."""
    if path.suffix.lower() == ".json":
        content = {**report, "notes": [str(note) for note in notes_of(report)]}
        path.write_text(json.dumps(redacted(_finite(content)), indent=1), encoding="utf-8")
    else:
        path.write_text(_Page(report, tr).text(), encoding="utf-8")


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Page:
    """The report as HTML."""

    def __init__(self, report: Mapping[str, Any], tr: Translator) -> None:
        self._report, self._tr = report, tr
        self._names = [str(entry["name"]) for entry in report["classes"]]
        self._colors = [str(entry["color"]) for entry in report["classes"]]

    def _text(self, template: str, **values: Any) -> str:
        return self._tr(Message(template, values))

    def text(self) -> str:
        title = self._text(
            translate("ScasNet", "{name} in {precision}"),
            name=self._report["name"],
            precision=self._report["precision"],
        )
        sections = (self._summary(), self._classes(), self._labels(), self._method())
        lang = self._text(translate("ScasNet", "en"))  # the code of the language the texts are in
        return html.page(title, *sections, lang=lang)

    def _summary(self) -> str:
        report, text = self._report, self._text
        pairs = [
            (text(translate("ScasNet", "Labels that agree")), _share(report["labels_agreeing"])),
            (
                text(translate("ScasNet", "Largest difference of a probability")),
                html.decimal(report["largest_difference"], 4),
            ),
        ]
        for label, key in (
            (text(translate("ScasNet", "Overall accuracy")), "overall_accuracy"),
            (text(translate("ScasNet", "Overall accuracy, fp32")), "overall_accuracy_fp32"),
            (text(translate("ScasNet", "Mean IoU")), "mean_iou"),
            (text(translate("ScasNet", "Mean IoU, fp32")), "mean_iou_fp32"),
        ):
            if report[key] is not None:
                pairs.append((label, _share(report[key])))
        size = html.percent(report["bytes"] / report["bytes_fp32"], 0)
        pairs += [
            (text(translate("ScasNet", "Time on this CPU, share of fp32")), _time_share(report)),
            (text(translate("ScasNet", "File size, share of fp32")), size),
        ]
        explained = translate(
            "ScasNet",
            "fp32, fp16 and int8 are the kinds of numbers a model computes with: 32 or 16 bits, or "
            "whole numbers of 8 bits. Fewer bits make the file smaller and the rounding coarser. "
            "fp32 is the original. IoU (intersection over union) of a class is the area on which "
            "map and reference agree, divided by the area that either of them gives to the class.",
        )
        warnings = (html.warning(self._tr(note)) for note in notes_of(report))
        title = text(translate("ScasNet", "Summary"))
        return html.section(title, *warnings, html.facts(pairs), html.paragraph(text(explained)))

    def _classes(self) -> str:
        text = self._text
        labels = self._matrix("labels")
        columns = [
            (text(translate("ScasNet", "Pixels, fp32")), map(html.count, labels.in_reference)),
            (text(translate("ScasNet", "Of these unchanged")), map(_share, labels.recall)),
        ]
        if self._report["confusion"] is not None:
            for label, key in (
                (text(translate("ScasNet", "IoU, fp32")), "confusion_fp32"),
                (text(translate("ScasNet", "IoU")), "confusion"),
            ):
                columns.append((label, map(html.decimal, self._matrix(key).iou)))
        head = [text(translate("ScasNet", "Class")), *(label for label, _ in columns)]
        rows = list(zip(self._names, *(values for _, values in columns)))
        title = text(translate("ScasNet", "Classes"))
        return html.section(title, html.table(head, rows, self._colors))

    def _matrix(self, key: str) -> ConfusionMatrix:
        return ConfusionMatrix(np.array(self._report[key], dtype=np.int64))

    def _labels(self) -> str:
        caption = translate(
            "ScasNet",
            "Pixels by their class in fp32 (rows) and in the exported model (columns), with their "
            "share of the row.",
        )
        heat_map = html.heat_map(
            self._matrix("labels").counts,
            self._names,
            self._names,
            corner=self._text(translate("ScasNet", "fp32 ↓ exported →")),
            caption=self._text(caption),
        )
        return html.section(self._text(translate("ScasNet", "Changed labels")), heat_map)

    def _method(self) -> str:
        report, text = self._report, self._text
        pairs = [
            (text(translate("ScasNet", "Original")), report["input"]),
            (text(translate("ScasNet", "Exported model")), report["output"]),
            (
                text(translate("ScasNet", "Fixed tile size (pixels)")),
                html.count(report["fixed_size"]),
            ),
            (text(translate("ScasNet", "Compared on")), report["raster"]),
            (text(translate("ScasNet", "Windows")), html.count(report["windows"])),
            (text(translate("ScasNet", "Pixels")), html.count(report["pixels"])),
            (
                text(translate("ScasNet", "Windows for calibration")),
                html.count(report["calibrated_on"]),
            ),
            (text(translate("ScasNet", "Reference")), report["reference"] or ""),
            (
                text(translate("ScasNet", "Largest difference between fp32 and PyTorch")),
                html.decimal(report["network_difference"], 7),
            ),
        ]
        title = text(translate("ScasNet", "Method"))
        method = html.paragraph(text(_METHODS[report["precision"]]))
        return html.section(title, method, html.facts(pairs))


def _share(share: float) -> str:
    return html.percent(float(share), 2)


_METHODS = {
    "fp32": translate("ScasNet", "fp32, single precision: nothing is rounded."),
    "fp16": translate(
        "ScasNet",
        "fp16, half precision: weights and computation in 16 bits, except for the normalisation of "
        "the image and the last steps to the probabilities. A CPU computes such a model in single "
        "precision, so this comparison shows the rounding of the weights only; a graphics card "
        "also rounds in between.",
    ),
    "int8": translate(
        "ScasNet",
        "int8: all convolutions except the first and the last compute with whole numbers. Weights "
        "have 7 bits and one scale a channel, so that no CPU overflows; value ranges come from the "
        "windows for calibration, and the biases correct the mean rounding error found there.",
    ),
}
