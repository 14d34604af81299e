"""Descriptions of runs: what is written comes back, and what strangers write does no harm."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from scasnet_qgis.outputs.provenance.run_record import (
    FORMAT_VERSION,
    MAX_LIST_ITEMS,
    InvalidRecord,
    Record,
    from_text,
    plain,
    to_text,
)

CONTENT = {
    "model": {"name": "größer", "sizes": (1, 2.5)},
    "files": [{"name": "a"}, {"name": "b"}],
    "warnings": ["one", "two"],
}


def test_what_is_written_comes_back() -> None:
    text = to_text(CONTENT)
    record = from_text(text)
    assert record.intact
    assert record.text("model", "name") == "größer"
    assert [size.number() for size in record.parts("model", "sizes")] == [1.0, 2.5]
    assert [file.text("name") for file in record.parts("files")] == ["a", "b"]
    assert record.texts("warnings") == ["one", "two"]
    assert to_text(CONTENT) == text


def test_numbers_of_numpy_and_what_json_does_not_know() -> None:
    values = {"a": np.float32(0.5), "b": np.int64(3), "c": math.nan, "d": -math.inf, "e": (None,)}
    assert plain(values) == {"a": 0.5, "b": 3, "c": "nan", "d": "-inf", "e": [None]}
    assert from_text(to_text(values)).intact
    assert plain([Path("maps"), 1 + 2j, b"x"]) == ["maps", "(1+2j)", "b'x'"]


def test_a_text_editor_shows_a_record_line_by_line_in_plain_letters() -> None:
    lines = to_text({"model": {"name": "größer"}}).split("\n")
    assert lines[:3] == ["{", ' "format": "scasnet-run",', ' "version": 1,']
    assert lines[3:6] == [' "model": {', '  "name": "größer"', " },"]
    assert lines[-2:] == ["}", ""]


def test_a_record_of_an_earlier_version_stays_intact() -> None:
    """Its checksum is the SHA-256 of all else: keys sorted, no blanks, ASCII only."""
    text = (
        '{"version": 1, "format": "scasnet-run", "model": {"name": "größer"}, "checksum": '
        '"cb1eed43a43dbf1ef28a70a836287b9c57ae0828d83c33fce2c63f7ab7d6ac54"}'
    )
    assert from_text(text).intact


def test_a_record_with_half_characters_is_intact(tmp_path) -> None:
    """Names of files may be no Unicode."""
    data = to_text({"path": "a\udc80b"}).encode("utf-8", "backslashreplace")
    record = from_text(data.decode("utf-8"))
    assert record.at("path") == "a\udc80b"
    assert record.intact
    assert record.text("path") == "ab"


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content["model"].update(name="other"),
        lambda content: content["warnings"].pop(),
        lambda content: content.update(more=1),
        lambda content: content.pop("checksum"),
        lambda content: content.update(checksum=7),
    ],
)
def test_an_edited_record_is_told(edit) -> None:
    content = json.loads(to_text(CONTENT))
    edit(content)
    assert not from_text(json.dumps(content)).intact


def test_only_the_layout_may_change() -> None:
    content = json.loads(to_text(CONTENT))
    backwards = dict(reversed(list(content.items())))
    assert from_text(json.dumps(backwards)).intact


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1 column 1"),
        ("no JSON", "line 1 column 1"),
        ('{"format":', "line 1 column 11"),
        ("[]", "the format is not stated"),
        ("{}", "the format is not stated"),
        ('{"format": "other", "version": 1}', "the format is not stated"),
        ('{"format": "scasnet-run"}', "version None, known up to 1"),
        ('{"format": "scasnet-run", "version": "x"}', "version None, known up to 1"),
        ('{"format": "scasnet-run", "version": 0}', "version None, known up to 1"),
        (json.dumps({"format": "scasnet-run", "version": FORMAT_VERSION + 1}), "version 2.0,"),
        (
            '{"format": "scasnet-run", "version": 1, "a": ' + "[" * 100_000 + "]" * 100_000 + "}",
            "recursion",
        ),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_and_told_why(text: str, why: str) -> None:
    with pytest.raises(InvalidRecord, match=why):
        from_text(text)


def test_a_deep_record_is_refused_or_can_be_written_again() -> None:
    for depth in (50, 300, 480, 700, 950):
        nested = "[" * depth + "]" * depth
        try:
            record = from_text(f'{{"format": "scasnet-run", "version": 1, "a": {nested}}}')
        except InvalidRecord:
            continue
        assert json.dumps(record.content, indent=1).count("[") == depth
        assert not record.intact


def test_no_number_is_infinite() -> None:
    record = from_text('{"format": "scasnet-run", "version": 1, "a": 1e999, "b": NaN}')
    assert record.number("a") is None
    assert json.dumps(record.content, allow_nan=False)


def test_odd_content_is_empty() -> None:
    record = Record({"a": {"b": 3}, "list": [1, {"c": "x"}, None], "yes": True, "text": "t"})
    assert record.at("a", "b", "c") is None
    assert record.at("list", "b") is None
    assert record.text("list") == ""
    assert record.text("yes") == "true"
    assert record.number("yes") is None
    assert record.number("text") is None
    assert record.count("text") == 0
    assert [Record({"pixels": count}).count("pixels") for count in (12.0, -3)] == [12, 0]
    assert record.parts("a") == []
    assert record.texts("list") == ["1"]
    assert [part.text("c") for part in record.parts("list")] == ["", "x", ""]
    assert not Record([1]).intact
    assert len(Record([0] * 5000).parts()) == MAX_LIST_ITEMS


def test_texts_are_one_line_without_markup() -> None:
    record = Record({"a": "<b>x</b>\nSHA-256: 0\u202e", "long": "x" * 10_000})
    assert record.text("a") == "‹b›x‹/b› SHA-256: 0"
    assert len(record.text("long")) < 5000
