"""Sums up the measured ground resolution of the tiles the shipped model was trained on.

    python3 scripts/tile_scales.py

Reads docs/development/data/dubai_tile_scales.csv, one measured thing a line, and writes
docs/development/data/dubai_tile_scales.md: for each tile the median and the range, and the range
of all.
"""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import median

FOLDER = Path(__file__).parent.parent / "docs" / "development" / "data"


def main() -> None:
    """Write the table."""
    tiles: dict[int, list[float]] = {}
    with (FOLDER / "dubai_tile_scales.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tiles.setdefault(int(row["tile"]), []).append(float(row["metres_per_pixel"]))
    lines = [
        "Written by `scripts/tile_scales.py` from `dubai_tile_scales.csv`.",
        "",
        "| tile | measurements | median (m per pixel) | lowest | highest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for tile, values in sorted(tiles.items()):
        middle, low, high = median(values), min(values), max(values)
        lines.append(f"| {tile} | {len(values)} | {middle:.2f} | {low:.2f} | {high:.2f} |")
    medians = [median(values) for values in tiles.values()]
    every = [value for values in tiles.values() for value in values]
    lines += [
        "",
        (
            f"Medians {min(medians):.2f} to {max(medians):.2f} m, single measurements "
            f"{min(every):.2f} to {max(every):.2f} m."
        ),
    ]
    (FOLDER / "dubai_tile_scales.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
