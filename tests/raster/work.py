"""The files of a run, opened as a run opens them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scasnet_qgis.core.card import ModelClass
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.products import MapRules, Products, open_products
from scasnet_qgis.raster.work import open_work


@contextmanager
def opened(
    output: Path,
    probabilities: Path | None,
    grid: Grid,
    classes: Sequence[ModelClass],
    rules: MapRules,
) -> Iterator[Products]:
    """Products in work folders of their own."""
    with open_work(output, probabilities, Progress()) as work:  # noqa: SIM117 (too long)
        with open_products(work, grid, classes, rules) as products:
            yield products
