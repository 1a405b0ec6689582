"""What a file defines and what it imports, read off its tree: the raw material of the context block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tree_sitter

from completer.syntax.tree import SyntaxTree, name_of, text_of

_BODIES = ("body", "consequence")
_MAX_DOC_CP = 200
_MAX_BYTES = 4_000
"""How much is read of one signature, comment or import."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or type: `signature` is its text up to the body, on one line; doc: the first paragraph, or "".

    Offsets are code points; depth counts the definitions around it.
    """

    kind: str
    name: str
    signature: str
    doc: str
    start_cp: int
    end_cp: int
    depth: int


@dataclass(frozen=True, slots=True)
class Import:
    """One import. module: as written, without quotes ("a.b", "./c", "stdio.h"); names: what is taken from it, or ()."""

    module: str
    names: tuple[str, ...]


def outline(tree: SyntaxTree) -> list[Definition]:
    """Return the named definitions of a document in order; empty without a grammar. Parses if edits are pending.

    Functions inside functions are left out: nothing outside can call them.
    """
    root = tree.root
    return list(_definitions(root, tree)) if root is not None else []


def imports(tree: SyntaxTree) -> list[Import]:
    """Return the imports of a document in order; empty without a grammar. Parses if edits are pending."""
    root = tree.root
    if root is None:
        return []
    found = []
    for node in _of_kinds(root, tree.language.imports):
        found.append(_import(text_of(node, tree.data, _MAX_BYTES)))
    return found


@dataclass(slots=True)
class _Level:
    """The children of one node, on the way through the tree. at: the next of them.  depth: definitions around them."""

    nodes: Sequence[tree_sitter.Node]
    depth: int
    at: int = 0


def _definitions(root: tree_sitter.Node, tree: SyntaxTree) -> Iterator[Definition]:
    """Walk with a list of its own: a file may nest deeper than Python's stack does."""
    language, levels = tree.language, [_Level(root.named_children, 0)]
    while levels:
        level = levels[-1]
        if level.at >= len(level.nodes):
            levels.pop()
            continue
        child, depth = level.nodes[level.at], level.depth
        is_function = child.type in language.functions
        name = name_of(child, tree.data) if is_function or child.type in language.types else ""
        if name:
            start_cp, end_cp = tree.cp_at(child.start_byte), tree.cp_at(child.end_byte)
            yield Definition(child.type, name, _signature(child, tree.data), _doc(child, tree, levels), start_cp, end_cp, depth)
        level.at += 1
        if not is_function:
            levels.append(_Level(child.named_children, depth + bool(name)))


def _of_kinds(node: tree_sitter.Node, kinds: tuple[str, ...]) -> Iterator[tree_sitter.Node]:
    """Imports stand at the top, at most a few levels deep (Go's groups, guarded blocks)."""
    levels = [(node, 0)]
    while levels:
        current, depth = levels.pop()
        if current.type in kinds:
            yield current
        elif depth < 4:
            levels.extend((child, depth + 1) for child in reversed(current.named_children))


def _signature(node: tree_sitter.Node, data: bytes) -> str:
    body = next((found for field in _BODIES if (found := node.child_by_field_name(field)) is not None), None)
    head = data[node.start_byte : min(node.end_byte if body is None else body.start_byte, node.start_byte + _MAX_BYTES)]
    head = head if body is not None else head.split(b"\n", 1)[0]
    return re.sub(r"\s+", " ", head.decode(errors="replace")).strip().rstrip("{:=").rstrip()


def _doc(node: tree_sitter.Node, tree: SyntaxTree, levels: Sequence[_Level]) -> str:
    """The docstring in the body where the language has them, else the comments right above. levels: those around the node."""
    if tree.language.docstrings:
        body = node.child_by_field_name("body")
        first = body.named_child(0) if body is not None and body.named_child_count else None
        inner = first.named_child(0) if first is not None and first.named_child_count else None
        is_string = inner is not None and inner.type == "string"
        return _paragraph(text_of(inner, tree.data, _MAX_BYTES)) if inner is not None and is_string else ""
    level, before = levels[-1], levels[-1].at - 1
    row = node.start_point[0]
    if before < 0 and len(levels) > 1:  # the first in what wraps it, an `export`: the comments are above that
        level, before = levels[-2], levels[-2].at - 2
        row = level.nodes[before + 1].start_point[0]
    above: list[str] = []
    while before >= 0 and "comment" in level.nodes[before].type and level.nodes[before].end_point[0] >= row - 1:
        above.append(text_of(level.nodes[before], tree.data, _MAX_BYTES))
        row = level.nodes[before].start_point[0]
        before -= 1
    return _paragraph("\n".join(reversed(above)))


def _paragraph(text: str) -> str:
    lines = [re.sub(r"^\s*(?:///?!?|/\*+!?|\*/|\*|#+|--+|[rbuf]*[\"']{1,3})\s?|[\"']{3}\s*$|\*/\s*$", "", line).strip()
             for line in text.strip().split("\n")]  # fmt: skip
    paragraph = "\n".join(lines).strip().split("\n\n", 1)[0]
    return re.sub(r"\s+", " ", paragraph)[:_MAX_DOC_CP]


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
