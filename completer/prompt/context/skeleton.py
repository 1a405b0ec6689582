"""The definitions of a file without their bodies: what a caller must know.

class Client(Base):                       functions lose their bodies, long ones of their comments too;
    \"\"\"Talks to a server.\"\"\"              fields, short bodies and the first line of documentation stay;
    timeout: float = 3.0                  of a type with many members those stay that the caller's file names
    def fetch(self, url: str) -> bytes: ...
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

import tree_sitter

from completer.syntax.languages import Language
from completer.syntax.tree import SyntaxTree, name_of, text_of

MAX_CP = 1_100
"""Longest skeleton of one definition; a longer one says less of each function."""
MAX_LINE_CP = 140
_CONSTRUCTORS = frozenset(("__init__", "constructor", "new", "New"))
_MAX_FIELDS = 16
_MAX_DEPTH = 100
"""Levels of nodes in which members are looked for."""
_HEAD_BYTES = 4_000
"""How much of a statement is read to know what it is."""
_CONSTANT = re.compile(r"(?:export |const |pub |static |final |let |var )*([A-Za-z]\w*)\b[^=\n(]*=[^=]")
_WRAPPERS = ("decorated_definition", "export_statement", "template_declaration", "declaration")


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A top-level definition: its name and its text without bodies, indented from column 0."""

    name: str
    text: str


def skeletons(tree: SyntaxTree, mentioned: Collection[str], bases: Collection[str] = ()) -> list[Skeleton]:
    """Return the top-level definitions of a file in order.

    mentioned: names that the caller's file uses.  bases: types that it extends, whose private members it may use.
    A definition may come several times under one name (Rust's `impl` blocks, overloads).
    """
    root = tree.root
    if root is None:
        return []
    found = []
    for node in _top_level(root, tree.language):
        inner = _inner(node)
        if name := _name(inner, tree):
            found.append(Skeleton(name, _text(node, tree, mentioned, name in bases)))
    return found


def listing(tree: SyntaxTree) -> str:
    """Return the public names of a module with what they take, one line each: what `module.` may go on with."""
    lines = []
    for node in tree.root.named_children if tree.root is not None else ():
        inner = _inner(node)
        if node.type in tree.language.imports:
            continue
        name = _name(inner, tree)
        if not name:  # a constant
            found = _CONSTANT.match(text_of(node, tree.data, 4 * MAX_LINE_CP))
            name, line = (found[1], text_of(node, tree.data, _HEAD_BYTES)) if found else ("", "")
        else:
            body = inner.child_by_field_name("body")
            n_bytes = _HEAD_BYTES if body is None else min(_HEAD_BYTES, body.start_byte - inner.start_byte)
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
    for node in root.named_children if depth < _MAX_DEPTH else ():
        inner = _inner(node)
        if inner.type in ("namespace_definition", "namespace_declaration", "internal_module", "mod_item", "module"):
            body = inner.child_by_field_name("body")
            if body is not None:
                yield from _top_level(body, language, depth + 1)
        elif inner.type in language.functions or inner.type in language.types or inner.type == "function_declarator":
            yield node
        elif node.type in ("preproc_ifdef", "preproc_if", "linkage_specification", "if_statement", "block", "declaration_list"):
            yield from _top_level(node, language, depth + 1)


def _inner(node: tree_sitter.Node) -> tree_sitter.Node:
    """Look through decorators, `export`, `template <…>`; a C declaration is what it declares."""
    while node.type in _WRAPPERS:
        for part in ("definition", "declaration", "declarator"):
            if (inner := node.child_by_field_name(part)) is not None:
                node = inner
                break
        else:
            children = node.named_children
            if node.type != "template_declaration" or not children:
                return node
            node = children[-1]
    return node


def _name(node: tree_sitter.Node, tree: SyntaxTree) -> str:
    if name := name_of(node, tree.data):
        return name
    if node.type == "impl_item":  # of the type, without its parameters
        inner = node.child_by_field_name("type")
        return re.split(r"\W", text_of(inner, tree.data, _HEAD_BYTES))[0] if inner is not None else ""
    if node.type == "type_declaration" and node.named_children:  # Go
        return name_of(node.named_children[0], tree.data)
    return ""


def _text(node: tree_sitter.Node, tree: SyntaxTree, mentioned: Collection[str], own: bool) -> str:
    for detail, limit_cp in _DETAILS.items():
        cutter = _Cutter(tree.language, tree.data, mentioned, detail, own)
        cutter.definition(node)
        text = _without(cutter.cuts, node, tree.data[node.start_byte : node.end_byte])
        if len(text) <= limit_cp:
            return text
    text = re.sub(r"^( +\w+: [^=\n]{1,40})[^=\n]*(=.*)?(?<!,)$", lambda line: line[1].rstrip(), text, flags=re.MULTILINE)
    return text if len(text) <= MAX_CP else text[: text.rindex("\n", 0, MAX_CP)] if "\n" in text[:MAX_CP] else text[:MAX_CP]


def _without(cuts: list[tuple[int, int, bytes]], node: tree_sitter.Node, data: bytes) -> str:
    pieces, at = [], 0
    for start, end, instead in sorted(cuts):
        start, end = start - node.start_byte, end - node.start_byte
        if instead in (_BODY, _BODY_IN_BRACES):  # on the line of the signature, wherever the body began
            while start and data[start - 1 : start].isspace():
                start -= 1
        if start >= at:
            pieces += [data[at:start], instead]
            at = end
    pieces.append(data[at:])
    text = (b" " * node.start_point[1] + b"".join(pieces)).decode(errors="replace")
    text = re.sub(r":(\s*+)\.\.\.$", lambda found: ": ..." if "\n" in found[1] else found[0], text, flags=re.MULTILINE)
    lines = [line.rstrip()[:MAX_LINE_CP] for line in text.split("\n") if line.strip()]
    indent = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    return "\n".join(line[indent:] for line in lines)


