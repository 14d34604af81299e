"""SHA-256 of a layer's geometries, whichever file they are stored in."""

from __future__ import annotations

import hashlib
from typing import Callable

from osgeo import gdal

from scasnet_qgis.common.messages import translate
from scasnet_qgis.labels.vectors.layer import (
    field_names,
    layers_with_geometry,
    read_features,
    reading,
)


def layer_digest(source: str, layer: str, check: Callable[[], None]) -> str:
    """SHA-256 of the shapes and the reference system; attributes do not count.

    A scratch layer of QGIS is saved to another file for each run, which holds the time of day.
    ``layer`` may be "" where there is only one with shapes; ``check`` may raise Cancelled.
    Raises InputError where the layer cannot be read.
    """
    digest = hashlib.sha256()
    text = translate(
        "ScasNet",
        "The mask {source} cannot be read: choose another layer, or save it as a GeoPackage.",
    )
    with reading(text, source):
        dataset = gdal.OpenEx(source, gdal.OF_VECTOR)
        for candidate in layers_with_geometry(dataset):
            if layer not in ("", candidate.GetName()):
                continue
            reference = candidate.GetSpatialRef()
            digest.update((reference.ExportToWkt() if reference else "").encode())
            for feature in read_features(candidate, None, field_names(candidate)):
                check()
                geometry = feature.GetGeometryRef()
                digest.update(b"" if geometry is None else bytes(geometry.ExportToIsoWkb()))
    return digest.hexdigest()
