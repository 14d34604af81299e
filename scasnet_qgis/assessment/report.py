"""An evaluation for people: one HTML page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scasnet_qgis.assessment.request import Assessment, AssessmentRequest, SampleFigures
from scasnet_qgis.core import html
from scasnet_qgis.core.messages import Message, translate
from scasnet_qgis.core.sampling_design import Estimate

Say = Callable[[Message], str]

_HECTARE = 10_000.0  # square metres
_LARGE = 100 * _HECTARE  # from here on hectares are easier to read


def html_report(request: AssessmentRequest, result: Assessment, say: Say = str) -> str:
    """The whole page; ``say`` gives a text in the reader's language."""
    return _Report(request, result, say).page()


class _Report:
    def __init__(self, request: AssessmentRequest, result: Assessment, say: Say) -> None:
        self._request, self._result, self._say = request, result, say
        self._names = [each.name for each in result.classes]
        self._colors = [each.color for each in result.classes]

    def _text(self, template: str, **values: Any) -> str:
        return self._say(Message(template, values))

    def page(self) -> str:
        title = self._text(
            translate("ScasNet", "Accuracy of {name}"), name=Path(self._request.source).name
        )
        parts = (self._headline(), self._confusion(), self._classes(), self._whole_map())
        return html.page(title, *parts, self._left_out(), self._method())

    def _headline(self) -> str:
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
        pairs = [
            (text(translate("ScasNet", "Overall accuracy")), html.percent(matrix.overall_accuracy)),
            (text(translate("ScasNet", "Cohen's kappa")), html.decimal(matrix.kappa)),
            (text(translate("ScasNet", "Mean IoU")), html.decimal(matrix.mean_iou)),
            (text(translate("ScasNet", "Mean F1 score")), html.decimal(matrix.mean_f1)),
            (text(translate("ScasNet", "Mean precision")), html.decimal(matrix.mean_precision)),
            (text(translate("ScasNet", "Mean recall")), html.decimal(matrix.mean_recall)),
            (text(translate("ScasNet", "Compared")), compared),
            (text(translate("ScasNet", "Map")), request.source),
            (text(translate("ScasNet", "Reference")), reference),
        ]
        warnings = (html.warning(self._say(each)) for each in result.notes)
        return html.section(text(translate("ScasNet", "At a glance")), html.facts(pairs), *warnings)

    def _confusion(self) -> str:
        caption = translate(
            "ScasNet",
            "Rows are the classes of the reference, columns those of the map. The share is that of "
            "the row, so that on the diagonal it is the recall.",
        )
        return html.section(
            self._text(translate("ScasNet", "Confusion matrix")),
            html.heat_map(
                self._result.matrix.counts,
                self._names,
                self._names,
                corner=self._text(translate("ScasNet", "Reference \\ Map")),
                caption=self._text(caption),
            ),
        )

    def _classes(self) -> str:
        text, matrix = self._text, self._result.matrix
        head = [
            text(translate("ScasNet", "Class")),
            text(translate("ScasNet", "Precision (user's accuracy)")),
            text(translate("ScasNet", "Recall (producer's accuracy)")),
            text(translate("ScasNet", "F1 score")),
            text(translate("ScasNet", "IoU")),
            text(translate("ScasNet", "In the reference")),
            text(translate("ScasNet", "In the map")),
        ]
        measures = (matrix.precision, matrix.recall, matrix.f1, matrix.iou)
        rows = [
            [
                name,
                *(html.decimal(float(column[index])) for column in measures),
                html.count(float(matrix.in_reference[index])),
                html.count(float(matrix.in_map[index])),
            ]
            for index, name in enumerate(self._names)
        ]
        means = (matrix.mean_precision, matrix.mean_recall, matrix.mean_f1, matrix.mean_iou)
        total = html.count(float(matrix.total))
        mean = text(translate("ScasNet", "Mean, total"))
        rows.append([mean, *map(html.decimal, means), total, total])
        title = text(translate("ScasNet", "Classes"))
        return html.section(title, html.table(head, rows, self._colors))

    def _whole_map(self) -> str:
        """What the sample says about the whole map, or why nothing does."""
        title = self._text(translate("ScasNet", "Area-adjusted accuracy and areas"))
        sample, why = self._result.adjusted, self._result.not_adjusted
        if sample is not None:
            return html.section(title, *self._sample_parts(sample))
        if why is not None:
            return html.section(title, html.paragraph(self._say(why)))
        nobody = translate("ScasNet", "Not asked for.")
        return html.section(title, html.paragraph(self._text(nobody)))

    def _sample_parts(self, sample: SampleFigures) -> list[str]:
        text, figures = self._text, sample.figures
        explained = translate(
            "ScasNet",
            "The points are a random sample of the map, drawn class by class. Weighted by the "
            "area of the classes, they say how good the whole map is and how large each class "
            "really is (Olofsson et al. 2014, Remote Sensing of Environment 148, 42-57). After ± "
            "stands half the width of the 95 % confidence interval.",
        )
        unit, scale = (
            ("ha", 1.0 / _HECTARE)
            if sample.area_unit == "m2" and sample.area >= _LARGE
            else (sample.area_unit, 1.0)
        )
        head = [
            text(translate("ScasNet", "Class")),
            text(translate("ScasNet", "User's accuracy")),
            text(translate("ScasNet", "Producer's accuracy")),
            text(translate("ScasNet", "Area on the map ({unit})"), unit=unit),
            text(translate("ScasNet", "Estimated area ({unit})"), unit=unit),
            text(translate("ScasNet", "Points")),
        ]
        rows = [
            [
                name,
                _interval(figures.users[index]),
                _interval(figures.producers[index]),
                _size(sample.areas[index] * scale),
                _area_interval(figures.shares[index], sample.area * scale),
                html.count(float(self._result.matrix.in_map[index])),
            ]
            for index, name in enumerate(self._names)
        ]
        overall = translate("ScasNet", "Overall accuracy")
        return [
            html.facts([(text(overall), _interval(figures.overall))]),
            html.table(head, rows, self._colors),
            html.paragraph(text(explained)),
        ]

    def _left_out(self) -> str:
        title = self._text(translate("ScasNet", "Left out"))
        entries = self._result.left_out
        if not entries:
            nothing = self._text(translate("ScasNet", "Nothing was left out."))
            return html.section(title, html.paragraph(nothing))
        unit = (
            self._text(translate("ScasNet", "Points"))
            if self._result.points
            else self._text(translate("ScasNet", "Pixels"))
        )
        rows = [[self._say(each.reason), html.count(float(each.count))] for each in entries]
        return html.section(
            title, html.table([self._text(translate("ScasNet", "Why")), unit], rows)
        )

    def _method(self) -> str:
        points = translate(
            "ScasNet", "Each point with a class counts once, with the pixel of the map below it."
        )
        pixels = translate(
            "ScasNet",
            "Each pixel of the map whose centre has a class in the reference counts once.",
        )
        weights = translate(
            "ScasNet",
            "The confusion matrix and what follows from it count every point alike; classes from "
            "which more points were drawn than their area asks for weigh more there.",
        )
        boundary = translate(
            "ScasNet",
            "Pixels no more than {radius} pixels from a pixel of another reference class are left "
            "out, as in the ISPRS benchmark, where the radius is 3.",
        )
        measures = translate(
            "ScasNet",
            "Precision is the share of what is mapped as a class that belongs to it, recall the "
            "share of a class that is mapped as it, F1 the harmonic mean of both, IoU the share of "
            "what either side calls the class on which both agree. Means are over the classes for "
            "which a measure is defined: precision over those that are mapped, recall over those "
            "of the reference, F1 and IoU over those that occur on either side.",
        )
        result = self._result
        texts = [self._say(result.matching), self._text(points if result.points else pixels)]
        if result.adjusted is not None:
            texts.append(self._text(weights))
        if result.boundary:
            texts.append(self._text(boundary, radius=result.boundary))
        texts.append(self._text(measures))
        return html.section(
            self._text(translate("ScasNet", "Method")), *(html.paragraph(each) for each in texts)
        )


def _digits(area: float) -> int:
    """Decimals of an area that are of use."""
    return 0 if abs(area) >= 100 else 2


def _size(area: float) -> str:
    return html.decimal(area, _digits(area))


def _interval(estimate: Estimate, scale: float = 1.0, digits: int = 3) -> str:
    both = (estimate.value, estimate.half_width)
    value, half = (html.decimal(each * scale, digits) for each in both)
    return f"{value} ± {half}"


def _area_interval(share: Estimate, area: float) -> str:
    return _interval(share, area, _digits(share.value * area))
