"""Pixels that a decoder makes up, as it does not find them in a damaged file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from osgeo import gdal

# What libjpeg only warns of.
_MADE_UP = ("Corrupt JPEG data", "Premature end of JPEG file")


@contextmanager
def nothing_made_up() -> Iterator[None]:
    """Raise RuntimeError where pixels that are read here are not those of the file.

    It is said once: GDAL keeps the block, and with it that of the other bands.
    """
    gdal.ErrorReset()
    yield
    told = gdal.GetLastErrorMsg()
    if any(phrase in told for phrase in _MADE_UP):
        raise RuntimeError(told)
