"""Where the cursor is, and how much may be suggested there.

The text decides (strings, brackets, block openers), because a tree of a line that is being typed is mostly error nodes;
the tree tells where the surroundings begin. Everything is computed once per request into one frozen `CursorContext`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from completer.syntax.brackets import AT_MARGIN, WINDOW_CP, literal_closed, unmatched, wanted_literal
from completer.syntax.columns import columns, indent_unit
from completer.syntax.interpolation import code_start
from completer.syntax.languages import Language, language
from completer.syntax.lexer import (
    CLOSER,
    Balance,
    balance,
    balance_behind,
    balance_of,
    closing,
    lex_lines,
    tokens,
    unclosed,
)
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot

Kind = Literal["body", "statement", "name", "member", "arguments", "expression", "import", "string", "docstring", "comment"]
Suppress = Literal["", "word", "rest"]

_CLOSING_REST = re.compile(r"""[\s)\]}>"'`;,:{]*(?:\*/|-->|</[\w.-]*>|=>)?[\s)\]}>;,:{]*""")
_MEMBER = re.compile(r"(?:\.|->|::|\?\.)\s*\Z")
_PREFIX_CP = 4
"""Characters before a string's quote that may tell what kind it is."""
_MAX_OPEN = 1_000
"""Innermost brackets that are counted: what is open further out is not the business of one suggestion."""


@dataclass(frozen=True, slots=True)
class CursorContext:
    """The cursor's surroundings in one snapshot.

    kind: "body": right after a block opener with an empty body; "statement": on a blank line; "name": after the first
        letters of a statement; "member": after a dot; "arguments": inside ( or [; the others as named.
    multiline: a block may be suggested.  suppress: why nothing should be suggested unless asked for: the cursor is
        inside a word, or the rest of the line is code ("rest": worth showing only if the model bridges it).
    indent: columns at which a new line of this block starts.  block_indent: for `StopRule`, or None.
    body_of: column of the line that opens the block which begins at the cursor, or None.
    lex_start_cp: start of the last literal or bracket before the cursor; from there the text lexes as it does
        in the document, below the open brackets `stack` (outermost first).
    owed: open brackets that nothing after the cursor closes, innermost first.
    wanted: closing brackets after the cursor that nothing opens, in order: the line being written may open them.
    wanted_literal: delimiter of a literal that ends after the cursor and that nothing opens, or "".
    inside, delimiter, closed: the literal around the cursor, and whether it ends after the cursor.
    in_string: the cursor is in code inside a string, and that code ends on the cursor's line.
    """

    language: Language
    kind: Kind
    multiline: bool
    suppress: Suppress
    indent: int
    block_indent: int | None
    body_of: int | None
    lex_start_cp: int
    stack: str
    owed: str
    wanted: str
    wanted_literal: str
    inside: str
    delimiter: str
    closed: bool
    in_string: bool

    @property
    def takes_block(self) -> bool:
        """Whether a block belongs here: in an empty body, on a blank line of a block, below a comment that announces code."""
        if self.suppress or self.inside != "code" or self.language.grammar is None:
            return False
        return self.kind == "body" or (self.kind == "statement" and (self.multiline or bool(self.block_indent or self.stack)))


def cursor_context(snapshot: Snapshot, tree: SyntaxTree | None = None) -> CursorContext:
    """Return where the cursor is. tree: the document's tree at the snapshot's version, to find where to lex from."""
    lang = language(snapshot.language_id)
    lex_start_cp, stack, at_cursor = _lex(snapshot, lang, tree)
    code_cp = _code_in_string(snapshot, lang, lex_start_cp, at_cursor)
    if code_cp is not None:  # the brackets around the string are not its code's business
        lex_start_cp, stack = code_cp, ""
        at_cursor = balance(snapshot.text[code_cp : snapshot.cursor_cp], lang)
    in_code = at_cursor.inside == "code"
    owed, wanted = unmatched(at_cursor.stack, snapshot, lang) if in_code else ("", "")
    if code_cp is not None:
        owed, wanted = unclosed(at_cursor.stack, closing(snapshot.line_suffix, lang)), ""
    opener_indent = _opener_indent(snapshot, lang, lex_start_cp) if in_code and code_cp is None else None
    kind = _kind(snapshot, lang, at_cursor, opener_indent) if code_cp is None else _kind_in_string(snapshot, at_cursor)
    line_indent = columns(snapshot.line_prefix) if snapshot.line_prefix.strip() else _indent_above(snapshot)
    deeper = opener_indent is not None or (in_code and _below_open_bracket(snapshot, lang))
    start = line_indent if opener_indent is None else opener_indent
    indent = start + indent_unit(snapshot.text, lang) if deeper else line_indent
    block_indent = None
    if kind == "body" and opener_indent is not None:
        block_indent = opener_indent if owed or lang.enders else opener_indent + 1
    elif kind in ("statement", "docstring"):
        block_indent = columns(snapshot.line_prefix)
    return CursorContext(
        language=lang,
        kind=kind,
        multiline=kind in ("body", "docstring") or (kind == "statement" and _below_comment(snapshot, lang)),
        suppress=_suppress(snapshot, lang, at_cursor),
        indent=indent,
        block_indent=block_indent,
        body_of=opener_indent,
        lex_start_cp=lex_start_cp,
        stack=stack[-_MAX_OPEN:],
        owed=owed[:_MAX_OPEN],
        wanted=wanted[:_MAX_OPEN],
        wanted_literal=wanted_literal(snapshot, lang) if in_code else "",
        inside=at_cursor.inside,
        delimiter=at_cursor.delimiter,
        closed=literal_closed(at_cursor, snapshot, lang),
        in_string=code_cp is not None,
    )


