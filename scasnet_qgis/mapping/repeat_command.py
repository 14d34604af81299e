"""The command that makes a map again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from scasnet_qgis.common.options import arguments
from scasnet_qgis.common.redaction import HIDDEN, address_of, without_secrets
from scasnet_qgis.mapping.context import RunContext
from scasnet_qgis.mapping.settings import ImageInput
from scasnet_qgis.models.runtime import short_name
from scasnet_qgis.outputs.provenance.command_line import command

ALGORITHM = "scasnet:segment"
_PASSING = "processing_"  # how QGIS's folders for temporary files begin


def facts(run: RunContext) -> dict[str, Any]:
    """Parameters, the command for this computer's shell, and what to do before it."""
    parameters = {name: without_secrets(value) for name, value in _parameters(run).items()}
    return {
        "parameters": parameters,
        "command": command(ALGORITHM, parameters, windows=os.name == "nt"),
        "notes": _obstacles(run),
    }


def _parameters(run: RunContext) -> dict[str, str]:
    """As the algorithm takes them, with what this computer chose spelled out."""
    image, model, output = run.settings.image, run.settings.model, run.settings.output
    found = {
        "INPUT": public_source(image) if image.layer else _absolute(image.source),
        "MODEL": _absolute(str(model.path)),
        "EXTENT": _extent(image.extent),
        "MASK": _layer(image.mask, image.mask_layer),
        "OUTPUT": _again(output.map),
        "PROBABILITIES": _again(output.probabilities) if output.probabilities else "",
        **{name: text for part in run.settings.parts for name, text in arguments(part).items()},
        "BANDS": ";".join(map(str, run.reader.bands)),
        "DEVICE": short_name(run.backend.provider),
        "TILE_SIZE": "" if model.fixed_size else str(run.tiling.tile[0]),
        "OVERLAP": str(run.tiling.overlap),
        "BATCH_SIZE": str(run.backend.batch),
    }
    if image.layer is not None:
        found["PIXEL_SIZE"] = repr(image.layer.pixel_size)
        found["MAX_REQUESTS"] = str(image.layer.limit)
    return {name: value for name, value in found.items() if value}


def public_source(image: ImageInput) -> str:
    """What names the image, without passwords and keys; where there are none, as it is."""
    if image.layer is None:
        return without_secrets(image.source)
    readable = address_of(image.source)
    return readable if HIDDEN in readable else image.source


def _obstacles(run: RunContext) -> list[str]:
    """What stands in the way of the command."""
    image, found = run.settings.image, []
    if any(map(_is_passing, (image.source, image.mask))):
        found.append("An input was a temporary file of QGIS: save it, and name that file.")
    if run.grid.wkt != run.reader.grid.wkt:
        found.append(
            "The raster's file does not state the coordinate reference system that the layer in "
            "QGIS had: assign it to the file first."
        )
    if image.layer is not None:
        found.append(
            "The image was rendered from a service, which may show another one by now or no longer."
        )
    if public_source(image) != image.source or without_secrets(image.mask) != image.mask:
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
    return ",".join(repr(float(limit)) for limit in (x_min, x_max, y_min, y_max))


def _layer(path: str, layer: str) -> str:
    return f"{_absolute(path)}|layername={layer}" if path and layer else _absolute(path)


def _is_passing(name: str) -> bool:
    """Whether a file lies in one of QGIS's folders for temporary files."""
    try:
        inside = Path(name).absolute().relative_to(tempfile.gettempdir())
    except ValueError:
        return False
    return bool(inside.parts) and inside.parts[0].startswith(_PASSING)
