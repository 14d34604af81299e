"""The files of a run, opened as a run opens them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scasnet_qgis.core.card import ModelClass
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.products import MapFiles, open_map_files
from scasnet_qgis.raster.work import open_work
from scasnet_qgis.refinements.refinement import RefinementSteps
from tests.map_settings import refinements


@contextmanager
def opened(
    output: Path,
    probabilities: Path | None,
    grid: Grid,
    classes: Sequence[ModelClass],
    steps: RefinementSteps,
) -> Iterator[MapFiles]:
    """Files in work folders of their own."""
    with open_work(output, probabilities, Progress()) as work:  # noqa: SIM117 (too long)
        with open_map_files(work, grid, classes, steps) as files:
            yield files


def steps_of(grid: Grid, **values: Any) -> RefinementSteps:
    """What refinements with these ``values`` do."""
    return RefinementSteps.of(refinements(**values), grid)
