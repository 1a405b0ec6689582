"""The white space that generated lines begin with: the column of the first one, tabs or spaces in all."""

from __future__ import annotations

import re

from completer.syntax.brackets import closer_column
from completer.syntax.columns import TAB_COLUMNS, columns, indent_unit, uses_tabs
from completer.syntax.cursor import CursorContext, line_above, lines_below, opens_block
from completer.syntax.lexer import OPENER
from completer.types import Snapshot

_SAID_TWICE = re.compile(r"(?!long\b)\w+(?:::|\.|->|/| )")  # the last word, or path segment, before the cursor
_CONTINUES = re.compile(r"\??\.\w|[?:&|+*/<=-]|(?:and|or)\b")
_NO_BRACE = re.compile(r"\s*(?:\}?\s*else\b)?\s*(?:(?:if|for|while|foreach)\b.*\)|else)\s*\Z|.*(?:=>?|\?|&&|\|\||:)\s*\Z")


def indented(text: str, snapshot: Snapshot, cursor: CursorContext) -> str:
    """Give the lines the file's tabs or spaces, and the first line no more white space than belongs at the cursor."""
    first, *others = text.split("\n")
    line = snapshot.line_prefix
    if cursor.inside == "code" and first.strip():
        first = first[_said_twice(first, line) :]
        if line[-1:] in (" ", "\t") and line.strip():
            first = first.lstrip(" \t")
        elif not line.strip():
            placed = _at_column(first, snapshot, cursor)
            others = _moved(others, columns(line) + columns(first), columns(first) - columns(placed))
            first = placed
    if cursor.language.tab_bodies:
        above = line_above(snapshot) if not line.strip() else line + first
        return "\n".join(_with_tabs([first, *others], above, cursor, at_start=not line))
    tabs = uses_tabs(snapshot.text, cursor.language)
    first = _reindent(first, tabs) if not line.strip() else first
    return "\n".join([first, *(_reindent(other, tabs) for other in others)])


def _with_tabs(lines: list[str], above: str, cursor: CursorContext, *, at_start: bool) -> list[str]:
    """Return the lines with a tab before those of a block's body. Others keep their spaces: a tab would make them its body.

    above: the last line above the second one that is not blank, or above the first one if that is blank before the cursor.
    at_start: the first line begins at the start of its line.
    """
    shown, in_body = [], _begins_body(above, cursor)
    for n, line in enumerate(lines):
        body = line.lstrip(" \t")
        is_whole = n > 0 or at_start
        if is_whole and body and body != line and in_body:
            line = "\t" + body
        elif is_whole and body:
            in_body = _begins_body(line, cursor)
        shown.append(line)
    return shown


def _begins_body(line: str, cursor: CursorContext) -> bool:
    """Whether the next line is of a body: it follows another one, or what opens the block."""
    return line.startswith("\t") or opens_block(line, cursor.language)


def _at_column(first: str, snapshot: Snapshot, cursor: CursorContext) -> str:
    """Return the first line of a blank line's suggestion with the white space that belongs between cursor and text."""
    body, at_cursor = first.lstrip(" \t"), columns(snapshot.line_prefix)
    if body[0] in OPENER and cursor.owed and (column := closer_column(snapshot, cursor.language, cursor.owed)) is not None:
        return " " * max(0, column - at_cursor) + body
    below = lines_below(snapshot, 1)
    is_placed = at_cursor > (cursor.body_of or 0)  # the user, or the editor, has put it at its column
    deepest = max(at_cursor if is_placed else cursor.indent, columns(below[0]) if below else 0)
    if not cursor.language.indented and _goes_on_from_above(body, snapshot):
        deepest += 2 * indent_unit(snapshot.text, cursor.language)
    return " " * min(max(0, deepest - at_cursor), columns(first)) + body


def _moved(lines: list[str], block: int, by: int) -> list[str]:
    """Return the lines with those of a block, which begins at this column, `by` columns to the left."""
    return [_shifted(line, by) if by > 0 and line.strip() and columns(line) >= block else line for line in lines]


def _shifted(line: str, by: int) -> str:
    width = columns(line) - by
    body, tabs = line.lstrip(" \t"), line.startswith("\t")
    return ("\t" * (width // TAB_COLUMNS) + " " * (width % TAB_COLUMNS) if tabs else " " * width) + body


def _goes_on_from_above(body: str, snapshot: Snapshot) -> bool:
    """Whether a line may be indented more than the statement above: a chained call, an operator, a body without braces."""
    return _CONTINUES.match(body) is not None or _NO_BRACE.match(line_above(snapshot)) is not None


def _said_twice(first: str, line: str) -> int:
    """Return how many characters of `first` are the end of `line` once more: its last segment, or two words and more."""
    segment = _SAID_TWICE.match(first)
    if segment and line.endswith(segment[0]) and not re.match(r"\w", line[-len(segment[0]) - 1 : -len(segment[0])]):
        return segment.end()
    starts = [match.start() for match in re.finditer(r"\w+", line)][:-1]
    return next((len(line) - at for at in starts if first.startswith(line[at:])), 0)


def _reindent(line: str, tabs: bool | None) -> str:
    body = line.lstrip(" \t")
    if tabs is None or (("\t" not in line[: len(line) - len(body)]) if not tabs else line[:1] != " "):
        return line
    width = columns(line)
    return (("\t" * (width // TAB_COLUMNS) + " " * (width % TAB_COLUMNS)) if tabs else " " * width) + body
