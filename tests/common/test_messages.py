"""Texts for people, and the errors that carry them together with a detail for the log."""

from __future__ import annotations

from scasnet_qgis.common.errors import Cancelled, InputError
from scasnet_qgis.common.messages import Message, message


def test_message_is_filled_in_any_language() -> None:
    text = message("{count:,} of {whole}", count=1234, whole=Message("all {n}", {"n": 7}))
    assert str(text) == "1,234 of all 7"
    assert text.filled("von {whole}: {count}") == "von all 7: 1234"
    assert str(Message("a {brace}")) == "a {brace}", "nothing to fill, nothing touched"


def test_an_error_has_one_sentence_and_keeps_the_detail_for_the_log() -> None:
    error = InputError("{path} cannot be read.", "errno 5", path="a.tif")
    assert str(error) == error.sentence == "a.tif cannot be read."
    assert error.detail == "errno 5"
    assert error.message == Message("{path} cannot be read.", {"path": "a.tif"})


def test_an_error_without_a_detail_has_an_empty_one() -> None:
    assert InputError("It cannot be read.").detail == ""
    assert Cancelled().detail == ""
    assert Cancelled().sentence
