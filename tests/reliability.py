"""The page of faults that were tried, written by the run of the tests that try them.

    pytest -m fault --long --reliability-page=docs/development/reliability.md

A test that proves what happens in a fault says so: ``@pytest.mark.fault("what was tried", "what
happens")``, with ``group=`` where its file is in no group's list.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "development" / "reliability.md"
# Groups in the order of the page, and the files whose faults belong to them; the last one takes
# what no other does.
GROUPS = {
    "Interruption": (
        "tests/mapping/test_resume_after_a_kill.py",
        "tests/mapping/test_begun_anew.py",
        "tests/mapping/test_going_on.py",
        "tests/mapping/test_killed_at.py",
        "tests/outputs/test_atomic_output.py",
        "tests/outputs/test_journal.py",
        "tests/algorithms/test_segment_resume.py",
    ),
    "Faults of disk and files": (
        "tests/mapping/test_disk_faults.py",
        "tests/mapping/test_file_faults.py",
        "tests/outputs/test_geotiff.py",
        "tests/outputs/provenance/test_stamp.py",
    ),
    "Two runs at once": ("tests/mapping/test_two_runs.py",
        "tests/outputs/test_work_folder.py"),
    "Files from strangers": (
        "tests/fuzz/*",
        "tests/models/*",
        "tests/network/*",
        "tests/training/*",
        "tests/common/*",
        "tests/test_no_pickle.py",
        "tests/accuracy/*",
    ),
    "Traceability and determinism": (
        "tests/mapping/test_record.py",
        "tests/mapping/test_determinism.py",
        "tests/algorithms/test_about_a_map.py",
    ),
    "Input": ("*",),
}  # fmt: skip
_HEAD = """# What was tried, and what happened

Each line is something that goes wrong in real life, done on purpose by a test.
`make test-faults` runs them all and writes this page; nothing here was written by hand.
How a run protects its work is told in [interruption.md](../interruption.md).
"""


@dataclass(frozen=True, order=True)
class Fault:
    """A mark as it stands in a file of the tests (a path from the root)."""

    file: str
    tried: str
    happens: str
    group: str


@dataclass
class Outcomes:
    """What came of the cases of one fault; ``reasons`` say why some were skipped."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        if not self.counts:
            return "not run"
        parts = [f"{self.counts[result]} {result}" for result in _RESULTS if self.counts[result]]
        if set(self.counts) == {"passed"}:
            parts = ["passed"]
        reasons = f" ({'; '.join(sorted(self.reasons))})" if self.reasons else ""
        return ", ".join(f"**{part}**" if "failed" in part else part for part in parts) + reasons


_RESULTS = ("passed", "skipped", "failed")


def group_of(file: str) -> str:
    """The group of a file, by its path from the root."""
    return next(
        name for name, files in GROUPS.items() if any(fnmatch(file, pattern) for pattern in files)
    )


def fault_of(file: str, arguments: Sequence[Any], group: str = "") -> Fault:
    """From a mark; raises ValueError where it does not say what it should."""
    if len(arguments) != 2 or not all(
        isinstance(argument, str) and argument for argument in arguments
    ):
        raise ValueError(f"{file}: a fault needs two texts, what was tried and what happens")
    if group and group not in GROUPS:
        raise ValueError(f"{file}: the group {group} is none of {', '.join(GROUPS)}")
    return Fault(file, *arguments, group or group_of(file))


def marked(root: Path = ROOT) -> list[Fault]:
    """All marks in the files of the tests, whether or not this computer can run them."""
    found: dict[Fault, None] = {}
    for path in sorted((root / "tests").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                words = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
                found[fault_of(name, [*map(ast.literal_eval, node.args)], **words)] = None
    return list(found)


def listed(page: str) -> list[tuple[str, str, str, str]]:
    """File, what was tried, what happens and the result, of each line of a page."""
    lines = [line for line in page.splitlines() if line.startswith("| ") and "`tests/" in line]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [(row[4].strip("`"), row[0], row[1], row[3]) for row in rows]


def page_of(outcomes: dict[Fault, Outcomes], software: dict[str, Any], day: str) -> str:
    """The page in Markdown."""
    total: Counter[str] = Counter()
    for outcome in outcomes.values():
        total.update(outcome.counts)
    versions = ", ".join(f"{name} {value}" for name, value in software.items() if value)
    lines = [
        _HEAD,
        f"{len(outcomes)} faults in {sum(total.values())} cases, on {day}: "
        + ", ".join(f"{total[result]} {result}" for result in _RESULTS)
        + ".",
        "",
        f"With {versions}.",
    ]
    for group in GROUPS:
        faults = sorted(fault for fault in outcomes if fault.group == group)
        if faults:
            lines += ["", f"## {group}", "", *_table((fault, outcomes[fault]) for fault in faults)]
    return "\n".join(lines) + "\n"


def _table(rows: Iterable[tuple[Fault, Outcomes]]) -> list[str]:
    lines = ["| what was tried | what happens | cases | result | test |", "| " + "--- | " * 5]
    for fault, came in rows:
        cells = (fault.tried, fault.happens, sum(came.counts.values()), came, f"`{fault.file}`")
        lines.append("| " + " | ".join(" ".join(f"{cell}".split()) for cell in cells) + " |")
    return [line.rstrip() for line in lines]


class ReliabilityPage:
    """Gathers what came of the marked tests and writes the page at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._faults: dict[str, list[Fault]] = {}
        self._outcomes: dict[str, tuple[str, str]] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            file = item.path.relative_to(ROOT).as_posix()
            marks = item.iter_markers("fault")
            found = [fault_of(file, mark.args, **mark.kwargs) for mark in marks]
            self._faults[item.nodeid] = list(dict.fromkeys(found))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self._outcomes.get(report.nodeid, ("", ""))[0]
        if report.failed or hasattr(report, "wasxfail"):
            self._outcomes[report.nodeid] = "failed", ""
        elif report.skipped and before != "failed":
            self._outcomes[report.nodeid] = "skipped", _reason(report)
        elif report.when == "call" and not before:
            self._outcomes[report.nodeid] = "passed", ""

    def pytest_sessionfinish(self) -> None:
        from scasnet_qgis.mapping.software import software

        found = {fault: Outcomes() for fault in marked()}
        for nodeid, faults in self._faults.items():
            outcome, reason = self._outcomes.get(nodeid, ("", ""))
            for fault in faults if outcome else ():
                found[fault].counts[outcome] += 1
                if reason:
                    found[fault].reasons.add(reason)
        day = datetime.now(timezone.utc).date().isoformat()
        self._path.write_text(page_of(found, software(), day), encoding="utf-8")


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
