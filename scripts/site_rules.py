"""The rules by which QGIS's plugin site takes or refuses a zip file, as far as they are known."""

from __future__ import annotations

import configparser
import re
import zipfile
from pathlib import Path, PurePosixPath

MAX_BYTES = 25 * 1024 * 1024
REQUIRED_KEYS = (
    "name",
    "description",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "about",
    "tracker",
    "repository",
    "homepage",
)
REQUIRED_FILES = ("__init__.py", "metadata.txt", "LICENSE")
_DOTTED_NUMBERS = re.compile(r"\d+(\.\d+)+")
_LINKS = ("tracker", "repository", "homepage")


def read_metadata(text: str) -> dict[str, str]:
    """Return the entries of a metadata.txt under the names as they are written there."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string(text)
    return dict(parser["general"]) if parser.has_section("general") else {}


def find_faults(archive_path: Path) -> list[str]:
    """Return one sentence for each rule that a zip file breaks."""
    faults = []
    if archive_path.stat().st_size > MAX_BYTES:
        faults.append(f"The zip file is larger than {MAX_BYTES // 2**20} MB.")
    with zipfile.ZipFile(archive_path) as archive:
        names = archive.namelist()
        faults += find_name_faults(names)
        top = PurePosixPath(names[0]).parts[0] if names else ""
        if f"{top}/metadata.txt" in names:
            faults += find_metadata_faults(archive.read(f"{top}/metadata.txt").decode("utf-8"))
            faults += _find_icon_faults(archive, top)
    return faults


def find_name_faults(names: list[str]) -> list[str]:
    """Return the faults of a zip file's list of names."""
    paths = [PurePosixPath(name) for name in names]
    tops = {path.parts[0] for path in paths}
    faults = []
    if len(tops) != 1 or not min(tops).isidentifier():
        faults.append(
            f"Everything must be in one folder with a Python name, not in {sorted(tops)}."
        )
    else:
        top = min(tops)
        missing = [name for name in REQUIRED_FILES if f"{top}/{name}" not in names]
        faults += [f"{name} is missing." for name in missing]
    for path in paths:
        if path.suffix == ".pyc" or "__pycache__" in path.parts:
            faults.append(f"{path} is a compiled file.")
        if path.is_absolute() or any(part.startswith(".") for part in path.parts):
            faults.append(f"{path} is hidden or leads out of the folder.")
    return faults


def find_metadata_faults(text: str) -> list[str]:
    """Return the faults of a metadata.txt."""
    faults = []
    if "%" in text:
        faults.append("metadata.txt has a percent sign, which its readers take for a variable.")
    metadata = read_metadata(text)
    empty = [key for key in REQUIRED_KEYS if not metadata.get(key, "").strip()]
    faults += [f"metadata.txt has no {key}." for key in empty]
    for key in ("version", "qgisMinimumVersion", "qgisMaximumVersion"):
        if key in metadata and not _DOTTED_NUMBERS.fullmatch(metadata[key]):
            faults.append(f"The {key} of metadata.txt is not made of dotted numbers.")
    for key in _LINKS:
        if not metadata.get(key, "https://").startswith(("https://", "http://")):
            faults.append(f"The {key} of metadata.txt is not a web address.")
    return faults


def _find_icon_faults(archive: zipfile.ZipFile, top: str) -> list[str]:
    icon = read_metadata(archive.read(f"{top}/metadata.txt").decode("utf-8")).get("icon")
    if icon is None or f"{top}/{icon}" in archive.namelist():
        return []
    return [f"The icon {icon} of metadata.txt is missing."]
