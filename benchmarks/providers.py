"""How fast is each device that is there, and does it give the map that the CPU gives?

    build/venv/bin/python -m benchmarks.providers [--size 3000x3000] [--repeats 3]

Every provider that the installed onnxruntime was built with is asked for; one that does not load is
listed as such. Run it in an environment with another onnxruntime to see that one's. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import OPENVINO, run_fresh, spread
from benchmarks.measures import labels_of
from benchmarks.rasters import mosaic, size_of
from scasnet_qgis import paths
from scasnet_qgis.models.runtime import PROVIDERS, available

SIZE = (3000, 3000)  # rows, columns
CPU = "cpu"


def packages() -> list[str]:
    """The installed builds of ONNX Runtime, and OpenVINO's own package, with their versions."""
    found = {
        distribution.metadata["Name"]: distribution.version for distribution in distributions()
    }
    return [
        f"{name} {version}"
        for name, version in sorted(found.items())
        if name.lower().startswith(("onnxruntime", "openvino"))
    ]


def measure_providers(size: tuple[int, int] = SIZE, repeats: int = 3) -> dict[str, Any]:
    """Speed of each device, and the share of the pixels that get the CPU's class."""
    sys.path.append(str(OPENVINO))
    names = [CPU, *(name for name in available() if name != CPU)]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        values = {"raster": mosaic(folder / "image.tif", *size), "model": paths.default_model()}
        for _ in range(repeats):
            for name in names:
                wanted = {**values, "device": name, "target": folder / f"{name}.tif"}
                runs[name].append(run_fresh("benchmarks.contenders:ours", **wanted))
        reference = labels_of(folder / f"{CPU}.tif")
        same = {
            name: float(np.mean(labels_of(folder / f"{name}.tif") == reference)) for name in names
        }
    devices = {
        name: {
            "ran": found[0]["provider"],
            "loads": _ran(name, found[0]["provider"]),
            "speed": spread(run["delivered"] / run["seconds"] / 1e6 for run in found),
            "labels_agreeing": same[name],
            "peak_megabytes": max(run["peak_megabytes"] for run in found),
        }
        for name, found in runs.items()
    }
    return {
        "rows": size[0],
        "cols": size[1],
        "repeats": repeats,
        "packages": packages(),
        "devices": devices,
    }


def _ran(name: str, provider: str) -> bool:
    """Whether what a run says it ran on is the device that was asked for, not one in its place."""
    return PROVIDERS.get(name, name).lower() in provider.lower() or name in provider.lower()


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default=SIZE, help="rows x columns")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps(measure_providers(arguments.size, arguments.repeats), indent=1))


if __name__ == "__main__":
    main()
