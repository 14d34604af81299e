"""GeoTIFFs written as their pixels are finished, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal

from scasnet_qgis.core.errors import OutputError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.overviews import close, fill_overviews, mean_of, most_frequent

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 256  # pixels, both ways
_OPTIONS = (
    "TILED=YES",
    f"BLOCKXSIZE={BLOCK}",
    f"BLOCKYSIZE={BLOCK}",
    "INTERLEAVE=BAND",  # bands are written one after the other
    "COMPRESS=DEFLATE",
    "BIGTIFF=IF_SAFER",
)


class GeoTiffWriter:
    """A tiled, compressed GeoTIFF that is filled in strips of columns, each from top to bottom.

    Rows wait until they fill a row of blocks, so that no compressed block is written twice.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        bands: int,
        kind: int,
        nodata: float,
        options: Sequence[str] = (),
    ) -> None:
        """``kind`` is GDAL's data type, ``options`` are more creation options."""
        self.path, self.grid = path, grid
        try:
            driver = gdal.GetDriverByName("GTiff")
            self._dataset = driver.Create(
                str(path), grid.cols, grid.rows, bands, kind, options=[*_OPTIONS, *options]
            )
            if grid.geotransform is not None:
                self._dataset.SetGeoTransform(grid.geotransform)
            if grid.wkt:
                self._dataset.SetProjection(grid.wkt)
            for number in range(1, bands + 1):
                self._dataset.GetRasterBand(number).SetNoDataValue(nodata)
        except (RuntimeError, AttributeError) as error:
            raise failed(path, error) from error
        self._waiting: dict[int, NDArray[np.generic]] = {}  # by the first column of their strip

    @property
    def dataset(self) -> gdal.Dataset:
        """The open dataset, to describe its bands."""
        return self._dataset

    def write(self, window: Window, values: NDArray[np.generic]) -> None:
        """Add rows [bands, rows, cols] to a strip, which get them from top to bottom.

        A strip begins at a multiple of BLOCK columns, reaches to another one or to the raster's
        edge, and always gets all of its columns. Strips may be filled in turns.
        """
        waiting = self._waiting.pop(window.col, None)
        if waiting is not None:
            values = np.concatenate((waiting, values), axis=1)
        end = window.row_end
        top = end - values.shape[1]
        whole = end if end == self.grid.rows else max(end // BLOCK * BLOCK, top)
        count = whole - top
        if count:
            self._place(values[:, :count], top, window.col)
        if whole < end:
            self._waiting[window.col] = values[:, count:].copy()

    def _place(self, values: NDArray[np.generic], row: int, col: int) -> None:
        try:
            for number, plane in enumerate(values, start=1):
                band = self._dataset.GetRasterBand(number)
                band.WriteArray(plane, col, row)
                band.FlushCache()  # or a full disk would show while the next input is read
        except RuntimeError as error:
            raise failed(self.path, error) from error

    def close(self) -> None:
        """Write what is still in GDAL's cache, and close."""
        dataset, self._dataset = self._dataset, None
        try:
            dataset.FlushCache()
            close(dataset)
        except RuntimeError as error:
            raise failed(self.path, error) from error

    def abandon(self) -> None:
        """Close without caring for the content, so that the file can be removed."""
        self._waiting = {}
        if self._dataset is not None:
            with suppress(RuntimeError):
                close(self._dataset)
            self._dataset = None


def build_overviews(path: Path, nodata: float | None, progress: Progress) -> None:
    """Add reduced copies to a GeoTIFF, down to one block.

    Class numbers (``nodata`` None) are reduced to the most frequent one, other values to the mean
    of those that hold data.
    """
    reduce = most_frequent if nodata is None else mean_of(nodata)
    try:
        fill_overviews(path, BLOCK, reduce, progress)
    except (RuntimeError, AttributeError) as error:
        progress.check()
        raise failed(path, error) from error
    progress.check()


def failed(path: Path, error: object) -> OutputError:
    """What to tell the user where a file cannot be written to its end."""
    return OutputError(
        translate(
            "ScasNet",
            "Writing {name} failed: the disk may be full or the folder gone; free some "
            "space or choose another folder.",
        ),
        str(error),
        name=path.name,
    )
