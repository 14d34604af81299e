"""Imports point one way (see DESIGN.md), and loading the plugin loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "scasnet_qgis"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
HEAVY = ("onnxruntime", "onnx", "torch", "torchvision", "cv2", "safetensors")
MAY_IMPORT_QGIS = ("algorithms", "plugin.py", "styling.py", "i18n.py", "settings.py")
MAY_IMPORT_QGIS += ("dependencies.py",)
MAPPING_PARTS = {each.stem for each in PACKAGE.glob("mapping_*.py")}
# What each part may import of the package. Parts that are not named here may import everything.
ALLOWED = {
    "core": {"core"},
    "raster": {"raster", "core"},
    "models": {"models", "core"},
    "network": {"network", "core"},
    "training": {"training", "raster", "models", "network", "core", "paths"},
    "assessment": {"assessment", "raster", "core"},
    "mapping": {*MAPPING_PARTS, "raster", "models", "core"},
    **{
        name: {*MAPPING_PARTS, "mapping", "raster", "models", "core", "paths"}
        for name in MAPPING_PARTS
    },
}
# Not in Python 3.9, which has sys.stdlib_module_names neither.
STANDARD = set(getattr(sys, "stdlib_module_names", ())) or None


def part_of(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


def tree_of(module: Path) -> ast.Module:
    source = (PACKAGE / module).read_text(encoding="utf-8")
    return ast.parse(source, str(module), feature_version=(3, 9))


def names_in(node: ast.AST) -> Iterator[str]:
    """Full dotted names that an import statement loads."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are written in full"
        assert node.module is not None
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(module: Path) -> set[str]:
    """All imports of a module, also those inside functions."""
    return {name for node in ast.walk(tree_of(module)) for name in names_in(node)}


def imports_at_load(node: ast.AST) -> Iterator[str]:
    """Imports that run when the module is loaded: not in functions, not for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield from names_in(child)
        yield from imports_at_load(child)


def tops(names: Iterator[str] | set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_parts_import_only_what_is_below_them(module: Path) -> None:
    own = {name.split(".")[1] for name in imports_of(module) if name.startswith("scasnet_qgis.")}
    assert own <= ALLOWED.get(part_of(module), own)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_heavy_packages_are_imported_inside_functions(module: Path) -> None:
    if part_of(module) not in ("network", "training"):
        assert not tops(imports_at_load(tree_of(module))) & set(HEAVY)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_qt_and_qgis_stay_at_the_top(module: Path) -> None:
    names = imports_of(module)
    assert not {name for name in tops(names) if name.startswith(("PyQt", "PySide", "sip"))}
    if module.parts[0] not in MAY_IMPORT_QGIS:
        assert not tops(names) & {"qgis", "processing"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_gdal_is_imported_from_osgeo(module: Path) -> None:
    assert not tops(imports_of(module)) & {"gdal", "osr", "ogr", "gdalconst", "rasterio"}


@pytest.mark.skipif(STANDARD is None, reason="needs Python 3.10")
@pytest.mark.parametrize("module", [m for m in MODULES if m.parts[0] == "core"], ids=str)
def test_the_core_needs_numpy_and_nothing_else(module: Path) -> None:
    assert tops(imports_of(module)) <= {*(STANDARD or ()), "numpy", "google", "scasnet_qgis"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_exec_with_an_underscore(module: Path) -> None:
    calls = (node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Attribute))
    assert not [node.lineno for node in calls if node.attr == "exec_"]


@pytest.mark.parametrize(
    "module", [m for m in MODULES if m.parts[0] not in ("network", "training")], ids=str
)
def test_names_that_old_numpy_lacks_are_for_type_checkers_only(module: Path) -> None:
    """numpy.typing.NDArray came with 1.21; QGIS's own may be 1.20."""
    assert "numpy.typing.NDArray" not in set(imports_at_load(tree_of(module)))


def fresh(code: str) -> set[str]:
    """Top-level packages that a fresh Python has loaded after running ``code``."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_loading_the_plugin_loads_nothing_else() -> None:
    loaded = fresh("import scasnet_qgis")
    assert "scasnet_qgis" in loaded
    assert not loaded & {*HEAVY, "numpy", "osgeo", "qgis", "PyQt5", "PyQt6"}


def test_everything_that_maps_loads_without_qgis_and_onnx_runtime() -> None:
    assert not fresh("import scasnet_qgis.mapping") & {*HEAVY, "qgis", "PyQt5", "PyQt6"}


def test_everything_that_judges_maps_loads_without_qgis() -> None:
    loaded = fresh("import scasnet_qgis.assessment.run, scasnet_qgis.assessment.sample")
    assert not loaded & {*HEAVY, "qgis", "PyQt5", "PyQt6"}
