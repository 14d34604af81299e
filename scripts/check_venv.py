"""Says in one line whether the packages of this venv work together with QGIS's own numpy."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def find_fault() -> str | None:
    """Return what is wrong with this environment, or None."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # the plugin, which sees to it, may not be there yet
    try:
        import numpy as np
        import onnxruntime  # noqa: F401
        import osgeo.gdal_array  # noqa: F401
        import qgis.core  # noqa: F401
        from google.protobuf import message  # noqa: F401
    except ImportError as error:
        return f"a package cannot be imported: {error}"
    if Path(np.__file__).is_relative_to(sys.prefix):
        return f"numpy {np.__version__} lies in the venv and hides the one that GDAL needs"
    return None


if __name__ == "__main__":
    sys.exit(find_fault())
