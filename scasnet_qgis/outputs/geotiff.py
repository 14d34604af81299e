"""GeoTIFFs written as their pixels are finished, block by block."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.file_errors import failed
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.outputs.overviews import Pyramid, Reduce, close
from scasnet_qgis.tiling.windows import Window

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


@dataclass(frozen=True)
class _Waiting:
    """Rows [bands, rows, cols] that wait for the rest of their blocks, labels packed.

    Over the width of a panel they would be much of what a run holds; of labels, packing leaves a
    tenth in next to no time. Floats would hardly get smaller.
    """

    shape: tuple[int, ...]
    kind: np.dtype[Any]
    content: bytes | NDArray[np.generic]

    @classmethod
    def of(cls, values: NDArray[np.generic]) -> _Waiting:
        small = values.dtype == np.uint8
        content = zlib.compress(values.tobytes(), 1) if small else values.copy()
        return cls(values.shape, values.dtype, content)

    def values(self) -> NDArray[Any]:
        if not isinstance(self.content, bytes):
            return self.content
        return np.frombuffer(zlib.decompress(self.content), self.kind).reshape(self.shape)


class GeoTiffWriter:
    """A tiled, compressed GeoTIFF that is filled in strips of columns, each from top to bottom.

    Rows wait until they fill a row of blocks, so that no compressed block is written twice.
    ``dataset`` is described before the first rows come.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        bands: int,
        kind: int,
        nodata: float,
        options: Sequence[str] = (),
        reduce: Reduce | None = None,
    ) -> None:
        """``kind`` is GDAL's data type, ``options`` are more creation options.

        With ``reduce`` the file gets overviews, down to one block.
        """
        self.path, self.grid = path, grid
        self._reduce, self._nodata = reduce, nodata
        self._pyramid: Pyramid | None = None
        try:
            driver = gdal.GetDriverByName("GTiff")
            self._dataset = driver.Create(
                str(path), grid.cols, grid.rows, bands, kind, options=[*_OPTIONS, *options]
            )
            _place(self._dataset, grid)
            for number in range(1, bands + 1):
                self._dataset.GetRasterBand(number).SetNoDataValue(nodata)
        except (RuntimeError, AttributeError) as error:
            raise failed(path, error) from error
        self._waiting: dict[int, _Waiting] = {}  # by the first column of their strip

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
            values = np.concatenate((waiting.values(), values), axis=1)
        end = window.row_end
        top = end - values.shape[1]
        whole = end if end == self.grid.rows else max(end // BLOCK * BLOCK, top)
        count = whole - top
        if count:
            self._place(values[:, :count], top, window.col)
        if whole < end:
            self._waiting[window.col] = _Waiting.of(values[:, count:])

    def _place(self, values: NDArray[np.generic], row: int, col: int) -> None:
        try:
            self._make_room()
            for number, plane in enumerate(values, start=1):
                if (plane == self._nodata).all():
                    continue  # GDAL fills what is missing when it closes the file, and far faster
                band = self._dataset.GetRasterBand(number)
                band.WriteArray(plane, col, row)
                band.FlushCache()  # or a full disk would show while the next input is read
            if self._pyramid is not None:
                self._pyramid.add(Window(row, col, *values.shape[1:]), values)
        except RuntimeError as error:
            raise failed(self.path, error) from error

    def _make_room(self) -> None:
        """For overviews, once the bands are described: the overviews take over what is said."""
        if self._pyramid is None and self._reduce is not None:
            self._pyramid = Pyramid(self._dataset, BLOCK, self._reduce)

    def fill_overviews(self, progress: Progress) -> None:
        """Add what overviews still lack when all rows are written; raises Cancelled."""
        try:
            self._make_room()
            if self._pyramid is not None:
                self._pyramid.finish(progress)
        except RuntimeError as error:
            progress.check()
            raise failed(self.path, error) from error

    def close(self) -> None:
        """Write what is still in GDAL's cache, and close."""
        self._pyramid = None
        try:
            self._dataset.FlushCache()
            dataset, self._dataset = self._dataset, None
            close(dataset)
        except RuntimeError as error:
            raise failed(self.path, error) from error

    def abandon(self) -> None:
        """Close without caring for the content, so that the file can be removed."""
        self._waiting, self._pyramid = {}, None
        if self._dataset is not None:
            with suppress(RuntimeError):
                close(self._dataset)
            self._dataset = None


def _place(dataset: gdal.Dataset, grid: Grid) -> None:
    """Give a new file the position and the reference system of ``grid``."""
    if grid.control:
        points = [
            gdal.GCP(point.x, point.y, point.z, point.col, point.row, "", point.name)
            for point in grid.control
        ]
        dataset.SetGCPs(points, grid.wkt)
        return
    if grid.geotransform is not None:
        dataset.SetGeoTransform(grid.geotransform)
    if grid.wkt:
        dataset.SetProjection(grid.wkt)
