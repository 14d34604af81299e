"""A plot for each measurement, from results.json into benchmarks/plots.

build/venv/bin/python -m benchmarks.plots
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.map_sections import MEMORY_LIMIT, SEAMS_LIMIT
from benchmarks.speed_sections import START_SECONDS
from benchmarks.store import PLOTS, stored

WIDTH, DPI = 6.4, 100  # inches, dots per inch
OURS, OTHER, TARGET = "#1b6ca8", "#b0b0b0", "#c0392b"

Figures = dict[str, float]


def draw_all(store: dict[str, Any], folder: Path = PLOTS) -> list[Path]:
    """Draw what was measured; returns the files."""
    folder.mkdir(exist_ok=True)
    drawn = []
    for name, draw in DRAWINGS.items():
        if name not in store:
            continue
        figure, axes = plt.subplots(figsize=(WIDTH, 3.4), layout="constrained")
        if draw(axes, store[name]["result"]):
            axes.spines[["top", "right"]].set_visible(False)
            drawn.append(folder / f"{name}.png")
            # Without the version of matplotlib inside, the same figures give the same file.
            figure.savefig(drawn[-1], dpi=DPI, metadata={"Software": None})
        plt.close(figure)
    return drawn


def _bars(axes: Axes, rows: Iterable[tuple[str, Figures, str]], label: str, digits: int) -> None:
    """Horizontal bars of the middle value, with a line from the least to the largest."""
    found = list(rows)
    plt.gcf().set_figheight(1.1 + 0.36 * len(found))
    for at, (_, figures, color) in enumerate(found):
        sides = ([figures["median"] - figures["min"]], [figures["max"] - figures["median"]])
        error = sides if figures["max"] > figures["min"] else None
        axes.barh(at, figures["median"], xerr=error, color=color, height=0.65, capsize=3)
        text = f"{figures['median']:,.{digits}f}"
        axes.annotate(text, (figures["max"], at), (6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(found)), [name for name, _, _ in found])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(label)


def _exactly(value: float) -> Figures:
    return {"min": value, "median": value, "max": value}


def _target(axes: Axes, value: float, name: str, *, upright: bool = True) -> None:
    line = axes.axvline if upright else axes.axhline
    line(value, color=TARGET, linestyle="--", linewidth=1, label=name)
    axes.legend(frameon=False, loc="best")


def throughput(axes: Axes, result: dict[str, Any]) -> bool:
    rows = [
        (f"{name}: {what}", figures[speed], OURS if name.startswith("ours") else OTHER)
        for speed, what in (("computed_speed", "tiles"), ("delivered_speed", "map"))
        for name, figures in result["contenders"].items()
        if figures["delivered"] or speed == "computed_speed"
    ]
    _bars(axes, rows, "tiles or map (megapixels a second)", 2)
    return True


def stages(axes: Axes, result: dict[str, Any]) -> bool:
    groups = sorted(result["groups"].items(), key=lambda group: -group[1]["median"])
    rows = [(name, figures, OURS) for name, figures in groups]
    rows.append(("inside ONNX Runtime's run", result["session_run"], OTHER))
    _bars(axes, rows, "processor time (s)", 2)
    _target(axes, result["seconds"]["median"], "time of the map")
    return True


def _line(axes: Axes, at: list[float], figures: list[Figures], name: str, color: str) -> None:
    middle = [point["median"] for point in figures]
    error = [
        [point["median"] - point["min"] for point in figures],
        [point["max"] - point["median"] for point in figures],
    ]
    axes.errorbar(at, middle, error, marker="o", capsize=3, label=name, color=color)


def threads(axes: Axes, result: dict[str, Any]) -> bool:
    at = [float(count) for count in result["cores"]]
    speeds = [run["speed"] for run in result["cores"].values()]
    _line(axes, at, speeds, "measured", OURS)
    alone = speeds[0]["median"] / at[0]
    axes.plot(at, [alone * count for count in at], "--", color=OTHER, label="in proportion")
    axes.set_xticks(at, [f"{count:.0f}" for count in at])
    axes.set_xlabel("processors")
    axes.set_ylabel("map (megapixels a second)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return True


def providers(axes: Axes, result: dict[str, Any]) -> bool:
    rows = [
        (name, device["speed"], OURS)
        for name, device in result["devices"].items()
        if device["loads"]
    ]
    _bars(axes, rows, "map (megapixels a second)", 2)
    return True


def gpu(axes: Axes, result: dict[str, Any]) -> bool:
    if not result["device"]:
        return False
    rows = [(name, model["speed"], OURS) for name, model in result["models"].items()]
    _bars(axes, rows, "map (megapixels a second)", 2)
    return True


def memory(axes: Axes, results: list[dict[str, Any]]) -> bool:
    rows = [
        (f"{run['rows']:,} x {run['cols']:,}", _exactly(run["peak_megabytes"]), OURS)
        for run in results
    ]
    _bars(axes, rows, "peak resident memory (MB), by rows x columns of the raster", 0)
    _target(axes, MEMORY_LIMIT, "asked for, at most")
    return True


def graph(axes: Axes, result: dict[str, Any]) -> bool:
    rows = [
        (name, figures, OURS if "numpy" in name else OTHER)
        for name, figures in result["ways"].items()
    ]
    _bars(axes, rows, "one tile in one thread (milliseconds)", 0)
    return True


def resolutions(axes: Axes, result: dict[str, dict[str, float]]) -> bool:
    at = [float(size) for size in result]
    for way, name, color in (("on", "brought to the model's", OURS), ("off", "as it is", OTHER)):
        values = [figures[f"overall_accuracy {way}"] for figures in result.values()]
        axes.plot(at, values, marker="o", label=name, color=color)
    axes.set_xscale("log")
    axes.set_xticks(at, list(result))
    axes.minorticks_off()
    axes.set_xlabel("ground resolution of the image (m)")
    axes.set_ylabel("overall accuracy")
    axes.legend(frameon=False)
    return True


def sparse(axes: Axes, result: dict[str, Any]) -> bool:
    rows = [
        (f"{int(side):,} x {int(side):,}", _exactly(run["seconds"]), OURS)
        for side, run in result.items()
    ]
    _bars(axes, rows, "a map of two islands (s), by the size of the raster", 0)
    return True


def startup(axes: Axes, result: dict[str, Any]) -> bool:
    names = {
        "seconds": "all of it",
        "import_seconds": "importing",
        "processor_seconds": "processor time",
    }
    _bars(axes, [(name, result[key], OURS) for key, name in names.items()], "seconds", 3)
    _target(axes, START_SECONDS, "asked for, at most")
    return True


def precision(axes: Axes, result: dict[str, dict[str, Any]]) -> bool:
    rows = [
        (
            f"{name}\n{figures['labels_agreeing']:.2%} of labels as fp32",
            _exactly(figures["speed"]),
            OURS,
        )
        for name, figures in result.items()
        if figures["speed"] is not None
    ]
    _bars(axes, rows, "speed of one thread (times fp32)", 2)
    plt.gcf().set_figheight(2.6)
    return True


def refinements(axes: Axes, result: dict[str, dict[str, float]]) -> bool:
    for name, figures in result.items():
        axes.plot(figures["time_ratio"], figures["mean_iou"], "o", color=OURS)
        place = (figures["time_ratio"], figures["mean_iou"])
        beside = (6, -9) if name == "plain" else (6, 3)
        axes.annotate(name, place, beside, textcoords="offset points", fontsize=8)
    axes.margins(x=0.25, y=0.15)
    axes.set_xlim(left=0)
    axes.set_xlabel("time (times the plain map)")
    axes.set_ylabel("mean IoU of the pixels with a class")
    return True


def seams(axes: Axes, results: list[dict[str, Any]]) -> bool:
    for tile, color in zip(dict.fromkeys(run["tile"] for run in results), (OURS, "#e08e0b")):
        rows = [run for run in results if run["tile"] == tile]
        name = f"tiles of {tile}" if tile else f"default tiles, up to {rows[0]['largest_tile']}"
        at = [run["overlap"] for run in rows]
        axes.plot(at, [run["seams"] for run in rows], marker="o", label=name, color=color)
    _target(axes, SEAMS_LIMIT, "asked for, at most", upright=False)
    axes.set_xlabel("overlap (pixels)")
    axes.set_ylabel("label changes at seams\n(times the map in one piece)")
    return True


def accuracy(axes: Axes, result: dict[str, Any]) -> bool:
    rows = [(name, _exactly(figures["iou"]), OURS) for name, figures in result["classes"].items()]
    _bars(axes, rows, "IoU on the validation images", 3)
    axes.set_xlim(0, 1)
    return True


DRAWINGS: dict[str, Callable[[Axes, Any], bool]] = {
    "accuracy": accuracy,
    "throughput": throughput,
    "stages": stages,
    "threads": threads,
    "providers": providers,
    "gpu": gpu,
    "memory": memory,
    "graph": graph,
    "resolutions": resolutions,
    "sparse": sparse,
    "startup": startup,
    "precision": precision,
    "refinements": refinements,
    "seams": seams,
}


def main() -> None:
    """Draw everything that is in results.json."""
    for path in draw_all(stored()):
        print(f"{path} ({path.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
