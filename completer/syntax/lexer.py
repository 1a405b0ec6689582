"""Strings, comments and brackets of a piece of text, found by one regular expression per language.

This is the part of the syntax that must also work on text that is being written: a tree of unfinished code is full of
error nodes, but which brackets are open and whether the cursor is in a string is decided by the text before it.
All functions are pure; offsets are code points.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from completer.syntax.languages import Language

CLOSER = {"(": ")", "[": "]", "{": "}"}
OPENER = {closer: opener for opener, closer in CLOSER.items()}

_BLOCK_CP = 2_000
"""Lines are lexed in blocks of so many characters, so that a change costs one block."""

_MAX_PATTERN_CP = 300
_CASE_PATTERN = re.compile(r"[ \t]*\(?[^\s()|]+(?:[ \t]*\|[ \t]*[^\s()|]+)*+")
_REGEX = (
    r"(?:\A|(?<=[(,=:\[!&|?{;\n])|(?<=[(,=:\[!&|?{;~ ] )|(?<=\breturn )|(?<=\bwhen )|(?<=\bif ))"
    r"/(?![/*\s=])(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n]){0,100}+\]|[^/\\\[\n]){1,300}+/[a-z]*"
)
"""A regular expression literal: it begins where an operand may, which is told by what is before it."""

Inside = Literal["code", "string", "line_comment", "block_comment"]


class Lexeme(NamedTuple):  # not a dataclass: a window of text has thousands, and these are cheaper to make
    """A string, comment or bracket at `[start, end)`. closed: False for a literal that the end of the text cut off."""

    kind: Literal["string", "line_comment", "block_comment", "bracket"]
    start: int
    end: int
    text: str
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Balance:
    """The brackets that a text leaves open, and what its end is inside of.

    stack: open brackets, outermost first.  excess: closing brackets that close nothing, in order.
    inside: what the end of the text is inside of; delimiter: the quote or marker of that literal.
    """

    stack: str
    excess: str
    inside: Inside = "code"
    delimiter: str = ""


def tokens(text: str, language: Language, start_cp: int = 0) -> list[Lexeme]:
    """Return the strings, comments and brackets of `text` from `start_cp` on, which is in plain code."""
    found = []
    for match in matches(text, language, start_cp):
        kind = match.lastgroup
        start, end, piece = match.start(), match.end(), match.group()
        if kind == "bracket":
            found.append(Lexeme("bracket", start, end, piece))
        elif kind == "line_comment":
            found.append(Lexeme("line_comment", start, end, piece, closed=end < len(text)))
        elif kind == "block_comment":
            closed = end < len(text) or any(
                piece.startswith(a) and piece.endswith(b) and len(piece) >= len(a) + len(b) for a, b in language.block_comments
            )
            found.append(Lexeme("block_comment", start, end, piece, closed))
        else:
            found.append(Lexeme("string", start, end, piece, end < len(text) or _string_closed(piece, language)))
    return found


def matches(text: str, language: Language, start_cp: int = 0) -> Iterator[re.Match[str]]:
    """Return the literals, comments and brackets one by one; `lastgroup` is the kind. Brackets of case patterns are left out."""
    found = _pattern(language).finditer(text, start_cp)
    if not language.case_patterns:
        return found
    return (match for match in found if match.group() != ")" or not _ends_case_pattern(text, match.start()))


def _ends_case_pattern(text: str, at: int) -> bool:
    """Whether the parenthesis at `at` ends the pattern of a branch: the line begins with it, after `in` or `;;`."""
    line_start = text.rfind("\n", max(0, at - _MAX_PATTERN_CP), at) + 1
    if not line_start or not _CASE_PATTERN.fullmatch(text, line_start, at):
        return False
    return text[max(0, line_start - _MAX_PATTERN_CP) : line_start].rstrip().endswith((" in", ";;", ";&"))


def balance(text: str, language: Language, stack: str = "") -> Balance:
    """Return what is open at the end of `text`, which starts in plain code below the open brackets `stack`."""
    return balance_of(tokens(text, language), language, stack)


def balance_of(found: list[Lexeme], language: Language, stack: str = "") -> Balance:
    """The same as `balance`, for tokens already found."""
    opened, excess = list(stack), []
    for token in found:
        if token.kind != "bracket" or not language.brackets:
            continue
        if token.text in CLOSER:
            opened.append(token.text)
        elif opened and opened[-1] == OPENER[token.text]:
            opened.pop()
        else:
            excess.append(token.text)
    inside: Inside = "code"
    delimiter = ""
    if found and not found[-1].closed:
        last = found[-1]
        assert last.kind != "bracket"
        inside, delimiter = last.kind, _delimiter(last.text, language)
    return Balance("".join(opened), "".join(excess), inside, delimiter)


def balance_behind(before: Balance, found: list[Lexeme], language: Language) -> Balance:
    """Return the balance after `found`, which follow a text of the balance `before`."""
    here = balance_of(found, language, before.stack)
    return Balance(here.stack, before.excess + here.excess, here.inside, here.delimiter)


class LexedLines(NamedTuple):
    """The lexing of whole lines. resume: offset from which what follows lexes as it does in the document.

    balance: at `resume`.  last: start of the last token before it, -1 without one.  stack_before_last: open brackets there.
    """

    resume: int
    balance: Balance
    last: int
    stack_before_last: str


@lru_cache(maxsize=64)
def lex_lines(lines: str, language: Language) -> LexedLines:
    """Lex whole lines that start in plain code, block by block, each cached with all above it.

    So a line more, or one that changes, costs the lexing of its own block.
    """
    cut = lines.rfind("\n", 0, max(0, len(lines) - 1) // _BLOCK_CP * _BLOCK_CP) + 1
    above = lex_lines(lines[:cut], language) if cut else LexedLines(0, Balance("", ""), -1, "")
    found = tokens(lines, language, above.resume)
    resume = len(lines)
    if found and not found[-1].closed:  # a literal that goes on in the cursor's line
        resume = found.pop().start
    if not found:
        return above._replace(resume=resume)
    stack_before_last = balance_of(found[:-1], language, above.balance.stack).stack
    return LexedLines(resume, balance_behind(above.balance, found, language), found[-1].start, stack_before_last)


@lru_cache(maxsize=8)
def closing(text: str, language: Language) -> str:
    """Return the closing brackets of `text` that come when none of its own is open, whatever their kind, in order.

    Cached: the text after the cursor is the same for many keys.
    """
    found, depth = [], 0
    for match in matches(text, language) if language.brackets else ():
        if match.lastgroup != "bracket":
            continue
        if match.group() in CLOSER:
            depth += 1
        elif depth:
            depth -= 1
        else:
            found.append(match.group())
    return "".join(found)


def unclosed(stack: str, closers: str) -> str:
    """Return those of the open brackets `stack` that none of the brackets `closers` after them closes, innermost first.

    An inner bracket without a partner is passed over when the partner of an outer one comes.
    """
    waiting, owed, n_waiting = list(stack), [], Counter(stack)
    for closer in closers:
        if not n_waiting[OPENER[closer]]:
            continue
        while waiting[-1] != OPENER[closer]:
            owed.append(waiting.pop())
            n_waiting[owed[-1]] -= 1
        waiting.pop()
        n_waiting[OPENER[closer]] -= 1
    return "".join(owed) + "".join(reversed(waiting))


def _delimiter(piece: str, language: Language) -> str:
    marks = (*(opener for opener, _ in language.block_comments), *language.quotes)
    return next((mark for mark in marks if piece.startswith(mark)), "")


def close_of(delimiter: str, language: Language) -> str:
    """Return what ends the literal that `delimiter` begins."""
    for opener, closer in language.block_comments:
        if delimiter == opener:
            return closer
    return "]]" if delimiter == "[[" else delimiter


def _string_closed(piece: str, language: Language) -> bool:
    mark = _delimiter(piece, language)
    if not mark:
        return True  # a character literal matches only whole
    end = close_of(mark, language)
    body = piece[len(mark) :]
    if not body.endswith(end):
        return False
    slashes = len(body) - len(end) - len(body[: -len(end)].rstrip("\\"))
    return slashes % 2 == 0


@lru_cache(maxsize=64)
def _pattern(language: Language) -> re.Pattern[str]:
    """The literals and brackets, tried only at characters that can begin one: that halves the time."""
    marks = [*language.quotes, *(opener for opener, _ in language.block_comments), *language.line_comments, language.char_quote]
    begins = set("()[]{}/" if language.regexes else "()[]{}")
    begins |= {character for mark in marks for character in mark if not character.isalnum()}
    return re.compile(f"(?=[{re.escape(''.join(sorted(begins)))}])(?:{literals(language)})")


def literals(language: Language) -> str:
    """Return the regular expression of a literal, comment or bracket of the language, in groups named as `Lexeme.kind`."""
    blocks = "|".join(rf"{re.escape(a)}(?s:.*?)(?:{re.escape(b)}|\Z)" for a, b in language.block_comments)
    lines = "|".join(language.line_comments)
    strings = [_string(mark, language) for mark in language.quotes]
    if language.regexes:
        strings.append(_REGEX)
    if mark := language.char_quote:
        strings.append(rf"{mark}(?:\\[^\n]|[^\\\n{mark}]){mark}")
    groups = [
        f"(?P<block_comment>{blocks})" if blocks else "",
        f"(?P<line_comment>(?:{lines})[^\\r\\n]*)" if lines else "",
        f"(?P<string>{'|'.join(strings)})" if strings else "",
        r"(?P<bracket>[()\[\]{}])",
    ]
    return "|".join(group for group in groups if group)


def _string(mark: str, language: Language) -> str:
    """Return the regular expression of a string. Code inside it that ends on its line may hold the string's own quote."""
    if mark == "[[":
        return r"\[\[(?s:.*?)(?:\]\]|\Z)"
    end = re.escape(mark)
    inner = "".join(
        rf"{re.escape(one.opener)}[^{re.escape(one.opener[-1] + closer)}\r\n]*{re.escape(closer)}|"
        for one in language.interpolations
        if one.quote == mark and len(one.opener) > 1 and (closer := CLOSER.get(one.opener[-1]))
    )
    if mark in language.multiline_quotes:
        return rf"{end}(?>\\(?s:.)|{inner}[^\\])*?(?:{end}|\\?\Z)"
    return rf"{end}(?>\\[^\r\n]|{inner}[^\\\r\n])*?(?:{end}|(?=\\?[\r\n])|\\?\Z)"
