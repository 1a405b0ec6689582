"""Cuts the bodies out of one definition."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

import tree_sitter

from completer.syntax.languages import Language
from completer.syntax.tree import SyntaxTree, name_of, text_of

MAX_CP = 1_100
"""Longest skeleton of one definition; a longer one shows less of each function."""
MAX_LINE_CP = 140
_CONSTRUCTORS = frozenset(("__init__", "constructor", "new", "New"))
_MAX_FIELDS = 16
MAX_DEPTH = 100
"""Levels of nodes in which members are looked for."""
HEAD_BYTES = 4_000
"""How much of a statement is read to know what it is."""
_WRAPPERS = ("decorated_definition", "export_statement", "template_declaration", "declaration")

Late = Callable[[], bool]
"""Whether the time is up."""


def never() -> bool:
    """Return False: there is no limit."""
    return False


def inner_of(node: tree_sitter.Node) -> tree_sitter.Node:
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


@dataclass(frozen=True, slots=True)
class Reading:
    """What a definition is read for, and until when.

    own: whether the caller's file may use private members, being a subclass.
    """

    tree: SyntaxTree
    mentioned: Collection[str]
    own: bool
    late: Late


def without_bodies(node: tree_sitter.Node, reading: Reading) -> str:
    """Return a definition without its bodies, in at most MAX_CP characters; anything, or "", once the time is up."""
    text = ""
    for detail, limit_cp in _DETAILS.items():
        cutter = _Cutter(reading, detail)
        cutter.definition(node)
        if reading.late():
            return ""
        text = _without(cutter.cuts, node, reading.tree.data[node.start_byte : node.end_byte])
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
"""The longest skeleton with so much of each function."""
_BODY, _BODY_IN_BRACES = b" ...", b";"


@dataclass(slots=True)
class _Cutter:
    """Finds the byte ranges of a definition that go, and what replaces them: (start, end, instead).

    detail: how much of functions stays; "names" cuts the parameters of those that the caller's file does not name.
    When the time is up, what was found so far is all.
    """

    reading: Reading
    detail: Detail
    cuts: list[tuple[int, int, bytes]] = field(default_factory=list)

    @property
    def language(self) -> Language:
        return self.reading.tree.language

    @property
    def data(self) -> bytes:
        """The document as UTF-8."""
        return self.reading.tree.data

    @property
    def mentioned(self) -> Collection[str]:
        return self.reading.mentioned

    def definition(self, node: tree_sitter.Node) -> None:
        """Cut a definition, decorated or not. Mutates: cuts."""
        inner = inner_of(node)
        if inner.type in self.language.functions:
            self._function(inner)
        else:
            self._members(inner)

    def _members(self, node: tree_sitter.Node, depth: int = 0) -> None:
        before: tree_sitter.Node | None = None  # `prev_sibling` would count from the first one each time
        for child in node.children if depth < MAX_DEPTH else ():
            if self.reading.late():
                return
            previous, before = before, child
            if not child.is_named:
                continue
            inner = inner_of(child)
            if "comment" in child.type:
                self._comment(child, previous)
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
        return text_of(node, self.data, HEAD_BYTES)

    def _comment(self, node: tree_sitter.Node, before: tree_sitter.Node | None) -> None:
        """Remarks at the end of a line of code stay; those on lines of their own go. before: the node before it."""
        if before is None or before.end_point[0] < node.start_point[0] or node.end_point[0] > node.start_point[0]:
            # Rust's grammar takes the line end for a part of the comment.
            ends_line = self.data[node.end_byte - 1 : node.end_byte] == b"\n"
            self.cuts.append((node.start_byte, node.end_byte, b"\n" if ends_line else b""))

    def _is_shown(self, name: str) -> bool:
        return name in _CONSTRUCTORS or name in self.mentioned or not name.startswith("__" if self._shows_private else "_")

    @property
    def _shows_private(self) -> bool:
        return self.reading.own or self.detail == "documented"

    def _function(self, node: tree_sitter.Node) -> None:
        body, parameters = node.child_by_field_name("body"), node.child_by_field_name("parameters")
        if self.detail == "names" and parameters is not None and name_of(node, self.data) not in self.mentioned:
            end = parameters if body is None or not self.language.docstrings else node.child_by_field_name("return_type")
            self.cuts.append((parameters.start_byte, (end or parameters).end_byte, b"(...)"))
        if body is None:
            return
        if body.start_point[0] == body.end_point[0] and body.end_byte - body.start_byte < MAX_LINE_CP:
            return  # one line of code tells more than its absence
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
        head = text_of(statement, data, HEAD_BYTES)
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
