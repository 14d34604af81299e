"""Copies the staged plugin into the user's own QGIS profile, in place of what was there."""

from __future__ import annotations

import os
import shutil
import subprocess  # nosec B404
import sys
from pathlib import Path

from stage import PACKAGE, STAGED_PACKAGE, is_shipped, stage


def find_profile() -> Path:
    """Return the profile folder: QGIS_PROFILE_DIR, or where QGIS 3 has its default one on Linux."""
    chosen = os.environ.get("QGIS_PROFILE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "QGIS" / "QGIS3" / "profiles" / "default"


def deploy(profile: Path) -> Path:
    """Replace the plugin in a profile; return the folder it now has there."""
    target = profile / "python" / "plugins" / PACKAGE
    # A link is somebody's way of running a checkout: it is not ours to follow and empty.
    if target.is_symlink():
        raise FileExistsError(f"{target} is a link; remove it first to have a copy there.")
    fresh = target.with_name(f".{PACKAGE}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(STAGED_PACKAGE, fresh, ignore=_ignore_unshipped)
    if target.exists():
        shutil.rmtree(target)
    fresh.rename(target)
    return target


def _ignore_unshipped(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not is_shipped(Path(name))]


def main() -> int:
    """Stage, copy, and say where the plugin is and how to switch it on."""
    try:
        stage()
        target = deploy(find_profile())
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    print(f"The plugin is in {target}")
    print("Restart QGIS, then switch ScasNet on under Plugins > Manage and Install Plugins.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
