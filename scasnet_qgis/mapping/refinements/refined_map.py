"""A map that is refined as a whole before it gets areas, overviews and names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from osgeo import gdal

from scasnet_qgis.common.file_errors import failed
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.outputs.atomic_output import AtomicOutput
from scasnet_qgis.outputs.class_map import ClassMapWriter, WholeColumns
from scasnet_qgis.outputs.geotiff import GeoTiffWriter
from scasnet_qgis.tiling.blending import NODATA_LABEL, FinishedBlock

if TYPE_CHECKING:
    from scasnet_qgis.mapping.refinements.refinement import MapStep, RefinedWindow

_REFINING_SHARE = 0.8  # of the progress; finishing the map takes the rest


class RefinedMapWriter:
    """Writes what the model found to a file of its own, and the refined map from it at the end.

    So no block of the map is written twice. ``changed`` says how many pixels each step changed.
    """

    def __init__(
        self, output: AtomicOutput, grid: Grid, inner: ClassMapWriter, steps: Sequence[MapStep]
    ) -> None:
        """``inner`` writes the map into ``output`` and tells its areas."""
        self._map, self._grid, self._steps = inner, grid, steps
        self.changed = [0] * len(steps)
        self._folder = output.folder / "unrefined"
        self._output = output.working
        self._running: Iterator[RefinedWindow] = iter(())
        try:
            self._folder.mkdir()
        except OSError as error:
            raise failed(self._output, error) from error
        self._writer = self._labels_file(self._folder / "labels.tif")
        self._columns = WholeColumns(self._writer)

    def _labels_file(self, path: Path) -> GeoTiffWriter:
        return GeoTiffWriter(path, self._grid, 1, gdal.GDT_Byte, NODATA_LABEL, ["ZLEVEL=1"])

    def write(self, block: FinishedBlock) -> None:
        self._columns.write(block, block.labels()[None])

    def finish(self, progress: Progress) -> None:
        """Refine the map, then finish it as if it had come that way from the model."""
        self._writer.close()
        refining = Stage(progress, 0.0, _REFINING_SHARE)
        count = len(self._steps)
        try:
            for index in range(count):
                self._refine(index, Stage(refining, index / count, (index + 1) / count))
            shutil.rmtree(self._folder)  # what stays in the work folder would be published
        except (RuntimeError, OSError) as error:
            progress.check()
            raise failed(self._output, error) from error
        self._map.finish(Stage(progress, _REFINING_SHARE, 1.0))

    def _refine(self, index: int, progress: Progress) -> None:
        """Do one step; the last one writes the map itself, each other the next one's input."""
        step, source = self._steps[index], self._writer.path
        folder = self._folder / f"step{index}"
        folder.mkdir()
        is_last = index == len(self._steps) - 1
        if not is_last:
            self._writer = self._labels_file(folder / "labels.tif")
        self._running = step.windows(source, folder, progress)
        for window, labels, changed in self._running:
            progress.check()
            self.changed[index] += changed
            if is_last:
                self._map.write_labels(window, labels)
            else:
                self._writer.write(window, labels[None])
        if not is_last:
            self._writer.close()
        source.unlink()
        outcome = step.outcome(self.changed[index])
        if outcome is not None:
            progress.info(outcome)

    def abandon(self) -> None:
        """Let go of the own files; the inner writer is left alone."""
        self._writer.abandon()
        close = getattr(self._running, "close", None)
        if close is not None:
            with suppress(RuntimeError):  # of a full disk, which no longer matters
                close()
