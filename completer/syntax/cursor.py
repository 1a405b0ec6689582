"""Where the cursor stands, and how much may be suggested there.

The text decides (strings, brackets, block openers), because a tree of a line that is being typed is mostly error nodes;
the tree adds the enclosing scopes. Everything is computed once per request into one frozen `Place`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal

from completer.syntax.languages import Language, language
from completer.syntax.lexer import (
    CLOSER,
    Balance,
    balance,
    balance_behind,
    balance_of,
    close_of,
    closing,
    lex_lines,
    tokens,
    unclosed,
)
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot

Kind = Literal["body", "statement", "name", "member", "arguments", "expression", "import", "string", "docstring", "comment"]
Suppress = Literal["", "word", "rest"]

TAB_COLUMNS = 4
_WINDOW_CP = 32_000
_NEAR_CP = 8_000
"""How far above the line is looked for that a closing bracket belongs to."""
_CLOSING_REST = re.compile(r"""[\s)\]}>"'`;,:{]*(?:\*/|-->|</[\w.-]*>|=>)?[\s)\]}>;,:{]*""")
_AT_MARGIN = re.compile(r"^[A-Za-z@#]", re.MULTILINE)
_MEMBER = re.compile(r"(?:\.|->|::|\?\.)\s*\Z")
_MAX_OPEN = 1_000
"""Innermost brackets that are counted: what is open further out is not the business of one suggestion."""


@dataclass(frozen=True, slots=True)
class CursorContext:
    """The cursor's surroundings in one snapshot.

    kind: "body": right behind a block opener with an empty body; "statement": on a blank line; "name": behind the first
        letters of a statement; "member": after a dot; "arguments": inside ( or [; the others as they say.
    multiline: a block may be suggested.  suppress: why nothing should be suggested unless asked for: the cursor is
        inside a word, or the rest of the line is code ("rest": worth showing only if the model bridges it).
    indent: columns at which a new line of this block starts.  block_indent: for `StopRule`, or None.
    lex_start_cp: start of the last literal or bracket before the cursor; from there the text lexes as it does
        in the document, below the open brackets `stack` (outermost first).
    owed: open brackets that nothing behind the cursor closes, innermost first.
    wanted: closing brackets behind the cursor that nothing opens, in order: the line being written may open them.
    wanted_literal: delimiter of a literal that ends after the cursor and that nothing opens, or "".
    inside, delimiter, closed: the literal around the cursor, and whether it ends behind the cursor.
    """

    language: Language
    kind: Kind
    multiline: bool
    suppress: Suppress
    indent: int
    block_indent: int | None
    lex_start_cp: int
    stack: str
    owed: str
    wanted: str
    wanted_literal: str
    inside: str
    delimiter: str
    closed: bool


def cursor_context(snapshot: Snapshot, tree: SyntaxTree | None = None) -> CursorContext:
    """Return where the cursor stands. tree: the document's tree at the snapshot's version, to find where to lex from."""
    lang = language(snapshot.language_id)
    lex_start_cp, stack, at_cursor = _lex(snapshot, lang, tree)
    in_code = at_cursor.inside == "code"
    owed, wanted = _unmatched(at_cursor.stack, snapshot, lang) if in_code else ("", "")
    kind = _kind(snapshot, lang, at_cursor)
    opener_indent = _opener_indent(snapshot, lang) if in_code else None
    line_indent = columns(snapshot.line_prefix) if snapshot.line_prefix.strip() else _indent_above(snapshot)
    deeper = opener_indent is not None or (in_code and _below_open_bracket(snapshot, lang))
    indent = (opener_indent or line_indent) + indent_unit(snapshot.text) if deeper else line_indent
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
        lex_start_cp=lex_start_cp,
        stack=stack[-_MAX_OPEN:],
        owed=owed[:_MAX_OPEN],
        wanted=wanted[:_MAX_OPEN],
        wanted_literal=_wanted_literal(snapshot, lang) if in_code else "",
        inside=at_cursor.inside,
        delimiter=at_cursor.delimiter,
        closed=_literal_closed(at_cursor, snapshot, lang),
    )


def columns(line: str) -> int:
    """Return the width of a line's indentation in columns; a tab counts `TAB_COLUMNS`."""
    head = line[: len(line) - len(line.lstrip(" \t"))]
    return len(head) + (TAB_COLUMNS - 1) * head.count("\t")


