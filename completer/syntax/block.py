"""The blocks around the cursor, by indentation, and what of them follows it: the form of the prompt depends on that.

    class Cart:                    header at column 0
        def total(self):           header at column 4: a definition
            if self.items:         header at column 8: the cursor's own block
                ‸                  nothing of its own block follows
            return 0               but the definition goes on: "nested"

Indentation says that whatever the cursor's line is going to be; a tree of unfinished code is mostly error nodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from completer.syntax.columns import columns
from completer.syntax.cursor import CursorContext, line_above
from completer.syntax.lexer import tokens
from completer.types import RestOfBlock, Snapshot

_ABOVE_CP, _BELOW_CP = 16_000, 4_000
"""How much of the document is read on each side of the cursor's line."""
_OPENING_CP = 4_000
"""Longest run of comments with which a file is still about to begin."""
_HEAD_CP = 2_000
"""Most that is kept of the text that opens a block: its start and its end."""
_CLOSERS = re.compile(r"""(?:[\s)\]}>"'`;,]|</[\w.:-]*>|\*/|\b(?:end|fi|done|esac|until)\b)*""")
_CLOSES_FIRST = re.compile(r"\s*[)\]}]")
_DEFINES = re.compile(r"\b(?:def|func|fn|function|fun|sub|proc)\b|=>\s*\{?\s*\Z")
_BRANCHES = (
    r"if|elif|else|elsif|for|foreach|while|until|switch|match|case|catch|except|finally|try|do|with|using|lock|select|unless|when"
    r"|synchronized|loop|unsafe|begin|rescue|ensure|default"
)
_BRANCH = re.compile(rf"[\s}}]*(?:{_BRANCHES})\b")
_OTHER = re.compile(
    r"\s*(?:return|goto|defer|export|import|package|class|struct|enum|interface|trait|impl|namespace|module|mod|object|record|type"
    r"|union)\b"
)
"""What begins a block that is no function, although a name, arguments and a brace may be seen in its head."""
_METHOD = re.compile(r"[\w>\])*&]\s*\([^;]*\)[^;={]*\{\s*\Z")
"""A name, arguments, and an open brace: a function of the C-like languages, where no keyword says so."""


class _Line(NamedTuple):
    """A line below the cursor's."""

    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """What there is around the cursor.

    rest: what of it follows the cursor.
    header: the text that opens the cursor's own block, decorators not included; "" outside of all.
    headers: the opening lines of all blocks around it, innermost first.
    is_empty: there is nothing in its own block.
    """

    rest: RestOfBlock
    header: str
    headers: tuple[str, ...]
    is_empty: bool

    @property
    def is_empty_function(self) -> bool:
        """Whether the cursor is in the empty body of a function."""
        return self.is_empty and is_function(self.header)


def block_around(snapshot: Snapshot, cursor: CursorContext) -> Block:
    """Return the blocks around the cursor. Closing brackets are nothing: an editor may have put them there."""
    line, below = snapshot.line_prefix, _below(snapshot)
    first = next((line for line in below if line.text.strip()), None)
    own = columns(line)
    if cursor.kind == "body":
        own = (cursor.body_of or 0) + 1
    elif not line.strip() and not own and first is not None:
        own = min(columns(line_above(snapshot)), first.column)  # the cursor is at the margin of a blank line
    headers = _headers(snapshot, own)
    definition = next((column for column, text in headers if is_function(text)), None)
    texts = tuple(text for _, text in headers)
    return Block(_rest(snapshot, cursor, own, below, definition), texts[0] if texts else "", texts, cursor.kind == "body")


def is_function(header: str) -> bool:
    """Whether the text that opens a block is the head of a function or method."""
    if _BRANCH.match(header):
        return False
    return _DEFINES.search(header) is not None or (_METHOD.search(header) is not None and _OTHER.match(header) is None)


def _rest(snapshot: Snapshot, cursor: CursorContext, own: int, below: list[_Line], definition: int | None) -> RestOfBlock:
    if not _CLOSERS.fullmatch(snapshot.line_suffix):
        return "inside"
    first = next((line for line in below if line.text.strip()), None)
    if first is None:
        return "opening" if _begins_file(snapshot, cursor) else "file"
    column, text = first
    if column >= own and not (own and _CLOSERS.fullmatch(text)):
        return "inside"
    more = next((column for column, text in below if not _CLOSERS.fullmatch(text)), 0)
    if definition is not None and more > definition:
        return "nested"
    return "body" if cursor.kind == "body" else "end"


def _begins_file(snapshot: Snapshot, cursor: CursorContext) -> bool:
    """Whether there is no code above the cursor's line: nothing, or comments."""
    if snapshot.line_start_cp > _OPENING_CP:
        return False
    above, at = snapshot.text[: snapshot.line_start_cp], 0
    for token in tokens(above, cursor.language):
        if not token.kind.endswith("comment"):
            return False
        if above[at : token.start].strip():
            return False
        at = token.end
    return not above[at:].strip()


def _below(snapshot: Snapshot) -> list[_Line]:
    """Return the lines below the cursor's."""
    start = snapshot.line_end_cp
    found = []
    for match in re.finditer(r"(?:\r\n|\r|\n)([^\r\n]*)", snapshot.text[start : start + _BELOW_CP]):
        found.append(_Line(columns(match[1]), match[1]))
    return found


def _headers(snapshot: Snapshot, own: int) -> list[tuple[int, str]]:
    """Return column and text of what opens the blocks around a line at column `own`, innermost first.

    A head that goes on over several lines is returned whole: `def f(`, the arguments, `) -> int:`.
    """
    end = snapshot.line_start_cp
    lines = snapshot.text[max(0, end - _ABOVE_CP) : end].replace("\r\n", "\n").split("\n")[:-1]
    if snapshot.line_prefix.strip() and own > columns(snapshot.line_prefix):
        lines.append(snapshot.line_prefix)  # the cursor is after the head itself
    found: list[tuple[int, str]] = []
    i = len(lines)
    while own > 0 and i > 0:
        i -= 1
        if not lines[i].strip() or columns(lines[i]) >= own:
            continue
        last, column = i, columns(lines[i])
        if lines[i].strip() == "{":  # on a line of its own
            i = next((n for n in range(i - 1, -1, -1) if lines[n].strip()), i)
        while i > 0 and _CLOSES_FIRST.match(lines[i]) and not lines[i].lstrip().startswith("}"):
            i -= 1
            while i > 0 and (columns(lines[i]) > column or not lines[i].strip()):
                i -= 1
        head = "\n".join(lines[i : last + 1]).strip()
        found.append((column, head if len(head) <= _HEAD_CP else head[: _HEAD_CP // 2] + head[-_HEAD_CP // 2 :]))
        own = column
    return found
