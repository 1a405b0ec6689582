"""Which occurrences of a name mean the same thing: as much of scoping as lines and the nearest function tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import tree_sitter

from completer.next_edit.rules import Example
from completer.next_edit.words import BINDERS, DEFINERS, is_name, line_end, line_start, words
from completer.syntax.languages import language
from completer.syntax.parse import parse_within
from completer.syntax.tree import grammar
from completer.types import Snapshot

PARSE_S = 0.015
"""A document that takes longer to parse has no functions here: then a local name is not offered."""
MAX_PARSE_CP = 200_000
_CONTROL = frozenset(("if", "for", "while", "switch", "match", "catch", "return", "elif", "with", "when"))

Role = Literal["definition", "binding", "member", "use"]
"""What a name is at a place: given to a function or type, to a variable or parameter, after a dot, or none of them."""


def role_of(line: tuple[str, ...], at: int) -> Role:
    """Return what the token `at` of a line is."""
    before = line[at - 1] if at else ""
    after = line[at + 1] if at + 1 < len(line) else ""
    if before in DEFINERS or (line[0] == "func" and before == ")" and after == "("):
        return "definition"
    if before == "." or line[max(0, at - 2) : at] in (("-", ">"), (":", ":")):
        return "member"
    is_method = after == "(" and line[-1] == "{" and at <= 3 and line[0] not in _CONTROL and "=" not in line[:at]
    if is_method:
        return "definition"
    assigned = after == "=" and line[at + 1 : at + 3] != ("=", "=") and "(" not in line[:at]
    defined = line[at + 1 : at + 3] == (":", "=")
    parameter = bool(DEFINERS.intersection(line[:at])) and "(" in line[:at]
    return "binding" if before in BINDERS or assigned or defined or parameter else "use"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an example's name holds: `[start_cp, end_cp)` of its document, and other documents if `wide`."""

    role: Role
    start_cp: int
    end_cp: int
    wide: bool

    def holds(self, snapshot: Snapshot, at: int, end: int) -> bool:
        """Whether the name at `[at, end)` of the example's document can be the same one."""
        return self.start_cp <= at < self.end_cp and self.fits(snapshot, at, end)

    def fits(self, snapshot: Snapshot, at: int, end: int) -> bool:
        """Whether the tokens around a name allow that it is the same one."""
        text = snapshot.text
        before = text[line_start(text, at) : at].rstrip()
        after = text[end : line_end(text, end)].lstrip()
        is_member = before.endswith((".", "->", "::"))
        if self.role == "member":
            return is_member or self._declares(text, at)
        if self.wide:
            return True
        return not is_member and not _is_key(before, after)

    def _declares(self, text: str, at: int) -> bool:
        """Whether a field or method of that name is declared here: it is the first name of its line, or follows a keyword."""
        line = words(text, line_start(text, at), line_end(text, at))
        index = next((i for i, word in enumerate(line) if word.start == at), 0)
        names = [word for word in line[:index] if is_name(word.text)]
        return not names or role_of(tuple(word.text for word in line), index) == "definition"


def _is_key(before: str, after: str) -> bool:
    """Whether a name is a keyword argument or the key of an object, which a local name does not mean."""
    if after.startswith("=") and not after.startswith("=="):
        return before.endswith(("(", ",")) or not before
    return after.startswith(":") and not after.startswith(("::", ":=")) and before.endswith(("{", ","))


def scope_of(example: Example, snapshot: Snapshot) -> Scope | None:
    """Return where the example's name holds; None if that cannot be told. snapshot: the example's document."""
    role, whole = role_of(example.line, example.first), len(snapshot.text)
    if role in ("definition", "member"):
        return Scope(role, 0, whole, wide=True)
    after = example.line[example.last] if example.last < len(example.line) else ""
    name = example.line[example.first]
    if role == "use" and (after == "(" or name[:1].isupper()):
        return Scope(role, 0, whole, wide=True)
    span = function_at(snapshot, example.at_cp)
    if span is None:
        indented = snapshot.text[line_start(snapshot.text, example.at_cp) :][:1] in (" ", "\t")
        return None if indented else Scope(role, 0, whole, wide=name.isupper())
    return Scope(role, *span, wide=False)


def function_at(snapshot: Snapshot, at: int) -> tuple[int, int] | None:
    """Return the innermost function around an offset, its parameters included; None outside of functions."""
    parsed = _parse(snapshot.text, snapshot.language_id) if len(snapshot.text) <= MAX_PARSE_CP else None
    if parsed is None:
        return None
    tree, data = parsed
    byte = len(snapshot.text[:at].encode("utf-8", "replace"))
    node = tree.root_node.descendant_for_byte_range(byte, byte)
    kinds = language(snapshot.language_id).functions
    while node is not None and node.type not in kinds:
        node = node.parent
    if node is None:
        return None
    start = len(data[: node.start_byte].decode(errors="replace"))
    return start, start + len(data[node.start_byte : node.end_byte].decode(errors="replace"))


@lru_cache(maxsize=4)
def _parse(text: str, language_id: str) -> tuple[tree_sitter.Tree, bytes] | None:
    lang = language(language_id)
    if (found := grammar(lang)) is None:
        return None
    data = text.encode("utf-8", "replace")
    tree = parse_within(tree_sitter.Parser(found), data, None, PARSE_S, ends=lang.statement_ends)
    return None if tree is None else (tree, data)
