"""Tables in docs/development/testing.md, each between two comments with its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "development" / "testing.md"


def write(name: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Put a table where the page has room for it; raises ValueError where it has none."""
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    begin, _, end = _around(name)
    PAGE.write_text(f"{begin}\n{table}\n{end}", encoding="utf-8")
    print(table)


def rows(name: str) -> list[list[str]]:
    """The rows of a table as they stand in the page, without its head."""
    lines = _around(name)[1].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines]


def _around(name: str) -> tuple[str, str, str]:
    """The page up to a table, the table, and the rest; raises ValueError where it has none."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"<!-- {name} -->")
    table, end, after = rest.partition(f"<!-- end of {name} -->")
    if not begin or not end:
        raise ValueError(f"{PAGE} has no room for the table '{name}'")
    return before + begin, table, end + after
