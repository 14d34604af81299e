"""One visitor about all regions of a raster, answered exactly, window by window.

Windows are looked at from top to bottom, row of windows by row. Regions that touch a window's edge
become nodes; nodes that touch each other are joined, and what was counted of them is added up.
Only regions that reach the lower edge of a row of windows are carried on to the next row, so that
memory grows with the raster's width at most. What each row found is noted in files. On the way
back up, each row learns from the one below it how the regions ended that go on there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping.refinements.components import Tally, join, label_regions
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_NODE = -1


class RegionVisitor(Protocol):
    """What a sweep asks: of which pixels, what is counted, and what follows."""

    def values(self, window: Window) -> NDArray[np.uint8] | None:
        """What regions are made of, [rows, cols], 0 for none; None where there is nothing.

        The same on the way down and on the way up, where the windows below are done with.
        """

    def count(self, window: Window, ids: NDArray[np.int32], count: int) -> Tally:
        """What counts for the regions 1 to ``count`` in a window, ``ids`` [rows, cols]."""

    def decide(self, tally: Tally, count: int) -> NDArray[Any]:
        """The decisions on regions 0 to ``count`` - 1, whose tally is whole; 0: leave as is."""

    def apply(self, window: Window, decisions: NDArray[Any]) -> None:
        """Do what was decided for the pixels of a window, [rows, cols]; 0 outside of regions."""


@dataclass(frozen=True)
class _Border:
    """The lowest row of pixels of what was looked at, and the regions that may go on below.

    ``values`` [cols] and the region ``nodes`` [cols] of each pixel, NO_NODE for none.
    """

    values: NDArray[np.uint8]
    nodes: NDArray[np.int64]
    tally: Tally
    count: int

    @classmethod
    def empty(cls, cols: int) -> _Border:
        nothing = np.zeros(0, dtype=np.int64)
        nodes = np.full(cols, NO_NODE, dtype=np.int64)
        return cls(np.zeros(cols, dtype=np.uint8), nodes, Tally(nothing, nothing), 0)


@dataclass(frozen=True)
class _RowResult:
    """What was found in a row of windows: regions that touch an edge of a window, joined.

    ``decisions`` by joined region, final unless it is one of those that go on ``below``; ``above``
    tells the joined region of each that came from there. ``seen`` are the windows that hold
    regions, ``edges`` for each of these the regions at its edge and what they are joined to.
    """

    decisions: NDArray[Any]
    above: NDArray[np.int64]
    below: NDArray[np.int64]
    seen: NDArray[np.int64]
    edges: list[tuple[NDArray[np.int32], NDArray[np.int64]]]

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            for array in (self.decisions, self.above, self.below, self.seen):
                np.save(file, array)
            for edge, joined in self.edges:
                np.save(file, edge)
                np.save(file, joined)

    @classmethod
    def load(cls, path: Path) -> _RowResult:
        with path.open("rb") as file:
            decisions, above, below, seen = (np.load(file) for _ in range(4))
            edges = [(np.load(file), np.load(file)) for _ in seen]
        return cls(decisions, above, below, seen, edges)


class _Row:
    """Joins the regions of one row of windows with each other and with those above."""

    def __init__(self, above: _Border) -> None:
        self._above, self._below = above, _Border.empty(len(above.values))
        self._left: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None
        self._count = above.count  # the first nodes are the regions that come from above
        self._tallies = [above.tally]
        self._pairs = [(above.nodes[:0], above.nodes[:0])]
        self._seen: list[int] = []
        self._edges: list[tuple[NDArray[np.int32], NDArray[np.int64]]] = []

    def skip(self) -> None:
        """Pass a window without regions."""
        self._left = None

    def add(
        self,
        index: int,
        window: Window,
        values: NDArray[np.uint8],
        ids: NDArray[np.int32],
        tally: Tally,
    ) -> None:
        """Add the ``index``-th window, with ``ids`` and ``tally`` of its regions."""
        edge = np.unique(np.concatenate((ids[0], ids[-1], ids[:, 0], ids[:, -1])))
        edge = edge[edge > 0]
        node_of = np.full(int(ids.max()) + 1, NO_NODE, dtype=np.int64)
        node_of[edge] = self._count + np.arange(len(edge))
        self._count += len(edge)
        self._tallies.append(tally.moved(node_of))
        cols = slice(window.col, window.col_end)
        self._touch(
            (self._above.values[cols], self._above.nodes[cols]), (values[0], node_of[ids[0]])
        )
        if self._left is not None:
            self._touch(self._left, (values[:, 0], node_of[ids[:, 0]]))
        self._left = (values[:, -1], node_of[ids[:, -1]])
        self._below.values[cols] = values[-1]
        self._below.nodes[cols] = node_of[ids[-1]]
        self._seen.append(index)
        self._edges.append((edge, node_of[edge]))

    def _touch(
        self,
        one: tuple[NDArray[np.uint8], NDArray[np.int64]],
        other: tuple[NDArray[np.uint8], NDArray[np.int64]],
    ) -> None:
        same = (one[0] == other[0]) & (one[0] > 0)
        self._pairs.append((one[1][same], other[1][same]))

    def close(self, visitor: RegionVisitor) -> tuple[_RowResult, _Border]:
        """Join everything: what this row found, and what the next one needs."""
        one, other = (np.concatenate(nodes) for nodes in zip(*self._pairs))
        lowest = join(self._count, one, other)
        roots, root_of = np.unique(lowest, return_inverse=True)
        tally = Tally.together(self._tallies).moved(root_of)
        reaching = self._below.nodes != NO_NODE
        nodes = self._below.nodes.copy()
        going_on, nodes[reaching] = np.unique(root_of[nodes[reaching]], return_inverse=True)
        number = np.full(len(roots), NO_NODE, dtype=np.int64)
        number[going_on] = np.arange(len(going_on))
        notes = _RowResult(
            visitor.decide(tally, len(roots)),
            root_of[: self._above.count],
            going_on,
            np.array(self._seen, dtype=np.int64),
            [(edge, root_of[node]) for edge, node in self._edges],
        )
        return notes, _Border(self._below.values, nodes, tally.moved(number), len(going_on))


class ComponentSweep:
    """Puts one visitor to all windows; notes are kept in ``folder`` as long as it lasts."""

    def __init__(
        self, windows: Sequence[Sequence[Window]], visitor: RegionVisitor, folder: Path
    ) -> None:
        """``windows`` are those of ``rows_of_windows``."""
        self._windows, self._visitor, self._folder = windows, visitor, folder

    def run(self, progress: Progress) -> None:
        """Down and up again; raises Cancelled."""
        total = len(self._windows)
        border = _Border.empty(self._windows[0][-1].col_end)
        for number in range(total):
            border = self._down(number, border, progress)
            progress.report((number + 1) / total / 2)
        ends: NDArray[Any] | None = None
        for number in reversed(range(total)):
            ends = self._up(number, ends, progress)
            progress.report(1 - number / total / 2)

    def _files(self, number: int) -> tuple[Path, Path]:
        """What is noted of a row as a whole, and the decisions inside its windows, one by one."""
        return self._folder / f"row{number}.notes", self._folder / f"row{number}.decisions"

    def _down(self, number: int, above: _Border, progress: Progress) -> _Border:
        row = _Row(above)
        notes, inside = self._files(number)
        with inside.open("wb") as file:
            for index, window in enumerate(self._windows[number]):
                progress.check()
                values = self._visitor.values(window)
                if values is None:
                    row.skip()
                    continue
                ids, count = label_regions(values)
                tally = self._visitor.count(window, ids, count)
                decisions = self._visitor.decide(tally, count + 1)
                decisions[0] = 0  # of no region
                np.save(file, decisions)
                row.add(index, window, values, ids, tally)
        found, border = row.close(self._visitor)
        found.save(notes)
        return border

    def _up(self, number: int, ends: NDArray[Any] | None, progress: Progress) -> NDArray[Any]:
        """Act on a row and give the decisions of the regions that come from above.

        ``ends`` are the decisions of those that go on below, None in the last row.
        """
        path, inside = self._files(number)
        notes = _RowResult.load(path)
        if ends is not None:
            notes.decisions[notes.below] = ends
        with inside.open("rb") as file:
            for index, (edge, joined) in zip(notes.seen, notes.edges):
                progress.check()
                decisions = np.load(file)
                decisions[edge] = notes.decisions[joined]
                self._act(self._windows[number][index], decisions)
        return np.asarray(notes.decisions[notes.above])

    def _act(self, window: Window, decisions: NDArray[Any]) -> None:
        values = self._visitor.values(window) if decisions.any() else None
        if values is not None:
            self._visitor.apply(window, decisions[label_regions(values)[0]])


def rows_of_windows(rows: int, cols: int, size: int) -> list[list[Window]]:
    """All windows of a raster, of ``size`` pixels both ways and smaller at its ends."""
    whole = Window(0, 0, rows, cols)
    return [
        [Window(row, col, size, size).intersect(whole) for col in range(0, cols, size)]
        for row in range(0, rows, size)
    ]
