"""Lines over an axis, drawn as SVG inside the document."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from scasnet_qgis.core.markup import escaped

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 760, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 12, 48  # margins of the plot
_MOST_POINTS = 1500  # of one line; more are narrower than a pixel
_FAINT_FROM = 300  # points, which are noise then
# Colours that also differ for the colour-blind (Okabe and Ito 2008), dark enough for thin lines.
_COLORS = ("#0072b2", "#d55e00", "#00795c", "#a8447f", "#1f2933", "#8a6d00", "#3a7fa8", "#7a4f1d")
_DASHES = ("", "7 4", "2 3", "9 3 2 3")


@dataclass(frozen=True)
class _Axis:
    """Values from ``low`` to ``high`` over pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; what lies outside is drawn at the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 6) -> list[float]:
        """Round values, about so many."""
        step = _round_step((self.high - self.low) / about)
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
    across = _Axis(*_span([x for x, _ in known], 0.0), _LEFT, _WIDTH - _RIGHT)
    low, high = y_range if y_range and y_range[0] < y_range[1] else _span([y for _, y in known])
    up = _Axis(low, high, _HEIGHT - _BOTTOM, _TOP)
    drawn = [
        f'<g stroke="{color}" fill="{color}"{_dashed(dash)} {_pen(index, len(line))}>'
        f"{''.join(_line(line, across, up))}</g>"
        for index, (line, (color, dash)) in enumerate(zip(lines.values(), _looks()))
    ]
    title = f"{y_label} / {x_label}: {', '.join(lines)}"
    return (
        f'<figure><svg role="img" xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" '
        f'height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="12" '
        f'font-family="sans-serif"><title>{escaped(title)}</title>\n'
        + "\n".join([*_grid(across, up), *_labels(x_label, y_label), *drawn[::-1]])
        + f"\n</svg>{_legend(list(lines))}</figure>"
    )


def _thinned(points: Points) -> list[tuple[float, float]]:
    """Points with a finite x; of many, the lowest and the highest of each stretch."""
    kept = [(float(x), float(y)) for x, y in points if math.isfinite(x)]
    if len(kept) <= _MOST_POINTS:
        return kept
    size = math.ceil(2 * len(kept) / _MOST_POINTS)
    result = []
    for start in range(0, len(kept), size):
        part = [each for each in kept[start : start + size] if math.isfinite(each[1])]
        # Where none is a number, one that is not keeps the gap.
        part = part or [kept[start]]
        ends = {min(part, key=lambda each: each[1]), max(part, key=lambda each: each[1])}
        result += sorted(ends)
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


def _round_step(least: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((each * power for each in (1, 2, 5) if each * power >= least * 0.999), 10 * power)


def _looks() -> Iterator[tuple[str, str]]:
    """Colour and dashes of one line after the other, without end."""
    for index in count():
        turn = index // len(_COLORS) + index % len(_COLORS)
        yield _COLORS[index % len(_COLORS)], _DASHES[turn % len(_DASHES)]


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def _pen(index: int, points: int) -> str:
    faint = index > 0 and points > _FAINT_FROM
    return 'stroke-width="1" opacity="0.5"' if faint else 'stroke-width="2"'


def _line(points: Points, across: _Axis, up: _Axis) -> Iterator[str]:
    """A polyline for each run of numbers, a dot where one stands alone."""
    run: list[str] = []
    for x, y in [*points, (0.0, math.nan)]:
        if math.isfinite(y):
            run.append(f"{across(x):.1f},{up(y):.1f}")
            continue
        if len(run) == 1:
            col, row = run[0].split(",")
            yield f'<circle cx="{col}" cy="{row}" r="3"/>'
        elif run:
            yield f'<polyline points="{" ".join(run)}" fill="none"/>'
        run = []


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for value in up.ticks():
        y = f"{up(value):.1f}"
        yield f'<line x1="{_LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="#e1e7ed"/>'
        yield _text(_LEFT - 8, up(value) + 4, _tick(value), "end")
    for value in across.ticks(8):
        x = f"{across(value):.1f}"
        yield f'<line x1="{x}" y1="{bottom}" x2="{x}" y2="{bottom + 5}" stroke="#7b8794"/>'
        yield _text(across(value), bottom + 19, _tick(value), "middle")
    corner = f"{_LEFT},{_TOP} {_LEFT},{bottom} {right},{bottom}"
    yield f'<polyline points="{corner}" fill="none" stroke="#7b8794"/>'


def _labels(x_label: str, y_label: str) -> Iterator[str]:
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_label, "middle")
    yield (
        f'<text transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle" '
        f'fill="#52606d">{escaped(y_label)}</text>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="#52606d">{escaped(text)}</text>'


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _legend(names: Sequence[str]) -> str:
    items = [
        f'<li><svg width="34" height="10" aria-hidden="true"><line x1="1" y1="5" x2="28" y2="5" '
        f'stroke="{color}" stroke-width="2.5"{_dashed(dash)}/></svg>{escaped(name)}</li>'
        for name, (color, dash) in zip(names, _looks())
    ]
    return '<figcaption><ul class="legend">' + "".join(items) + "</ul></figcaption>"
