"""How fast is a map, next to bare ONNX Runtime and to GeoDeep?

    build/venv/bin/python -m benchmarks.throughput [--size 5000x5000] [--repeats 5]

A GeoTIFF of real images, in blocks and not compressed, is mapped by each contender in a process
of its own, in turns: there and back again, so that a computer that slows down favours nobody.
GeoDeep and ours work with one file of fixed tiles at the overlap that it advises. Ratios are taken
within a round. Prints a JSON object. Contenders and what their clocks cover are in contenders.py.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.child import run_fresh, spread
from benchmarks.rasters import SIZE, mosaic, size_of
from scasnet_qgis import paths
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.backend import processors
from scasnet_qgis.training.export.job import export_task

FIXED = 512  # pixels
DEMO = paths.resources() / "demo" / "dubai.tif"
OURS, OURS_INT8, OURS_SHORT = "ours", "ours, int8", "ours with OpenVINO"
ONNX_RUNTIME, OPENVINO = {"device": "cpu"}, {"device": "openvino"}

Runs = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Contender:
    """A function of contenders.py and what it is called with."""

    function: str
    values: Mapping[str, Any]


def arrangements(cores: int) -> list[tuple[int, int]]:
    """Sessions and threads in each that use all cores, from one session to one on every core."""
    whole = [sessions for sessions in range(1, cores + 1) if cores % sessions == 0]
    return [(sessions, cores // sessions) for sessions in whole]


def bare_name(sessions: int, threads: int) -> str:
    return f"bare, {sessions} x {threads}"


def exported(folder: Path, name: str, **values: Any) -> Path:
    """The shipped model as ``scasnet:exportmodel`` writes it."""
    target = folder / f"{name}.onnx"
    request = {"source": str(paths.default_model()), "output": str(target), "raster": str(DEMO)}
    export_task({**request, **values}, Progress())
    return target


def fixed_file(folder: Path) -> tuple[Path, int]:
    """The file for fixed tiles, and its overlap in pixels as GeoDeep rounds it."""
    import onnx

    advised = exported(folder, "fixed", precision="fp32", fixed_size=FIXED)
    model = onnx.load(str(advised))
    (entry,) = (prop for prop in model.metadata_props if prop.key == "tiles_overlap")
    return advised, math.floor(FIXED * float(entry.value) / 100)


def geodeep_name(overlap: int) -> str:
    return f"GeoDeep, fixed {FIXED}, overlap {overlap}"


def fixed_name(overlap: int, ours: str = OURS) -> str:
    return f"{ours}, fixed {FIXED}, overlap {overlap}"


def contenders(raster: Path, fixed: Path, overlap: int, folder: Path) -> dict[str, Contender]:
    """All of them, ours first, for the plan that the bare sessions work off is written by it."""
    int8 = exported(folder, "int8", precision="int8")
    plan, shipped = folder / "plan.json", paths.default_model()
    entries = {OURS: Contender("ours", {"model": shipped, "plan": plan, **ONNX_RUNTIME})}
    for sessions, threads in arrangements(processors()):
        values = {"model": shipped, "plan": plan, "sessions": sessions, "threads": threads}
        entries[bare_name(sessions, threads)] = Contender("bare", values)
    same = {"model": fixed, "overlap": overlap}
    entries[geodeep_name(overlap)] = Contender("geodeep", {"model": fixed})
    entries[fixed_name(overlap)] = Contender("ours", {**same, **ONNX_RUNTIME})
    entries[OURS_INT8] = Contender("ours", {"model": int8, **ONNX_RUNTIME})
    entries[OURS_SHORT] = Contender("ours", {"model": shipped, **OPENVINO})
    entries[fixed_name(overlap, OURS_SHORT)] = Contender("ours", {**same, **OPENVINO})
    return {
        name: Contender(contender.function, {"raster": raster, **contender.values})
        for name, contender in entries.items()
    }


def measure_throughput(size: tuple[int, int] = SIZE, repeats: int = 5) -> dict[str, Any]:
    """Every contender ``repeats`` times; speeds in megapixels a second, and their ratios."""
    runs: Runs = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fixed, overlap = fixed_file(folder)
        entries = contenders(mosaic(folder / "image.tif", *size), fixed, overlap, folder)
        for turn in range(repeats):
            order = list(entries) if turn % 2 == 0 else list(reversed(entries))
            for contender in order:
                entry = entries[contender]
                done = run_fresh(f"benchmarks.contenders:{entry.function}", **entry.values)
                runs.setdefault(contender, []).append(done)
    return {
        "rows": size[0],
        "cols": size[1],
        "repeats": repeats,
        "contenders": {contender: _figures(runs[contender]) for contender in entries},
        "best_bare": best_bare(runs),
        "ratios": ratios(runs, overlap),
    }


def _figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    first = runs[0]
    return {
        **{key: first[key] for key in ("tile", "tiles", "computed", "delivered", "provider")},
        "seconds": spread(run["seconds"] for run in runs),
        "computed_speed": spread(run["computed"] / run["seconds"] / 1e6 for run in runs),
        "delivered_speed": spread(run["delivered"] / run["seconds"] / 1e6 for run in runs),
        "peak_megabytes": max(run["peak_megabytes"] for run in runs),
    }


def best_bare(runs: Runs) -> str:
    """The arrangement of bare sessions with the least middle time."""
    bare = [name for name in runs if name.startswith("bare")]
    return min(bare, key=lambda name: spread(run["seconds"] for run in runs[name])["median"])


def ratios(runs: Runs, overlap: int) -> list[dict[str, Any]]:
    """How many times as fast, round by round, and what is asked for."""
    bare, peer = best_bare(runs), geodeep_name(overlap)
    compared: list[tuple[str, str, float | None]] = [
        (OURS, bare, 0.95),
        (fixed_name(overlap), peer, 1.4),
        (fixed_name(overlap, OURS_SHORT), peer, 1.4),
        (OURS, peer, 1.6),
        (OURS_SHORT, peer, 1.6),
        (OURS_INT8, peer, 2.3),
        (OURS_INT8, OURS, 1.4),
        (OURS_SHORT, OURS, None),
    ]
    found = [
        {"one": one, "other": other, "target": target, "ratio": _faster(runs, one, other)}
        for one, other, target in compared
    ]
    # How far any way to have ONNX Runtime compute these tiles could get.
    computed = {name: runs[name][0]["computed"] for name in (bare, peer)}
    limit = spread(
        slow["seconds"] / quick["seconds"] * computed[bare] / computed[peer]
        for quick, slow in zip(runs[bare], runs[peer])
    )
    found.append({"one": f"{bare}, its tiles", "other": peer, "target": None, "ratio": limit})
    one, other = fixed_name(overlap), peer
    ratio = _faster(runs, one, other, "tiles_seconds")
    other += ", without its filter"
    found.append({"one": one, "other": other, "target": None, "ratio": ratio})
    return found


def _faster(runs: Runs, one: str, other: str, until: str = "seconds") -> dict[str, float]:
    pairs = zip(runs[one], runs[other])
    return spread(slow[until] / quick["seconds"] for quick, slow in pairs)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default=SIZE, help="rows x columns")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(json.dumps(measure_throughput(arguments.size, arguments.repeats), indent=1))


if __name__ == "__main__":
    main()
