"""The page that says how far an exported model is from its original."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scasnet_qgis.core import html
from scasnet_qgis.core.accuracy import ConfusionMatrix
from scasnet_qgis.core.messages import Message, translate

Say = Callable[[Message], str]


def parity_page(report: Mapping[str, Any], notes: Sequence[Message], say: Say = str) -> str:
    """HTML from a report of ``parity_report.report_of``; ``say`` translates texts."""
    return _Page(report, notes, say).text()


def time_share(report: Mapping[str, Any]) -> float:
    """The time of the exported model as a share of that of its original."""
    before = float(report["seconds_fp32"])
    return report["seconds"] / before if before > 0 else math.nan


class _Page:
    """The report as a page."""

    def __init__(self, report: Mapping[str, Any], notes: Sequence[Message], say: Say) -> None:
        self._report, self._notes, self._say = report, notes, say
        self._names = [str(each["name"]) for each in report["classes"]]
        self._colors = [str(each["color"]) for each in report["classes"]]

    def _text(self, template: str, **values: Any) -> str:
        return self._say(Message(template, values))

    def text(self) -> str:
        title = self._text(
            translate("ScasNet", "{name} in {precision}"),
            name=self._report["name"],
            precision=self._report["precision"],
        )
        parts = (self._headline(), self._classes(), self._labels(), self._method())
        lang = self._text(translate("ScasNet", "en"))  # the code of the language the texts are in
        return html.page(title, *parts, lang=lang)

    def _headline(self) -> str:
        report, text = self._report, self._text
        largest = html.decimal(report["largest_difference"], 4)
        size = report["bytes"] / report["bytes_fp32"]
        pairs = [
            (text(translate("ScasNet", "Labels that agree")), _share(report["labels_agreeing"])),
            (text(translate("ScasNet", "Largest difference of a probability")), largest),
        ]
        for label, key in (
            (text(translate("ScasNet", "Overall accuracy")), "overall_accuracy"),
            (text(translate("ScasNet", "Overall accuracy in fp32")), "overall_accuracy_fp32"),
            (text(translate("ScasNet", "Mean IoU")), "mean_iou"),
            (text(translate("ScasNet", "Mean IoU in fp32")), "mean_iou_fp32"),
        ):
            if report[key] is not None:
                pairs.append((label, _share(report[key])))
        pairs += [
            (
                text(translate("ScasNet", "Time on this processor, of that of fp32")),
                html.percent(time_share(report), 0),
            ),
            (
                text(translate("ScasNet", "Size of the file, of that of fp32")),
                html.percent(size, 0),
            ),
        ]
        warnings = (html.warning(self._say(each)) for each in self._notes)
        title = text(translate("ScasNet", "At a glance"))
        return html.section(title, html.facts(pairs), *warnings)

    def _classes(self) -> str:
        text = self._text
        labels = self._matrix("labels")
        columns = [
            (text(translate("ScasNet", "Pixels in fp32")), map(html.count, labels.in_reference)),
            (text(translate("ScasNet", "Of these the same")), map(_share, labels.recall)),
        ]
        if self._report["confusion"] is not None:
            for label, key in (
                (text(translate("ScasNet", "IoU in fp32")), "confusion_fp32"),
                (text(translate("ScasNet", "IoU")), "confusion"),
            ):
                columns.append((label, map(html.decimal, self._matrix(key).iou)))
        head = [text(translate("ScasNet", "Class")), *(label for label, _ in columns)]
        cells = zip(*(values for _, values in columns))
        rows = [[name, *each] for name, each in zip(self._names, cells)]
        title = text(translate("ScasNet", "The classes"))
        return html.section(title, html.table(head, rows, self._colors))

    def _matrix(self, key: str) -> ConfusionMatrix:
        return ConfusionMatrix(np.array(self._report[key], dtype=np.int64))

    def _labels(self) -> str:
        caption = translate(
            "ScasNet",
            "Pixels by the class that fp32 gives them (rows) and that this model gives them "
            "(columns), with their share of the row",
        )
        heat = html.heat_map(
            self._matrix("labels").counts,
            self._names,
            self._names,
            corner=self._text(translate("ScasNet", "fp32 ↓ this model →")),
            caption=self._text(caption),
        )
        return html.section(self._text(translate("ScasNet", "Where the labels differ")), heat)

    def _method(self) -> str:
        report, text = self._report, self._text
        calibrated_on = html.count(report["calibrated_on"])
        pairs = [
            (text(translate("ScasNet", "Made from")), report["input"]),
            (text(translate("ScasNet", "Model")), report["output"]),
            (text(translate("ScasNet", "Fixed tile size")), html.count(report["fixed_size"])),
            (text(translate("ScasNet", "Compared on")), report["raster"]),
            (text(translate("ScasNet", "Windows")), html.count(report["windows"])),
            (text(translate("ScasNet", "Pixels")), html.count(report["pixels"])),
            (text(translate("ScasNet", "Windows calibrated on")), calibrated_on),
            (text(translate("ScasNet", "Reference")), report["reference"] or ""),
            (
                text(translate("ScasNet", "Largest difference of fp32 from PyTorch")),
                html.decimal(report["network_difference"], 7),
            ),
        ]
        title = text(translate("ScasNet", "How it was compared"))
        how = html.paragraph(self._text(_METHODS[report["precision"]]))
        return html.section(title, how, html.facts(pairs))


def _share(share: float) -> str:
    return html.percent(float(share), 2)


_METHODS = {
    "fp32": translate("ScasNet", "Single precision: nothing is rounded."),
    "fp16": translate(
        "ScasNet",
        "Half precision: weights and computing in 16 bits; the normalisation of the image and the "
        "last steps to the probabilities stay in single precision. A processor computes such a "
        "model in single precision, so what is seen here is the rounding of the weights; a "
        "graphics card also rounds in between.",
    ),
    "int8": translate(
        "ScasNet",
        "8 bits: the convolutions but for the first and the last compute with whole numbers. "
        "Weights have 7 bits and one scale for each channel, so that no processor overflows; "
        "ranges come from the windows calibrated on, and the biases make up for the mean error "
        "that rounding leaves there.",
    ),
}
