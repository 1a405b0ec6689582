"""Cursors that only another file explains, cut from the Python packages that are installed beside us.

The rule. In a module of a package: `from <another module of the package> import Name`, and somewhere below `Name.attr`,
or `Name(... keyword=` where `attr` or `keyword` is defined in that other module. The cursor stands behind the dot, or where the
keyword begins. Kept are identifiers of six letters or more that occur nowhere else in the importing file, so that nothing but the other file
(or luck, or a memory of the package) says them. At most two cases of a module, packages take turns as in `bench.corpus`.
"""

from __future__ import annotations

import ast
import random
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import MAX_BYTES, MIN_BYTES, in_turns, is_plain_code

MIN_LETTERS = 6
PER_MODULE = 2
MAX_PACKAGE_MODULES = 400


@dataclass(frozen=True, slots=True)
class WorkspaceCase:
    """folder: the package's own folder's parent, which is opened as the workspace; path: of the document below it; target: of the file that explains it."""

    name: str
    folder: Path
    path: str
    target: str
    prefix: str
    truth: str
    suffix: str


def workspace_cases(n: int) -> list[WorkspaceCase]:
    """Return `n` cases, as evenly from the installed packages as they allow."""
    root = Path(sysconfig.get_paths()["purelib"])
    modules = [p.relative_to(root).as_posix() for p in root.rglob("*.py") if MIN_BYTES <= p.stat().st_size <= MAX_BYTES]
    found: list[WorkspaceCase] = []
    for name in in_turns(name for name in modules if "/" in name and "/tests/" not in name and "vendor" not in name):
        if len(found) >= n:
            break
        found += list(_in_module(root, name))[:PER_MODULE]
    return found[:n]


def _in_module(root: Path, name: str) -> Iterator[WorkspaceCase]:
    try:
        text = (root / name).read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return
    if "\r" in text or not is_plain_code(text):
        return
    lines = text.splitlines(keepends=True)
    imported = dict(_imports(root, name, tree))
    uses = [use for use in _uses(tree) if use[0] in imported]
    random.Random(name).shuffle(uses)
    for local, word, row, at in uses:
        target, original = imported[local]
        line = lines[row].rstrip("\n")
        at = len(line.encode()[:at].decode(errors="ignore"))
        if (
            not line.startswith(word, at)
            or len(word) < MIN_LETTERS
            or text.count(word) != 1
            or word not in _members(target, original)
        ):
            continue
        prefix = "".join(lines[:row]) + line[:at]
        yield WorkspaceCase(
            f"{name}:{row + 1}:{at}",
            root / name.split("/", 1)[0],
            name.split("/", 1)[1],
            target.relative_to(root).as_posix(),
            prefix,
            line[at:],
            text[len(prefix) + len(line) - at :],
        )


def _imports(root: Path, name: str, tree: ast.Module) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Yield (local name, (file, name in it)) for what a module imports from its own package. "" stands for a whole module."""
    package = name.split("/")[:-1]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        dotted = (node.module or "").split(".") if node.module else []
        parts = [*package[: len(package) - node.level + 1], *dotted] if node.level else dotted
        if not parts or parts[0] != package[0]:
            continue
        for alias in node.names:
            module = root.joinpath(*parts, f"{alias.name}.py")
            if module.is_file():
                yield alias.asname or alias.name, (module, "")
            elif (file := root.joinpath(*parts).with_suffix(".py")).is_file():
                yield alias.asname or alias.name, (file, alias.name)


def _uses(tree: ast.Module) -> Iterator[tuple[str, str, int, int]]:
    """Yield (local name, identifier, row, byte column) of attributes and keywords that a local name explains."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.end_col_offset and node.end_lineno:
            yield node.value.id, node.attr, node.end_lineno - 1, node.end_col_offset - len(node.attr.encode())
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for keyword in node.keywords:
                if keyword.arg:
                    yield node.func.id, keyword.arg, keyword.lineno - 1, keyword.col_offset


def _members(file: Path, name: str) -> set[str]:
    """Return what `name.` or `name(` may be followed by: members of a class, parameters, or the names of a module (name "")."""
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return set()
    if not name:
        return {member for node in body for member in _defined(node)}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
        if isinstance(node, ast.ClassDef) and node.name == name:
            members = {member for child in node.body for member in _defined(child)}
            inits = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
            return members | {a.arg for f in inits for a in (*f.args.args, *f.args.kwonlyargs)}
    return set()


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