def opens_block(line: str, lang: Language) -> bool:
    """Whether a line ends with what opens a block in the language; a comment at its end must be gone already."""
    return re.compile(rf"(?:{lang.opener}|\{{)\Z").search(line.rstrip()) is not None


def without_word(line: str) -> str:
    """Return a line without the identifier that it ends with."""
    end = len(line)
    while end and _is_word(line[end - 1]):
        end -= 1
    return line[:end]


def line_above(snapshot: Snapshot) -> str:
    """Return the last line above the cursor's that is not blank, or ""."""
    above = snapshot.text[max(0, snapshot.line_start_cp - 4_000) : snapshot.line_start_cp].rstrip()
    return above[max(above.rfind("\n"), above.rfind("\r")) + 1 :]


def lines_below(snapshot: Snapshot, n: int) -> list[str]:
    """Return the first n lines below the cursor's that are not blank."""
    start = snapshot.line_end_cp
    lines = (match[0] for match in re.finditer(r"[^\r\n]+", snapshot.text[start : start + 4_000]))
    return list(islice((line for line in lines if line.strip()), n))


def _lex(snapshot: Snapshot, lang: Language, tree: SyntaxTree | None) -> tuple[int, str, Balance]:
    """Return the start of the last literal or bracket, the open brackets before it, and what is open at the cursor."""
    start = max(0, snapshot.cursor_cp - WINDOW_CP)
    top = tree.top_level_start(snapshot.cursor_cp) if tree is not None else None
    # In a broken tree the statement may be a part of what is really around the cursor: only one at the margin is whole.
    if top is not None and top >= start and snapshot.text[top - 1 : top] in ("", "\n", "\r"):
        start = top
    elif start:  # begin at a definition, where no literal is open
        head = AT_MARGIN.search(snapshot.text, start, snapshot.cursor_cp)
        start = head.start() if head else start
    # The text above the cursor's line stays the same from key to key, so it is lexed once.
    line_start = max(start, snapshot.line_start_cp)
    above = lex_lines(snapshot.text[start:line_start], lang)
    resume = start + above.resume
    found = tokens(snapshot.text[resume : snapshot.cursor_cp], lang)
    if not found:
        return (start + above.last if above.last >= 0 else line_start), above.stack_before_last, above.balance
    stack_before_last = balance_of(found[:-1], lang, above.balance.stack).stack
    return resume + found[-1].start, stack_before_last, balance_behind(above.balance, found, lang)


def _kind(snapshot: Snapshot, lang: Language, at_cursor: Balance, opener_indent: int | None) -> Kind:
    line = snapshot.line_prefix
    if at_cursor.inside == "string":
        return "docstring" if _is_docstring(snapshot, lang, at_cursor) else "string"
    if at_cursor.inside != "code":
        return "comment"
    if re.match(rf"\s*(?:{lang.import_line})", line):
        return "import"
    in_list = at_cursor.stack.endswith(("(", "["))
    if not in_list and opener_indent is not None and _body_is_empty(snapshot, opener_indent):
        return "body"
    if not line.strip():
        return "arguments" if in_list else "statement"
    if _MEMBER.search(without_word(line)):
        return "member"
    if in_list:
        return "arguments"
    return "name" if re.fullmatch(r"\s*\w+", line) else "expression"


