"""ONNX Runtime never reports how it is used: that is switched off before it is first imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SWITCH = "ORT_DISABLE_TELEMETRY"
# Prints what the switch is when onnxruntime is about to be imported, and ends there.
SPY = f"""
import os, sys
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "onnxruntime":
            print(os.environ.get("{SWITCH}"), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Spy())
sys.path.insert(0, "scripts")
exec(sys.argv[1])
"""
STARTS = (
    "from scasnet_qgis.models.runtime import onnxruntime; onnxruntime()",
    "import scasnet_qgis.training.export.precision",
    "import scasnet_qgis.training.export.onnx_graph",
    "import benchmarks.store",
    "from benchmarks.contenders import bare; bare('', '', '', 1, 1)",
    "from check_venv import find_fault; find_fault()",
)


@pytest.mark.parametrize("start", STARTS)
def test_telemetry_is_off_when_onnxruntime_is_imported(start: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != SWITCH}
    done = subprocess.run(
        [sys.executable, "-c", SPY, start],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1"]


def test_other_scripts_import_it_through_the_package() -> None:
    importing = re.compile(r"^\s*(from|import) onnxruntime\b", re.MULTILINE)
    sources = [path for path in (ROOT / "scripts").rglob("*") if path.is_file()]
    found = {path.name for path in sources if importing.search(path.read_text(errors="replace"))}
    assert found == {"check_venv.py"}
