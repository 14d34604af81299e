"""An evaluation as files: one HTML page for people, CSV and JSON for programs.

The words of CSV and JSON are English everywhere.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from scasnet_qgis.accuracy.area_estimation import Estimate
from scasnet_qgis.accuracy.request import Assessment, AssessmentRequest, SampleFigures
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.messages import Message, translate
from scasnet_qgis.common.options import options_of
from scasnet_qgis.common.redaction import redacted
from scasnet_qgis.common.reports import page as html
from scasnet_qgis.common.reports.escaping import area_unit

Translator = Callable[[Message], str]
Table = Iterable[Iterable[Any]]

FORMAT = "scasnet-evaluation"
VERSION = 1
# Attributes of a confusion matrix: a value for each class, and the means of the first ones.
MEASURES = ("precision", "recall", "f1", "iou")
COUNTS = ("in_reference", "in_map", "correct")
MEANS = tuple(f"mean_{name}" for name in MEASURES)
_FORMULA_SIGNS = tuple("=+-@\t\r")  # a spreadsheet takes a text that begins so for a formula


def html_report(request: AssessmentRequest, result: Assessment, tr: Translator = str) -> str:
    """The whole page; ``tr`` gives a text in the reader's language."""
    return _Page(request, result, tr).html()


class _Page:
    def __init__(self, request: AssessmentRequest, result: Assessment, tr: Translator) -> None:
        self._request, self._result, self._tr = request, result, tr
        self._names = [kind.name for kind in result.classes]
        self._colors = [kind.color for kind in result.classes]

    def _text(self, template: str, **values: Any) -> str:
        return self._tr(Message(template, values))

    def _texts(self, *templates: str, **values: Any) -> list[str]:
        return [self._text(template, **values) for template in templates]

    def _section(self, title: str, *parts: str) -> str:
        return html.section(self._text(title), *parts)

    def html(self) -> str:
        name = Path(self._request.source).name
        return html.page(
            self._text(translate("ScasNet", "Accuracy of {name}"), name=name),
            self._summary(),
            self._confusion(),
            self._classes(),
            self._whole_map(),
            self._left_out(),
            self._method(),
            lang=self._text(translate("ScasNet", "en")),  # the language the texts are in
        )

    def _summary(self) -> str:
        request, result, text = self._request, self._result, self._text
        matrix = result.matrix
        compared = (
            text(translate("ScasNet", "{count:,} points"), count=matrix.total)
            if result.points
            else text(translate("ScasNet", "{count:,} pixels"), count=matrix.total)
        )
        reference = Path(request.reference.path).name
        if request.reference.is_vector:
            field = request.reference.field
            reference = text(
                translate("ScasNet", "{name}, field {field}"), name=reference, field=field
            )
        pairs = {
            translate("ScasNet", "Overall accuracy"): html.percent(matrix.overall_accuracy),
            translate("ScasNet", "Cohen's kappa"): html.decimal(matrix.kappa),
            translate("ScasNet", "Mean IoU"): html.decimal(matrix.mean_iou),
            translate("ScasNet", "Mean F1 score"): html.decimal(matrix.mean_f1),
            translate("ScasNet", "Mean precision"): html.decimal(matrix.mean_precision),
            translate("ScasNet", "Mean recall"): html.decimal(matrix.mean_recall),
            translate("ScasNet", "Compared"): compared,
            translate("ScasNet", "Map"): request.source,
            translate("ScasNet", "Reference"): reference,
        }
        warnings = (html.warning(self._tr(note)) for note in result.notes)
        facts = html.facts([(text(name), value) for name, value in pairs.items()])
        return self._section(translate("ScasNet", "Summary"), *warnings, facts)

    def _confusion(self) -> str:
        caption = translate(
            "ScasNet",
            "Reference classes in rows, map classes in columns, with the share of the row: on the "
            "diagonal it is the recall.",
        )
        matrix = html.heat_map(
            self._result.matrix.counts,
            self._names,
            self._names,
            corner=self._text(translate("ScasNet", "Reference ↓ Map →")),
            caption=self._text(caption),
        )
        return self._section(translate("ScasNet", "Confusion matrix"), matrix)

    def _classes(self) -> str:
        matrix = self._result.matrix
        head = self._texts(
            translate("ScasNet", "Class"),
            translate("ScasNet", "Precision (user's accuracy)"),
            translate("ScasNet", "Recall (producer's accuracy)"),
            translate("ScasNet", "F1 score"),
            translate("ScasNet", "IoU"),
            translate("ScasNet", "In reference"),
            translate("ScasNet", "In map"),
        )
        columns = self._names, _by_class(matrix, MEASURES), _by_class(matrix, COUNTS[:2])
        rows = [
            [name, *map(html.decimal, measures), *map(html.count, counts)]
            for name, measures, counts in zip(*columns)
        ]
        means = [html.decimal(getattr(matrix, name)) for name in MEANS]
        total = html.count(matrix.total)
        rows.append([self._text(translate("ScasNet", "Mean, total")), *means, total, total])
        return self._section(translate("ScasNet", "Classes"), html.table(head, rows, self._colors))

    def _whole_map(self) -> str:
        """What the sample says about the whole map, or why nothing does."""
        sample, why = self._result.adjusted, self._result.not_adjusted
        if sample is not None:
            parts = self._sample_parts(sample)
        elif why is not None:
            parts = [html.paragraph(self._tr(why))]
        else:
            parts = [html.paragraph(self._text(translate("ScasNet", "Not requested.")))]
        return self._section(translate("ScasNet", "Area-adjusted accuracy and areas"), *parts)

    def _sample_parts(self, sample: SampleFigures) -> list[str]:
        figures = sample.figures
        explained = translate(
            "ScasNet",
            "The points are a stratified random sample of the map. Weighted by the area of the "
            "classes, they give the accuracy of the whole map and the true area of each class "
            "(Olofsson et al. 2014, Remote Sensing of Environment 148, 42-57). The value after ± "
            "is half the width of the 95 % confidence interval.",
        )
        metric = sample.area_unit == "m2"
        unit, divisor = area_unit(sample.area) if metric else (sample.area_unit, 1.0)
        head = self._texts(
            translate("ScasNet", "Class"),
            translate("ScasNet", "User's accuracy"),
            translate("ScasNet", "Producer's accuracy"),
            translate("ScasNet", "Mapped area ({unit})"),
            translate("ScasNet", "Estimated area ({unit})"),
            translate("ScasNet", "Points"),
            unit=unit,
        )
        rows, area = [], sample.area / divisor
        for index, name in enumerate(self._names):
            share, mapped = figures.shares[index], sample.areas[index] / divisor
            row = [
                name,
                _interval_text(figures.users[index]),
                _interval_text(figures.producers[index]),
                html.decimal(mapped, _area_digits(mapped)),
                _interval_text(share, area, _area_digits(share.value * area)),
                html.count(float(self._result.matrix.in_map[index])),
            ]
            rows.append(row)
        overall = self._text(translate("ScasNet", "Overall accuracy"))
        return [
            html.facts([(overall, _interval_text(figures.overall))]),
            html.table(head, rows, self._colors),
            html.paragraph(self._text(explained)),
        ]

    def _left_out(self) -> str:
        points, pixels = translate("ScasNet", "Points"), translate("ScasNet", "Pixels")
        head = self._texts(
            translate("ScasNet", "Reason"), points if self._result.points else pixels
        )
        entries = self._result.left_out
        rows = [[self._tr(entry.reason), html.count(entry.count)] for entry in entries]
        nothing = html.paragraph(self._text(translate("ScasNet", "Nothing.")))
        return self._section(
            translate("ScasNet", "Ignored"), html.table(head, rows) if rows else nothing
        )

    def _method(self) -> str:
        points = translate(
            "ScasNet", "Each labelled point is compared with the map pixel below it."
        )
        pixels = translate(
            "ScasNet", "Each map pixel whose centre has a reference class is compared."
        )
        weights = translate(
            "ScasNet",
            "In the confusion matrix and its measures every point counts the same, so classes that "
            "were sampled more densely weigh more. The area-adjusted figures correct for that.",
        )
        boundary = translate(
            "ScasNet",
            "Pixels within {radius} pixels of another reference class are ignored, as in the ISPRS "
            "benchmark (radius 3).",
        )
        measures = translate(
            "ScasNet",
            "Precision: share of what is mapped as a class that belongs to it. Recall: share of a "
            "class that is mapped as it. F1: harmonic mean of both. IoU (intersection over union): "
            "where map and reference agree on a class, divided by where either of them has it. "
            "Kappa: agreement beyond what chance would give, 1 for a perfect map. Means are taken "
            "over the classes for which a measure is defined.",
        )
        result = self._result
        texts = [self._tr(result.matching), self._text(points if result.points else pixels)]
        if result.adjusted is not None:
            texts.append(self._text(weights))
        if result.boundary:
            texts.append(self._text(boundary, radius=result.boundary))
        texts.append(self._text(measures))
        options = self._request.options
        settings = [
            (self._text(declared.label), declared.text(getattr(options, name)))
            for name, declared in options_of(options).items()
        ]
        parts = (*map(html.paragraph, texts), html.facts(settings))
        return self._section(translate("ScasNet", "Method"), *parts)


