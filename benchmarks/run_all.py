"""Runs every benchmark and writes the results page, benchmarks/RESULTS.md.

    build/venv/bin/python benchmarks/run_all.py [--only accuracy seams memory] [--data FOLDER]

The trainings (landscape, encoder, polygons) need the data sets in FOLDER (see training.py) and
an hour; without it they keep what was measured before.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import onnxruntime
from osgeo import gdal

from benchmarks import accuracy, memory, precision, refinements, seams
from benchmarks.sections import (
    encoder_section,
    landscape_section,
    polygons_section,
    precision_section,
    refinements_section,
    table,
)
from benchmarks.training import STUDIES
from scasnet_qgis import paths
from scasnet_qgis.models.backend import processors
from scasnet_qgis.models.onnx_file import inspect

HERE = Path(__file__).parent
PAGE = HERE / "RESULTS.md"
STORE = HERE / "results.json"
TILE = 512  # pixels; smaller than the default, so that there are more borders to see
OVERLAPS = (0, 32, 64, 96, 128)


def measure_accuracy() -> dict[str, Any]:
    return accuracy.report(accuracy.measure_accuracy())


def measure_seams() -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        return [vars(seams.measure_seams(TILE, each, Path(folder))) for each in OVERLAPS]


def measure_memory() -> list[dict[str, float]]:
    sizes = [tuple(map(int, each.split("x"))) for each in memory.SIZES]
    return [memory.measure(rows, cols) for rows, cols in sizes]


def machine() -> dict[str, str]:
    """What the figures were measured with, and when."""
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
        "processor": f"{cpu}, {processors()} threads, no GPU used",
        "versions": (
            f"Python {platform.python_version()}, numpy {np.__version__}, GDAL {gdal.__version__}, "
            f"ONNX Runtime {onnxruntime.__version__}"
        ),
        "model": inspect(paths.default_model()).card.name,
    }


def accuracy_section(result: dict[str, Any]) -> str:
    rows = [
        [name, *(f"{each[key]:.3f}" for key in ("share", "recall", "precision", "iou"))]
        for name, each in result["classes"].items()
    ]
    return (
        "## Accuracy of the shipped model\n\n"
        f"Overall accuracy {result['overall_accuracy']:.3f}, mean IoU {result['mean_iou']:.3f} on "
        "the eight validation images (11 megapixels), default settings.\n\n"
        + table(["class", "share", "recall", "precision", "IoU"], rows)
    )


def seams_section(results: list[dict[str, float]]) -> str:
    rows = [
        [
            str(each["overlap"]),
            f"{each['seams']:.3f}",
            f"{each['overall_accuracy']:.4f}",
            f"{each['mean_iou']:.4f}",
            f"{each['computed_per_delivered']:.2f}",
        ]
        for each in results
    ]
    whole = results[0]
    return (
        "## Seams\n\n"
        f"Tiles of {TILE} pixels on the eight validation images. Seams: label changes across the "
        "lines where tiles meet (middle of the overlaps, outer edges of the tiles), relative to "
        "the map made in one piece; 1 means that nothing shows. The map in one piece has overall "
        f"accuracy {whole['whole_overall_accuracy']:.4f} and mean IoU "
        f"{whole['whole_mean_iou']:.4f}.\n\n"
        + table(
            ["overlap (pixels)", "seams", "overall accuracy", "mean IoU", "computed / delivered"],
            rows,
        )
    )


def memory_section(results: list[dict[str, float]]) -> str:
    rows = [
        [
            f"{each['rows']:,} x {each['cols']:,}",
            f"{each['peak_megabytes']:,.0f}",
            f"{each['seconds']:,.0f}",
            f"{each['megapixels_per_second']:.2f}",
        ]
        for each in results
    ]
    return (
        "## Memory\n\n"
        "Peak resident memory of a process that maps a virtual raster repeating the demo image, "
        "with everything in it (Python, model, GDAL's cache). Most of it is for the tiles that are "
        "computed side by side; a raster of few tiles ends before ONNX Runtime has taken all that "
        "it takes for them.\n\n"
        + table(["rows x columns", "peak (MB)", "seconds", "megapixels a second"], rows)
    )


def measure_refinements() -> dict[str, dict[str, float]]:
    return refinements.report(refinements.measure_refinements())


def measure_precision() -> dict[str, dict[str, float]]:
    return precision.report(precision.measure_precision())


SECTIONS: dict[str, Callable[[Any], str]] = {
    "accuracy": accuracy_section,
    "refinements": refinements_section,
    "precision": precision_section,
    "landscape": landscape_section,
    "encoder": encoder_section,
    "polygons": polygons_section,
    "seams": seams_section,
    "memory": memory_section,
}
MEASURES: dict[str, Callable[[], Any]] = {
    "accuracy": measure_accuracy,
    "refinements": measure_refinements,
    "precision": measure_precision,
    "seams": measure_seams,
    "memory": measure_memory,
}


def page(store: dict[str, Any]) -> str:
    """The results page from everything measured so far."""
    parts = ["# Results\n\nWritten by `make bench`; the figures are in `results.json`."]
    for name, write in SECTIONS.items():
        if name not in store:
            parts.append(f"## {name.capitalize()}\n\nNot measured.")
            continue
        where = store[name]["machine"]
        facts = f"{where['date']}; {where['processor']}; {where['versions']}; {where['model']}"
        parts.append(f"{write(store[name]['result'])}\n\n*{facts}*")
    return "\n\n".join(parts) + "\n"


def keep(name: str, result: Any) -> None:
    """Add a result to those that are there, and write the page anew."""
    store = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    store[name] = {"machine": machine(), "result": result}
    STORE.write_text(json.dumps(store, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(store), encoding="utf-8")


def main() -> None:
    """Measure what is asked for, keep the other results, and write the page anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--data", type=Path, help="folder of the data sets to train on")
    arguments = parser.parse_args()
    for name in arguments.only:
        if name in MEASURES:
            print(f"{name} ...", flush=True)
            keep(name, MEASURES[name]())
        elif arguments.data:
            print(f"{name} ...", flush=True)
            study, minutes = STUDIES[name]
            keep(name, study(arguments.data, minutes))
    print(f"Results are in {PAGE}.")


if __name__ == "__main__":
    main()
