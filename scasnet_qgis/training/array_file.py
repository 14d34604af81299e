"""Arrays on disk that are written window by window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.core.windows import Window

ROWS = 512  # of a window; so many of a PNG, which is read in order, fit into GDAL's cache
_BYTES = 16 * 1024 * 1024  # of a window


def strips(area: Window, bytes_each: int) -> list[Window]:
    """Windows as wide as memory allows, row by row; ``bytes_each`` is what a pixel takes."""
    cols = max(_BYTES // (ROWS * bytes_each), ROWS)
    return [
        Window(row, col, ROWS, cols).intersect(area)
        for row in range(area.row, area.row_end, ROWS)
        for col in range(area.col, area.col_end, cols)
    ]


class ArrayFile:
    """A new .npy file of [..., rows, cols], to be filled and then opened as a memory map.

    What is written through a memory map ends the process where the disk is full; here it raises
    OSError.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._dtype, self._shape = dtype, shape
        descr = np.lib.format.dtype_to_descr(dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        self._file = path.open("wb", buffering=0)  # a buffer would be emptied at every jump
        np.lib.format.write_array_header_2_0(self._file, header)
        self._start = self._file.tell()

    def write(self, window: Window, values: NDArray[Any]) -> None:
        """Write a window, [..., window.rows, window.cols]."""
        rows, cols = self._shape[-2:]
        planes = np.ascontiguousarray(values, self._dtype).reshape(-1, window.rows, window.cols)
        for number, plane in enumerate(planes):
            first = (number * rows + window.row) * cols + window.col
            for index, run in enumerate(self._runs(plane)):
                self._put(first + index * cols, run)

    def _runs(self, plane: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """What lies in the file without a gap: all of it where the rows are whole."""
        if plane.shape[1] == self._shape[-1]:
            yield plane.reshape(-1)
        else:
            yield from plane

    def _put(self, place: int, run: NDArray[Any]) -> None:
        self._file.seek(self._start + place * self._dtype.itemsize)
        data = memoryview(run.tobytes())
        while data:  # what does not fit on the disk any more is left over without an error
            data = data[self._file.write(data) :]

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
