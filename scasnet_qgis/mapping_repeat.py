"""The command that makes a map again."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scasnet_qgis.core.command_line import command
from scasnet_qgis.core.ensemble import ONE_LOOK
from scasnet_qgis.core.preprocessing import Scaling
from scasnet_qgis.core.redaction import HIDDEN, address_of, without_secrets
from scasnet_qgis.core.windows import TilePlan, Window
from scasnet_qgis.mapping_resolution import SeenGrid
from scasnet_qgis.mapping_resume import Tiling
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.runtime import short_name
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.image import Image
from scasnet_qgis.raster.products import MapRules

if TYPE_CHECKING:
    from scasnet_qgis.mapping import MapRequest

ALGORITHM = "scasnet:segment"
_PASSING = "processing_"  # how QGIS's folders for temporary files begin


@dataclass(frozen=True)
class Settled:
    """What a run has made of its request. ``grid`` is the whole raster's, ``area`` what is mapped;
    ``seen`` are the pixels that the model sees, None where they are the raster's own."""

    reader: Image
    grid: Grid
    area: Window
    scaling: Scaling
    tiling: Tiling
    rules: MapRules
    backend: OnnxBackend
    seen: SeenGrid | None = None

    @property
    def plan(self) -> TilePlan:
        return self.tiling.plan


def facts(request: MapRequest, settled: Settled) -> dict[str, Any]:
    """Parameters, the command for this computer's shell, and what to do before it."""
    parameters = {
        name: without_secrets(value) for name, value in _parameters(request, settled).items()
    }
    return {
        "parameters": parameters,
        "command": command(ALGORITHM, parameters, windows=os.name == "nt"),
        "notes": _obstacles(request, settled),
    }


def _parameters(request: MapRequest, settled: Settled) -> dict[str, str]:
    """As the algorithm takes them, with what this computer chose spelled out."""
    model = request.model
    given = {
        "INPUT": public_source(request) if request.layer else _absolute(request.source),
        "MODEL": _absolute(str(model.path)),
        "BANDS": ";".join(map(str, settled.reader.bands)),
        "VALUE_RANGE": str(request.value_range or ""),
        "EXTENT": _extent(request.extent),
        "MASK": _layer(request.mask, request.mask_layer),
        "OUTPUT": _again(request.output),
        "PROBABILITIES": _again(request.probabilities) if request.probabilities else "",
        "DEVICE": short_name(settled.backend.provider),
        "TILE_SIZE": "" if model.fixed_size else str(settled.tiling.tile[0]),
        "OVERLAP": str(settled.tiling.overlap),
        "BATCH_SIZE": str(settled.backend.batch),
        "THREADS": str(request.threads) if request.threads else "",
        "RESAMPLE": "" if request.resample else "false",
        "SCALES": "" if request.looks.scales == ONE_LOOK.scales else _scales(request.looks.scales),
        "FLIPS": "" if request.looks.flips == ONE_LOOK.flips else request.looks.flips,
        "SIEVE": repr(request.sieve) if request.sieve > 0 else "",
        "SIEVE_UNIT": request.sieve_unit if request.sieve > 0 else "",
        **_rendering(request),
        "MIN_CONFIDENCE": repr(request.min_confidence) if request.min_confidence > 0 else "",
    }
    return {name: value for name, value in given.items() if value}


def public_source(request: MapRequest) -> str:
    """What names the image, without passwords and keys; where there are none, as it is."""
    if request.layer is None:
        return without_secrets(request.source)
    readable = address_of(request.source)
    return readable if HIDDEN in readable else request.source


def _rendering(request: MapRequest) -> dict[str, str]:
    """What only a layer without a file is told."""
    layer = request.layer
    if layer is None:
        return {}
    return {"PIXEL_SIZE": repr(layer.pixel_size), "MAX_REQUESTS": str(layer.limit)}


def _obstacles(request: MapRequest, settled: Settled) -> list[str]:
    """What stands in the way of the command."""
    found = []
    if any(map(_is_passing, (request.source, request.mask))):
        found.append("An input was a temporary file of QGIS: save it, and name that file.")
    if settled.grid.wkt != settled.reader.grid.wkt:
        found.append(
            "The raster's file does not state the coordinate reference system that the layer in "
            "QGIS had: assign it to the file first."
        )
    if request.layer is not None:
        found.append(
            "The image was rendered from a service, which may show another one by now or no longer."
        )
    if public_source(request) != request.source or without_secrets(request.mask) != request.mask:
        found.append("A password or key was left out: put it back in.")
    return found


def _absolute(name: str) -> str:
    """The full path of a file; what is none stays as it is."""
    if not name or name.startswith("/vsi"):
        return name
    path = Path(name)
    try:
        there = path.exists() or path.parent.is_dir()
    except (OSError, ValueError):
        return name
    return str(path.absolute()) if there else name


def _again(output: Path) -> str:
    """A name beside a finished file, so that repeating a map does not cost the map."""
    return _absolute(str(output.with_name(f"{output.stem}_again{output.suffix}")))


def _extent(extent: tuple[float, float, float, float] | None) -> str:
    """As Processing writes it; without a reference system it is the raster's own."""
    if extent is None:
        return ""
    x_min, y_min, x_max, y_max = extent
    return ",".join(repr(float(each)) for each in (x_min, x_max, y_min, y_max))


def _layer(path: str, layer: str) -> str:
    return f"{_absolute(path)}|layername={layer}" if path and layer else _absolute(path)


def _scales(scales: tuple[float, ...]) -> str:
    return ";".join(repr(each) for each in scales)


def _is_passing(name: str) -> bool:
    """Whether a file lies in one of QGIS's folders for temporary files."""
    try:
        inside = Path(name).absolute().relative_to(tempfile.gettempdir())
    except ValueError:
        return False
    return bool(inside.parts) and inside.parts[0].startswith(_PASSING)
