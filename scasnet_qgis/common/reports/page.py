"""Parts of a report and the page that holds them: one HTML file, readable offline and in print.

Whatever is passed in is escaped. The page has no scripts and asks for nothing from outside, and
says so to the browser.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from scasnet_qgis.common.reports.charts import heat_map, line_chart
from scasnet_qgis.common.reports.escaping import (
    count,
    decimal,
    escaped,
    percent,
    swatch,
    value_text,
)

__all__ = (
    "count", "decimal", "facts", "heat_map", "legend", "line_chart", "page", "paragraph", "percent",
    "picture_row", "preformatted", "section", "table", "warning",
)  # fmt: skip

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; padding: 0 1.25rem; max-width: 64rem; background: #fff; color: #1f2933;
  font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1 { margin: 0 0 1rem; font-size: 1.75rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.25rem 0 .75rem; padding-bottom: .25rem; font-size: 1.2rem;
  border-bottom: 1px solid #c5ced8; }
p { max-width: 48rem; margin: .5rem 0; overflow-wrap: anywhere; white-space: pre-line; }
.warning { padding: .5rem .9rem; border-left: 4px solid #b35900; background: #fff4e5; }
pre { padding: .75rem 1rem; background: #f2f5f8; border: 1px solid #d7dee6; font-size: .875rem;
  font-family: ui-monospace, Consolas, "DejaVu Sans Mono", monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { padding-bottom: .4rem; text-align: left; color: #52606d; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #e1e7ed; text-align: right;
  vertical-align: top; }
th { font-weight: 600; }
thead th { border-bottom: 2px solid #9aa8b5; vertical-align: bottom; }
th:first-child, .facts td { text-align: left; overflow-wrap: anywhere; }
tbody th { font-weight: 400; min-width: 6rem; max-width: 20rem; }
.facts th { min-width: 10rem; color: #52606d; }
.facts td { white-space: pre-line; }
.heat tbody th, .heat thead th:first-child { position: sticky; left: 0; background: #fff; }
.heat td { border: 1px solid #fff; text-align: center; line-height: 1.25; white-space: nowrap; }
.heat td.hit { outline: 2px solid #1f2933; outline-offset: -2px; }
.heat small { display: block; font-size: .75rem; }
.heat thead th { max-width: 7rem; text-align: center; overflow-wrap: anywhere; }
.heat thead th:first-child { text-align: left; font-weight: 400; color: #52606d; }
.swatch { display: inline-block; width: .85em; height: .85em; margin-right: .5em;
  border: 1px solid #7b8794; vertical-align: -.08em; }
figure { margin: .75rem 0; }
figcaption { color: #52606d; }
svg { max-width: 100%; height: auto; }
.legend { margin: .5rem 0; padding: 0; list-style: none; }
.legend li { display: inline-block; margin-right: 1.25rem; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; margin: .75rem 0; }
.pictures figure { flex: 1 1 12rem; max-width: 20rem; margin: 0 .75rem .5rem 0; }
.pictures img { display: block; width: 100%; border: 1px solid #c5ced8;
  image-rendering: pixelated; }
.pictures figcaption { font-size: .875rem; overflow-wrap: anywhere; }
@media print {
  body { margin: 0; max-width: none; font-size: 11pt; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  .wide { overflow: visible; }
  h2 { break-after: avoid; }
  figure, tr, .pictures { break-inside: avoid; }
}
"""


def page(title: str, *sections: str, lang: str = "en") -> str:
    """The whole document."""
    return (
        f'<!DOCTYPE html>\n<html lang="{escaped(lang)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escaped(title)}</h1>\n" + "\n".join(sections) + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """Parts under a heading."""
    return f"<section>\n<h2>{escaped(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def paragraph(text: str) -> str:
    """A paragraph; line breaks are kept."""
    return f"<p>{escaped(text)}</p>"


def warning(text: str) -> str:
    """A paragraph that must not be overlooked."""
    return f'<p class="warning" role="note">{escaped(text)}</p>'


def preformatted(text: str) -> str:
    """A command or another text whose spaces and line breaks count."""
    return f"<pre>{escaped(text)}</pre>"


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """A table of two columns, names and what they are."""
    rows = (
        f'<tr><th scope="row">{escaped(name)}</th><td>{value_text(value)}</td></tr>'
        for name, value in pairs
    )
    return '<div class="wide"><table class="facts">\n' + "\n".join(rows) + "\n</table></div>"


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    swatches: Sequence[str] | None = None,
    *,
    caption: str = "",
) -> str:
    """Rows of a name and its figures, the figures aligned to the right.

    ``swatches`` are the colours of the names, row by row; rows beyond them have none.
    """
    top = "".join(f'<th scope="col">{escaped(title)}</th>' for title in head)
    body = []
    for index, (name, *cells) in enumerate(rows):
        color = swatch(swatches[index]) if swatches and index < len(swatches) else ""
        figures = "".join(f"<td>{value_text(cell)}</td>" for cell in cells)
        body.append(f'<tr><th scope="row">{color}{escaped(name)}</th>{figures}</tr>')
    said = f"<caption>{escaped(caption)}</caption>\n" if caption else ""
    return (
        f'<div class="wide"><table>\n{said}<thead><tr>{top}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )


def picture_row(pictures: Sequence[tuple[str, bytes]]) -> str:
    """Pictures (PNG) side by side, each with its caption, inside the document."""
    figures = (
        f'<figure><img alt="{escaped(caption)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
        for caption, png in pictures
    )
    return '<div class="pictures">\n' + "\n".join(figures) + "\n</div>"


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names, each behind a square of its colour."""
    items = (f"<li>{swatch(color)}{escaped(name)}</li>" for name, color in entries)
    return '<ul class="legend">\n' + "\n".join(items) + "\n</ul>"
