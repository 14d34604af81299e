"""Tells whether two checkouts do the same: maps, probabilities, figures, help, training.

Runs the same algorithms in both through each checkout's own scripts/qgis_process, so that it does
not matter how their modules are called, and compares what comes out. Prints a line for each
comparison and exits with 1 if anything differs.

    build/venv/bin/python scripts/compare_trees.py FOLDER FIRST SECOND [--only demo --only help]

FIRST and SECOND are paths of checkouts that have a build/venv. FOLDER keeps what each of them made
under its commit, so that nothing is computed twice; a commit that is kept there may stand for its
checkout. The inputs are made in FOLDER by the checkout that comes first there, models and labels
with its own algorithms, and used for both.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tree_checks import (
    Check,
    Limits,
    check_figures,
    check_help,
    check_maps,
    check_points,
    check_trainings,
)
from tree_inputs import SAMPLE, make_inputs
from tree_runs import RECORD, Tree, TreeError, empty

_DONE = "done"
_MAP, _SCORES = "map.tif", "scores.tif"


@dataclass(frozen=True)
class Case:
    """Something both checkouts do: `run` fills a folder, `compare` looks at two of them."""

    name: str
    run: Callable[[Tree, Path, Path], None]
    compare: Callable[[Path, Path, Limits], Iterator[Check]]


def _mapping(name: str, image: str, model: str = "", **settings: str) -> Case:
    def run(tree: Tree, inputs: Path, folder: Path) -> None:
        parameters = _parameters(inputs, folder, image, model, **settings)
        results = tree.run("segment", parameters)
        (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
        tree.name_paths(folder, f"*{RECORD}")

    return Case(name, run, check_maps)


def _parameters(
    inputs: Path, folder: Path, image: str, model: str = "", **settings: str
) -> dict[str, str]:
    given = {"INPUT": str(inputs / image), "THREADS": "2", **settings}
    if model:
        given["MODEL"] = str(inputs / model)
    if "MASK" in given:
        given["MASK"] = str(inputs / given["MASK"])
    scores = {"PROBABILITIES": str(folder / _SCORES)}
    return {**scores, **given, "OUTPUT": str(folder / _MAP)}


def _run_killed(tree: Tree, inputs: Path, folder: Path) -> None:
    """The same map twice: in one run, and in one that is killed twice and goes on."""
    tiles = {"TILE_SIZE": "128", "OVERLAP": "32"}
    for name in ("whole", "resumed"):
        part = empty(folder / name)
        parameters = _parameters(inputs, part, "demo.tif", **tiles)
        if name == "resumed":
            for _ in range(2):
                tree.kill(parameters)
        tree.run("segment", parameters)
        tree.name_paths(part, f"*{RECORD}")


def _compare_killed(first: Path, second: Path, limits: Limits) -> Iterator[Check]:
    for whose, folder in (("first", first), ("second", second)):
        record = json.loads((folder / "resumed" / f"{_MAP}.scasnet").read_text("utf-8"))
        kept = float(record["kept_of_an_interrupted_run"])
        yield Check(f"{whose}: share kept after a kill", "> 0", f"{kept:.2f}", kept > 0)
        for name in (_MAP, _SCORES):
            one, other = ((folder / way / name).read_bytes() for way in ("whole", "resumed"))
            told = "the same" if one == other else "others"
            yield Check(f"{whose}: bytes of {name} after a kill", "the same", told, one == other)
    yield from check_maps(first / "resumed", second / "resumed", limits)


def _run_evaluations(tree: Tree, inputs: Path, folder: Path) -> None:
    shared = {"MAP": str(inputs / "map.tif")}
    runs = {
        "pixels.json": {"REFERENCE": "reference.tif", "BOUNDARY": "1", "LEAVE_OUT": "water"},
        "points.json": {"REFERENCE": "points.gpkg", "AREA_ADJUSTED": "yes"},
    }
    for name, parameters in runs.items():
        reference = str(inputs / parameters["REFERENCE"])
        output = {"REFERENCE": reference, "JSON": str(folder / name)}
        tree.run("evaluate", {**shared, **parameters, **output})
    tree.run("samplepoints", {**shared, **SAMPLE, "OUTPUT": str(folder / "points.gpkg")})


def _compare_evaluations(first: Path, second: Path, _limits: Limits) -> Iterator[Check]:
    for name in ("pixels.json", "points.json"):
        yield check_figures(first / name, second / name)
    yield check_points(first / "points.gpkg", second / "points.gpkg")


def _run_exports(tree: Tree, inputs: Path, folder: Path) -> None:
    for precision in ("fp32", "fp16", "int8"):
        parameters = {
            "PRECISION": precision,
            "CALIBRATION": str(inputs / "crop.tif"),
            "REFERENCE": str(inputs / "reference.tif"),
            "REPORT": str(folder / f"{precision}.json"),
            "OUTPUT": str(folder / f"{precision}.onnx"),
        }
        tree.run("exportmodel", parameters)
        tree.name_paths(folder, f"{precision}.json")


def _compare_exports(first: Path, second: Path, _limits: Limits) -> Iterator[Check]:
    for precision in ("fp32", "fp16", "int8"):
        yield check_figures(first / f"{precision}.json.json", second / f"{precision}.json.json")


def _run_about(tree: Tree, inputs: Path, folder: Path) -> None:
    for name, source in (("model.json", inputs / "int8.onnx"), ("map.json", inputs / "map.tif")):
        tree.run("modelinfo", {"INPUT": str(source), "JSON": str(folder / name)})


def _compare_about(first: Path, second: Path, _limits: Limits) -> Iterator[Check]:
    for name in ("model.json", "map.json"):
        yield check_figures(first / name, second / name)


def _run_training(tree: Tree, inputs: Path, folder: Path) -> None:
    parameters = {
        "INPUT": str(inputs / "crop.tif"),
        "LABELS": str(inputs / "reference.tif"),
        "TILE_SIZE": "96",
        "BATCH_SIZE": "2",
        "EPOCHS": "5",
        "TIME_BUDGET": "",  # the learning rate would follow the clock
        "DEVICE": "cpu",
        "THREADS": "1",
        "SEED": "5",
        "MODEL": str(folder / "trained.onnx"),
    }
    results = tree.run("train", parameters)
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")


def _compare_training(first: Path, second: Path, _limits: Limits) -> Iterator[Check]:
    yield from check_trainings(first, second)


def _run_help(tree: Tree, _inputs: Path, folder: Path) -> None:
    (folder / "help.json").write_text(json.dumps(tree.help()), encoding="utf-8")


CASES = (
    _mapping("demo", "demo.tif"),
    _mapping("without scores", "demo.tif", PROBABILITIES=""),
    # The model gives labels itself where tiles do not overlap.
    _mapping("labels only", "demo.tif", PROBABILITIES="", TILE_SIZE="256", OVERLAP="0"),
    _mapping("resampled", "fine.tif"),
    _mapping(
        "masked", "crop.tif", MASK="mask.shp", MIN_CONFIDENCE="0.5",
        TILE_SIZE="160", OVERLAP="24", SIEVE="120", SIEVE_UNIT="square metres",
    ),
    _mapping("sieved", "fine.tif", SIEVE="25", TILE_SIZE="160", OVERLAP="24"),
    _mapping("augmented", "crop.tif", FLIPS="mirror", SCALES="0.75;1;1.25"),
    _mapping(
        "16 bits", "deep.tif", BANDS="3;2;1", VALUE_RANGE="2%;98%",
        EXTENT="325020,325380,2784650,2784990 [EPSG:32640]",
    ),
    _mapping("native pixels", "fine.tif", RESAMPLE="false"),
    _mapping("fixed size", "crop.tif", "fixed.onnx"),
    _mapping("fp32", "crop.tif", "fp32.onnx"),
    _mapping("int8", "demo.tif", "int8.onnx"),
    _mapping("fixed int8", "crop.tif", "fixed_int8.onnx"),
    Case("killed", _run_killed, _compare_killed),
    Case("evaluate", _run_evaluations, _compare_evaluations),
    Case("export", _run_exports, _compare_exports),
    Case("about", _run_about, _compare_about),
    Case("train", _run_training, _compare_training),
    Case("help", _run_help, check_help),
)  # fmt: skip


def measure(case: Case, tree: Tree, inputs: Path) -> Path:
    """Return the folder with a checkout's results for a case, which is filled once."""
    folder = tree.results / case.name.replace(" ", "_")
    if not (folder / _DONE).exists():
        case.run(tree, inputs, empty(folder))
        (folder / _DONE).touch()
    return folder


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folder", type=Path, help="where inputs and results are kept")
    add("first", help="a checkout, or the key of its kept results")
    add("second", help="the checkout that is compared with it")
    names = [case.name for case in CASES]
    add("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    declared = "a parameter or output whose declaration may differ, as in evaluate:CLASS_FIELD"
    add("--allow-help", action="append", default=[], metavar="ALGORITHM:NAME", help=declared)
    written = (
        "an entry of the description beside a map that may differ, as in settings.given.majority"
    )
    add("--allow-record", action="append", default=[], metavar="KEY", help=written)
    labels = "how many labels in a million may differ (0)"
    add("--labels", type=float, default=0.0, metavar="N", help=labels)
    scores = "by how much a probability may differ (1e-5)"
    add("--probabilities", type=float, default=1e-5, metavar="X", help=scores)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure both trees case by case and print how they compare."""
    wanted = parse(arguments)
    limits = Limits(wanted.labels, wanted.probabilities, wanted.allow_record, wanted.allow_help)
    folder = wanted.folder.absolute()
    differing = 0
    try:
        first, second = (Tree(name, folder / "results") for name in (wanted.first, wanted.second))
        make_inputs(first, folder / "inputs")
        print(f"first {first.key}, second {second.key}", flush=True)
        for case in CASES:
            if wanted.only and case.name not in wanted.only:
                continue
            one, other = (measure(case, tree, folder / "inputs") for tree in (first, second))
            for check in case.compare(one, other, limits):
                verdict = "ok" if check.ok else "DIFFERENT"
                differing += not check.ok
                head = f"{case.name:<16} {check.what:<36} {check.limit:<14}"
                print(f"{head} {check.measured:<30} {verdict}", flush=True)
    except (OSError, TreeError) as error:
        print(f"compare_trees: {error}", file=sys.stderr)
        return 2
    print(f"{differing} differences" if differing else "no difference")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
