"""What QGIS loads when it starts with the plugin: no more than the dialogs need."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.real_qgis import ROOT

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
WORKING = ("assessment", "mapping", "network", "raster", "styling", "training")
WORKING += ("algorithms.child_process", "algorithms.layers", "models.backend", "models.model_file")
# The settings that parameters are declared by; they load nothing else of their packages.
SETTINGS = ("assessment", "assessment.options", "training", "training.config")
SETTINGS += ("training.config_file", "training.given_values", "training.data_options")
SETTINGS += ("training.export_request", "training.caffe_request")
MOST_MODULES = 50  # of the plugin: a few files for each algorithm, and what they share


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
    working = tuple(f"scasnet_qgis.{name}" for name in WORKING)
    settings = {f"scasnet_qgis.{name}" for name in SETTINGS}
    assert set(within(started["modules"], working)) <= settings


def test_few_modules_are_loaded(started) -> None:
    assert 10 < len(within(started["modules"], ("scasnet_qgis",))) < MOST_MODULES
