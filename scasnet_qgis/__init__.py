"""ScasNet: land-cover maps from very-high-resolution imagery, in QGIS."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """Called by QGIS when the plugin is loaded; ``iface`` is None under qgis_process."""
    from scasnet_qgis.plugin import ScasNetPlugin

    return ScasNetPlugin(iface)
