"""Tables in docs/testing.md that a script writes, between two comments with the table's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "testing.md"


def write(name: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Put a table where the page has room for it; raises ValueError where it has none."""
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    page = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    changed, found = pattern.subn(lambda _: f"{begin}\n{table}\n{end}", page)
    if found != 1:
        raise ValueError(f"{PAGE} has no room for the table '{name}'")
    PAGE.write_text(changed, encoding="utf-8")
    print(table)
