"""Runs every benchmark and writes the results page, benchmarks/RESULTS.md, and its plots.

    build/venv/bin/python benchmarks/run_all.py [--only accuracy seams memory] [--data FOLDER]

The trainings (landscape, encoder, polygons) need the data sets in FOLDER (see training.py) and
an hour; without it they keep what was measured before. --only page writes the page anew from what
was measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import accuracy, memory, plots, precision, refinements, resolutions, seams
from benchmarks.gpu import measure_gpu
from benchmarks.graph import measure_graph
from benchmarks.map_sections import (
    accuracy_section,
    memory_section,
    resolutions_section,
    seams_section,
    sparse_section,
)
from benchmarks.measures import validation_images
from benchmarks.providers import measure_providers
from benchmarks.rasters import size_of
from benchmarks.sections import (
    encoder_section,
    landscape_section,
    polygons_section,
    precision_section,
    refinements_section,
)
from benchmarks.sparse import measure_sparse
from benchmarks.speed_sections import (
    gpu_section,
    graph_section,
    providers_section,
    stages_section,
    startup_section,
    threads_section,
    throughput_section,
)
from benchmarks.stages import measure_stages
from benchmarks.startup import measure_startup
from benchmarks.store import PAGE, keep, page, stored
from benchmarks.threads import measure_threads
from benchmarks.throughput import measure_throughput
from benchmarks.training import STUDIES


def measure_accuracy() -> dict[str, Any]:
    return accuracy.report(accuracy.measure_accuracy())


def measure_seams() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            vars(seams.measure_seams(tile, overlap, Path(folder)))
            for tile, overlap in product(seams.TILES, seams.OVERLAPS)
        ]


def measure_memory() -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for size in memory.SIZES:
        if results:
            keep("memory", results)  # should the run be broken off
        results.append(memory.measure(*size_of(size)))
    return results


def measure_refinements() -> dict[str, dict[str, float]]:
    return refinements.report(refinements.measure_refinements())


def measure_resolutions() -> dict[str, dict[str, float]]:
    return resolutions.report(resolutions.measure_resolutions(validation_images()))


def measure_precision() -> dict[str, dict[str, float | None]]:
    return precision.report(precision.measure_precision())


SECTIONS: dict[str, Callable[[Any], str]] = {
    "accuracy": accuracy_section,
    "throughput": throughput_section,
    "graph": graph_section,
    "stages": stages_section,
    "threads": threads_section,
    "providers": providers_section,
    "gpu": gpu_section,
    "memory": memory_section,
    "sparse": sparse_section,
    "startup": startup_section,
    "precision": precision_section,
    "seams": seams_section,
    "resolutions": resolutions_section,
    "refinements": refinements_section,
    "landscape": landscape_section,
    "encoder": encoder_section,
    "polygons": polygons_section,
}
MEASURES: dict[str, Callable[[], Any]] = {
    "accuracy": measure_accuracy,
    "throughput": measure_throughput,
    "graph": measure_graph,
    "stages": measure_stages,
    "threads": measure_threads,
    "providers": measure_providers,
    "gpu": measure_gpu,
    "memory": measure_memory,
    "sparse": measure_sparse,
    "startup": measure_startup,
    "precision": measure_precision,
    "seams": measure_seams,
    "resolutions": measure_resolutions,
    "refinements": measure_refinements,
}


def write_page() -> None:
    """The plots and the page, from everything measured so far."""
    store = stored()
    plots.draw_all(store)
    PAGE.write_text(page(store, SECTIONS), encoding="utf-8")


def main() -> None:
    """Measure what is asked for, keep the other results, and write the page anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    choices = ["page", *sorted(SECTIONS)]
    parser.add_argument("--only", nargs="+", choices=choices, default=list(SECTIONS))
    parser.add_argument("--data", type=Path, help="folder of the data sets to train on")
    arguments = parser.parse_args()
    for name in arguments.only:
        if name in MEASURES:
            print(f"{name} ...", flush=True)
            keep(name, MEASURES[name]())
        elif name in STUDIES and arguments.data:
            print(f"{name} ...", flush=True)
            study, minutes = STUDIES[name]
            keep(name, study(arguments.data, minutes))
        write_page()
    print(f"Results are in {PAGE}.")


if __name__ == "__main__":
    main()
