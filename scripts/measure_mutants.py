"""Changes common/ and tiling/ in one place at a time and counts the changes that no test notices.

mutmut makes the changes in a copy of the checkout (build/mutation) and runs the tests of both
that reach the changed function. Without --most all are tried, which takes hours; of a run that was
broken off --report counts what there is. Survivors that change nothing but the wording of a text
are counted apart; the others are printed, to be looked at: each wants a test, or less code, or
makes nothing different that a caller sees.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import subprocess  # nosec B404
import sys
from pathlib import Path
from typing import Any

import measured_table

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "mutation"
TREE = FOLDER / "tree"
ROOMS = ("common", "tiling")
COPIED = ("scasnet_qgis", "tests", "scripts", "resources", "i18n", "docs", "metadata.txt")
SETTINGS = """
[tool.mutmut]
source_paths = ["scasnet_qgis"]
only_mutate = ["scasnet_qgis/common/*", "scasnet_qgis/tiling/*"]
also_copy = ["scasnet_qgis", "scripts", "resources", "i18n", "docs", "metadata.txt"]
pytest_add_cli_args = [
    "-p", "no:pytest_qgis", "-p", "no:cacheprovider", "-o", "addopts=", "--hypothesis-profile=ci",
]
pytest_add_cli_args_test_selection = ["tests/common", "tests/tiling"]
timeout_multiplier = 8
timeout_constant = 2
use_git_change_detection = false
"""
MEMORY = 8 * 2**30  # bytes; a changed loop may never end, and gather all the while
# What a mutant's tests end with.
SURVIVED, UNTESTED, KILLED = (0,), (5, 33), (1, 3)
# As `mutmut show` does it, but for many at a time.
_SHOW = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps({name: get_diff_for_mutant(name, path=sys.argv[1]) for name in sys.argv[2:]}))
"""
_CONTEXT, _NO_CONTEXT = '"ScasNet",', re.compile(r"(^|translate\()None,")
_TEXT = re.compile(r"""f?("[^"]*"|'[^']*')""")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as tiling/windows; all by default")
    parser.add_argument("--most", type=int, default=0, help="a sample of each module; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="only count what a tree of mutmut holds")
    arguments = parser.parse_args()
    tree = arguments.report or _laid_out()
    metas = _files(tree / "mutants", ".py.meta")
    if arguments.report is None:
        there = _files(ROOT, ".py")
        if unknown := set(arguments.modules) - set(there):
            parser.error(f"there is no module {', '.join(sorted(unknown))}")
        wanted = arguments.modules or list(there)
        _mutmut(tree, "run", "scasnet_qgis.images.grid.*")  # makes all mutants
        metas = _files(tree / "mutants", ".py.meta")
        picked = [sorted(_results(metas[module])) for module in wanted if module in metas]
        names = [n for mutants in picked for n in _sample(mutants, arguments.most, arguments.seed)]
        if names:  # without a name, mutmut would try all
            _mutmut(tree, "run", *names)
    rows = [row for module, meta in metas.items() if (row := _row(tree, module, meta))]
    totals = [sum(int(row[index]) for row in rows) for index in range(1, len(_HEAD))]
    measured_table.write("mutants", _HEAD, [*rows, ["all", *map(str, totals)]])


_HEAD = ["module", "mutants", "tried", "noticed", "too slow", "wording", "survived"]


def _files(tree: Path, ending: str) -> dict[str, Path]:
    """The files of the two rooms by their module, such as "tiling/windows"."""
    package = tree / "scasnet_qgis"
    found = (path for room in ROOMS for path in sorted((package / room).rglob(f"*{ending}")))
    return {path.relative_to(package).as_posix()[: -len(ending)]: path for path in found}


def _laid_out() -> Path:
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, TREE / name)
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (TREE / "pyproject.toml").write_text(settings + SETTINGS, encoding="utf-8")
    return TREE


def _mutmut(tree: Path, *words: str) -> str:
    return _python(tree, "-m", "mutmut", *words)


def _python(tree: Path, *words: str) -> str:
    packages = os.pathsep.join(
        filter(None, [str(FOLDER / "packages"), os.environ.get("PYTHONPATH")])
    )
    done = subprocess.run(  # nosec B603
        [sys.executable, *words],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": packages},
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    return done.stdout


def _sample(names: list[str], most: int, seed: int) -> list[str]:
    if not most or len(names) <= most:
        return names
    return sorted(random.Random(seed).sample(names, most))  # nosec B311


def _results(meta: Path) -> dict[str, int | None]:
    """How the tests of each mutant ended, None where they did not run."""
    content: dict[str, Any] = json.loads(meta.read_text(encoding="utf-8"))
    return dict(content["exit_code_by_key"])


def _row(tree: Path, module: str, meta: Path) -> list[str]:
    """The counts of a module; empty where nothing was tried."""
    results = _results(meta)
    tried = {name: code for name, code in results.items() if code is not None}
    if not tried:
        return []
    noticed = sum(code in KILLED for code in tried.values())
    left = [name for name, code in tried.items() if code in (*SURVIVED, *UNTESTED)]
    wording = 0
    changes = _changes(tree, module, left)
    for name in left:
        gone, come = changes.get(name, ("", ""))
        if _only_wording(gone, come):
            wording += 1
        elif not come:  # mutmut cannot show every change
            print(name, gone)
        else:
            print(f"{name}\n  - {gone}\n  + {come}")
    slow = len(tried) - noticed - len(left)
    counts = (len(results), len(tried), noticed, slow, wording, len(left) - wording)
    return [f"`{module}`", *map(str, counts)]


def _only_wording(gone: str, come: str) -> bool:
    """Whether texts alone are others, or the context that only the tools of translators read."""
    come = _NO_CONTEXT.sub(rf"\1{_CONTEXT}", come)
    return gone == _CONTEXT or (bool(come) and _TEXT.sub("", gone) == _TEXT.sub("", come))


def _changes(tree: Path, module: str, names: list[str]) -> dict[str, tuple[str, str]]:
    """The lines that each mutant takes away and puts in, each as one text."""
    if not names:
        return {}
    path = f"scasnet_qgis/{module}.py"
    diffs: dict[str, str] = json.loads(_python(tree, "-c", _SHOW, path, *names) or "{}")
    found = {}
    for name, diff in diffs.items():
        lines = diff.splitlines()
        gone = [line[1:].strip() for line in lines if line[:1] == "-" and line[:3] != "---"]
        come = [line[1:].strip() for line in lines if line[:1] == "+" and line[:3] != "+++"]
        found[name] = " ".join(gone), " ".join(come)
    return found


if __name__ == "__main__":
    main()
