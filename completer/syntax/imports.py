"""What a file imports, read off its tree: where the context block begins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from completer.syntax.tree import SyntaxTree, text_of

_MAX_BYTES = 4_000
"""How much is read of one import."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import. module: as written, without quotes ("a.b", "./c", "stdio.h"); names: what is taken from it, or ()."""

    module: str
    names: tuple[str, ...]


def imports(tree: SyntaxTree) -> list[Import]:
    """Return the imports of a document in order; empty without a grammar. Parses if edits are pending."""
    root = tree.root
    if root is None:
        return []
    found = []
    for node in _of_kinds(root, tree.language.imports):
        found.append(_import(text_of(node, tree.data, _MAX_BYTES)))
    return found


def _of_kinds(node: tree_sitter.Node, kinds: tuple[str, ...]) -> Iterator[tree_sitter.Node]:
    """Imports are at the top, at most a few levels deep (Go's groups, guarded blocks)."""
    levels = [(node, 0)]
    while levels:
        current, depth = levels.pop()
        if current.type in kinds:
            yield current
        elif depth < 4:
            levels.extend((child, depth + 1) for child in reversed(current.named_children))


def _import(text: str) -> Import:
    text = re.sub(r"\s+", " ", text).strip().rstrip(";")
    if found := re.match(r"from (\S+) import \(?(.*?)\)?$", text):
        return Import(found[1], _names(found[2]))
    if found := re.match(r"import (?:type )?(.*?) from [\"'](.*)[\"']", text):
        return Import(found[2], _names(found[1]))
    if found := re.search(r"[\"'<]([^\"'<>]+)[\"'>]", text):
        return Import(found[1], ())
    text = re.sub(r"^(?:pub(?:\([^)]*\))? )?(?:import|use|using)(?: static| namespace| function)? ", "", text)
    if text.endswith("}") and (found := re.match(r"(.*?)(?:::|\\)\{(.*)\}$", text)):
        return Import(found[1], _names(found[2]))
    return Import(re.split(r" as |,", text)[0].strip(), ())


def _names(text: str) -> tuple[str, ...]:
    parts = re.split(r"[{},]", text)
    return tuple(part.strip().split(" as ")[0].strip() for part in parts if part.strip())