def indent_unit(text: str) -> int:
    """Return the columns of one level of indentation in a file: 2, 4 or 8 (`TAB_COLUMNS` where tabs indent it)."""
    found = re.search(r"^(\t| {2}(?! *\*)| {4}| {8})(?=\S)", text[:_WINDOW_CP], re.MULTILINE)
    return TAB_COLUMNS if found is None or found[1] == "\t" else len(found[1])


def closer_column(snapshot: Snapshot, cursor: CursorContext) -> int | None:
    """Return the column of the line whose bracket the next closing one closes, or None if that is not near."""
    start = max(0, snapshot.line_start_cp - _NEAR_CP)
    start = snapshot.text.find("\n", start, snapshot.line_start_cp) + 1 if start else 0
    above = snapshot.text[start : snapshot.line_start_cp]
    opened: list[int] = []
    partners: list[tuple[int, int]] = []
    for token in tokens(above, cursor.language):
        if token.kind == "bracket" and token.text in CLOSER:
            opened.append(token.start)
        elif token.kind == "bracket" and opened:
            partners.append((opened.pop(), token.start))
    if not opened or above[opened[-1]] != cursor.owed[:1]:
        return None
    line_start = above.rfind("\n", 0, opened[-1]) + 1
    # `int b) {` belongs to the line with the parenthesis that it closes.
    heads = [start for start, end in partners if line_start <= end < opened[-1] and above[start] == "("]
    lines = above[: min([opened[-1], *heads])].split("\n")
    column = columns(lines[-1])
    before = next((line for line in reversed(lines[:-1]) if line.strip()), "")
    braces = above[opened[-1]] == "{" and not cursor.language.enders
    if braces and before and columns(before) < column and not before.rstrip().endswith(("{", "}", ";", ":", ",", "(", "[")):
        return columns(before)  # the head of the block goes on over two lines
    return column


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
    start = max(0, snapshot.cursor_cp - _WINDOW_CP)
    top = tree.top_level_start(snapshot.cursor_cp) if tree is not None else None
    # In a broken tree the statement may be a part of what is really around the cursor: only one at the margin is whole.
    if top is not None and top >= start and snapshot.text[top - 1 : top] in ("", "\n", "\r"):
        start = top
    elif start:  # begin at a definition, where no literal is open
        head = _AT_MARGIN.search(snapshot.text, start, snapshot.cursor_cp)
        start = head.start() if head else start
    # What stands above the cursor's line stays the same from key to key, so it is lexed once.
    line_start = max(start, snapshot.line_start_cp)
    above = lex_lines(snapshot.text[start:line_start], lang)
    resume = start + above.resume
    found = tokens(snapshot.text[resume : snapshot.cursor_cp], lang)
    if not found:
        return (start + above.last if above.last >= 0 else line_start), above.stack_before_last, above.balance
    stack_before_last = balance_of(found[:-1], lang, above.balance.stack).stack
    return resume + found[-1].start, stack_before_last, balance_behind(above.balance, found, lang)


def _unmatched(stack: str, snapshot: Snapshot, lang: Language) -> tuple[str, str]:
    """Return what is owed and what is wanted (see `CursorContext`), counted over the text on both sides of the cursor.

    stack: the brackets that are open before the cursor.
    """
    suffix = _suffix(snapshot)
    if not lang.brackets or suffix is None:
        return "", ""
    excess, partners = _excess(suffix, lang), _closing(stack)
    if excess.endswith(partners):
        return "", excess.removesuffix(partners)  # what is open has its partners at the end
    owed = unclosed(stack, closing(suffix, lang))
    partners = _closing(_without(stack, owed))
    return owed, excess.removesuffix(partners) if excess.endswith(partners) else ""


def _closing(stack: str) -> str:
    return "".join(CLOSER[opener] for opener in reversed(stack))


def _without(stack: str, owed: str) -> str:
    """Return the open brackets of `stack` but for those that are owed."""
    for opener in owed:
        at = stack.rfind(opener)
        stack = stack[:at] + stack[at + 1 :]
    return stack


