"""Measures which branches the tests reach, and fails where a package is below the bar.

The packages are those that every map goes through. Their own tests run and those of accuracy; but
for tests of memory, of the shipped model and of peers, which take long and reach nothing that
others do not.
"""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404
import sys
from pathlib import Path

import measured_table

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "coverage"
REPORT = FOLDER / "report.json"
PACKAGES = ("common", "tiling", "images", "labels", "models", "outputs", "mapping")
LEAST = 95.0  # percent
LEFT_OUT = (
    "tests/mapping/test_memory.py",
    "tests/test_shipped_model.py",
    "tests/models/test_peers.py",
)


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    tests = [ROOT / "tests" / package for package in (*PACKAGES, "accuracy")]
    tests += sorted((ROOT / "tests").glob("test_*.py"))
    done = subprocess.run(  # nosec B603
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--cov=scasnet_qgis", "--cov-branch", f"--cov-report=json:{REPORT}"),
            *(f"--ignore={path}" for path in LEFT_OUT),
            *(str(path.relative_to(ROOT)) for path in tests),
            *sys.argv[1:],
        ],
        cwd=ROOT,
        env={**os.environ, "COVERAGE_FILE": str(FOLDER / "data"), "QT_QPA_PLATFORM": "offscreen"},
        check=False,
    )
    rows = [row_of(package) for package in PACKAGES]
    shares = [float(row[-1].rstrip(" %")) for row in rows]
    measured_table.write("coverage", ["package", "lines", "branches", "reached"], rows)
    low = [name for name, share in zip(PACKAGES, shares) if share < LEAST]
    if low:
        print(f"Below {LEAST:g} %: {', '.join(low)}. What is missing: {REPORT}", file=sys.stderr)
    return done.returncode or bool(low)


def row_of(package: str) -> list[str]:
    """Lines and branches of a package, reached and in all, and their share."""
    files = json.loads(REPORT.read_text(encoding="utf-8"))["files"]
    inside = [
        file["summary"]
        for name, file in files.items()
        if Path(name).as_posix().startswith(f"scasnet_qgis/{package}/")
    ]

    def total(key: str) -> int:
        return sum(summary[key] for summary in inside)

    reached = total("covered_lines"), total("covered_branches")
    there = total("num_statements"), total("num_branches")
    # Rounded down, so that what is said is never more than what is.
    share = int(1000 * sum(reached) / sum(there)) / 10
    counts = [f"{a:,} of {b:,}" for a, b in zip(reached, there)]
    return [f"`{package}/`", *counts, f"{share:.1f} %"]


if __name__ == "__main__":
    sys.exit(main())
