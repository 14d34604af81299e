"""Texts for users: translatable, and filled with what they name."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

from scasnet_qgis.common import errors

PACKAGE = Path(__file__).parent.parent / "scasnet_qgis"
FILES = sorted(PACKAGE.rglob("*.py"))
SHOWN = PACKAGE / "qgis_ui/processing/base.py"
ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type)}


def _calls(path: Path, names: set[str]) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def _template(call: ast.Call) -> str | None:
    """The literal of translate("ScasNet", literal)."""
    context, text = call.args
    assert isinstance(context, ast.Constant)
    assert context.value == "ScasNet"
    return text.value if isinstance(text, ast.Constant) else None


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_sentences_of_errors_can_be_translated_and_filled() -> None:
    for path in FILES:
        for call in _calls(path, ERRORS | {"message"}):
            place = f"{path}:{call.lineno}"
            for argument in call.args[:1]:
                assert not isinstance(argument, ast.JoinedStr), f"{place}: an f-string"
                if isinstance(argument, ast.Call) and ast.unparse(argument.func) == "translate":
                    template = _template(argument)
                    assert template is not None, f"{place}: no literal"
                    assert _fields(template) == {given.arg for given in call.keywords}, place


def test_only_literals_are_translated() -> None:
    """The translation tools find nothing else; what a Message holds was marked where it arose."""
    for path in FILES:
        if path not in (SHOWN, PACKAGE / "qgis_ui/processing/parameters.py"):
            for call in _calls(path, {"translate"}):
                assert _template(call) is not None, f"{path}:{call.lineno}"
