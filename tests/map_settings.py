"""The settings of a map as one flat list of names, as tests change one or two of them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from scasnet_qgis.mapping.refinements import REFINEMENTS
from scasnet_qgis.mapping.refinements.refinement import Refinement
from scasnet_qgis.mapping.settings import (
    DeviceOptions,
    ImageInput,
    MapSettings,
    OutputFiles,
    RunOptions,
    TilingOptions,
)
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.tiling.augmentation import Augmentation

_PARTS = {
    "image": ImageInput,
    "output": OutputFiles,
    "tiling": TilingOptions,
    "device": DeviceOptions,
    "augmentation": Augmentation,
    "run": RunOptions,
}


def map_settings(source: str, model: ModelInfo, output: Path, **values: Any) -> MapSettings:
    """As ``MapSettings``; ``values`` by the attributes of its parts, or by the parts' own names."""
    return changed(MapSettings(ImageInput(source), model, OutputFiles(output)), **values)


def changed(settings: MapSettings, **values: Any) -> MapSettings:
    """The same with other ``values``; an ``output`` is the map's path."""
    if "output" in values:
        values["map"] = values.pop("output")
    whole = {name: values.pop(name) for name in ("model", "augmentation") if name in values}
    settings = replace(settings, **whole)
    parts = {
        name: replace(getattr(settings, name), **_taken(kind, values))
        for name, kind in _PARTS.items()
    }
    others = [replace(value, **_taken(type(value), values)) for value in settings.refinements]
    if values:
        raise TypeError(f"no settings: {sorted(values)}")
    return replace(settings, refinements=tuple(others), **parts)


def _taken(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Those of ``values`` that a part has, which are removed there."""
    names = [field.name for field in fields(kind) if field.name in values]
    return {name: values.pop(name) for name in names}


def refinements(**values: Any) -> tuple[Refinement, ...]:
    """One of each, with ``values``."""
    found = tuple(kind(**_taken(kind, values)) for kind in REFINEMENTS)
    if values:
        raise TypeError(f"no settings: {sorted(values)}")
    return found
