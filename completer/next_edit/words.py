"""Lines of code as tokens, without a grammar: the same for all languages. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_WORD = re.compile(r"[^\W\d]\w*|\d[\w.]*|[^\w\s]")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")

_KEYWORDS = (
    "and as async await bool break case catch class const continue def defer del do elif else end enum except export extends "
    "extern false final finally fn for from func function go goto if impl implements import in instanceof int interface is "
    "lambda let loop match mod module mut namespace new nil None not null object of or package pass private protected pub "
    "public raise ref require return self Self static str string struct super switch this throw throws trait true True False "
    "try type typeof undefined union unless unsafe until use using var void when where while with yield"
)
KEYWORDS = frozenset(_KEYWORDS.split())
"""Words that no rule takes for a name: those of the languages that a rename must leave alone."""

DEFINERS = frozenset(("class", "def", "enum", "fn", "func", "function", "interface", "mod", "module", "struct", "trait", "type"))
"""Keywords before the name that a definition gives."""
BINDERS = frozenset(("const", "let", "var", "val", "mut", "final", "static"))
"""Keywords before the name of a variable."""


class Word(NamedTuple):
    """A token at `[start, end)` of the text that it was read from."""

    text: str
    start: int
    end: int


def words(text: str, start: int = 0, end: int | None = None) -> list[Word]:
    """Return the tokens of `text[start:end]`, without whitespace; offsets count from the start of `text`."""
    found = _WORD.finditer(text, start, len(text) if end is None else end)
    return [Word(match.group(), match.start(), match.end()) for match in found]


def is_name(text: str) -> bool:
    """Whether a token is an identifier that a program may have chosen."""
    return _IDENTIFIER.fullmatch(text) is not None and text not in KEYWORDS


def is_identifier(text: str) -> bool:
    """Whether a token is a word: a name or a keyword."""
    return _IDENTIFIER.fullmatch(text) is not None


def with_words(text: str, others: Mapping[str, str]) -> str:
    """Return the text with each token that is a key of `others` replaced."""
    return _WORD.sub(lambda match: others.get(match.group(), match.group()), text) if others else text


def line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def line_end(text: str, at: int) -> int:
    """Return where the line at `at` ends, its line ending not counted."""
    found = text.find("\n", at)
    end = found if found >= 0 else len(text)
    return end - 1 if end > at and text[end - 1] == "\r" else end


def occurrences(text: str, word: str) -> list[int]:
    """Return where `word` stands as a whole word, in order. Lone punctuation is found anywhere."""
    if not word:
        return []
    at, found = text.find(word), []
    whole = is_identifier(word) or word[0].isdigit()
    while at >= 0:
        end = at + len(word)
        joined = whole and ((at > 0 and joins(text[at - 1])) or (end < len(text) and joins(text[end])))
        if not joined:
            found.append(at)
        at = text.find(word, end)
    return found


def joins(character: str) -> bool:
    """Whether a character goes on with a word; "" does not."""
    return character.isalnum() or character == "_"
