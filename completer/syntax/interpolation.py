"""Code inside a string: `"Hello #{name}"`. Around the cursor it is code like any other, up to the bracket that ends it."""

from __future__ import annotations

import re

from completer.syntax.languages import Language
from completer.syntax.lexer import CLOSER, Lexeme, matches, tokens

MAX_LITERAL_CP = 4_000
"""A longer literal is taken for a string throughout."""
MAX_DEPTH = 3
"""Strings inside the code of strings that are looked into."""


def code_start(text: str, literal_cp: int, quote: str, language: Language, depth: int = 0) -> int | None:
    """Return the offset of the bracket that begins the innermost code around the end of `text`, or None.

    literal_cp: where the string begins that the end of `text` is in; quote: its delimiter.
    """
    if len(text) - literal_cp > MAX_LITERAL_CP or depth == MAX_DEPTH:
        return None
    openers = [one.opener for one in language.interpolations if one.quote == quote and _has(one.prefix, text, literal_cp)]
    if not openers:
        return None
    begins = re.compile(r"\\.|" + "|".join(map(re.escape, openers)), re.DOTALL)
    at: int | None = literal_cp + len(quote)
    while at is not None and (found := begins.search(text, at)) is not None:
        if found.group().startswith("\\"):
            at = found.end()
            continue
        if found.group() == "{" and text.startswith("{{", found.start()):
            at = found.end() + 1  # a brace that stands for itself
            continue
        start = found.start() + next(i for i, character in enumerate(found.group()) if character in CLOSER)
        at = _end_of_code(text, start, language)
        if at is None:
            return _innermost(text, start, language, depth)
    return None


def _has(prefix: str, text: str, literal_cp: int) -> bool:
    before = re.search(r"[\w$@]*\Z", text[max(0, literal_cp - 4) : literal_cp])
    return not prefix or (before is not None and re.fullmatch(prefix, before.group()) is not None)


def _end_of_code(text: str, start: int, language: Language) -> int | None:
    """Return the offset after the bracket that closes the one at `start`; None if it is open at the end of the text."""
    depth = 0
    for match in matches(text, language, start):
        if match.lastgroup == "bracket":
            depth += 1 if match.group() in CLOSER else -1
            if depth == 0:
                return match.end()
    return None


def _innermost(text: str, start: int, language: Language, depth: int) -> int:
    found = tokens(text, language, start)
    last: Lexeme | None = found[-1] if found else None
    if last is None or last.kind != "string" or last.closed:
        return start
    quote = next((mark for mark in language.quotes if last.text.startswith(mark)), "")
    return code_start(text, last.start, quote, language, depth + 1) or start
