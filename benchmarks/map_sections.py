"""The parts of the results page about maps: accuracy, resolutions, seams, sparse ones, memory."""

from __future__ import annotations

from typing import Any

from benchmarks.memory import SIZES, growth
from benchmarks.rasters import size_of
from benchmarks.sections import table

GROWTH, MEMORY_LIMIT = 1.1, 1500  # times the least peak; megabytes
SEAMS_LIMIT = 1.1


def accuracy_section(result: dict[str, Any]) -> str:
    rows = [
        [name, *(f"{figures[key]:.3f}" for key in ("share", "recall", "precision", "iou"))]
        for name, figures in result["classes"].items()
    ]
    return (
        "## Accuracy of the shipped model\n\n"
        f"Overall accuracy {result['overall_accuracy']:.3f}, mean IoU {result['mean_iou']:.3f} on "
        "the eight validation images (11 megapixels), default settings.\n\n"
        + table(["class", "share", "recall", "precision", "IoU"], rows)
    )


def tile_name(run: dict[str, Any]) -> str:
    """The tile size that was asked for, or what a run took of itself."""
    return str(run["tile"]) if run["tile"] else f"default (up to {run['largest_tile']})"


def seams_section(results: list[dict[str, Any]]) -> str:
    rows = [
        [
            tile_name(run),
            str(run["overlap"]),
            str(run.get("images", "-")),
            f"{run['seams']:.3f}",
            f"{run['overall_accuracy']:.4f}",
            f"{run['mean_iou']:.4f}",
            f"{run['computed_per_delivered']:.2f}",
        ]
        for run in results
    ]
    whole = results[0]
    head = ["tile", "overlap (pixels)", "images cut", "seams", "overall accuracy", "mean IoU"]
    return (
        "## Seams\n\n"
        "The eight validation images in tiles, by tile size and overlap. Seams: label changes "
        "across the lines where tiles meet (middle of the overlaps, outer edges of the tiles), "
        "relative to the map made in one piece; 1 means that nothing shows, and at most "
        f"{SEAMS_LIMIT} is asked for at the default overlap. An image that fits into one tile has "
        "no seams and does not count for them. The map in one piece has overall accuracy "
        f"{whole['whole_overall_accuracy']:.4f} and mean IoU {whole['whole_mean_iou']:.4f}.\n\n"
        + table([*head, "computed / delivered"], rows)
    )


def resolutions_section(result: dict[str, dict[str, float]]) -> str:
    rows = [
        [
            size,
            *(f"{figures[f'overall_accuracy {way}']:.3f}" for way in ("on", "off")),
            *(f"{figures[f'mean_iou {way}']:.3f}" for way in ("on", "off")),
            f"{figures['seconds off'] / figures['seconds on']:.2f}",
        ]
        for size, figures in result.items()
    ]
    head = ["metres", "overall accuracy", "switched off", "mean IoU", "switched off"]
    return (
        "## Other ground resolutions\n\n"
        "The validation images brought to finer pixels (cubic; no detail is added) and to coarser "
        "ones (mean), mapped with the parameter *Resample image to the model's ground resolution* "
        "and with it switched off. Judged pixel by pixel against the labels, on the finer of the "
        "two grids. Time is that of the processors, switched off over on.\n\n"
        + table([*head, "time off / on"], rows)
    )


def sparse_section(result: dict[str, Any]) -> str:
    rows = [
        [
            f"{int(side):,} x {int(side):,}",
            f"{run['tiles']:,}",
            f"{run['computed']:,}",
            f"{run['seconds']:,.0f}",
            f"{run['processor_seconds']:,.0f}",
            f"{run['peak_megabytes']:,.0f}",
        ]
        for side, run in result.items()
    ]
    head = ["pixels", "tiles", "computed", "seconds", "processor seconds", "MB"]
    return (
        "## Sparse rasters\n\n"
        "Maps of enormous rasters that store two islands of pixels and nothing else. Tiles in "
        "which nothing is stored are passed over without being read.\n\n" + table(head, rows)
    )


def memory_section(results: list[dict[str, Any]]) -> str:
    found = {
        (run["rows"], run["cols"]): [
            f"{run['peak_megabytes']:,.0f}",
            f"{run['computed_per_delivered']:.2f}",
        ]
        for run in results
    }
    rows = [
        [f"{size[0]:,} x {size[1]:,}", *found.get(size, ["not measured", ""])]
        for size in map(size_of, SIZES)
    ]
    largest = max(run["peak_megabytes"] for run in results)
    of_all = "" if len(found) == len(SIZES) else " so far"
    return (
        "## Memory\n\n"
        "Peak resident memory of a process that maps a virtual raster repeating the demo image, "
        "with everything in it (Python, model, GDAL's cache). The largest peak"
        f"{of_all} is {growth(results):.2f} times the smallest (asked for: {GROWTH:.2f} at most) "
        f"and {largest:,.0f} MB (asked for: {MEMORY_LIMIT:,} at most).\n\n"
        + table(["rows x columns", "peak (MB)", "computed / delivered"], rows)
    )
