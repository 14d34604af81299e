"""Zips the staged plugin into build/, byte for byte the same for the same files, and checks it."""

from __future__ import annotations

import subprocess  # nosec B404
import sys
import zipfile
from pathlib import Path

from site_rules import find_faults, read_metadata
from stage import PACKAGE, ROOT, STAGED_PACKAGE, find_lrelease, list_files, stage

# The earliest moment a zip file can state; the real ones differ from checkout to checkout.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644


def write_zip(folder: Path, target: Path) -> None:
    """Write the shipped files of a folder under one top folder, sorted, without times or owners."""
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w") as archive:
        for path in list_files(folder):
            entry = zipfile.ZipInfo(f"{PACKAGE}/{path.as_posix()}", _TIMESTAMP)
            entry.external_attr = _MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (folder / path).read_bytes(), compresslevel=9)
    partial.replace(target)


def build() -> Path:
    """Stage and zip the plugin; return the zip file."""
    if any((ROOT / "i18n").glob("*.ts")) and find_lrelease() is None:
        raise FileNotFoundError("lrelease was not found: install qttools5-dev-tools.")
    stage()
    metadata = read_metadata((STAGED_PACKAGE / "metadata.txt").read_text("utf-8"))
    target = ROOT / "build" / f"{PACKAGE}-{metadata.get('version', 0)}.zip"
    write_zip(STAGED_PACKAGE, target)
    return target


def main() -> int:
    """Build the zip file; keep it only if the plugin site would take it."""
    try:
        target = build()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    faults = find_faults(target)
    for fault in faults:
        print(f"package: {fault}", file=sys.stderr)
    if faults:
        target.unlink()
        return 1
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
