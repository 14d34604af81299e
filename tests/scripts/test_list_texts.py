"""All texts for users are listed, each under what the code does with it."""

from __future__ import annotations

import ast

import pytest
from list_texts import ROOT, texts_of


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ('option(0, "A", translate("ScasNet", "x"), "", kind)', "label"),
        ('option(0, "A", "", translate("ScasNet", "x"), kind)', "help"),
        ('option(0, "A", "", "", kind, differs=translate("ScasNet", "x"))', "log"),
        ('self.add(QgsParameter("A", translate("ScasNet", "x")), "")', "label"),
        ('self.add(QgsParameter("A", ""), translate("ScasNet", "x"), advanced=True)', "help"),
        ('raise InputError(translate("ScasNet", "x"), name=name)', "error"),
        ('def f():\n    text = translate("ScasNet", "x")\n    raise InputError(text)', "error"),
        ('def f():\n    return translate("ScasNet", "x")\nraise InputError(f())', "error"),
        ('progress.info(message(translate("ScasNet", "x")))', "log"),
        ('lines.append(translate("ScasNet", "x"))\nfor line in lines:\n    pushInfo(line)', "log"),
        ('rows = [(translate("ScasNet", "x"), value)]', "other"),
    ],
)
def test_the_kind_follows_from_the_use(source: str, kind: str) -> None:
    (found,) = texts_of(source)
    assert (found.kind, found.text) == (kind, "x")


def test_no_text_is_left_out() -> None:
    for path in (ROOT / "scasnet_qgis").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        calls = [
            node
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call)
            and ast.unparse(node.func) == "translate"
            and isinstance(node.args[-1], ast.Constant)
        ]
        assert len(texts_of(source)) == len(calls)
