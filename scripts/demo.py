"""Maps the land cover of the image that ships with the project, as a user would with QGIS."""

from __future__ import annotations

import json
import shutil
import subprocess  # nosec B404
import sys
from pathlib import Path
from typing import Any

from stage import ROOT, stage
from throwaway_profile import throwaway_profile

IMAGE = ROOT / "resources" / "demo" / "dubai.tif"
FOLDER = ROOT / "build" / "demo"
MAP = FOLDER / "landcover.tif"
PICTURE = FOLDER / "landcover.png"
RUN = FOLDER / "run.json"
SCRIPTS = ROOT / "scripts"


class DemoError(Exception):
    """A step of the demo failed; what it said goes along."""


def segment() -> dict[str, Any]:
    """Run scasnet:segment with its default settings, keep its report, return its results."""
    command: list[str | Path] = [SCRIPTS / "qgis_process", "run", "scasnet:segment", "--json", "--"]
    report = _run([*command, f"INPUT={IMAGE}", f"OUTPUT={MAP}"])
    RUN.write_text(report, encoding="utf-8")
    results: dict[str, Any] = json.loads(report)["results"]
    return results


def draw_picture() -> None:
    """Draw image, map and legend in a QGIS of its own."""
    with throwaway_profile(stage()) as environment:
        script = SCRIPTS / "demo_map.py"
        _run([sys.executable, script, IMAGE, MAP, RUN, PICTURE], environment)


def _run(command: list[str | Path], environment: dict[str, str] | None = None) -> str:
    """Run a command and return its output; what else QGIS says is shown only if it fails."""
    finished = subprocess.run(  # nosec B603
        command, env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise DemoError(finished.stderr.strip() or f"exit code {finished.returncode}")
    return finished.stdout


def format_areas(results: dict[str, Any]) -> list[str]:
    """Return a table of the classes with their shares and areas, line by line."""
    statistics = json.loads(results["CLASS_STATISTICS"])
    total = sum(entry["pixels"] for entry in statistics) or 1
    width = max((len(entry["name"]) for entry in statistics), default=0)
    return [
        f"  {entry['name']:<{width}}  {entry['pixels'] / total:6.1%}"
        f"  {entry['area']:>14,.0f} {results['AREA_UNIT']}"
        for entry in statistics
    ]


def report(results: dict[str, Any]) -> None:
    """Print what was mapped, with what, and where it is."""
    print("\nLand cover of resources/demo/dubai.tif")
    print("\n".join(format_areas(results)))
    print(f"\n  model     {results['MODEL_NAME']}")
    print(f"  provider  {results['PROVIDER']}")
    speed = float(results["MEGAPIXELS_PER_SECOND"])
    print(f"  time      {float(results['SECONDS']):.1f} s ({speed:.2f} megapixels per second)")
    print(f"\n  map       {MAP.relative_to(ROOT)}  (opens styled in QGIS, by the .qml beside it)")
    print(f"  picture   {PICTURE.relative_to(ROOT)}")


def main() -> int:
    """Segment, draw, report."""
    if not IMAGE.is_file():
        print(f"demo: the image {IMAGE} is missing.", file=sys.stderr)
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print("Mapping land cover with QGIS, please wait ...", flush=True)
    try:
        results = segment()
        draw_picture()
    except (OSError, subprocess.CalledProcessError, DemoError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    report(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
