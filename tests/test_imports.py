"""Imports point one way (see DESIGN.md), and loading the plugin loads nothing heavy.

What ruff can say (see pyproject.toml) stands there: which packages are imported inside functions
only, and which never.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = {"onnxruntime", "onnx", "torch", "torchvision", "cv2", "safetensors"}
QT = {"qgis", "PyQt5", "PyQt6"}


def fresh(code: str) -> set[str]:
    """Top-level packages that a fresh Python has loaded after running ``code``."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_contracts_of_imports_hold(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--cache-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_is_of_python_3_9_and_calls_no_exec_with_an_underscore() -> None:
    for path in sorted((ROOT / "scasnet_qgis").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))
        for node in ast.walk(tree):
            place = f"{path}:{getattr(node, 'lineno', 0)}"
            assert not (isinstance(node, ast.Attribute) and node.attr == "exec_"), place


def test_loading_the_plugin_loads_nothing_else() -> None:
    loaded = fresh("import scasnet_qgis")
    assert "scasnet_qgis" in loaded
    assert not loaded & {*HEAVY, *QT, "numpy", "osgeo"}


def test_everything_that_maps_loads_without_qgis_and_onnx_runtime() -> None:
    assert not fresh("import scasnet_qgis.mapping.job") & {*HEAVY, *QT}


def test_everything_that_judges_maps_loads_without_qgis() -> None:
    loaded = fresh("import scasnet_qgis.accuracy.run, scasnet_qgis.accuracy.sample")
    assert not loaded & {*HEAVY, *QT}
