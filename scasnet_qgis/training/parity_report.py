"""What the comparison of an exported model with its original found: for the log and as files.

Needs neither PyTorch nor the package onnx, because it runs in QGIS as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scasnet_qgis.core import html
from scasnet_qgis.core.messages import Message, message, translate
from scasnet_qgis.core.redaction import redacted
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.training.export_request import ExportRequest
from scasnet_qgis.training.parity import Parity
from scasnet_qgis.training.parity_page import Say, parity_page, time_share

ENOUGH = 0.98  # share of labels; where fewer agree, the user is warned


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
        "classes": [{"name": each.name, "color": each.color} for each in other.card.classes],
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
        "Compared with fp32 on {windows} windows ({pixels:,} pixels) of {raster}: {agreeing} of "
        "the labels agree, the largest difference of a probability is {difference:.2g}.",
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
        "File: {size:.1f} MB (fp32: {size_fp32:.1f} MB); time on this processor: {share} of fp32",
    )
    sizes = {"size": report["bytes"] / 1e6, "size_fp32": report["bytes_fp32"] / 1e6}
    lines.append(message(text, share=html.percent(time_share(report), 0), **sizes))
    return lines


def notes_of(report: Mapping[str, Any]) -> list[Message]:
    """What the user should know before using the model."""
    notes = []
    if report["labels_agreeing"] < ENOUGH:
        text = translate(
            "ScasNet",
            "Only {agreeing} of the labels agree with fp32: calibrate on a raster that is more "
            "like those to be mapped, or choose fp16.",
        )
        notes.append(message(text, agreeing=html.percent(report["labels_agreeing"], 1)))
    if report["shared"] and report["calibrated_on"]:
        text = translate(
            "ScasNet",
            "The raster is so small that the model was compared where it was calibrated: on other "
            "images more labels may differ.",
        )
        notes.append(message(text))
    return notes


def write_report(report: Mapping[str, Any], path: Path, say: Say = str) -> None:
    """Write ``path``: JSON where it is called so, else HTML; ``say`` translates texts."""
    if path.suffix.lower() == ".json":
        content = {**report, "notes": [str(each) for each in notes_of(report)]}
        path.write_text(json.dumps(redacted(_finite(content)), indent=1), encoding="utf-8")
    else:
        page = parity_page(report, notes_of(report), say)
        path.write_text(page, encoding="utf-8")


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
