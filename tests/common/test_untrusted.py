"""Values of metadata that nobody can be sure of."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.model_card import from_metadata
from scasnet_qgis.common.untrusted import (
    MAX_LITERAL,
    MAX_VALUE,
    check_regular_file,
    clean_name,
    parse,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{0: 'road', 1: \"it's\"}", {0: "road", 1: "it's"}),
        ("('a', 'b',)", ("a", "b")),
        ("[-1, +2.5, 1e-3, None, True]", [-1, 2.5, 0.001, None, True]),
        ("{'a': [{'b': (1, 2)}]}", {"a": [{"b": (1, 2)}]}),
        (r"'a \' b'", "a ' b"),
        ("{}", {}),
    ],
)
def test_python_literals(text: str, value: object) -> None:
    assert parse("names", text) == value


@pytest.mark.fault("metadata that is no JSON, or code", "stays a text, nothing is run")
@pytest.mark.parametrize(
    "text",
    [
        "1" + "+1" * 40_000,
        "-" * 90_000 + "1",
        "a" + "[0]" * 30_000,
        "1" + ".real" * 15_000,
        "'a'" * 30_000,
        "(" * 11 + ")" * 11,
        "0x" + "f" * 90_000,
        "9" * 90_000,
        "f()",
        "[1, 2",
        "]1[",
        "{0: 'road'",
        "'a\nb'",
        "a\0b",
    ],
)
def test_what_is_no_plain_literal_stays_a_text(text: str) -> None:
    assert parse("names", text) == text


def test_odd_values_become_names_all_the_same() -> None:
    assert clean_name("\ud800<b>\u202e" + "x" * 200) == "‹b›" + "x" * 77
    assert [clean_name(value) for value in (None, [1], {}, 1.5)] == ["", "", "", "1.5"]
    assert clean_name("x" * 79 + " y") == "x" * 79


@pytest.mark.fault(
    "metadata of 100,000 nested brackets", "read as no names; the classes are numbered"
)
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 500 + "]" * 500])
def test_deep_nesting_is_no_name(text: str) -> None:
    assert from_metadata({"class_names": text}, 3, 2).class_names == ["class 0", "class 1"]


@pytest.mark.fault(
    "a card that names 70,000 classes",
    "those that the model has are read; a model of as many is refused",
)
def test_a_card_of_70_000_classes_gives_those_that_there_are() -> None:
    names = json.dumps([f"c{index}" for index in range(70_000)])
    card = from_metadata({"class_names": names}, 3, 2)
    assert card.class_names == ["c0", "c1"]
    with pytest.raises(ModelError, match="254"):
        from_metadata({"class_names": names}, 3, 70_000)


def test_keys_that_nobody_knows_are_not_parsed() -> None:
    """A thousand of them, each of which would take some megabytes, would fill the memory."""
    unknown = {f"scasnet_x{index}": "x" * 2_000_000 for index in range(3)}
    assert from_metadata(unknown, 3, 2).name == ""


@pytest.mark.fault("metadata without end in many keys", "refused in one sentence")
def test_all_values_together_have_a_limit() -> None:
    keys = ("name", "training_data", "licence", "attribution", "description")
    metadata = {f"scasnet_{key}": json.dumps("x" * 900_000) for key in keys}
    with pytest.raises(ModelError):
        from_metadata(metadata, 3, 2)


def test_plain_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"123")
    check_regular_file(path, 3)
    for other in (tmp_path, tmp_path / "none", Path(os.devnull)):
        with pytest.raises(OSError):  # noqa: PT011 (each system has its own text)
            check_regular_file(other)


def test_the_log_says_which_file_is_not_read_and_why(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"123")
    with pytest.raises(OSError, match="more than 2 bytes") as large:
        check_regular_file(path, 2)
    assert (large.value.errno, large.value.filename) == (errno.EFBIG, str(path))
    with pytest.raises(OSError, match="not a plain file") as folder:
        check_regular_file(tmp_path)
    assert (folder.value.errno, folder.value.filename) == (errno.EINVAL, str(tmp_path))


@pytest.mark.parametrize(("depth", "is_read"), [(1, True), (10, True), (11, False)])
def test_literals_are_read_down_to_ten_brackets(depth: int, is_read: bool) -> None:
    text = "(" * depth + "'a'," + "),".join([""] * depth) + ")"
    assert isinstance(parse("names", text), tuple) is is_read


def test_a_value_of_the_greatest_length_is_still_read() -> None:
    text = '"' + "a" * (MAX_VALUE - 2) + '"'
    assert parse("name", text) == text[1:-1]
    with pytest.raises(ModelError) as caught:
        parse("name", text + " ")
    assert caught.value.detail == f"name has {MAX_VALUE + 1} characters"


def test_a_literal_of_the_greatest_length_is_still_read() -> None:
    text = "'" + "a" * (MAX_LITERAL - 2) + "'"
    assert parse("names", text) == text[1:-1]
    assert parse("names", text + " ") is None
