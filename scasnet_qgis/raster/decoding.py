"""Turns libjpeg's warnings of damaged files into errors: it would make the pixels up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from osgeo import gdal

# What libjpeg only warns of.
_DECODE_WARNINGS = ("Corrupt JPEG data", "Premature end of JPEG file")


@contextmanager
def nothing_made_up() -> Iterator[None]:
    """Raise RuntimeError where pixels that are read here are not those of the file.

    GDAL warns once: it keeps the block in its cache, and with it those of the other bands.
    """
    gdal.ErrorReset()
    yield
    warning = gdal.GetLastErrorMsg()
    if any(phrase in warning for phrase in _DECODE_WARNINGS):
        raise RuntimeError(warning)
