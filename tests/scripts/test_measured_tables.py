"""Figures get into the page from the tools' own output, and only where there is room for them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import fuzz_report
import measure_coverage
import measure_mutants
import measured_table
import pytest


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- x -->\nold\n<!-- end of x -->\nafter\n")
    monkeypatch.setattr(measured_table, "PAGE", path)
    return path


def test_a_table_takes_the_place_of_the_one_before(page: Path) -> None:
    for rows in ([["a", 1], ["b\\1", 2]], [["c", 3]]):
        measured_table.write("x", ["name", "count"], rows)
    assert page.read_text() == (
        "before\n<!-- x -->\n| name | count |\n| --- | --- |\n| c | 3 |\n<!-- end of x -->\nafter\n"
    )


def test_a_table_is_read_as_it_was_written(page: Path) -> None:
    rows = [["a", "1,000"], ["`b` c", ""]]
    measured_table.write("x", ["name", "count"], rows)
    assert measured_table.rows("x") == rows


def test_a_reader_that_was_not_fuzzed_keeps_its_row(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.write_text("<!-- fuzzing -->\n<!-- end of fuzzing -->\n")
    head, old = ["reader of", "seconds"], [["a Caffe file with its weights", "600"]]
    measured_table.write("fuzzing", head, old)
    (tmp_path / "card.log").write_text("Done 9 runs in 61 second(s)\n")
    monkeypatch.setattr("sys.argv", ["fuzz_report", "--logs", str(tmp_path)])
    fuzz_report.main()
    found = measured_table.rows("fuzzing")
    assert [entry[:2] for entry in found] == [*old, ["the description inside of a model", "61"]]


def test_a_page_without_room_is_left_alone(page: Path) -> None:
    before = page.read_text()
    with pytest.raises(ValueError, match="'y'"):
        measured_table.write("y", ["name"], [["a"]])
    assert page.read_text() == before


def test_the_page_has_room_for_all_tables() -> None:
    text = measured_table.PAGE.read_text(encoding="utf-8")
    for name in ("coverage", "mutants", "fuzzing"):
        assert re.search(f"<!-- {name} -->\n.*<!-- end of {name} -->", text, re.DOTALL)


def test_coverage_is_of_lines_and_branches_and_rounded_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = {
        "covered_lines": 94, "num_statements": 100, "covered_branches": 49, "num_branches": 50,
    }  # fmt: skip
    files = {
        "scasnet_qgis/tiling/a.py": {"summary": summary},
        "scasnet_qgis/tiling/b.py": {"summary": {**summary, "covered_branches": 50}},
        "scasnet_qgis/tilings/c.py": {"summary": dict.fromkeys(summary, 1000)},
    }
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"files": files}))
    monkeypatch.setattr(measure_coverage, "REPORT", report)
    row = measure_coverage.row_of("tiling")
    assert row == ["`tiling/`", "188 of 200", "99 of 100", "95.6 %"]


def test_fuzzing_is_summed_over_the_logs_of_a_reader(tmp_path: Path) -> None:
    first, second = tmp_path / "card-1.log", tmp_path / "card-2.log"
    ending = "Done {0} runs in 61 second(s)\nstat::number_of_executed_units: {0}\n"
    first.write_text("#9 NEW cov: 20 ft: 3\n" + ending.format(1200))
    second.write_text(
        "#9 NEW cov: 25 ft: 3\n=== Uncaught Python exception: ===\n" + ending.format(5)
    )
    row = fuzz_report._row("card", [first, second])
    assert row == ["the description inside of a model", "122", "1,205", "25", "1"]
    assert fuzz_report._row("card", []) == []


def test_a_sample_of_mutants_is_the_same_each_time() -> None:
    names = [f"m{number}" for number in range(100)]
    one, again = (measure_mutants._sample(names, 30, 1) for _ in range(2))
    assert one == again == sorted(set(one))
    assert len(one) == 30
    assert measure_mutants._sample(names, 30, 2) != one
    assert measure_mutants._sample(names, 0, 1) == measure_mutants._sample(names, 100, 1) == names


@pytest.mark.parametrize(
    ("gone", "come", "expected"),
    [
        ('text = "a" + b', 'text = "XXaXX" + b', True),
        ('"ScasNet",', "None,", True),
        ('"ScasNet",', "", True),
        ('translate("ScasNet", "a")', 'translate(None, "a")', True),
        ('"ScasNet", "a"', 'None, "a"', True),
        ('text = "a" + b', 'text = "a" - b', False),
        ("return 1", "", False),
    ],
)
def test_a_change_of_wording_is_told_from_others(gone: str, come: str, expected: bool) -> None:
    assert measure_mutants._only_wording(gone, come) is expected
