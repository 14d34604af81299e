"""What is left of a plan when some of its rows of tiles are done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scasnet_qgis.core.windows import Panel, TilePlan


@dataclass(frozen=True)
class Strip:
    """Rows of tiles of a panel; those before ``first`` are there and only overlap what is not."""

    panel: Panel
    rows: range
    first: int

    @property
    def tiles_again(self) -> int:
        return (self.first - self.rows.start) * len(self.panel.tile_cols)


def strips_after(plan: TilePlan, start: int) -> Iterator[Strip]:
    """What is left of the plan after ``start`` rows of tiles."""
    count = len(plan.vertical)
    for index, panel in enumerate(plan.panels):
        first = min(max(start - index * count, 0), count)
        if first < count:
            # The tiles that the first missing row is blended with begin above it.
            top = plan.vertical.touching(plan.vertical.starts[first], plan.rows).start
            yield Strip(panel, range(top, count), first)


def tiles_again(plan: TilePlan, start: int) -> int:
    """How many tiles of the first ``start`` rows what is left overlaps, so that it needs them."""
    return sum(strip.tiles_again for strip in strips_after(plan, start))


def tiles_before(plan: TilePlan, rows: int) -> int:
    """How many tiles the first ``rows`` rows of tiles have, counted through the panels."""
    panels, rest = divmod(rows, len(plan.vertical))
    widths = [len(panel.tile_cols) for panel in plan.panels]
    return len(plan.vertical) * sum(widths[:panels]) + rest * sum(widths[panels : panels + 1])