Detail = Literal["documented", "signatures", "names"]
_DETAILS: dict[Detail, int] = {"documented": 600, "signatures": 1_000, "names": MAX_CP}
"""The longest skeleton that says so much of each function."""
_BODY, _BODY_IN_BRACES = b" ...", b";"


@dataclass(slots=True)
class _Cutter:
    """Finds the byte ranges of a definition that go, and what stands in their place: (start, end, instead).

    data: the document as UTF-8.
    detail: what is said of functions; "names" spares the parameters of those that the caller's file does not name.
    own: whether the caller's file may use private members, being a subclass.
    """

    language: Language
    data: bytes
    mentioned: Collection[str]
    detail: Detail
    own: bool
    cuts: list[tuple[int, int, bytes]] = field(default_factory=list)

    def definition(self, node: tree_sitter.Node) -> None:
        """Cut a definition, decorated or not. Mutates: cuts."""
        inner = _inner(node)
        if inner.type in self.language.functions:
            self._function(inner)
        else:
            self._members(inner)

    def _members(self, node: tree_sitter.Node, depth: int = 0) -> None:
        for child in node.named_children if depth < _MAX_DEPTH else ():
            inner = _inner(child)
            if "comment" in child.type:
                self._comment(child)
            elif inner.type in self.language.functions:
                if self._is_shown(name_of(inner, self.data)):
                    self._function(inner)
                else:
                    self.cuts.append((child.start_byte, child.end_byte, b""))
            elif not self._shows_private and _PRIVATE_FIELD.match(self._head(child)):
                self.cuts.append((child.start_byte, child.end_byte, b""))
            elif self.language.docstrings and _is_string(child):
                self.cuts.append((child.start_byte, child.end_byte, _first_line(text_of(child, self.data))))
            else:
                self._members(child, depth + 1)

    def _head(self, node: tree_sitter.Node) -> str:
        return text_of(node, self.data, _HEAD_BYTES)

    def _comment(self, node: tree_sitter.Node) -> None:
        """Remarks behind a line stay; those on lines of their own go."""
        before = node.prev_sibling
        if before is None or before.end_point[0] < node.start_point[0] or node.end_point[0] > node.start_point[0]:
            # Rust's grammar takes the line end for a part of the comment.
            ends_line = self.data[node.end_byte - 1 : node.end_byte] == b"\n"
            self.cuts.append((node.start_byte, node.end_byte, b"\n" if ends_line else b""))

    def _is_shown(self, name: str) -> bool:
        return name in _CONSTRUCTORS or name in self.mentioned or not name.startswith("__" if self._shows_private else "_")

    @property
    def _shows_private(self) -> bool:
        return self.own or self.detail == "documented"

    def _function(self, node: tree_sitter.Node) -> None:
        body, parameters = node.child_by_field_name("body"), node.child_by_field_name("parameters")
        if self.detail == "names" and parameters is not None and name_of(node, self.data) not in self.mentioned:
            end = parameters if body is None or not self.language.docstrings else node.child_by_field_name("return_type")
            self.cuts.append((parameters.start_byte, (end or parameters).end_byte, b"(...)"))
        if body is None:
            return
        if body.start_point[0] == body.end_point[0] and body.end_byte - body.start_byte < MAX_LINE_CP:
            return  # what it does in a line says more than its absence
        self.cuts += [(child.start_byte, child.end_byte, b"") for child in node.named_children if child.type == "comment"]
        if not self.language.docstrings:
            in_braces = self.data.startswith(b"{", body.start_byte)
            self.cuts.append((body.start_byte, body.end_byte, _BODY_IN_BRACES if in_braces else _BODY))
        elif name_of(node, self.data) in _CONSTRUCTORS:
            self.cuts += _all_but_fields(body, self.data, self._shows_private)
        elif self.detail == "documented" and body.named_children and _is_string(first := body.named_children[0]):
            self.cuts.append((first.start_byte, body.end_byte, _first_line(text_of(first, self.data))))
        else:
            self.cuts.append((body.start_byte, body.end_byte, _BODY))


def _all_but_fields(body: tree_sitter.Node, data: bytes, private: bool) -> Iterator[tuple[int, int, bytes]]:
    """Of a constructor the statements stay that set fields."""
    n = 0
    for statement in body.named_children:
        head = text_of(statement, data, _HEAD_BYTES)
        is_field = re.match(r"self\.\w+\b[^=]*=", head) and statement.start_point[0] == statement.end_point[0]
        is_field = is_field and (private or not _PRIVATE_FIELD.match(head))
        n += bool(is_field)
        if not is_field or n > _MAX_FIELDS:
            yield statement.start_byte, statement.end_byte, b""


_PRIVATE_FIELD = re.compile(r"(?:self\.)?_\w+\b\s*(?::|=)|private\b|#")


def _is_string(statement: tree_sitter.Node) -> bool:
    if statement.type != "expression_statement":
        return False
    return bool(statement.named_children) and statement.named_children[0].type == "string"


def _first_line(docstring: str) -> bytes:
    quote = '"""' if '"""' in docstring else docstring[-1:]
    lines = [line.strip() for line in docstring.strip("rbuRBU").strip("\"'").strip().split("\n")]
    return f"{quote}{lines[0][:MAX_LINE_CP]}{quote}".encode()
