"""The width of indentation, in columns."""

from __future__ import annotations

import re

TAB_COLUMNS = 4
_SEARCHED_CP = 32_000
"""How much of a file is searched for an indented line."""


def columns(line: str) -> int:
    """Return the width of a line's indentation in columns; a tab counts `TAB_COLUMNS`."""
    head = line[: len(line) - len(line.lstrip(" \t"))]
    return len(head) + (TAB_COLUMNS - 1) * head.count("\t")


def indent_unit(text: str) -> int:
    """Return the columns of one level of indentation in a file: 2, 4 or 8 (`TAB_COLUMNS` where tabs indent it)."""
    found = re.search(r"^(\t| {2}(?! *\*)| {4}| {8})(?=\S)", text[:_SEARCHED_CP], re.MULTILINE)
    return TAB_COLUMNS if found is None or found[1] == "\t" else len(found[1])
