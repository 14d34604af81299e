"""The comparison of an exported model with its original, and its report: log, JSON and page.

Needs neither PyTorch nor the package onnx, because it runs in QGIS as well.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.common.redaction import redacted
from scasnet_qgis.common.reports import page as html
from scasnet_qgis.labels.label_class import IGNORE
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.export.calibration_tiles import RasterSample, ReferenceLabels
from scasnet_qgis.training.export.request import ExportRequest

_POLL_SECONDS = 0.1


@dataclass
class Parity:
    """``labels``: pixels by the class of the exact model (rows) and of the other (columns).

    ``exact`` and ``other`` are both models against the reference; without pixels where there is
    none. The seconds are those of this computer, for the same tiles.
    """

    labels: ConfusionMatrix
    exact: ConfusionMatrix
    other: ConfusionMatrix
    largest_difference: float = 0.0  # of a probability
    exact_seconds: float = 0.0
    other_seconds: float = 0.0
    windows: int = 0

    @property
    def agreeing(self) -> float:
        """Share of the pixels to which both models give the same class."""
        return self.labels.overall_accuracy

    def add(
        self,
        exact: NDArray[np.float32],
        other: NDArray[np.float32],
        valid: NDArray[np.bool_],
        reference: NDArray[np.uint8] | None,
    ) -> None:
        """Count a window: probabilities [classes, rows, cols] of both, and where there is data."""
        difference = np.abs(exact - other).max(axis=0)[valid]
        self.largest_difference = max(self.largest_difference, float(difference.max(initial=0.0)))
        first, second = exact.argmax(axis=0), other.argmax(axis=0)
        classes = len(exact)
        there = np.where(valid, first, IGNORE)
        self.labels += ConfusionMatrix.of(there, second, classes)
        if reference is not None:
            wanted = np.where(valid, reference, IGNORE)
            self.exact += ConfusionMatrix.of(wanted, first, classes)
            self.other += ConfusionMatrix.of(wanted, second, classes)
        self.windows += 1


def compare(
    exact: ModelInfo,
    other: ModelInfo,
    sample: RasterSample,
    windows: Sequence[Window],
    reference: ReferenceLabels | None,
    progress: Progress,
) -> Parity:
    """Compute ``windows`` with both models, in turns, on the processor; raises Cancelled."""
    empty = ConfusionMatrix.empty(exact.classes)
    parity = Parity(empty, empty, empty)
    margin = exact.margin
    size = other.fixed_size or (windows[0].rows + 2 * margin, windows[0].cols + 2 * margin)
    with _opened(exact, size, progress) as first, _opened(other, size, progress) as second:
        for index, window in enumerate(windows):
            tile, valid = sample.read(window, margin)
            scores, seconds = _timed(first, tile, progress)
            others, other_seconds = _timed(second, tile, progress)
            labels = None if reference is None else reference.read(window)
            parity.add(scores, others, valid, labels)
            parity.exact_seconds += seconds
            parity.other_seconds += other_seconds
            progress.report((index + 1) / len(windows))
    return parity


def _opened(info: ModelInfo, size: tuple[int, int], progress: Progress) -> OnnxBackend:
    """One tile at a time: all threads help inside it."""
    return OnnxBackend(info, "cpu", tile_size=size, tiles=1, progress=progress)


def _timed(
    backend: OnnxBackend, tile: NDArray[np.float32], progress: Progress
) -> tuple[NDArray[np.float32], float]:
    """The probabilities of a tile and how long they took."""
    with ThreadPoolExecutor(1, thread_name_prefix="scasnet-compare") as pool:
        started = time.monotonic()
        future = pool.submit(backend.predict, tile[None])
        while not wait((future,), timeout=_POLL_SECONDS).done:
            if progress.cancelled:
                backend.cancel()
        progress.check()
        return future.result()[0], time.monotonic() - started


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

    def _facts(self, facts: Mapping[str, str]) -> str:
        return html.facts([(self._text(label), value) for label, value in facts.items()])

    def _section(self, title: str, *parts: str) -> str:
        return html.section(self._text(title), *parts)

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
        report = self._report
        difference = html.decimal(report["largest_difference"], 4)
        facts = {
            translate("ScasNet", "Labels that agree"): _share(report["labels_agreeing"]),
            translate("ScasNet", "Largest difference of a probability"): difference,
        }
        for label, key in (
            (translate("ScasNet", "Overall accuracy"), "overall_accuracy"),
            (translate("ScasNet", "Overall accuracy, fp32"), "overall_accuracy_fp32"),
            (translate("ScasNet", "Mean IoU"), "mean_iou"),
            (translate("ScasNet", "Mean IoU, fp32"), "mean_iou_fp32"),
        ):
            if report[key] is not None:
                facts[label] = _share(report[key])
        size = html.percent(report["bytes"] / report["bytes_fp32"], 0)
        facts[translate("ScasNet", "Time on this CPU, share of fp32")] = _time_share(report)
        facts[translate("ScasNet", "File size, share of fp32")] = size
        explained = translate(
            "ScasNet",
            "fp32, fp16 and int8 are the kinds of numbers a model computes with: 32 or 16 bits, or "
            "whole numbers of 8 bits. Fewer bits make the file smaller and the rounding coarser. "
            "fp32 is the original. IoU (intersection over union) of a class is the area on which "
            "map and reference agree, divided by the area that either of them gives to the class.",
        )
        warnings = (html.warning(self._tr(note)) for note in notes_of(report))
        paragraph = html.paragraph(self._text(explained))
        title = translate("ScasNet", "Summary")
        return self._section(title, *warnings, self._facts(facts), paragraph)

    def _classes(self) -> str:
        labels = self._matrix("labels")
        columns = {
            translate("ScasNet", "Class"): self._names,
            translate("ScasNet", "Pixels, fp32"): map(html.count, labels.in_reference),
            translate("ScasNet", "Of these unchanged"): map(_share, labels.recall),
        }
        if self._report["confusion"] is not None:
            exact, other = self._matrix("confusion_fp32").iou, self._matrix("confusion").iou
            columns[translate("ScasNet", "IoU, fp32")] = map(html.decimal, exact)
            columns[translate("ScasNet", "IoU")] = map(html.decimal, other)
        rows = list(zip(*columns.values()))
        table = html.table(list(map(self._text, columns)), rows, self._colors)
        return self._section(translate("ScasNet", "Classes"), table)

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
        return self._section(translate("ScasNet", "Changed labels"), heat_map)

    def _method(self) -> str:
        report = self._report
        difference = html.decimal(report["network_difference"], 7)
        facts = {
            translate("ScasNet", "Original"): report["input"],
            translate("ScasNet", "Exported model"): report["output"],
            translate("ScasNet", "Fixed tile size (pixels)"): html.count(report["fixed_size"]),
            translate("ScasNet", "Compared on"): report["raster"],
            translate("ScasNet", "Windows"): html.count(report["windows"]),
            translate("ScasNet", "Pixels"): html.count(report["pixels"]),
            translate("ScasNet", "Windows for calibration"): html.count(report["calibrated_on"]),
            translate("ScasNet", "Reference"): report["reference"] or "",
            translate("ScasNet", "Largest difference between fp32 and PyTorch"): difference,
        }
        method = html.paragraph(self._text(_METHODS[report["precision"]]))
        return self._section(translate("ScasNet", "Method"), method, self._facts(facts))


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