def _by_class(matrix: ConfusionMatrix, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """These attributes of the matrix, class by class."""
    return zip(*(getattr(matrix, name).tolist() for name in names))


def _area_digits(area: float) -> int:
    return 0 if abs(area) >= 100 else 2


def _interval_text(estimate: Estimate, scale: float = 1.0, digits: int = 3) -> str:
    value, half_width = estimate.value * scale, estimate.half_width * scale
    return f"{html.decimal(value, digits)} ± {html.decimal(half_width, digits)}"


def csv_text(result: Assessment) -> str:
    """Tables under each other, apart by an empty line; texts quoted, numbers with a point."""
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_NONNUMERIC)
    tables = [
        _confusion_table(result),
        _class_table(result),
        _summary_table(result),
        _left_out_table(result),
    ]
    if result.adjusted is not None:
        tables.append(_adjusted_table(result, result.adjusted))
    for number, table in enumerate(tables):
        if number:
            target.write("\r\n")
        writer.writerows([[_csv_cell(value) for value in row] for row in table])
    return target.getvalue()


def _csv_cell(value: Any) -> str | int | float:
    """Text that no spreadsheet runs; a number, or nothing where there is none."""
    if isinstance(value, str):
        text = " ".join(value.split("\n"))
        return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_SIGNS) else text
    if isinstance(value, float):
        return round(value, 8) if isfinite(value) else ""
    return int(value)


