"""Versions of what takes part in making a map."""

from __future__ import annotations

import platform
import sys
from configparser import ConfigParser
from configparser import Error as ConfigError
from functools import lru_cache

import numpy as np
from osgeo import gdal

from scasnet_qgis import paths
from scasnet_qgis.models.runtime import onnxruntime


def software() -> dict[str, str]:
    """Versions of what takes part in a run; QGIS is named where it runs."""
    found = {
        "plugin": plugin_version(),
        "gdal": str(gdal.VersionInfo("RELEASE_NAME")),
        "numpy": np.__version__,
        "onnxruntime": str(onnxruntime().__version__),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
    }
    # Asked only where it is loaded already: a map needs no QGIS.
    qgis = getattr(sys.modules.get("qgis.core"), "Qgis", None)
    return {**({} if qgis is None else {"qgis": str(qgis.version())}), **found}


@lru_cache(maxsize=1)
def plugin_version() -> str:
    """As metadata.txt says; "" where it is not there."""
    for folder in (paths.PLUGIN, paths.PLUGIN.parent):
        if (folder / "metadata.txt").is_file():
            parser = ConfigParser(interpolation=None)
            try:
                parser.read(folder / "metadata.txt", encoding="utf-8")
            except (ConfigError, UnicodeDecodeError):
                return ""
            return parser.get("general", "version", fallback="")
    return ""
