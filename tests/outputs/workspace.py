"""The files of a run, opened as a run opens them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scasnet_qgis.common.model_card import ModelClass
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.mapping.map_files import MapFiles, open_map_files
from scasnet_qgis.mapping.refinements.refinement import RefinementSteps
from scasnet_qgis.outputs.workspace import open_workspace
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
    with open_workspace(output, probabilities, Progress()) as work:  # noqa: SIM117 (too long)
        with open_map_files(work, grid, classes, steps) as files:
            yield files


def steps_of(grid: Grid, **values: Any) -> RefinementSteps:
    """What refinements with these ``values`` do."""
    return RefinementSteps.of(refinements(**values), grid)