def _suffix(snapshot: Snapshot) -> str | None:
    """Return the text after the cursor in which its brackets find their partners; None if that is too far to read.

    A long suffix is read up to the last definition that begins at the margin: no bracket is open there.
    """
    if len(snapshot.text) - snapshot.cursor_cp <= _WINDOW_CP:
        return snapshot.suffix
    near = snapshot.text[snapshot.cursor_cp : snapshot.cursor_cp + _WINDOW_CP]
    margins = [match.start() for match in _AT_MARGIN.finditer(near) if match.start() > 0]
    return near[: margins[-1]] if margins else None


def _wanted_literal(snapshot: Snapshot, lang: Language) -> str:
    """Return the delimiter of a literal that ends after the cursor and that nothing opens, or ""."""
    suffix = _suffix(snapshot)
    if suffix is None or snapshot.line_suffix.strip():
        return ""
    for quote in lang.multiline_quotes:
        if close_of(quote, lang) == quote and len(quote) > 1 and suffix.count(quote) % 2 == 1:
            return quote
    for opener, closer in lang.block_comments:
        ends, begins = suffix.find(closer), suffix.find(opener)
        if ends >= 0 and (begins < 0 or ends < begins):
            return opener
    return ""


@lru_cache(maxsize=8)
def _excess(text: str, lang: Language) -> str:
    """Return the closing brackets of `text` that it does not open. What stands behind the cursor is the same for many keys."""
    return balance(text, lang).excess


def _literal_closed(at_cursor: Balance, snapshot: Snapshot, lang: Language) -> bool:
    if at_cursor.inside == "string":
        end = close_of(at_cursor.delimiter, lang)
        if at_cursor.delimiter in lang.multiline_quotes:
            return snapshot.suffix.count(end) % 2 == 1 if end == at_cursor.delimiter else end in snapshot.suffix
        rest = balance(at_cursor.delimiter + snapshot.line_suffix, lang)
        return rest.inside != "string" and end in snapshot.line_suffix
    if at_cursor.inside == "block_comment":
        closer = close_of(at_cursor.delimiter, lang)
        ahead = snapshot.suffix.split(closer, 1)
        return len(ahead) == 2 and at_cursor.delimiter not in ahead[0]
    return False


def _kind(snapshot: Snapshot, lang: Language, at_cursor: Balance) -> Kind:
    line = snapshot.line_prefix
    if at_cursor.inside == "string":
        return "docstring" if _is_docstring(snapshot, lang, at_cursor) else "string"
    if at_cursor.inside != "code":
        return "comment"
    if re.match(rf"\s*(?:{lang.import_line})", line):
        return "import"
    in_list = at_cursor.stack.endswith(("(", "["))
    if not in_list and _opener_indent(snapshot, lang) is not None and _body_is_empty(snapshot):
        return "body"
    if not line.strip():
        return "arguments" if in_list else "statement"
    if _MEMBER.search(without_word(line)):
        return "member"
    if in_list:
        return "arguments"
    return "name" if re.fullmatch(r"\s*\w+", line) else "expression"


def _is_docstring(snapshot: Snapshot, lang: Language, at_cursor: Balance) -> bool:
    if not lang.docstrings or at_cursor.delimiter not in lang.multiline_quotes:
        return False
    before = snapshot.prefix[: snapshot.prefix.rfind(at_cursor.delimiter)].rstrip()
    return not before or before.endswith(":")


def _opener_indent(snapshot: Snapshot, lang: Language) -> int | None:
    """Return the columns of the line whose block begins at the cursor, or None."""
    line = snapshot.line_prefix
    if lang.indented and line.strip() and line[-1:].isspace():
        return None  # `key: ` and `x[a: ` go on in the same line
    line = line if line.strip() else line_above(snapshot)
    return columns(line) if opens_block(_without_comment(line, lang), lang) else None


def _below_open_bracket(snapshot: Snapshot, lang: Language) -> bool:
    return not snapshot.line_prefix.strip() and _without_comment(line_above(snapshot), lang).endswith(("(", "[", "{"))


def _body_is_empty(snapshot: Snapshot) -> bool:
    line = snapshot.line_prefix if snapshot.line_prefix.strip() else line_above(snapshot)
    if snapshot.line_suffix.strip() and not re.fullmatch(r"\s*[)\]}]+[;,)]*\s*", snapshot.line_suffix):
        return False
    below = lines_below(snapshot, 1)
    return not below or columns(below[0]) <= columns(line)


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
