"""What a file defines and what it imports, read off its tree: the raw material of the context block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from completer.syntax.tree import SyntaxTree, name_of

_BODIES = ("body", "consequence")
_MAX_DOC_CP = 200


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
    return list(_definitions(root, tree, 0)) if root is not None else []


def imports(tree: SyntaxTree) -> list[Import]:
    """Return the imports of a document in order; empty without a grammar. Parses if edits are pending."""
    root = tree.root
    if root is None:
        return []
    found = []
    for node in _of_kinds(root, tree.language.imports):
        found.append(_import(_text(node)))
    return found


def _definitions(node: tree_sitter.Node, tree: SyntaxTree, depth: int) -> Iterator[Definition]:
    language = tree.language
    for child in node.named_children:
        is_function = child.type in language.functions
        name = name_of(child) if is_function or child.type in language.types else ""
        if name:
            yield Definition(
                child.type,
                name,
                _signature(child),
                _doc(child, tree),
                tree.cp_at(child.start_byte),
                tree.cp_at(child.end_byte),
                depth,
            )
        if not is_function:
            yield from _definitions(child, tree, depth + bool(name))


def _of_kinds(node: tree_sitter.Node, kinds: tuple[str, ...]) -> Iterator[tree_sitter.Node]:
    """Imports stand at the top, at most a few levels deep (Go's groups, guarded blocks)."""
    levels = [(node, 0)]
    while levels:
        current, depth = levels.pop()
        if current.type in kinds:
            yield current
        elif depth < 4:
            levels.extend((child, depth + 1) for child in reversed(current.named_children))


def _signature(node: tree_sitter.Node) -> str:
    body = next((found for field in _BODIES if (found := node.child_by_field_name(field)) is not None), None)
    data = node.text or b""
    head = data[: body.start_byte - node.start_byte] if body is not None else data.split(b"\n", 1)[0]
    return re.sub(r"\s+", " ", head.decode(errors="replace")).strip().rstrip("{:=").rstrip()


def _doc(node: tree_sitter.Node, tree: SyntaxTree) -> str:
    """The docstring in the body where the language has them, else the comments right above."""
    if tree.language.docstrings:
        body = node.child_by_field_name("body")
        first = body.named_child(0) if body is not None and body.named_child_count else None
        inner = first.named_child(0) if first is not None and first.named_child_count else None
        return _paragraph(_text(inner)) if inner is not None and inner.type == "string" else ""
    above: list[str] = []
    outer = node if node.prev_named_sibling is not None or node.parent is None else node.parent
    row, comment = outer.start_point[0], outer.prev_named_sibling
    while comment is not None and "comment" in comment.type and comment.end_point[0] >= row - 1:
        above.insert(0, _text(comment))
        row, comment = comment.start_point[0], comment.prev_named_sibling
    return _paragraph("\n".join(above))


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
    if found := re.match(r"(.*?)(?:::|\\)\{(.*)\}$", text):
        return Import(found[1], _names(found[2]))
    return Import(re.split(r" as |,", text)[0].strip(), ())


def _names(text: str) -> tuple[str, ...]:
    parts = re.split(r"[{},]", text)
    return tuple(part.strip().split(" as ")[0].strip() for part in parts if part.strip())


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode(errors="replace")
