"""Small pictures for reports."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.messages import translate

if TYPE_CHECKING:
    from numpy.typing import NDArray


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """The content of a PNG file of pixels [3, rows, cols] (or 1, 2, 4 planes) or [rows, cols].

    Nothing is written to the disk. Raises OutputError where GDAL cannot make it.
    """
    planes = np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[None], dtype=np.uint8)
    count, rows, cols = planes.shape
    name = f"/vsimem/scasnet-{uuid.uuid4().hex}.png"
    try:
        memory = gdal.GetDriverByName("MEM").Create("", cols, rows, count, gdal.GDT_Byte)
        for number, plane in enumerate(planes, start=1):
            memory.GetRasterBand(number).WriteArray(plane)
        if gdal.GetDriverByName("PNG").CreateCopy(name, memory) is None:
            raise RuntimeError(gdal.GetLastErrorMsg())
        return _content(name)
    except RuntimeError as error:
        raise OutputError(
            translate("ScasNet", "This GDAL cannot write the PNG images of the report."), str(error)
        ) from error
    finally:
        for path in (name, f"{name}.aux.xml"):
            if gdal.VSIStatL(path) is not None:
                gdal.Unlink(path)


def _content(name: str) -> bytes:
    file = gdal.VSIFOpenL(name, "rb")
    try:
        return bytes(gdal.VSIFReadL(1, gdal.VSIStatL(name).size, file))
    finally:
        gdal.VSIFCloseL(file)
