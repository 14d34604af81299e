"""What was measured, in results.json, and the page that is written from it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Callable

import numpy as np
import onnxruntime
from osgeo import gdal

from scasnet_qgis import paths
from scasnet_qgis.models.backend import processors
from scasnet_qgis.models.model_file import inspect

HERE = Path(__file__).parent
PAGE = HERE / "RESULTS.md"
STORE = HERE / "results.json"
PLOTS = HERE / "plots"

Sections = Mapping[str, Callable[[Any], str]]


def machine(card: str = "") -> dict[str, str]:
    """What the figures were measured with, and when; ``card`` names a graphics card in use."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "date": date.today().isoformat(),
        "processor": f"{cpu}, {processors()} threads, {card or 'no GPU'} used",
        "versions": (
            f"Python {platform.python_version()}, numpy {np.__version__}, GDAL {gdal.__version__}, "
            f"ONNX Runtime {onnxruntime.__version__}"
        ),
        "model": inspect(paths.default_model()).card.name,
    }


def stored() -> dict[str, Any]:
    """Everything measured so far, by name: its machine and its result."""
    return json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}


def keep(name: str, result: Any) -> None:
    """Add a result to those that are there."""
    store = stored()
    card = result.get("card", "") if isinstance(result, dict) else ""
    store[name] = {"machine": machine(card), "result": result}
    STORE.write_text(json.dumps(store, indent=1) + "\n", encoding="utf-8")


def page(store: dict[str, Any], sections: Sections) -> str:
    """The results page, a section for each of the names, measured or not."""
    parts = ["# Results\n\nWritten by `make bench`; the figures are in `results.json`."]
    for name, write in sections.items():
        if name not in store:
            parts.append(f"## {name.capitalize()}\n\nNot measured.")
            continue
        where = store[name]["machine"]
        facts = f"{where['date']}; {where['processor']}; {where['versions']}; {where['model']}"
        parts.append(write(store[name]["result"]))
        if (PLOTS / f"{name}.png").exists():
            parts.append(f"![{name}](plots/{name}.png)")
        parts.append(f"*{facts}*")
    return "\n\n".join(parts) + "\n"