def _code_in_string(snapshot: Snapshot, lang: Language, literal_cp: int, at_cursor: Balance) -> int | None:
    """Return where the code begins that the cursor is in, if that is inside a string; else None.

    Code that does not end on the cursor's line is left to the string: whoever writes it writes the end of both.
    """
    if at_cursor.inside != "string" or not lang.interpolations:
        return None
    start = max(0, literal_cp - _PREFIX_CP)
    found = code_start(snapshot.text[start : snapshot.cursor_cp], literal_cp - start, at_cursor.delimiter, lang)
    if found is None:
        return None
    return start + found if CLOSER[snapshot.text[start + found]] in closing(snapshot.line_suffix, lang) else None


def _kind_in_string(snapshot: Snapshot, at_cursor: Balance) -> Kind:
    """Return the kind of a place in the code of a string, where neither statements nor blocks begin."""
    if at_cursor.inside != "code":
        return "string"
    if _MEMBER.search(without_word(snapshot.line_prefix)):
        return "member"
    return "arguments" if at_cursor.stack.endswith(("(", "[")) else "expression"


def _is_docstring(snapshot: Snapshot, lang: Language, at_cursor: Balance) -> bool:
    if not lang.docstrings or at_cursor.delimiter not in lang.multiline_quotes:
        return False
    before = snapshot.prefix[: snapshot.prefix.rfind(at_cursor.delimiter)].rstrip()
    return not before or before.endswith(":")


def _opener_indent(snapshot: Snapshot, lang: Language, lex_start_cp: int) -> int | None:
    """Return the columns of the line whose block begins at the cursor, or None. A docstring above is no part of it.

    lex_start_cp: see `CursorContext`.
    """
    line = snapshot.line_prefix
    if lang.indented and line.strip() and line[-1:].isspace():
        return None  # `key: ` and `x[a: ` go on in the same line
    if not line.strip():
        line = line_above(_before_docstring(snapshot, lang, lex_start_cp))
    return columns(line) if opens_block(_without_comment(line, lang), lang) else None


def _before_docstring(snapshot: Snapshot, lang: Language, lex_start_cp: int) -> Snapshot:
    """Return the snapshot with the cursor before the string that is all there is above it; as it is where there is none."""
    if not lang.docstrings or not snapshot.text.startswith(lang.quotes, lex_start_cp):
        return snapshot
    before = replace(snapshot, cursor_cp=lex_start_cp)
    only = balance(snapshot.text[lex_start_cp : snapshot.cursor_cp], lang)
    ends_line = snapshot.text[lex_start_cp : snapshot.cursor_cp].rstrip()[-1:] in ('"', "'")
    return before if ends_line and only.inside == "code" and before.line_prefix.strip().lower() in ("", "r", "u") else snapshot


def _below_open_bracket(snapshot: Snapshot, lang: Language) -> bool:
    return not snapshot.line_prefix.strip() and _without_comment(line_above(snapshot), lang).endswith(("(", "[", "{"))


def _body_is_empty(snapshot: Snapshot, opener_indent: int) -> bool:
    if snapshot.line_suffix.strip() and not re.fullmatch(r"\s*[)\]}]+[;,)]*\s*", snapshot.line_suffix):
        return False
    below = lines_below(snapshot, 1)
    return not below or columns(below[0]) <= opener_indent


def _without_comment(line: str, lang: Language) -> str:
    found = tokens(line, lang)
    return line[: found[-1].start].rstrip() if found and found[-1].kind == "line_comment" else line.rstrip()


def _below_comment(snapshot: Snapshot, lang: Language) -> bool:
    line = line_above(snapshot)
    found = tokens(line, lang)
    only_comment = bool(found) and found[0].kind.endswith("comment") and not line[: found[0].start].strip()
    below = lines_below(snapshot, 1)
    return only_comment and (not below or columns(below[0]) < columns(snapshot.line_prefix) or not below[0][0].isspace())


def _indent_above(snapshot: Snapshot) -> int:
    return columns(line_above(snapshot))


def _suppress(snapshot: Snapshot, lang: Language, at_cursor: Balance) -> Suppress:
    rest = snapshot.line_suffix
    if _is_word(rest[:1]) and _is_word(snapshot.line_prefix[-1:]):
        return "word"
    if at_cursor.inside != "line_comment":
        rest = _without_comment(at_cursor.delimiter + rest, lang)[len(at_cursor.delimiter) :]
    return "" if _CLOSING_REST.fullmatch(rest) else "rest"


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
