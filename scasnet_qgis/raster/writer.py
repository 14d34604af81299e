"""GeoTIFFs written in finished rows, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal

from scasnet_qgis.core.errors import Cancelled, OutputError
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.grid import Grid

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
    """A tiled, compressed GeoTIFF that is filled from top to bottom, panel by panel.

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
        self._waiting: list[NDArray[np.generic]] = []
        self._top = 0

    @property
    def dataset(self) -> gdal.Dataset:
        """The open dataset, to describe its bands."""
        return self._dataset

    def write(self, window: Window, values: NDArray[np.generic]) -> None:
        """Add rows [bands, rows, cols]; within a panel they come from top to bottom.

        Panels begin at multiples of BLOCK columns and each is finished before the next one.
        """
        if not self._waiting:
            self._top = window.row
        self._waiting.append(np.array(values))
        end = window.row_end
        whole = end if end == self.grid.rows else end // BLOCK * BLOCK
        if whole <= self._top:
            return
        rows = np.concatenate(self._waiting, axis=1)
        count = whole - self._top
        try:
            for number, plane in enumerate(rows[:, :count], start=1):
                band = self._dataset.GetRasterBand(number)
                band.WriteArray(plane, window.col, self._top)
                band.FlushCache()  # or a full disk would show while the next input is read
        except RuntimeError as error:
            raise failed(self.path, error) from error
        self._waiting = [rows[:, count:].copy()] if count < rows.shape[1] else []
        self._top = whole

    def close(self) -> None:
        """Write what is still in GDAL's cache, and close."""
        dataset, self._dataset = self._dataset, None
        try:
            dataset.FlushCache()
            _close(dataset)
        except RuntimeError as error:
            raise failed(self.path, error) from error

    def abandon(self) -> None:
        """Close without caring for the content, so that the file can be removed."""
        self._waiting = []
        if self._dataset is not None:
            with suppress(RuntimeError):
                _close(self._dataset)
            self._dataset = None


def _close(dataset: gdal.Dataset) -> None:
    """Close a dataset; raises RuntimeError where its last bytes cannot be written.

    Letting go of it does the same, but Python drops what is raised then, and a full disk with it.
    """
    if hasattr(dataset, "Close"):  # from GDAL 3.8 on
        dataset.Close()
    else:
        gdal.Dataset.__swig_destroy__(dataset)


def build_overviews(path: Path, resampling: str, progress: Progress) -> None:
    """Add reduced copies to a GeoTIFF, down to one block."""

    def heard(fraction: float, _message: str, _data: object) -> int:
        progress.report(fraction)
        return 0 if progress.cancelled else 1

    try:
        dataset = gdal.Open(str(path), gdal.GA_Update)
        size = max(dataset.RasterXSize, dataset.RasterYSize)
        factors = [2**power for power in range(1, 24) if size / 2 ** (power - 1) > BLOCK]
        if factors:
            dataset.BuildOverviews(resampling, factors, heard)
        dataset.FlushCache()
        _close(dataset)
    except RuntimeError as error:
        progress.check()
        raise failed(path, error) from error
    if progress.cancelled:
        raise Cancelled


def failed(path: Path, error: object) -> OutputError:
    """What to tell the user where a file cannot be written to its end."""
    return OutputError(
        f"Writing {path.name} failed: the disk may be full or the folder gone; free some space or "
        "choose another folder.",
        str(error),
    )
