"""The page of faults lists what is marked, and claims nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import reliability
from tests.reliability import PAGE, Fault, Outcomes, ReliabilityPage, listed, marked, page_of

MARKS = pytest.mark  # by another name, so that it counts for none of the tests here
FAULT = Fault("tests/test_x.py", "a disk is full", "one sentence", "Faults of disk and files")


class Item:
    """A collected test with one mark."""

    def __init__(self, nodeid: str, fault: Fault) -> None:
        self.nodeid, self.path = nodeid, reliability.ROOT / fault.file
        self._marks = [MARKS.fault(fault.tried, fault.happens, group=fault.group).mark]

    def iter_markers(self, _name: str):
        return iter(self._marks)


class Session:
    def __init__(self, items: list[Item]) -> None:
        self.items = items


def report(nodeid: str, when: str, outcome: str, reason: str = "") -> pytest.TestReport:
    text = ("file", 1, f"Skipped: {reason}") if reason else None
    return pytest.TestReport(nodeid, ("file", 1, "test"), {}, outcome, text, when)


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *reports: pytest.TestReport) -> str:
    """The result on the page that comes of these reports."""
    monkeypatch.setattr(reliability, "marked", lambda: [FAULT])
    page = ReliabilityPage(tmp_path / "page.md")
    page.pytest_collection_finish(Session([Item(name, FAULT) for name in ("a", "b")]))
    for outcome in reports:
        page.pytest_runtest_logreport(outcome)
    page.pytest_sessionfinish()
    ((file, tried, happens, result),) = listed((tmp_path / "page.md").read_text())
    assert (file, tried, happens) == (FAULT.file, FAULT.tried, FAULT.happens)
    return result


def test_the_page_in_the_docs_lists_exactly_the_marked_tests() -> None:
    """`make test-faults` brings it up to date."""
    rows = listed(PAGE.read_text(encoding="utf-8"))
    found = [row[:3] for row in rows]
    assert sorted(found) == sorted((fault.file, fault.tried, fault.happens) for fault in marked())
    assert not [row for row in rows if "failed" in row[3] or row[3] == "not run"]


def test_groups_name_files_that_are_there() -> None:
    for pattern in (pattern for files in reliability.GROUPS.values() for pattern in files):
        assert list(reliability.ROOT.glob(pattern)), pattern


def test_a_success_is_claimed_only_where_all_passed(tmp_path, monkeypatch) -> None:
    passed = [report(name, "call", "passed") for name in ("a", "b")]
    assert written(tmp_path, monkeypatch, *passed) == "passed"


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
def test_a_failure_shows(tmp_path, monkeypatch, when) -> None:
    reports = [report("a", "call", "passed"), report("b", "call", "passed")]
    failed = report("b", when, "failed")
    assert written(tmp_path, monkeypatch, *reports, failed) == "1 passed, **1 failed**"


def test_what_was_not_run_is_no_success(tmp_path, monkeypatch) -> None:
    assert written(tmp_path, monkeypatch) == "not run"


def test_a_skip_says_why(tmp_path, monkeypatch) -> None:
    reports = [report("a", "call", "passed"), report("b", "setup", "skipped", "no mount")]
    assert written(tmp_path, monkeypatch, *reports) == "1 passed, 1 skipped (no mount)"


def test_a_mark_without_two_texts_is_refused() -> None:
    for wrong in ((), ("one",), ("one", ""), ("one", "two", "three"), (1, 2)):
        with pytest.raises(ValueError, match="two texts"):
            reliability.fault_of("tests/test_x.py", wrong)
    with pytest.raises(ValueError, match="none of"):
        reliability.fault_of("tests/test_x.py", ("a", "b"), "elsewhere")


def test_a_page_is_the_same_however_faults_are_ordered() -> None:
    other = Fault("tests/test_y.py", "b", "c", "Input")
    pages = {
        page_of({fault: Outcomes() for fault in order}, {"gdal": "3"}, "2026-01-01")
        for order in ((FAULT, other), (other, FAULT))
    }
    assert len(pages) == 1
