"""An evaluation for other programs: CSV and JSON. Their words are English everywhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from math import isfinite
from typing import Any

from scasnet_qgis.assessment.request import Assessment, AssessmentRequest, SampleFigures
from scasnet_qgis.core.redaction import redacted
from scasnet_qgis.core.sampling_design import Estimate

FORMAT = "scasnet-evaluation"
VERSION = 1
_ACTS = "=+-@\t\r"  # a spreadsheet takes a text that begins so for a formula


def csv_text(result: Assessment) -> str:
    """Tables under each other, apart by an empty line; texts quoted, numbers with a point."""
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_NONNUMERIC)
    tables = [_confusion(result), _classes(result), _summary(result), _left_out(result)]
    if result.adjusted is not None:
        tables.append(_adjusted(result, result.adjusted))
    for number, table in enumerate(tables):
        if number:
            target.write("\r\n")
        writer.writerows([[_cell(each) for each in row] for row in table])
    return target.getvalue()


def _cell(value: Any) -> str | int | float:
    """Text that no spreadsheet runs; a number, or nothing where there is none."""
    if isinstance(value, str):
        text = " ".join(value.split("\n"))
        return f"'{text}" if text.lstrip(" ")[:1] in tuple(_ACTS) else text
    if isinstance(value, float):
        return round(value, 8) if isfinite(value) else ""
    return int(value)


Table = Iterable[Iterable[Any]]


def _confusion(result: Assessment) -> Table:
    matrix, names = result.matrix, [each.name for each in result.classes]
    yield ["reference \\ map", *names, "total"]
    for name, row in zip(names, matrix.counts.tolist()):
        yield [name, *row, sum(row)]
    yield ["total", *matrix.in_map.tolist(), matrix.total]


def _classes(result: Assessment) -> Table:
    matrix = result.matrix
    yield [
        "class", "value", "precision (user's accuracy)", "recall (producer's accuracy)", "F1",
        "IoU", "in reference", "in map", "correct",
    ]  # fmt: skip
    columns = (matrix.precision, matrix.recall, matrix.f1, matrix.iou)
    counts = (matrix.in_reference, matrix.in_map, matrix.correct)
    for index, each in enumerate(result.classes):
        measures = [float(column[index]) for column in columns]
        yield [each.name, each.value, *measures, *(int(column[index]) for column in counts)]
    means = (matrix.mean_precision, matrix.mean_recall, matrix.mean_f1, matrix.mean_iou)
    yield ["mean", "", *means]


def _summary(result: Assessment) -> Table:
    yield ["measure", "value"]
    yield ["overall accuracy", result.matrix.overall_accuracy]
    yield ["kappa", result.matrix.kappa]
    yield [f"{_unit(result)} compared", result.matrix.total]


def _left_out(result: Assessment) -> Table:
    yield ["left out", _unit(result)]
    for each in result.left_out:
        yield [str(each.reason), each.count]


def _adjusted(result: Assessment, sample: SampleFigures) -> Table:
    half, unit = "half width (95 %)", sample.area_unit
    titles = ["user's accuracy", half, "producer's accuracy", half]
    yield ["area-adjusted", *titles, f"mapped area ({unit})", f"area ({unit})", half]
    figures = sample.figures
    rows = zip(result.classes, figures.users, figures.producers, figures.shares, sample.areas)
    for each, users, producers, share, mapped in rows:
        accuracies = [users.value, users.half_width, producers.value, producers.half_width]
        areas = [mapped, share.value * sample.area, share.half_width * sample.area]
        yield [each.name, *accuracies, *areas]
    yield ["overall accuracy", figures.overall.value, figures.overall.half_width]


def _unit(result: Assessment) -> str:
    return "points" if result.points else "pixels"


def json_text(request: AssessmentRequest, result: Assessment) -> str:
    """Everything that was found, with null for what is not defined."""
    content = redacted(facts(request, result))
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def facts(request: AssessmentRequest, result: Assessment) -> dict[str, Any]:
    """What the JSON file holds."""
    matrix = result.matrix
    return {
        "format": FORMAT,
        "version": VERSION,
        "map": request.source,
        "reference": request.reference.path,
        "layer": request.reference.layer,
        "field": request.reference.field,
        "extent": request.extent,
        "matching": str(result.matching),
        "boundary_pixels": result.boundary,
        "unit": _unit(result),
        "compared": matrix.total,
        "left_out": [{"reason": str(each.reason), "count": each.count} for each in result.left_out],
        "overall_accuracy": number(matrix.overall_accuracy),
        "kappa": number(matrix.kappa),
        "mean_precision": number(matrix.mean_precision),
        "mean_recall": number(matrix.mean_recall),
        "mean_f1": number(matrix.mean_f1),
        "mean_iou": number(matrix.mean_iou),
        "classes": class_facts(result),
        "confusion": {"rows": "reference", "columns": "map", "counts": matrix.counts.tolist()},
        "area_adjusted": adjusted_facts(result),
        "notes": [str(each) for each in result.notes],
    }


def class_facts(result: Assessment) -> list[dict[str, Any]]:
    """The measures of each class."""
    matrix = result.matrix
    rows = zip(
        result.classes,
        zip(matrix.precision, matrix.recall, matrix.f1, matrix.iou),
        zip(matrix.in_reference, matrix.in_map, matrix.correct),
    )
    return [
        {
            "name": each.name,
            "value": each.value,
            "color": each.color,
            **dict(zip(("precision", "recall", "f1", "iou"), map(number, measures))),
            **dict(zip(("in_reference", "in_map", "correct"), map(int, counts))),
        }
        for each, measures, counts in rows
    ]


def adjusted_facts(result: Assessment) -> dict[str, Any]:
    """The area-adjusted figures, or why there are none."""
    sample = result.adjusted
    if sample is None:
        why = result.not_adjusted
        return {"given": False, "reason": None if why is None else str(why)}
    figures = sample.figures
    rows = zip(
        result.classes,
        figures.users,
        figures.producers,
        figures.shares,
        sample.areas,
        sample.pixels,
    )
    return {
        "given": True,
        "confidence": 0.95,
        "area_unit": sample.area_unit,
        "overall_accuracy": _interval(figures.overall),
        "classes": [
            {
                "name": each.name,
                "users_accuracy": _interval(users),
                "producers_accuracy": _interval(producers),
                "share": _interval(share),
                "area": _interval(share, sample.area),
                "mapped_area": number(mapped),
                "mapped_pixels": pixels,
            }
            for each, users, producers, share, mapped, pixels in rows
        ],
    }


def _interval(estimate: Estimate, scale: float = 1.0) -> dict[str, float | None]:
    half = number(estimate.half_width * scale)
    return {"value": number(estimate.value * scale), "half_width": half}


def number(value: float) -> float | None:
    """A number as JSON has it: null for what is none."""
    return float(value) if isfinite(value) else None
