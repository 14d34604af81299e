"""The parts of the results page about speed: throughput, stages, threads, providers, start, GPU."""

from __future__ import annotations

from typing import Any

from benchmarks.child import shown
from benchmarks.sections import table

GPU_RATIO = 0.85
START_SECONDS = 0.15
SPREAD = "min / median / max"


def throughput_section(result: dict[str, Any]) -> str:
    size = f"{result['rows']:,} x {result['cols']:,}"
    rows = [
        [
            name,
            " x ".join(map(str, contender["tile"])),
            _share(contender),
            shown(contender["seconds"], 1),
            shown(contender["computed_speed"]),
            shown(contender["delivered_speed"]) if contender["delivered"] else "-",
            f"{contender['peak_megabytes']:,.0f}",
        ]
        for name, contender in result["contenders"].items()
    ]
    head = ["", "tile", "computed / delivered", "seconds", "computed Mpx/s", "map Mpx/s", "MB"]
    ratios = [
        [ratio["one"], ratio["other"], _target(ratio["target"]), shown(ratio["ratio"])]
        for ratio in result["ratios"]
    ]
    return (
        "## Throughput\n\n"
        f"A GeoTIFF of {size} pixels, red, green and blue, in blocks and not compressed, of the "
        f"validation images side by side; {result['repeats']} rounds, each contender in a process "
        "of its own and in turns. No start is counted. Ours reads, computes, blends and writes the "
        "map with its overviews. Bare ONNX Runtime (sessions x threads in each) is fed with the "
        "tiles of our plan from memory and the model as it is in the file, and its scores are "
        "thrown away. GeoDeep reads, computes "
        "and filters; it need not write. GeoDeep and the fixed 512 of ours use one file, made by "
        "`scasnet:exportmodel`, at the overlap that it advises. Ours computes by ONNX Runtime "
        "where nothing else is said, with OpenVINO in bfloat16 where the processor can. Best "
        f"bare: {result['best_bare'].removeprefix('bare, ')}; it computes the same pixels as ours. "
        "MB is the largest resident memory; that of bare sessions includes their tiles.\n\n"
        f"Each figure is {SPREAD}.\n\n"
        + table(head, rows)
        + "\n\n"
        + table(["", "times as fast as", "asked for", f"measured ({SPREAD})"], ratios)
    )


def _target(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _share(contender: dict[str, Any]) -> str:
    if not contender["delivered"]:
        return "-"
    return f"{contender['computed'] / contender['delivered']:.2f}"


def graph_section(result: dict[str, Any]) -> str:
    rows = [[name, shown(figures, 1)] for name, figures in result["ways"].items()]
    return (
        "## The graph on a processor\n\n"
        f"One tile of {result['tile']} x {result['tile']} pixels with the shipped model in one "
        f"thread, {result['repeats']} times in turns. ONNX Runtime's softmax over the planes of "
        "the classes is slow, so that maps on a processor are made without it and with numpy's. "
        f"Scores differ by {result['difference']:.2g} at most.\n\n"
        + table(["", f"milliseconds ({SPREAD})"], rows)
    )


def stages_section(result: dict[str, Any]) -> str:
    wall = result["seconds"]["median"]
    groups = sorted(result["groups"].items(), key=lambda group: -group[1]["median"])
    rows = [[name, shown(figures), f"{figures['median'] / wall:.0%}"] for name, figures in groups]
    inside = result["session_run"]
    rows.append(["*inside ONNX Runtime's run*", shown(inside), f"{inside['median'] / wall:.0%}"])
    tiles = result["tiles_seconds"]
    return (
        "## Where the time goes\n\n"
        f"One map of {result['rows']:,} x {result['cols']:,} pixels, {result['repeats']} times, on "
        f"{result['provider']}: {shown(result['seconds'], 1)} seconds ({SPREAD}), of which "
        f"{shown(tiles, 1)} until the last tile; the rest is for overviews and side files. Below, "
        "the processor seconds of its threads, start included, and their share of one processor "
        "over the time of the map.\n\n"
        + table(["threads", f"processor seconds ({SPREAD})", "of one processor"], rows)
    )


def threads_section(result: dict[str, Any]) -> str:
    alone = result["cores"]["1"]["speed"]["median"] if "1" in result["cores"] else None
    rows = [
        [
            count,
            shown(figures["speed"]),
            f"{figures['speed']['median'] / alone:.2f}" if alone else "-",
            f"{figures['peak_megabytes']:,.0f}",
        ]
        for count, figures in result["cores"].items()
    ]
    return (
        "## Processors\n\n"
        f"A map of {result['rows']:,} x {result['cols']:,} pixels by a process that may use so "
        f"many processors of the computer, with as many threads, {result['repeats']} times "
        f"({SPREAD}).\n\n" + table(["processors", "map Mpx/s", "times one", "MB"], rows)
    )


def providers_section(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            device["ran"] if device["loads"] else f"does not load; {device['ran']} ran",
            shown(device["speed"]),
            f"{device['labels_agreeing']:.3%}",
            f"{device['peak_megabytes']:,.0f}",
        ]
        for name, device in result["devices"].items()
    ]
    return (
        "## Devices\n\n"
        f"Installed: {', '.join(result['packages'])}. What it offers, on a map of "
        f"{result['rows']:,} x {result['cols']:,} pixels, {result['repeats']} times ({SPREAD}). "
        "Devices that are not listed are not measured.\n\n"
        + table(["device", "what ran", "map Mpx/s", "labels as on the CPU", "MB"], rows)
    )


def startup_section(result: dict[str, Any]) -> str:
    rows = [
        ["seconds", shown(result["seconds"], 3)],
        ["of these, importing", shown(result["import_seconds"], 3)],
        ["processor seconds", shown(result["processor_seconds"], 3)],
    ]
    heavy = ", ".join(result["heavy"]) or "neither onnxruntime nor torch"
    return (
        "## Start of QGIS\n\n"
        "What loading the plugin and registering its provider adds to a QGIS that has started with "
        f"Processing, {result['repeats']} fresh starts; at most {START_SECONDS} seconds are "
        f"asked for. {result['algorithms']} algorithms are registered, {result['modules']} Python "
        f"modules loaded; of the heavy ones: {heavy}.\n\n" + table(["", SPREAD], rows)
    )


def gpu_section(result: dict[str, Any]) -> str:
    title = "## Graphics card\n\n"
    if not result["device"]:
        return f"{title}Not measured: the installed onnxruntime offers no graphics card here."
    rows = [
        [
            name,
            model["ran"],
            " x ".join(map(str, model["tile"])),
            shown(model["speed"]),
            shown(model["bare_speed"]),
            shown(model["ratio"]),
        ]
        for name, model in result["models"].items()
    ]
    return (
        f"{title}{result['card'] or result['device']}: maps of {result['rows']:,} x "
        f"{result['cols']:,} pixels by networks of {result['width']:g} times the published width "
        f"and random weights, {result['repeats']} times, next to one bare session fed with the "
        f"same tiles from memory; at least {GPU_RATIO} of it, by computed pixels, is asked for. "
        f"Figures are {SPREAD}.\n\n"
        + table(["network", "what ran", "tile", "map Mpx/s", "bare Mpx/s", "ratio"], rows)
    )