def _confusion_table(result: Assessment) -> Table:
    matrix, names = result.matrix, [kind.name for kind in result.classes]
    yield ["reference \\ map", *names, "total"]
    for name, row in zip(names, matrix.counts.tolist()):
        yield [name, *row, sum(row)]
    yield ["total", *matrix.in_map.tolist(), matrix.total]


def _class_table(result: Assessment) -> Table:
    yield [
        "class", "value", "precision (user's accuracy)", "recall (producer's accuracy)", "F1",
        "IoU", "in reference", "in map", "correct",
    ]  # fmt: skip
    for kind, values in zip(result.classes, _by_class(result.matrix, MEASURES + COUNTS)):
        yield [kind.name, kind.value, *values]
    yield ["mean", "", *(getattr(result.matrix, name) for name in MEANS)]


def _summary_table(result: Assessment) -> Table:
    yield ["measure", "value"]
    yield ["overall accuracy", result.matrix.overall_accuracy]
    yield ["kappa", result.matrix.kappa]
    yield [f"{_unit(result)} compared", result.matrix.total]


def _left_out_table(result: Assessment) -> Table:
    yield ["left out", _unit(result)]
    for entry in result.left_out:
        yield [str(entry.reason), entry.count]


def _adjusted_table(result: Assessment, sample: SampleFigures) -> Table:
    half, unit = "half width (95 %)", sample.area_unit
    titles = ["user's accuracy", half, "producer's accuracy", half]
    yield ["area-adjusted", *titles, f"mapped area ({unit})", f"area ({unit})", half]
    figures = sample.figures
    rows = zip(result.classes, figures.users, figures.producers, figures.shares, sample.areas)
    for kind, users, producers, share, mapped in rows:
        accuracies = [users.value, users.half_width, producers.value, producers.half_width]
        areas = [mapped, share.value * sample.area, share.half_width * sample.area]
        yield [kind.name, *accuracies, *areas]
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
        "left_out": left_out_facts(result),
        **{
            name: finite_or_none(getattr(matrix, name))
            for name in ("overall_accuracy", "kappa", *MEANS)
        },
        "classes": class_facts(result),
        "confusion": {"rows": "reference", "columns": "map", "counts": matrix.counts.tolist()},
        "area_adjusted": adjusted_facts(result),
        "notes": [str(note) for note in result.notes],
    }


def left_out_facts(result: Assessment) -> list[dict[str, Any]]:
    """How many pixels or points were not compared, and why."""
    return [{"reason": str(entry.reason), "count": entry.count} for entry in result.left_out]


def class_facts(result: Assessment) -> list[dict[str, Any]]:
    """The measures of each class."""
    columns = _by_class(result.matrix, MEASURES), _by_class(result.matrix, COUNTS)
    return [
        {
            "name": kind.name,
            "value": kind.value,
            "color": kind.color,
            **dict(zip(MEASURES, map(finite_or_none, measures))),
            **dict(zip(COUNTS, counts)),
        }
        for kind, measures, counts in zip(result.classes, *columns)
    ]


def adjusted_facts(result: Assessment) -> dict[str, Any]:
    """The area-adjusted figures, or why there are none."""
    sample = result.adjusted
    if sample is None:
        why = result.not_adjusted
        return {"given": False, "reason": None if why is None else str(why)}
    figures = sample.figures
    estimates = figures.users, figures.producers, figures.shares
    rows = zip(result.classes, *estimates, sample.areas, sample.pixels)
    return {
        "given": True,
        "confidence": 0.95,
        "area_unit": sample.area_unit,
        "overall_accuracy": _interval_facts(figures.overall),
        "classes": [
            {
                "name": kind.name,
                "users_accuracy": _interval_facts(users),
                "producers_accuracy": _interval_facts(producers),
                "share": _interval_facts(share),
                "area": _interval_facts(share, sample.area),
                "mapped_area": finite_or_none(mapped),
                "mapped_pixels": pixels,
            }
            for kind, users, producers, share, mapped, pixels in rows
        ],
    }


def _interval_facts(estimate: Estimate, scale: float = 1.0) -> dict[str, float | None]:
    half = finite_or_none(estimate.half_width * scale)
    return {"value": finite_or_none(estimate.value * scale), "half_width": half}


def finite_or_none(value: float) -> float | None:
    """A number as JSON has it: null for what is none."""
    return float(value) if isfinite(value) else None
