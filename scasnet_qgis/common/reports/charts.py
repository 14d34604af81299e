"""Charts inside a page: lines over an axis as SVG, and confusion matrices as shaded cells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.common.reports.escaping import count, escaped, percent, shade

if TYPE_CHECKING:
    from numpy.typing import NDArray

Points = Sequence[tuple[float, float]]

MAX_TABLE_CLASSES = 24  # a wider confusion matrix does not fit a page as figures

_WIDTH, _HEIGHT = 760, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 744, 12, 272  # the edges of the plot
_MAX_POINTS = 1500  # of one line; more are narrower than a pixel
_MAX_BOLD_POINTS = 300  # of all lines but the first: more are noise, and drawn faintly
# Colours that also differ for the colour-blind (Okabe and Ito 2008), dark enough for thin lines.
_COLORS = ("#0072b2", "#d55e00", "#00795c", "#a8447f", "#1f2933", "#8a6d00", "#3a7fa8", "#7a4f1d")
_DASHES = ("none", "7 4", "2 3", "9 3 2 3")

_CELL = 11  # of the drawn matrix, in pixels
_MAX_NAME = 24  # characters of a class name in the drawn matrix
_LETTER = 6  # width in pixels
_LEAST_SHARE = 0.004  # of the row; less is as white as paper


@dataclass(frozen=True)
class _Axis:
    """Values from ``low`` to ``high`` over pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def pixel(self, value: float) -> float:
        """Where a value lies; one outside the axis lies at its edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, wanted: int) -> list[float]:
        """Round values, about so many: multiples of 1, 2 or 5 times a power of ten."""
        least = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(least))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def line_chart(
    series: Mapping[str, Points],
    *,
    x_label: str,
    y_label: str,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Lines through points (x, y), each with a name; a value that is no number leaves a gap.

    Without ``y_range`` the axis spans the values; with it, values outside lie on its edge. The
    first line is drawn above the others, of which those of very many points are drawn faintly.
    """
    lines = {name: _thinned(points) for name, points in series.items()}
    known = [(x, y) for line in lines.values() for x, y in line if math.isfinite(y)]
    x_axis = _Axis(*_span([x for x, _ in known], 0.0), _LEFT, _RIGHT)
    low, high = y_range if y_range and y_range[0] < y_range[1] else _span([y for _, y in known])
    y_axis = _Axis(low, high, _BOTTOM, _TOP)
    drawn = [
        f"<g {_stroke(index)} {_pen(index, line)}>{''.join(_polylines(line, x_axis, y_axis))}</g>"
        for index, line in enumerate(lines.values())
    ]
    middle = (_TOP + _BOTTOM) / 2
    labels = (
        _label(x_label, (_LEFT + _RIGHT) / 2, _HEIGHT - 8),
        _label(y_label, 0, 0, f' transform="translate(16 {middle:.0f}) rotate(-90)"'),
    )
    title = f"{y_label} / {x_label}: {', '.join(lines)}"
    parts = (*_grid(x_axis, y_axis), *labels, *drawn[::-1])
    return f"<figure>{_svg(title, _WIDTH, _HEIGHT, parts)}{_key(list(lines))}</figure>"


def _thinned(points: Points) -> list[tuple[float, float]]:
    """Points with a finite x; of many, the lowest and the highest of each stretch."""
    kept = [(float(x), float(y)) for x, y in points if math.isfinite(x)]
    if len(kept) <= _MAX_POINTS:
        return kept
    size = math.ceil(2 * len(kept) / _MAX_POINTS)
    result: list[tuple[float, float]] = []
    for start in range(0, len(kept), size):
        stretch = [(y, x) for x, y in kept[start : start + size] if math.isfinite(y)]
        ends = {min(stretch), max(stretch)} if stretch else set()
        # Where none is a number, one that is not keeps the gap.
        result += sorted((x, y) for y, x in ends) or [kept[start]]
    return result


