"""Those whose speed is compared. Each runs alone in a fresh process (see child.py).

Seconds never cover the start: imports, opening the raster and the model, and a first small tile.
"""

from __future__ import annotations

import json
import queue
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROBE = 256  # pixels; ours has computed a tile of this size when its clock starts
CPU = "CPUExecutionProvider"


def ours(
    raster: str, model: str, plan: str = "", target: str = "", **settings: Any
) -> dict[str, Any]:
    """The whole of a map, overviews and side files included.

    ``plan`` is where to write the windows of the tiles, ``target`` where to leave the map.
    """
    from benchmarks.measures import map_image

    with tempfile.TemporaryDirectory() as folder:
        result = map_image(
            Path(raster), Path(target or f"{folder}/map.tif"), Path(model), **settings
        )
    if plan:
        windows = [
            (tile.out.row, tile.out.col, tile.out.rows, tile.out.cols)
            for panel in result.plan.panels
            for row in range(len(result.plan.vertical))
            for tile in result.plan.row_tiles(panel, row)
        ]
        Path(plan).write_text(json.dumps(windows), encoding="utf-8")
    vertical, horizontal = result.plan.vertical, result.plan.horizontal
    return {
        "seconds": result.seconds,
        "tiles_seconds": result.report.seconds,
        "delivered": vertical.length * horizontal.length,
        "computed": result.plan.computed_pixels,
        "tile": [vertical.size, horizontal.size],
        "tiles": result.plan.count,
        "provider": result.provider,
    }


def bare(
    raster: str, model: str, plan: str, sessions: int, threads: int, provider: str = CPU
) -> dict[str, Any]:
    """Sessions of ONNX Runtime side by side over tiles that already lie in memory.

    The tiles are those of ``plan`` as the float32 in 0-1 that the session takes. What comes out
    is thrown away.
    """
    import numpy as np
    import onnxruntime

    if provider != CPU and hasattr(onnxruntime, "preload_dlls"):  # those that pip has installed
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    providers = list(dict.fromkeys([provider, CPU]))
    opened = [
        onnxruntime.InferenceSession(model, options, providers=providers) for _ in range(sessions)
    ]
    name = opened[0].get_inputs()[0].name
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    tiles = tiles_in_memory(raster, plan)
    for tile in tiles:
        waiting.put(tile)

    def work(session: Any) -> None:
        while True:
            try:
                tile = waiting.get_nowait()
            except queue.Empty:
                return
            session.run(None, {name: tile})

    for session in opened:
        session.run(None, {name: np.ascontiguousarray(tiles[0][:, :, :PROBE, :PROBE])})
    with ThreadPoolExecutor(sessions) as pool:
        started = time.perf_counter()
        list(pool.map(work, opened))
        seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "delivered": 0,
        "computed": sum(tile.shape[2] * tile.shape[3] for tile in tiles),
        "tile": list(tiles[0].shape[2:]),
        "tiles": len(tiles),
        "provider": opened[0].get_providers()[0],
    }


def tiles_in_memory(raster: str, plan: str) -> list[Any]:
    """The windows of a plan, each [1, bands, rows, cols] float32 in 0-1."""
    import numpy as np
    from osgeo import gdal

    image = gdal.Open(raster).ReadAsArray()
    tiles = []
    for row, col, rows, cols in json.loads(Path(plan).read_text(encoding="utf-8")):
        cut = image[:, row : row + rows, col : col + cols]
        beyond = ((0, 0), (0, rows - cut.shape[1]), (0, cols - cut.shape[2]))
        tiles.append(np.pad(cut, beyond, mode="symmetric")[None].astype(np.float32) / 255)
    return tiles


def geodeep(raster: str, model: str) -> dict[str, Any]:
    """GeoDeep's ``segment``, from the moment its session is open to the array of classes.

    Its median filter over the whole map is included, for it cannot be turned off;
    ``tiles_seconds`` ends before it. It writes no file here, which ours does in its time.
    """
    from geodeep import segment
    from geodeep.inference import create_session
    from geodeep.slidingwindow import generate_for_size

    marks: dict[str, float] = {}

    def note(text: str, _done: float) -> None:
        marks.setdefault(text, time.perf_counter())

    labels = segment(raster, model, progress_callback=note)
    ended = time.perf_counter()
    rows, cols = labels.shape
    size, share = fixed_tile(create_session(model)[1])
    windows = generate_for_size(cols, rows, size, share, clip=False)
    return {
        "seconds": ended - marks["Model loaded"],
        "tiles_seconds": marks["Finalizing"] - marks["Model loaded"],
        "delivered": rows * cols,
        "computed": len(windows) * size * size,
        "tile": [size, size],
        "tiles": len(windows),
        "provider": CPU,
    }


def fixed_tile(config: dict[str, Any]) -> tuple[int, float]:
    """Tile size and the share of it that overlaps, from GeoDeep's description of a model."""
    return int(config["tiles_size"]), float(config["tiles_overlap"]) / 100
