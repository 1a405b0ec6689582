"""The definitions of a file without their bodies: what a caller must know.

class Client(Base):                       functions lose their bodies, long ones of their comments too;
    \"\"\"Talks to a server.\"\"\"              fields, short bodies and the first line of documentation stay;
    timeout: float = 3.0                  of a type with many members those stay that the caller's file names
    def fetch(self, url: str) -> bytes: ...
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import tree_sitter

from completer.prompt.context.cutting import (
    HEAD_BYTES,
    MAX_CP,
    MAX_DEPTH,
    MAX_LINE_CP,
    Late,
    Reading,
    inner_of,
    never,
    without_bodies,
)
from completer.syntax.languages import Language
from completer.syntax.tree import SyntaxTree, name_of, text_of

_CONSTANT = re.compile(r"(?:export |const |pub |static |final |let |var )*([A-Za-z]\w*)\b[^=\n(]*=[^=]")


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A top-level definition: its name and its text without bodies, indented from column 0."""

    name: str
    text: str


def skeletons(
    tree: SyntaxTree, mentioned: Collection[str], bases: Collection[str] = (), late: Late = never
) -> Iterator[Skeleton]:
    """Yield the top-level definitions of a file in order, until `late` returns True.

    mentioned: names that the caller's file uses.  bases: types that it extends, whose private members it may use.
    A definition may come several times under one name (Rust's `impl` blocks, overloads).
    """
    root = tree.root
    for node in _top_level(root, tree.language) if root is not None else ():
        inner = inner_of(node)
        if name := _name(inner, tree):
            text = without_bodies(node, Reading(tree, mentioned, name in bases, late))
            if late():
                return
            yield Skeleton(name, text)


def listing(tree: SyntaxTree, late: Late = never) -> str:
    """Return the public names of a module with what they take, one line each: what `module.` may go on with.

    Once `late` returns True, nothing is added.
    """
    lines = []
    for node in tree.root.named_children if tree.root is not None else ():
        if late():
            break
        inner = inner_of(node)
        if node.type in tree.language.imports:
            continue
        name = _name(inner, tree)
        if not name:  # a constant
            found = _CONSTANT.match(text_of(node, tree.data, 4 * MAX_LINE_CP))
            name, line = (found[1], text_of(node, tree.data, HEAD_BYTES)) if found else ("", "")
        else:
            body = inner.child_by_field_name("body")
            n_bytes = HEAD_BYTES if body is None else min(HEAD_BYTES, body.start_byte - inner.start_byte)
            line = text_of(inner, tree.data, n_bytes)
            if body is not None:
                line = line.rstrip()
                line = f"{line} ..." if tree.language.indented else line
        if name and not name.startswith("_"):
            lines.append(re.sub(r"\s+", " ", line[: 4 * MAX_LINE_CP])[:MAX_LINE_CP])
    whole = "\n".join(lines)
    if len(whole) > MAX_CP:
        whole = "\n".join(re.sub(r"\(.*|(?<==).*", "...", line) for line in lines)
    return whole[: whole.rindex("\n", 0, MAX_CP)] if len(whole) > MAX_CP else whole


def constant(text: str, name: str) -> str:
    """Return the line at the margin that gives a value to `name`, or ""."""
    found = re.search(rf"^(?:[\w:<>\[\]]+ ){{0,4}}{re.escape(name)}\b[^=\n(]*=[^=\n].*", text, re.MULTILINE)
    return found[0][:MAX_LINE_CP].rstrip() if found else ""


def _top_level(root: tree_sitter.Node, language: Language, depth: int = 0) -> Iterator[tree_sitter.Node]:
    """Definitions at the top, and those in what only wraps a file: namespaces, guards of headers, `extern "C"`."""
    for node in root.named_children if depth < MAX_DEPTH else ():
        inner = inner_of(node)
        if inner.type in ("namespace_definition", "namespace_declaration", "internal_module", "mod_item", "module"):
            body = inner.child_by_field_name("body")
            if body is not None:
                yield from _top_level(body, language, depth + 1)
        elif inner.type in language.functions or inner.type in language.types or inner.type == "function_declarator":
            yield node
        elif node.type in ("preproc_ifdef", "preproc_if", "linkage_specification", "if_statement", "block", "declaration_list"):
            yield from _top_level(node, language, depth + 1)


def _name(node: tree_sitter.Node, tree: SyntaxTree) -> str:
    if name := name_of(node, tree.data):
        return name
    if node.type == "impl_item":  # of the type, without its parameters
        inner = node.child_by_field_name("type")
        return re.split(r"\W", text_of(inner, tree.data, HEAD_BYTES))[0] if inner is not None else ""
    if node.type == "type_declaration" and node.named_children:  # Go
        return name_of(node.named_children[0], tree.data)
    return ""