def _span(values: Sequence[float], margin: float = 0.06) -> tuple[float, float]:
    """From the lowest to the highest value with a margin; never empty."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        around = 0.5 * abs(high) or 0.5
        return low - around, high + around
    room = margin * (high - low)
    # A line of positive values does not seem to go below zero.
    return (max(low - room, 0.0) if low >= 0 else low - room), high + room


def _stroke(index: int) -> str:
    """Colour and dashes of a line; no two of the first 32 are alike."""
    turn, color = divmod(index, len(_COLORS))
    dashes = _DASHES[(turn + color) % len(_DASHES)]
    return f'stroke="{_COLORS[color]}" fill="{_COLORS[color]}" stroke-dasharray="{dashes}"'


def _pen(index: int, line: Points) -> str:
    faint = index > 0 and len(line) > _MAX_BOLD_POINTS
    return 'stroke-width="1" opacity="0.5"' if faint else 'stroke-width="2"'


def _polylines(points: Points, x_axis: _Axis, y_axis: _Axis) -> Iterator[str]:
    """A polyline for each run of numbers, a dot where one stands alone."""
    run: list[str] = []
    for x, y in [*points, (0.0, math.nan)]:
        if math.isfinite(y):
            run.append(f"{x_axis.pixel(x):.1f},{y_axis.pixel(y):.1f}")
            continue
        if len(run) == 1:
            cx, cy = run[0].split(",")
            yield f'<circle cx="{cx}" cy="{cy}" r="3"/>'
        elif run:
            yield f'<polyline points="{" ".join(run)}" fill="none"/>'
        run = []


def _grid(x_axis: _Axis, y_axis: _Axis) -> Iterator[str]:
    for value in y_axis.ticks(6):
        y = y_axis.pixel(value)
        yield f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#e1e7ed"/>'
        yield _label(_tick(value), _LEFT - 8, y + 4, anchor="end")
    for value in x_axis.ticks(8):
        x = x_axis.pixel(value)
        yield f'<path d="M{x:.1f} {_BOTTOM}v5" stroke="#7b8794"/>'
        yield _label(_tick(value), x, _BOTTOM + 19)
    yield f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="#7b8794"/>'


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _label(text: str, x: float, y: float, more: str = "", anchor: str = "middle") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}'
    return f'<text {place} fill="#52606d">{escaped(text)}</text>'


def _svg(title: str, width: int, height: int, parts: Sequence[str], more: str = "") -> str:
    return (
        f'<svg role="img" xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-size="12" font-family="sans-serif"{more}>'
        f"<title>{escaped(title)}</title>\n" + "\n".join(parts) + "\n</svg>"
    )


def _key(names: Sequence[str]) -> str:
    items = [
        f'<li><svg width="34" height="10" aria-hidden="true"><path d="M1 5H28" {_stroke(index)} '
        f'stroke-width="2.5"/></svg>{escaped(name)}</li>'
        for index, name in enumerate(names)
    ]
    return '<figcaption><ul class="legend">' + "".join(items) + "</ul></figcaption>"


def heat_map(
    counts: NDArray[np.number[Any]],
    row_names: Sequence[str],
    col_names: Sequence[str],
    *,
    corner: str,
    caption: str,
) -> str:
    """A confusion matrix: counts [rows, cols] and their share of the row, shaded by the share.

    ``corner`` says what rows and columns are. Beyond MAX_TABLE_CLASSES it is a drawing whose
    figures are shown under the mouse.
    """
    values = np.asarray(counts, dtype=np.float64).reshape(len(row_names), len(col_names))
    totals = np.nansum(values, axis=1, keepdims=True)
    shares = values / np.where(totals > 0, totals, np.nan)
    if max(values.shape) > MAX_TABLE_CLASSES:
        said = f"{caption} ({corner})" if corner else caption
        drawing = _matrix_drawing(values, shares, row_names, col_names, said)
        return (
            f"<figure><figcaption>{escaped(said)}</figcaption>"
            f'<div class="wide" tabindex="0">{drawing}</div></figure>'
        )
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in (corner, *col_names))
    rows = []
    for name, row_values, row_shares in zip(row_names, values.tolist(), shares.tolist()):
        data = "".join(
            _cell(value, share, name == col_name)
            for value, share, col_name in zip(row_values, row_shares, col_names)
        )
        rows.append(f'<tr><th scope="row">{escaped(name)}</th>{data}</tr>')
    return (
        f'<div class="wide" tabindex="0"><table class="heat">\n'
        f"<caption>{escaped(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def _cell(value: float, share: float, agrees: bool) -> str:
    back, text = shade(share)
    kind = ' class="hit"' if agrees else ""
    below = f"<small>{percent(share)}</small>" if value else ""
    return f'<td{kind} style="background:{back};color:{text}">{count(value)}{below}</td>'


def _matrix_drawing(
    values: NDArray[np.float64],
    shares: NDArray[np.float64],
    row_names: Sequence[str],
    col_names: Sequence[str],
    title: str,
) -> str:
    """Squares without figures; those too faint to be seen are left out, as 254 x 254 are slow."""
    row_labels, col_labels = ([_short(name) for name in names] for names in (row_names, col_names))
    left, top = (
        12 + _LETTER * max(map(len, labels), default=0) for labels in (row_labels, col_labels)
    )
    parts = []
    for row, label in enumerate(row_labels):
        y = top + row * _CELL + _CELL - 2
        parts.append(f'<text x="{left - 4}" y="{y}" text-anchor="end">{escaped(label)}</text>')
    for col, label in enumerate(col_labels):
        turned = f"translate({left + col * _CELL + _CELL - 2} {top - 4}) rotate(-90)"
        parts.append(f'<text transform="{turned}">{escaped(label)}</text>')
    for row, col in np.argwhere(shares >= _LEAST_SHARE).tolist():
        share = float(shares[row, col])
        said = f"{row_names[row]} → {col_names[col]}: {count(values[row, col])} ({percent(share)})"
        parts.append(
            f'<rect x="{left + col * _CELL}" y="{top + row * _CELL}" width="{_CELL}" '
            f'height="{_CELL}" fill="{shade(share)[0]}"><title>{escaped(said)}</title></rect>'
        )
    width, height = len(col_names) * _CELL, len(row_names) * _CELL
    edge = f'x="{left}" y="{top}" width="{width}" height="{height}"'
    parts.append(f'<rect {edge} fill="none" stroke="#9aa8b5"/>')
    return _svg(
        title, left + width + 12, top + height + 12, parts, ' style="max-width:none;font-size:10px"'
    )


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
