"""What QGIS loads when it starts with the plugin: no more than the dialogs need."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.real_qgis import ROOT

pytestmark = pytest.mark.slow

# QGIS with Processing starts, then the plugin, as the plugin manager would do it.
START = """
import json, os, sys
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
sys.path.append(QgsApplication.pkgDataPath() + "/python/plugins")
from processing.core.Processing import Processing
Processing.initialize()
before = set(sys.modules)
from scasnet_qgis import classFactory
plugin = classFactory(None)
plugin.initProcessing()
provider = QgsApplication.processingRegistry().providerById("scasnet")
algorithms = [algorithm.name() for algorithm in provider.algorithms()]
print(json.dumps({"algorithms": algorithms, "modules": sorted(set(sys.modules) - before)}))
sys.stdout.flush()
os._exit(0)  # some libraries crash when they are unloaded
"""
HEAVY = ("numpy", "scipy", "onnx", "onnxruntime", "torch", "safetensors", "cv2", "matplotlib")
# What only a run needs, but for the settings that parameters are declared by.
WORKING = ("accuracy", "images", "labels", "mapping", "network", "outputs", "training")
WORKING += ("models.backend", "models.model_file", "qgis_ui.about", "qgis_ui.layers")
WORKING += ("qgis_ui.processing.worker_process",)
SETTINGS = ("accuracy.options", "mapping.settings", "mapping.refinements")
SETTINGS += ("training.settings", "training.data.options", "training.export.request")
SETTINGS += ("training.caffe.request",)
MOST_FILES = 40  # of the plugin, beside the packages they lie in: a few for each algorithm
IMPORT = """
import sys
import scasnet_qgis.algorithms.provider
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def started() -> dict[str, list[str]]:
    """The algorithms that are there, and the modules that the plugin has added."""
    done = subprocess.run(
        [sys.executable, "-c", START],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def within(modules: list[str], packages: tuple[str, ...]) -> list[str]:
    """Those of the modules that are one of the packages or lie in one."""
    return [
        module for module in modules if f"{module}.".startswith(tuple(f"{p}." for p in packages))
    ]


def test_every_algorithm_is_there(started) -> None:
    assert {"segment", "train", "evaluate", "checksetup"} <= set(started["algorithms"])


def test_no_heavy_package_is_loaded(started) -> None:
    assert within(started["modules"], HEAVY) == []


def test_nothing_is_loaded_that_only_a_run_needs(started) -> None:
    working = within(started["modules"], tuple(f"scasnet_qgis.{name}" for name in WORKING))
    settings = tuple(f"scasnet_qgis.{name}" for name in SETTINGS)
    packages = {module.rpartition(".")[0] for module in working}
    assert set(working) - packages <= set(within(working, settings))


def test_few_files_are_loaded(started) -> None:
    modules = within(started["modules"], ("scasnet_qgis",))
    packages = {module.rpartition(".")[0] for module in modules}
    assert 10 < len(set(modules) - packages) < MOST_FILES


def test_the_algorithms_load_neither_numpy_nor_gdal() -> None:
    """Which QGIS's own Processing has loaded, so that this is seen without it only."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert within(done.stdout.split(), ("osgeo", *HEAVY)) == []
