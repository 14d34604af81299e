"""ScasNet: land-cover maps from very-high-resolution imagery, in QGIS."""

from __future__ import annotations

import os
from typing import Any

# Packages of ONNX Runtime can report how they are used, which nobody has agreed to. They look for
# this when they are first imported; child processes inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def classFactory(iface: Any) -> Any:
    """Called by QGIS when the plugin is loaded; ``iface`` is None under qgis_process."""
    from scasnet_qgis.plugin import ScasNetPlugin

    return ScasNetPlugin(iface)
