"""Labelled images, unpacked into memory-mapped files."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal

from scasnet_qgis.common.errors import InputError, OutputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import RasterReader, files_of
from scasnet_qgis.labels.labels import IGNORE, LabelClass, Labels
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.data.sources import SPLIT, Source

CONTEXT = 256  # pixels around the labels that are unpacked, too, for the network to look at
_FORMAT = 1  # of the unpacked files; another one makes them anew
_PIXELS, _LABELS, _VALID = "pixels.npy", "labels.npy", "valid.npy"
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Unpacked:
    """A part of an image on disk: pixels [bands, rows, cols], labels and valid [rows, cols].

    ``valid`` is None where every pixel holds data. ``folder`` holds the files; its name changes
    with everything that they are made from.
    """

    source: Source
    folder: Path
    grid: Grid
    pixels: NDArray[Any]
    labels: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None


def unpack(
    source: Source,
    classes: Sequence[LabelClass],
    bands: Sequence[str],
    chosen: Sequence[int],
    cache: Path,
    progress: Progress,
) -> Unpacked | None:
    """The labelled part of an image with CONTEXT around it; None where no labels overlap it.

    Files of an earlier call are used again. To be called within a gdal_session. Raises InputError
    where image or labels cannot be used, OutputError where the disk is full, Cancelled.
    """
    reader = RasterReader(source.image, bands, chosen, progress)
    labels = Labels(
        source.labels,
        reader.grid,
        classes,
        layer=source.layer,
        field=source.field,
        by_place=source.by_place,
    )
    covered = labels.labelled_window()
    if covered is None:
        return None
    part = covered.grow(CONTEXT).intersect(reader.grid.whole)
    values = [label_class.value for label_class in classes]
    key = fingerprint(
        # One file may hold several images: pages of a TIFF, variables of a NetCDF file.
        [_FORMAT, source.image, source.labels, _files(source), values, reader.bands, vars(part),
         source.layer, source.field, source.by_place]
    )  # fmt: skip
    folder = cache / f"{re.sub(r'[^A-Za-z0-9_-]', '_', source.name)[:60]}.{key}"
    if not folder.is_dir():
        with writing(cache) as unfinished:
            _copy(source, reader, labels, part, unfinished, progress)
            unfinished.replace(folder)
    valid = folder / _VALID
    return Unpacked(
        source,
        folder,
        reader.grid.part(part),
        np.load(folder / _PIXELS, mmap_mode="r"),
        np.load(folder / _LABELS, mmap_mode="r"),
        np.load(valid, mmap_mode="r") if valid.exists() else None,
    )


def _copy(
    source: Source,
    reader: RasterReader,
    labels: Labels,
    part: Window,
    folder: Path,
    progress: Progress,
) -> None:
    first, _ = reader.read(Window(part.row, part.col, 1, 1))
    dtype, bands, size = first.dtype, len(first), (part.rows, part.cols)
    # Twice more for the labels of training and validation apart.
    bytes_each = bands * dtype.itemsize + (4 if source.role == SPLIT else 2)
    _check_space(folder, source.name, part.rows * part.cols * bytes_each)
    windows, all_valid = row_windows(part, bytes_each), True
    with (
        ArrayFile(folder / _PIXELS, dtype, (bands, *size)) as pixels_file,
        ArrayFile(folder / _LABELS, np.dtype(np.uint8), size) as labels_file,
        ArrayFile(folder / _VALID, np.dtype(np.bool_), size) as valid_file,
    ):
        for index, window in enumerate(windows):
            progress.check()
            pixels, marks, valid = _window(reader, labels, window)
            place = window.shift(-part.row, -part.col)
            pixels_file.write(place, pixels)
            labels_file.write(place, marks)
            valid_file.write(place, valid)
            all_valid &= bool(valid.all())
            progress.report((index + 1) / len(windows))
    if all_valid:
        (folder / _VALID).unlink()


def _window(
    reader: RasterReader, labels: Labels, window: Window
) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.bool_]]:
    pixels, mask = reader.read(window)
    valid = np.ones(pixels.shape[1:], dtype=np.bool_) if mask is None else mask
    if pixels.dtype.kind == "f":
        # One such pixel would make the band statistics, and with them every loss, NaN.
        finite = np.isfinite(pixels)
        pixels, valid = np.where(finite, pixels, 0), valid & finite.all(axis=0)
    return pixels, np.where(valid, labels.read(window), np.uint8(IGNORE)), valid


@contextmanager
def writing(cache: Path) -> Iterator[Path]:
    """A folder to write into and to move away when it is whole; else nothing is left of it."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(suffix=".part", dir=cache) as unfinished:
            inner = Path(unfinished) / "whole"
            inner.mkdir()
            yield inner
    except OSError as error:
        text = translate(
            "ScasNet",
            "Preparing the training data in {folder} failed: the disk may be full. Free some "
            "space, or choose another folder for the model.",
        )
        raise OutputError(text, str(error), folder=str(cache)) from error


def _check_space(folder: Path, name: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        text = translate(
            "ScasNet",
            "Preparing {name} for the training needs {needed:,} MB in {folder}, but only {free:,} "
            "MB are free: free some space, or choose another folder for the model.",
        )
        raise OutputError(
            text,
            name=name,
            needed=needed // _MEGABYTE + 1,
            folder=str(folder.parent.parent),
            free=free // _MEGABYTE,
        )


def fingerprint(made_from: Any) -> str:
    """A short text that changes with plain values."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]


def _files(source: Source) -> list[tuple[str, int, int]]:
    """Every file behind image and labels with its size and time."""
    names = [*files_of(source.image), *files_of(source.labels)]
    if source.field:
        try:
            names += gdal.OpenEx(source.labels, gdal.OF_VECTOR).GetFileList() or []
        except RuntimeError as error:
            text = translate("ScasNet", "The labels {labels} cannot be read: check the file.")
            raise InputError(text, str(error), labels=source.labels) from error
    # What QGIS has just saved to a GeoPackage may lie beside it.
    files = [Path(name) for file in names for name in (file, f"{file}-wal")]
    found = [(str(path.resolve()), path.stat()) for path in files if path.is_file()]
    return [(name, status.st_size, status.st_mtime_ns) for name, status in found]


ROWS = 512  # of a window; so many of a PNG, which is read in order, fit into GDAL's cache
_BYTES = 16 * 1024 * 1024  # of a window


def row_windows(area: Window, bytes_each: int) -> list[Window]:
    """Windows as wide as memory allows, row by row; ``bytes_each`` is what a pixel takes."""
    cols = max(_BYTES // (ROWS * bytes_each), ROWS)
    return [
        Window(row, col, ROWS, cols).intersect(area)
        for row in range(area.row, area.row_end, ROWS)
        for col in range(area.col, area.col_end, cols)
    ]


def cut(array: NDArray[Any], window: Window) -> NDArray[Any]:
    """The part [..., rows, cols] of an array in a window, as a view."""
    return array[..., window.row : window.row_end, window.col : window.col_end]


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
