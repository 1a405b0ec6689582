"""From a document to the files of the workspace that it imports, or that its language shows it without an import.

Only files that exist and may be read are found. What is installed elsewhere is left out on purpose.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from completer.prompt.context.resolvers import RESOLVERS, Target, go_package
from completer.prompt.context.workspace import Workspace
from completer.syntax.imports import Import, imports
from completer.syntax.tree import SyntaxTree

log = logging.getLogger(__name__)

_MAX_IMPORTS = 400
"""Imports of one file that are looked at."""
_MAX_MODULE_CP = 300


def imported_files(tree: SyntaxTree, file: Path, workspace: Workspace) -> list[Target]:
    """Return the files that a document imports, and those that its language shows it without an import.

    file: where the document lies. Each path comes once, with all its names. Only files that may be read.
    """
    language_id = tree.language.ids[0] if tree.language.ids else ""
    found: dict[Path, tuple[str, ...] | None] = {}
    for imported in read_imports(tree, language_id):
        for target in _resolved(imported, language_id, file, workspace):
            _add(found, target, file, workspace)
    for target in _siblings(tree, file, workspace, language_id):
        _add(found, target, file, workspace)
    return [Target(path, names or ()) for path, names in found.items()]


def reexports(tree: SyntaxTree, file: Path, workspace: Workspace, name: str) -> list[Target]:
    """Return the files from which a module takes `name` to hand it on."""
    language_id = tree.language.ids[0] if tree.language.ids else ""
    handed = [one for one in read_imports(tree, language_id) if not one.names or {name, "*"} & set(one.names)]
    return [target._replace(names=(name,)) for one in handed for target in _resolved(one, language_id, file, workspace)]


def _resolved(imported: Import, language_id: str, file: Path, workspace: Workspace) -> list[Target]:
    """Return the files that one import names; [] if it names none, or if it makes no path at all."""
    resolve = RESOLVERS.get(language_id)
    try:
        return list(resolve(imported, file, workspace)) if resolve is not None else []
    except (OSError, ValueError) as error:  # ValueError: a name that is empty, or that holds a NUL
        log.debug("an import can't be resolved: %s", type(error).__name__)
        return []


def _add(found: dict[Path, tuple[str, ...] | None], target: Target, file: Path, workspace: Workspace) -> None:
    real = workspace.locate(target.path)
    if real is None or real == file:
        return
    names = tuple(name for name in target.names if name != "*")
    before = found.get(real, ())
    found[real] = before + tuple(name for name in names if name not in before) if before is not None and names else None


def read_imports(tree: SyntaxTree, language_id: str) -> list[Import]:
    """Return the first imports of a file, those that the grammar sees and those that it does not."""
    found = (one for one in chain(imports(tree), _unparsed(tree, language_id)) if len(one.module) <= _MAX_MODULE_CP)
    return list(islice(found, _MAX_IMPORTS))


def _unparsed(tree: SyntaxTree, language_id: str) -> Iterator[Import]:
    """Imports that the grammar sees as calls or as something else."""
    pattern = _UNPARSED.get(language_id)
    if pattern is None:
        return
    text = tree.data.decode(errors="replace")
    for match in re.finditer(pattern, text, re.MULTILINE):
        names = match.groupdict().get("names") or ""
        yield Import(match["module"], tuple(_NAME.findall(names)))


# Each of these reads a text once: what may repeat can't run on over the next place where the pattern may begin.
_NAME = re.compile(r"\b\w++(?=\s*+(?:,|$|:|as\b))")
_REQUIRE = (
    r"(?:\b(?:const|let|var)\b\s*+(?:\{(?P<names>[^{}]*+)\}|\w++)\s*+=\s*+require\(|\bexport\s++(?:\*|\{[^{}]*+\})\s*+from\s*+)"
    r"""['"](?P<module>[^'"\n]++)['"]"""
)
_UNPARSED = {
    "javascript": _REQUIRE,
    "typescript": _REQUIRE,
    "typescriptreact": _REQUIRE,
    "rust": r"^[ \t]*+(?:pub(?:\([^)\n]*+\))? )?mod (?P<module>\w++);",
    "ruby": r"""^[ \t]*+require(?:_relative)? ['"](?P<module>[^'"\n]++)['"]""",
    "lua": r"""\brequire\s*+(?:\(\s*+)?['"](?P<module>[^'"\n]++)['"]""",
    "shellscript": r"""^[ \t]*+(?:source|\.)[ \t]++["']?(?P<module>[^\s"']++)""",
}


def _siblings(tree: SyntaxTree, file: Path, workspace: Workspace, language_id: str) -> Iterator[Target]:
    """Files whose definitions are visible without an import: those of the same package."""
    if language_id == "go":
        yield from go_package(file.parent, workspace)
    elif language_id in ("java", "csharp"):
        named = set(re.findall(rb"\b[A-Z]\w*", tree.data))
        for path in workspace.files_in(file.parent):
            if path.suffix == file.suffix and path.stem.encode() in named:
                yield Target(path, (path.stem,))
