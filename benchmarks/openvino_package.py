"""Whether OpenVINO's own package would be faster than ONNX Runtime on this processor.

Not a part of ``make bench``, because the package is installed beside everything else::

    pip install --target /tmp/openvino --no-deps openvino
    python -m benchmarks.openvino_package /tmp/openvino

Both compute the same tiles in turns, two at a time with a thread each. What counts on a machine
that does other things as well is the processor time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis import paths
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.onnx_file import inspect

WORKERS = 2
SIZES = (512, 1024)
Predict = Callable[[NDArray[np.float32]], NDArray[Any]]


@dataclass
class Times:
    """Seconds for a tile, of the processor and of the clock, one for each turn."""

    processor: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        parts = (
            f"{name} {median(each):.3f} s ({min(each):.3f} to {max(each):.3f})"
            for name, each in (("processor", self.processor), ("clock", self.clock))
        )
        return ", ".join(parts)


def openvino_predict(model: Path) -> Predict:
    """OpenVINO in single precision with a stream of one thread for each worker."""
    import openvino

    core = openvino.Core()
    options = {
        "INFERENCE_NUM_THREADS": WORKERS,
        "NUM_STREAMS": WORKERS,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(core.read_model(model), "CPU", options)
    print(f"OpenVINO {openvino.__version__}")
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(WORKERS):
        requests.put(compiled.create_infer_request())

    def predict(tile: NDArray[np.float32]) -> NDArray[Any]:
        request = requests.get()
        try:
            return np.array(request.infer({0: tile})[0])
        finally:
            requests.put(request)

    return predict


def measure(predict: Predict, size: int, tiles: int, times: Times) -> None:
    """One turn over so many tiles."""
    images = np.random.default_rng(1).random((tiles, 1, 3, size, size), dtype=np.float32)
    processor, clock = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(predict, images))
    times.processor.append((time.process_time() - processor) / tiles)
    times.clock.append((time.perf_counter() - clock) / tiles)


def main() -> None:
    """Print the times of both and their ratio, turn by turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", help="the folder that openvino was installed into")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--model", type=Path, default=paths.default_model())
    arguments = parser.parse_args()
    sys.path.append(arguments.packages)
    other = openvino_predict(arguments.model)
    with OnnxBackend(inspect(arguments.model), "cpu", WORKERS, (1024, 1024)) as backend:
        for size in SIZES:
            found = {"ONNX Runtime": Times(), "OpenVINO": Times()}
            for turn in range(arguments.turns + 1):
                if turn == 1:  # the first one is for warming up
                    found = {name: Times() for name in found}
                measure(backend.predict, size, 2 * WORKERS, found["ONNX Runtime"])
                measure(other, size, 2 * WORKERS, found["OpenVINO"])
            for name, times in found.items():
                print(f"{size} px, {name}, for a tile: {times}")
            ratios = np.divide(found["ONNX Runtime"].processor, found["OpenVINO"].processor)
            print(
                f"{size} px: OpenVINO is {np.median(ratios):.2f} times as fast by processor time "
                f"({ratios.min():.2f} to {ratios.max():.2f})"
            )


if __name__ == "__main__":
    main()
