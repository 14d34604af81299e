"""Checks of virtual rasters (.vrt): missing files and holes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from osgeo import gdal

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import Message, message, translate

_SOURCE = re.compile(r"<(?:SourceFilename|SourceDataset)([^>]*)>([^<]*)</")
_NOT_A_PATH = re.compile(r"/vsi|[A-Za-z0-9_]{2,}:|\s*$")  # of another kind, or of a driver


def check_sources(dataset: gdal.Dataset, source: str) -> None:
    """Raise InputError where a file of the mosaic is gone.

    Reading would say so too, but perhaps after hours. Files of mosaics in mosaics are left to that.
    """
    for path in _source_files(dataset):
        if not path.exists():
            raise InputError(
                translate(
                    "ScasNet",
                    "Mosaic {source} refers to a missing file, {missing}: restore it, or "
                    "rebuild the mosaic without it.",
                ),
                source=source,
                missing=str(path),
            )


def _source_files(dataset: gdal.Dataset) -> Iterator[Path]:
    if dataset.GetDriver().ShortName != "VRT":
        return
    folder = Path(dataset.GetDescription()).parent
    seen = set()
    for text in dataset.GetMetadata_List("xml:VRT") or []:
        for attributes, escaped in _SOURCE.findall(text):
            name = unescape(escaped)
            if name in seen or _NOT_A_PATH.match(name):
                continue
            seen.add(name)
            yield folder / name if 'relativeToVRT="1"' in attributes else Path(name)


def holes_warning(dataset: gdal.Dataset) -> Message | None:
    """A sentence where parts of a mosaic that lie in none of its files would be mapped."""
    if dataset.GetDriver().ShortName != "VRT" or not dataset.GetDescription():
        return None
    flags, _ = dataset.GetRasterBand(1).GetDataCoverageStatus(
        0, 0, dataset.RasterXSize, dataset.RasterYSize
    )
    if not flags & gdal.GDAL_DATA_COVERAGE_STATUS_EMPTY:
        return None
    text = translate(
        "ScasNet",
        "The mosaic has gaps and no nodata value: they are mapped as black. Rebuild it with"
        " a nodata value or an alpha band to exclude them.",
    )
    return message(text)
