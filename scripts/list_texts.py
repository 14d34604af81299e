"""Prints every text that a user sees, by kind and file, to be read as a GIS editor reads.

    python3 scripts/list_texts.py [--kinds label error] [--folder scasnet_qgis]

The texts are the literals of ``translate("ScasNet", "...")``. What kind a text is follows from what
the code does with it: it names a parameter, stands beside one as its help, is raised, or is logged.
The rest is of reports and other outputs.
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = {
    "label": "Labels: names of algorithms, parameters, outputs and files",
    "help": "Help: beside a parameter, or of a whole algorithm",
    "error": "Errors: they end a run",
    "log": "Log: progress, facts and warnings of a run",
    "other": "Reports and all other texts",
}
# What a function is called by, where one of these calls holds the text.
_LOG_CALLS = {
    "info", "log", "warn", "warning", "message", "pushInfo", "pushWarning", "setProgressText",
}  # fmt: skip
_ERROR_CALLS = {"reportError", "fail", "failed", "error", "reading"}
# Functions of an algorithm, parameters and variables whose whole content is of one kind.
_NAMES = {
    "displayName": "label", "group": "label", "label": "label", "filters": "label",
    "shortDescription": "help", "shortHelpString": "help",
    "help_text": "help", "help": "help", "tags": "help", "differs": "log",
}  # fmt: skip
_OPTION = {2: "label", 3: "help"}  # arguments of common/options.py's option


@dataclass(frozen=True)
class Text:
    kind: str
    line: int
    text: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--folder", type=Path, default=ROOT / "scasnet_qgis")
    arguments = parser.parse_args()
    found: dict[str, dict[Path, list[Text]]] = defaultdict(dict)
    for path in sorted(arguments.folder.rglob("*.py")):
        for text in texts_of(path.read_text(encoding="utf-8")):
            found[text.kind].setdefault(path.relative_to(arguments.folder), []).append(text)
    for kind in arguments.kinds:
        files = found[kind]
        print(f"# {KINDS[kind]} ({sum(map(len, files.values()))})\n")
        for path, texts in files.items():
            print(path.as_posix())
            for text in texts:
                print(f"{text.line:6}  {text.text}".replace("\n", "\\n"))
            print()


def texts_of(source: str) -> list[Text]:
    """The texts of a module, in the order of its lines."""
    module = _Module(ast.parse(source))
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _name(node.func) == "translate" and len(node.args) == 2:
            text = node.args[1]
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                found.append(Text(module.kind(node), node.lineno, text.value))
    return sorted(found, key=lambda text: text.line)


class _Module:
    """Follows a text from where it is written to where the module shows it."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self._parents: dict[ast.AST, ast.AST] = {}
        self._loads: dict[tuple[ast.AST, str], list[ast.AST]] = defaultdict(list)
        self._kinds: dict[ast.AST, str] = {}
        self._index(tree, [tree])

    def kind(self, node: ast.AST) -> str:
        """What an expression is used for; of a variable, what its first telling use is."""
        if node not in self._kinds:
            self._kinds[node] = "other"  # for a variable that is filled from itself
            self._kinds[node] = self._found_kind(node)
        return self._kinds[node]

    def _found_kind(self, node: ast.AST) -> str:
        child, parent = node, self._parents.get(node)
        while parent is not None:
            kind = _kind_in(parent, child)
            if kind:
                return kind
            uses = self._uses(parent, child)
            if uses:
                kinds = map(self.kind, uses)
                return next((kind for kind in kinds if kind != "other"), "other")
            if isinstance(parent, ast.FunctionDef):
                break
            child, parent = parent, self._parents.get(parent)
        return "other"

    def _index(self, node: ast.AST, scopes: list[ast.AST]) -> None:
        """Note each node's parent, and under the scopes around it the names that are read."""
        for child in ast.iter_child_nodes(node):
            self._parents[child] = node
            if isinstance(child, (ast.Name, ast.Attribute)) and isinstance(child.ctx, ast.Load):
                for scope in scopes:
                    self._loads[scope, _name(child)].append(child)
            inside = [*scopes, child] if isinstance(child, ast.FunctionDef) else scopes
            self._index(child, inside)

    def _uses(self, parent: ast.AST, child: ast.AST) -> list[ast.AST]:
        """Where that is read which a statement fills with a part of it."""
        scope = self._function(parent)
        if isinstance(parent, ast.Return) and isinstance(scope, ast.FunctionDef):
            return self._loads[self.tree, scope.name]
        return [use for name in _filled(parent, child) for use in self._loads[scope, name]]

    def _function(self, node: ast.AST) -> ast.AST:
        """The function around a node, or the module."""
        while not isinstance(node, (ast.FunctionDef, ast.Module)):
            node = self._parents[node]
        return node


def _filled(parent: ast.AST, child: ast.AST) -> set[str]:
    """The names of the variables that a statement or a call fills with a part of it."""
    targets: list[ast.AST] = []
    if isinstance(parent, ast.Call) and _name(parent.func) in ("append", "extend"):
        targets = [parent.func]
    elif child is getattr(parent, "value", getattr(parent, "iter", None)):
        target = getattr(parent, "target", None)
        targets = getattr(parent, "targets", [target] if target else [])
    return {
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    }


def _kind_in(parent: ast.AST, child: ast.AST) -> str:
    """The kind that one step up from a text tells; "" where it tells nothing."""
    if isinstance(parent, ast.Raise):
        return "error"
    if isinstance(parent, ast.keyword) and parent.arg:
        return _NAMES.get(parent.arg, "")
    if isinstance(parent, ast.FunctionDef):
        return _NAMES.get(parent.name, "")
    if isinstance(parent, ast.Assign):
        return _NAMES.get(_name(parent.targets[0]), "")
    if isinstance(parent, ast.Call) and child in parent.args:
        return _kind_of_argument(_name(parent.func), parent.args.index(child))
    return ""


def _kind_of_argument(function: str, place: int) -> str:
    if function == "option":
        return _OPTION.get(place, "")
    if function == "add":  # of an algorithm: a parameter, its help
        return "help" if place == 1 else "label"
    if function in _ERROR_CALLS or function.endswith(("Error", "Exception")):
        return "error"
    if function.startswith(("Qgs", "addOutput", "add_output", "Setting")):
        return "label"
    return "log" if function in _LOG_CALLS else ""


def _name(function: ast.AST) -> str:
    """The last part of a dotted name; "" for other expressions."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


if __name__ == "__main__":
    main()
