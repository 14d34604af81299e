"""The rows of tiles of a plan that an interrupted run has still to compute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scasnet_qgis.tiling.windows import Panel, TilePlan


@dataclass(frozen=True)
class RemainingRows:
    """Rows of tiles of a panel; those before ``first`` are done but overlap ones that are not."""

    panel: Panel
    rows: range
    first: int

    @property
    def recomputed_tiles(self) -> int:
        """How many tiles are done, but are computed again for their overlaps."""
        return (self.first - self.rows.start) * len(self.panel.tile_cols)


def remaining_rows(plan: TilePlan, start: int) -> Iterator[RemainingRows]:
    """By panel, what is left of the plan after ``start`` rows of tiles."""
    count = len(plan.vertical)
    for index, panel in enumerate(plan.panels):
        first = min(max(start - index * count, 0), count)
        if first < count:
            # The tiles that the first missing row is blended with begin above it.
            top = plan.vertical.touching(plan.vertical.starts[first], plan.rows).start
            yield RemainingRows(panel, range(top, count), first)


def recomputed_tiles(plan: TilePlan, start: int) -> int:
    """How many tiles of the first ``start`` rows overlap remaining ones, which need them."""
    return sum(remaining.recomputed_tiles for remaining in remaining_rows(plan, start))


def tiles_in_rows(plan: TilePlan, rows: int) -> int:
    """How many tiles the first ``rows`` rows of tiles have, counted panel after panel."""
    panels, rest = divmod(rows, len(plan.vertical))
    widths = [len(panel.tile_cols) for panel in plan.panels]
    return len(plan.vertical) * sum(widths[:panels]) + rest * sum(widths[panels : panels + 1])
