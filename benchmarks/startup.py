"""What does the plugin add to the start of QGIS?

    build/venv/bin/python -m benchmarks.startup [--repeats 11]

A fresh process starts a real QGIS, off screen, with Processing, and then loads the plugin and
registers its provider: only this is timed. Files that Python compiles at the first start only lie
there already. Prints a JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from benchmarks.child import ROOT, run_fresh, spread

HEAVY = ("onnxruntime", "onnx", "openvino", "torch")
PROCESSING = "/usr/share/qgis/python/plugins"


def measure_here() -> dict[str, Any]:
    """Start QGIS in this process, then the plugin."""
    from qgis.core import QgsApplication

    application = QgsApplication([], False)
    application.initQgis()
    sys.path.append(PROCESSING)
    from processing.core.Processing import Processing

    Processing.initialize()
    sys.path.insert(0, str(ROOT))
    before = set(sys.modules)
    started, used = time.perf_counter(), time.process_time()
    from scasnet_qgis import classFactory

    plugin = classFactory(None)
    imported = time.perf_counter()
    plugin.initProcessing()
    ended, used = time.perf_counter(), time.process_time() - used
    provider = QgsApplication.processingRegistry().providerById("scasnet")
    return {
        "seconds": ended - started,
        "import_seconds": imported - started,
        "processor_seconds": used,
        "algorithms": len(provider.algorithms()),
        "modules": len(set(sys.modules) - before),
        "heavy": sorted(set(HEAVY) & set(sys.modules)),
    }


def measure_startup(repeats: int = 11) -> dict[str, Any]:
    """Start ``repeats`` times, after once for the compiled files."""
    call = "benchmarks.startup:measure_here"
    run_fresh(call)
    runs = [run_fresh(call) for _ in range(repeats)]
    timed = ("seconds", "import_seconds", "processor_seconds")
    return {
        "repeats": repeats,
        "algorithms": runs[0]["algorithms"],
        "modules": runs[0]["modules"],
        "heavy": sorted({name for run in runs for name in run["heavy"]}),
        **{key: spread(run[key] for run in runs) for key in timed},
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    print(json.dumps(measure_startup(parser.parse_args().repeats), indent=1))


if __name__ == "__main__":
    main()
