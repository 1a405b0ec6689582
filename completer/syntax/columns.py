"""The width of indentation, in columns, and what a file is indented with."""

from __future__ import annotations

import re

from completer.syntax.languages import Language

TAB_COLUMNS = 4
_SEARCHED_CP = 32_000
"""How much of a file is searched for an indented line."""


def columns(line: str) -> int:
    """Return the width of a line's indentation in columns; a tab counts `TAB_COLUMNS`."""
    head = line[: len(line) - len(line.lstrip(" \t"))]
    return len(head) + (TAB_COLUMNS - 1) * head.count("\t")


def indent_unit(text: str, language: Language) -> int:
    """Return the columns of one level of indentation: as in the file, or else as the language's custom is."""
    found = re.search(r"^(\t| {2}(?! *\*)| {4}| {8})(?=\S)", text[:_SEARCHED_CP], re.MULTILINE)
    if found is None:
        return language.indent or TAB_COLUMNS
    return TAB_COLUMNS if found[1] == "\t" else len(found[1])


def uses_tabs(text: str, language: Language) -> bool | None:
    """Return whether a file is indented by tabs, or else whether the language's custom is; None: the file has no example."""
    head = "\n" + text[:_SEARCHED_CP]
    with_tabs, with_spaces = head.count("\n\t"), head.count("\n  ")
    if with_tabs or with_spaces:
        return with_tabs > with_spaces
    return True if language.indent == 0 else None
