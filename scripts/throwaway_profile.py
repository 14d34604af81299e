"""A QGIS profile that holds nothing but this checkout's plugin, and is gone after use."""

from __future__ import annotations

import os
import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stage import PACKAGE, ROOT

VENV = ROOT / "build" / "venv"
# QGIS 4 names the file after itself; the other version's file does no harm.
_SETTINGS_FILES = ("QGIS3.ini", "QGIS4.ini")


@contextmanager
def throwaway_profile(plugins: Path) -> Iterator[dict[str, str]]:
    """Make a profile and yield the environment in which QGIS reads and writes nothing else.

    `plugins` is the folder that holds the plugin's folder.
    """
    with tempfile.TemporaryDirectory(prefix="scasnet-qgis-") as folder:
        profiles = Path(folder)
        write_settings(profiles, describe_plugin_settings())
        yield build_environment(profiles, plugins)


def describe_plugin_settings() -> dict[str, dict[str, str]]:
    """Return the settings that enable the plugin and tell it where its Python packages are."""
    processing = {}
    packages = next(VENV.glob("lib/python3*/site-packages"), None)
    if packages is not None:
        processing["Configuration/SCASNET_PACKAGES_FOLDER"] = str(packages)
        processing["Configuration/SCASNET_TORCH_PYTHON"] = str(VENV / "bin" / "python")
    return {"PythonPlugins": {PACKAGE: "true", "processing": "true"}, "Processing": processing}


def build_environment(profiles: Path, plugins: Path) -> dict[str, str]:
    """Return this process's environment, changed so that QGIS keeps to its throw-away profile."""
    environment = dict(os.environ)
    # QGIS's Python makes the first python3 of PATH its home; a venv there would lend packages.
    environment["PATH"] = os.pathsep.join(["/usr/bin", environment.get("PATH", "")])
    for name in ("PYTHONHOME", "VIRTUAL_ENV"):
        environment.pop(name, None)
    runtime = profiles / "runtime"
    runtime.mkdir(mode=0o700)
    environment.update(
        PYTHONNOUSERSITE="1",
        # QGIS's own bindings set this off at every start.
        PYTHONWARNINGS="ignore:setapi() is deprecated:DeprecationWarning",
        QGIS_CUSTOM_CONFIG_PATH=str(profiles),
        QGIS_PLUGINPATH=str(plugins),
        QT_QPA_PLATFORM="offscreen",
        XDG_CACHE_HOME=str(profiles / "cache"),
        XDG_CONFIG_HOME=str(profiles / "config"),
        XDG_RUNTIME_DIR=str(runtime),
    )
    return environment


def write_settings(profiles: Path, sections: dict[str, dict[str, str]]) -> None:
    """Give the default profile below a folder of profiles these settings, section by section."""
    folder = profiles / "profiles" / "default" / "QGIS"
    folder.mkdir(parents=True)
    text = "\n".join(_format_section(name, entries) for name, entries in sections.items())
    for name in _SETTINGS_FILES:
        (folder / name).write_text(text, encoding="ascii")


def _format_section(name: str, entries: dict[str, str]) -> str:
    # Qt separates the parts of a key by a backslash in the file and by a slash everywhere else.
    lines = ["{}={}".format(key.replace("/", "\\"), quote(text)) for key, text in entries.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def quote(value: str) -> str:
    """Write a text as Qt's INI format wants it: quoted, beyond ASCII as UTF-16 escapes."""
    quoted = ""
    after_escape = False
    encoded = value.encode("utf-16-le", "surrogatepass")
    for low, high in zip(encoded[::2], encoded[1::2]):
        unit = low | high << 8
        character = chr(unit)
        # An escape has no fixed length: a hexadecimal digit after it would be read as its part.
        if not 32 <= unit < 127 or (after_escape and character in string.hexdigits):
            quoted += f"\\x{unit:x}"
            after_escape = True
        else:
            quoted += f"\\{character}" if character in '"\\' else character
            after_escape = False
    return f'"{quoted}"'
