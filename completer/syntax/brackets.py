"""What is open around the cursor, counted over the text on both sides of it: brackets, literals, the column of a closer."""

from __future__ import annotations

import re
from functools import lru_cache

from completer.syntax.columns import columns
from completer.syntax.languages import Language
from completer.syntax.lexer import CLOSER, Balance, balance, close_of, closing, tokens, unclosed
from completer.types import Snapshot

WINDOW_CP = 32_000
"""How much of a document is lexed on each side of the cursor."""
AT_MARGIN = re.compile(r"^[A-Za-z@#]", re.MULTILINE)
_NEAR_CP = 8_000
"""How far above a line the one is looked for that its closing bracket belongs to."""


def unmatched(stack: str, snapshot: Snapshot, lang: Language) -> tuple[str, str]:
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
    if len(snapshot.text) - snapshot.cursor_cp <= WINDOW_CP:
        return snapshot.suffix
    return _up_to_margin(snapshot.text[snapshot.cursor_cp : snapshot.cursor_cp + WINDOW_CP])


@lru_cache(maxsize=8)
def _up_to_margin(near: str) -> str | None:
    """Return the text up to the last definition at the margin. The text after the cursor is the same for many keys."""
    margins = [match.start() for match in AT_MARGIN.finditer(near) if match.start() > 0]
    return near[: margins[-1]] if margins else None


def wanted_literal(snapshot: Snapshot, lang: Language) -> str:
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
    """Return the closing brackets of `text` that it does not open. The text after the cursor is the same for many keys."""
    return balance(text, lang).excess


def literal_closed(at_cursor: Balance, snapshot: Snapshot, lang: Language) -> bool:
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


def closer_column(snapshot: Snapshot, lang: Language, owed: str) -> int | None:
    """Return the column of the line whose bracket the next closing one closes, or None if that is not near."""
    start = max(0, snapshot.line_start_cp - _NEAR_CP)
    start = snapshot.text.find("\n", start, snapshot.line_start_cp) + 1 if start else 0
    above = snapshot.text[start : snapshot.line_start_cp]
    opened: list[int] = []
    partners: list[tuple[int, int]] = []
    for token in tokens(above, lang):
        if token.kind == "bracket" and token.text in CLOSER:
            opened.append(token.start)
        elif token.kind == "bracket" and opened:
            partners.append((opened.pop(), token.start))
    if not opened or above[opened[-1]] != owed[:1]:
        return None
    line_start = above.rfind("\n", 0, opened[-1]) + 1
    # `int b) {` belongs to the line with the parenthesis that it closes.
    heads = [start for start, end in partners if line_start <= end < opened[-1] and above[start] == "("]
    lines = above[: min([opened[-1], *heads])].split("\n")
    column = columns(lines[-1])
    before = next((line for line in reversed(lines[:-1]) if line.strip()), "")
    braces = above[opened[-1]] == "{" and not lang.enders
    if braces and before and columns(before) < column and not before.rstrip().endswith(("{", "}", ";", ":", ",", "(", "[")):
        return columns(before)  # the head of the block goes on over two lines
    return column
