"""Nothing that is read can run code: no pickle, by whatever name (ruff knows the modules)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scasnet_qgis"
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
MODULES |= {"jsonpickle", "yaml", "imp"}
CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.jit.load", "torch.hub.load"}
CALLS |= {"pandas.read_pickle", "runpy.run_path"}


@pytest.mark.fault(
    "any file that is read runs code (pickle and the like)",
    "nothing in the plugin reads such files",
)
def test_nothing_that_is_read_can_run_code() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            place = f"{path}:{getattr(node, 'lineno', 0)}"
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not MODULES & {name.split(".")[0] for name in names}, place
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in CALLS, place
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                assert options.get("allow_pickle", "False") == "False", place


def test_numpy_is_told_to_refuse_pickle_by_default() -> None:
    """Arrays of objects are pickled; numpy.load refuses them unless it is told otherwise."""
    import inspect

    import numpy as np

    assert inspect.signature(np.load).parameters["allow_pickle"].default is False
