"""The parts of a report: what is passed in is shown, and is never markup."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest

from scasnet_qgis.common.reports import page as html
from tests.common.pages import read

HOSTILE = "</script><script>alert('1')</script> \"quoted\" & <img src=x onerror=y>"
PART_OF_EACH = {
    "page": lambda text: html.page(text, html.section(text), lang=text),
    "section": lambda text: html.section(text),
    "paragraph": html.paragraph,
    "warning": html.warning,
    "preformatted": html.preformatted,
    "facts": lambda text: html.facts([(text, text)]),
    "table": lambda text: html.table([text, text], [[text, text]], [text], caption=text),
    "heat_map": lambda text: html.heat_map(
        np.ones((2, 2)), [text, "b"], [text, "b"], corner=text, caption=text
    ),
    "large heat_map": lambda text: html.heat_map(
        np.ones((30, 30)), [text] * 30, [text] * 30, corner=text, caption=text
    ),
    "line_chart": lambda text: html.line_chart({text: [(0, 1)]}, x_label=text, y_label=text),
    "picture_row": lambda text: html.picture_row([(text, b"png")]),
    "legend": lambda text: html.legend([(text, text)]),
}


@pytest.mark.fault(
    "HTML in anything that a report shows", "it stays text, in each part of a report"
)
@pytest.mark.parametrize("make", PART_OF_EACH.values(), ids=PART_OF_EACH)
def test_whatever_is_passed_in_stays_text(make) -> None:
    harmless, hostile = read(make("name")), read(make(HOSTILE))
    assert not hostile.all("script")
    assert len(hostile.all("img")) == len(harmless.all("img"))
    assert "alert('1')" in hostile.text
    for tag in ("div", "th", "p", "li", "text", "span"):
        for element in hostile.all(tag):
            assert not [key for key in element.attributes if key.startswith("on")]
            assert "alert" not in element.attributes.get("style", "")


def test_page_is_one_document_that_loads_nothing() -> None:
    text = html.page("A & B", html.section("One", html.paragraph("Text")), lang="de")
    page = read(text)
    assert text.startswith("<!DOCTYPE html>")
    assert page.all("html")[0].attributes["lang"] == "de"
    assert page.texts("title") == page.texts("h1") == ["A & B"]
    assert page.texts("h2") == ["One"]
    rules = [meta.attributes.get("content", "") for meta in page.all("meta")]
    assert any("default-src 'none'" in rule for rule in rules)
    assert not page.all("link")
    assert not page.all("script")
    assert not re.search(r"@import|url\(|src=|href=", text)


def test_text_without_place_in_a_document_is_left_out() -> None:
    text = html.paragraph("a\x00b\x08c\ud800d\ne\tf")
    assert read(text).text == "abc?d\ne\tf"
    assert text.encode("utf-8")


def test_table_has_heads_swatches_and_dashes() -> None:
    part = html.table(
        ["Class", "Pixels", "IoU"],
        [["nan", "1,200", "0.5"], ["road", "nan", ""], ["all", "7", "None"]],
        ["#C8502F", "red; background: url(x)"],
        caption="Accuracy",
    )
    table = read(part)
    assert table.texts("caption") == ["Accuracy"]
    assert [cell.attributes["scope"] for cell in table.all("th")] == ["col"] * 3 + ["row"] * 3
    assert table.texts("th")[3:] == ["nan", "road", "all"], "a name may be any word"
    assert table.texts("td") == ["1,200", "0.5", "–", "–", "7", "–"]
    swatches = [span.attributes["style"] for span in table.all("span")]
    assert swatches == ["background:#C8502F", "background:#ffffff"]


def test_a_table_without_caption_has_none() -> None:
    assert not read(html.table(["Class"], [["road"]])).all("caption")


def test_facts_are_pairs() -> None:
    part = read(html.facts([("Bands", "red, green"), ("Licence", "")]))
    assert part.texts("th") == ["Bands", "Licence"]
    assert part.texts("td") == ["red, green", "–"]


def test_pictures_are_inside_the_document() -> None:
    content = bytes(range(256))
    part = read(html.picture_row([("Image", content), ("Map", b"png")]))
    assert part.texts("figcaption") == ["Image", "Map"]
    first, second = part.all("img")
    assert (
        base64.b64decode(first.attributes["src"].removeprefix("data:image/png;base64,")) == content
    )
    assert second.attributes["alt"] == "Map"


def test_legend_names_its_colours() -> None:
    part = read(html.legend([("water", "#0000ff"), ("town", "#ff0000")]))
    assert part.texts("li") == ["water", "town"]
    assert [span.attributes["style"] for span in part.all("span")] == [
        "background:#0000ff",
        "background:#ff0000",
    ]


def test_preformatted_text_keeps_its_lines() -> None:
    command = "qgis_process run \\\n  A=1 && B < C"
    assert read(html.preformatted(command)).texts("pre") == [command]
