"""A map whose small patches are merged before it gets areas, overviews and names."""

from __future__ import annotations

import shutil

from osgeo import gdal

from scasnet_qgis.core.blending import NODATA_LABEL, FinishedBlock
from scasnet_qgis.core.messages import message, translate
from scasnet_qgis.core.progress import Progress, Stage
from scasnet_qgis.raster.class_map import ClassMapWriter, WholeColumns
from scasnet_qgis.raster.delivery import Delivery
from scasnet_qgis.raster.delivery_faults import failed
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.patches import SmallestPatch
from scasnet_qgis.raster.sieve import Sieve
from scasnet_qgis.raster.writer import GeoTiffWriter

SIEVING_SHARE = 0.6  # of the progress; copying and finishing the map take the rest
COPYING_SHARE = 0.8


class SievedMapWriter:
    """Writes what the model found to a file of its own, and the sieved map from it at the end.

    So no block of the map is written twice. ``merged_pixels`` says how many changed their class.
    """

    def __init__(
        self, delivery: Delivery, grid: Grid, inner: ClassMapWriter, smallest: SmallestPatch
    ) -> None:
        """``inner`` writes the map into ``delivery`` and tells its values and areas."""
        self._map, self._smallest = inner, smallest
        self._folder = delivery.folder / "unsieved"
        self._output = delivery.working
        self._sieve: Sieve | None = None
        self.merged_pixels = 0
        try:
            self._folder.mkdir()
        except OSError as error:
            raise failed(self._output, error) from error
        self._writer = GeoTiffWriter(
            self._folder / "labels.tif", grid, 1, gdal.GDT_Byte, NODATA_LABEL, ["ZLEVEL=1"]
        )
        self._columns = WholeColumns(self._writer)

    def write(self, block: FinishedBlock) -> None:
        self._columns.write(block, self._map.labels_of(block)[None])

    def finish(self, progress: Progress) -> None:
        """Merge small patches, then finish the map as if they had never been there."""
        self._writer.close()
        try:
            self._merge(progress)
            shutil.rmtree(self._folder)  # what stays in the work folder would be published
        except (RuntimeError, OSError) as error:
            progress.check()
            raise failed(self._output, error) from error
        self._map.finish(Stage(progress, COPYING_SHARE, 1.0))

    def _merge(self, progress: Progress) -> None:
        self._sieve = Sieve(self._writer.path, self._folder, self._smallest)
        self._sieve.run(Stage(progress, 0.0, SIEVING_SHARE))
        copying = Stage(progress, SIEVING_SHARE, COPYING_SHARE)
        for window, labels, changed in self._sieve.parts():
            progress.check()
            self.merged_pixels += changed
            self._map.write_labels(window, labels)
            copying.report(window.row_end / self._writer.grid.rows)
        text = translate(
            "ScasNet",
            "Small patches: {merged:,} pixels got the class of a neighbour; {kept:,} pixels of "
            "small patches that have no neighbour stayed as they were.",
        )
        progress.info(message(text, merged=self.merged_pixels, kept=self._sieve.small_pixels))
        self._sieve.close()

    def abandon(self) -> None:
        """Let go of the own files; the inner writer is left alone."""
        self._writer.abandon()
        if self._sieve is not None:
            self._sieve.close()
