"""A confusion matrix as a table of shaded cells, or as a drawing where the classes are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.core.markup import count, escaped, percent, shade

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_WITH_TEXT = 24  # more columns of figures are no longer read, and do not fit a page
_CELL = 11  # of the drawing, in pixels
_NAME = 24  # characters of a name that the drawing shows
_LETTER = 6  # the width of one in pixels
_LEAST_DRAWN = 0.004  # share of the row; less is as white as paper


def heat_map(
    counts: NDArray[np.number[Any]],
    row_names: Sequence[str],
    col_names: Sequence[str],
    *,
    corner: str,
    caption: str,
) -> str:
    """Counts [rows, cols] and their share of the row, which is also the shade of the cell.

    ``corner`` says what rows and columns are. Beyond MOST_WITH_TEXT classes it is a drawing whose
    figures are shown under the mouse.
    """
    values = np.asarray(counts, dtype=np.float64).reshape(len(row_names), len(col_names))
    totals = np.where(np.isfinite(values), values, 0.0).sum(axis=1, keepdims=True)
    shares = values / np.where(totals > 0, totals, np.nan)
    draw = _table if max(values.shape) <= MOST_WITH_TEXT else _drawing
    return draw(values, shares, row_names, col_names, corner, caption)


def _table(
    values: NDArray[np.float64],
    shares: NDArray[np.float64],
    row_names: Sequence[str],
    col_names: Sequence[str],
    corner: str,
    caption: str,
) -> str:
    top = "".join(f'<th scope="col">{escaped(each)}</th>' for each in (corner, *col_names))
    body = []
    for name, numbers, row in zip(row_names, values, shares):
        cells = "".join(
            _cell(float(number), float(share), name == column)
            for number, share, column in zip(numbers, row, col_names)
        )
        body.append(f'<tr><th scope="row">{escaped(name)}</th>{cells}</tr>')
    return (
        f'<div class="wide" tabindex="0"><table class="heat">\n'
        f"<caption>{escaped(caption)}</caption>\n"
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody></table></div>"
    )


def _cell(number: float, share: float, agrees: bool) -> str:
    back, text = shade(share)
    kind = ' class="hit"' if agrees else ""
    below = f"<small>{percent(share)}</small>" if number else ""
    return f'<td{kind} style="background:{back};color:{text}">{count(number)}{below}</td>'


def _drawing(
    values: NDArray[np.float64],
    shares: NDArray[np.float64],
    row_names: Sequence[str],
    col_names: Sequence[str],
    corner: str,
    caption: str,
) -> str:
    rows, cols = values.shape
    left = 12 + _LETTER * max((min(len(each), _NAME) for each in row_names), default=0)
    top = 12 + _LETTER * max((min(len(each), _NAME) for each in col_names), default=0)
    width, height = left + cols * _CELL + 12, top + rows * _CELL + 12
    edge = f'x="{left}" y="{top}" width="{cols * _CELL}" height="{rows * _CELL}"'
    parts = [
        *_names(row_names, col_names, left, top),
        *_squares(values, shares, row_names, col_names, left, top),
        f'<rect {edge} fill="none" stroke="#9aa8b5"/>',
    ]
    said = f"{caption} ({corner})" if corner else caption
    return (
        f'<figure><figcaption>{escaped(said)}</figcaption><div class="wide" tabindex="0">'
        f'<svg role="img" xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="max-width:none" font-size="10" fill="#1f2933" '
        f'font-family="sans-serif"><title>{escaped(said)}</title>\n'
        + "\n".join(parts)
        + "\n</svg></div></figure>"
    )


def _names(
    row_names: Sequence[str], col_names: Sequence[str], left: int, top: int
) -> Iterator[str]:
    for index, name in enumerate(row_names):
        y = top + index * _CELL + _CELL - 2
        yield f'<text x="{left - 4}" y="{y}" text-anchor="end">{_short(name)}</text>'
    for index, name in enumerate(col_names):
        place = f"translate({left + index * _CELL + _CELL - 2} {top - 4}) rotate(-90)"
        yield f'<text transform="{place}">{_short(name)}</text>'


def _short(name: str) -> str:
    return escaped(name if len(name) <= _NAME else name[: _NAME - 1] + "…")


def _squares(
    values: NDArray[np.float64],
    shares: NDArray[np.float64],
    row_names: Sequence[str],
    col_names: Sequence[str],
    left: int,
    top: int,
) -> Iterator[str]:
    """The cells that would be seen: a drawing with all of 254 x 254 takes a browser too long."""
    for row, col in zip(*(each.tolist() for each in np.nonzero(shares >= _LEAST_DRAWN))):
        number, share = float(values[row, col]), float(shares[row, col])
        told = f"{row_names[row]} → {col_names[col]}: {count(number)} ({percent(share)})"
        yield (
            f'<rect x="{left + col * _CELL}" y="{top + row * _CELL}" width="{_CELL}" '
            f'height="{_CELL}" fill="{shade(share)[0]}"><title>{escaped(told)}</title></rect>'
        )
