"""What to tell the user where a tile cannot be computed."""

from __future__ import annotations

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate


def no_memory(shape: tuple[int, ...], detail: str) -> ModelError:
    return ModelError(
        translate(
            "ScasNet",
            "There is not enough memory for tiles of {rows} x {cols} pixels: choose a "
            "smaller tile size, a smaller batch or fewer threads.",
        ),
        detail,
        rows=shape[2],
        cols=shape[3],
    )


def failed(name: str, shape: tuple[int, ...], detail: str) -> ModelError:
    return ModelError(
        translate(
            "ScasNet",
            "{name} fails on tiles of {rows} x {cols} pixels: choose another tile size or device.",
        ),
        detail,
        name=name,
        rows=shape[2],
        cols=shape[3],
    )
