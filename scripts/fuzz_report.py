"""What the fuzzer's own logs (build/fuzz/logs) say, as a table in docs/development/testing.md.

A target without a log keeps its row.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import measured_table

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {
    "model": "a model file, up to opening it",
    "caffe": "a Caffe file with its weights",
    "card": "the description inside of a model",
}
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_SECONDS = re.compile(r"max_total_time=(\d+)|Done \d+ runs in (\d+) second")
_REACHED = re.compile(r"\bcov: (\d+)")
_FOUND = re.compile(r"SUMMARY: libFuzzer|Uncaught Python exception")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, default=ROOT / "build" / "fuzz" / "logs")
    logs: Path = parser.parse_args().logs
    before = {row[0]: row for row in measured_table.rows("fuzzing")}
    measured = [_row(name, sorted(logs.glob(f"{name}*.log"))) for name in TARGETS]
    rows = [new or before.get(title) for title, new in zip(TARGETS.values(), measured)]
    head = ["reader of", "seconds", "inputs", "places", "findings"]
    measured_table.write("fuzzing", head, [row for row in rows if row])


def _row(name: str, logs: list[Path]) -> list[str]:
    """Sums over the logs of a target; empty where there is none."""
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    if not texts:
        return []
    runs = sum(int(count) for text in texts for count in _RUNS.findall(text))
    seconds = sum(int(b or 0) for text in texts for _, b in _SECONDS.findall(text))
    reached = max((int(count) for text in texts for count in _REACHED.findall(text)), default=0)
    found = sum(bool(_FOUND.search(text)) for text in texts)
    return [TARGETS[name], f"{seconds:,}", f"{runs:,}", str(reached), str(found)]


if __name__ == "__main__":
    main()
