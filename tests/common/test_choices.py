"""What lies exactly on a limit, and the small readers that others rely on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.untrusted import MAX_VALUE, parse
from scasnet_qgis.outputs.provenance.run_record import Record, record_file


def test_a_class_beyond_the_last_is_left_out_on_either_side() -> None:
    """Counted, it would look like another pair of classes."""
    reference, mapped = np.array([0, 0, 1, 2, -1]), np.array([0, 2, 1, 1, 0])
    assert ConfusionMatrix.of(reference, mapped, 2).counts.tolist() == [[1, 0], [0, 1]]


def test_a_value_of_the_greatest_length_is_still_read() -> None:
    text = '"' + "a" * (MAX_VALUE - 2) + '"'
    assert parse("name", text) == text[1:-1]
    with pytest.raises(ModelError):
        parse("name", text + " ")


@pytest.mark.parametrize(("depth", "is_read"), [(1, True), (10, True), (11, False)])
def test_literals_are_read_down_to_ten_brackets(depth: int, is_read: bool) -> None:
    text = "(" * depth + "'a'," + "),".join([""] * depth) + ")"
    assert isinstance(parse("names", text), tuple) is is_read


def test_what_a_record_counts_and_where_it_lies() -> None:
    record = Record({"areas": {"pixels": 12.0, "odd": -3, "text": "x"}})
    assert record.count("areas", "pixels") == 12
    assert [record.count("areas", key) for key in ("odd", "text", "missing")] == [0, 0, 0]
    assert record_file(Path("/maps/a.tif")) == Path("/maps/a.tif.scasnet")
