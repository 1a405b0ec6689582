"""What generated text repeats: the lines after the cursor, the line above it, or itself. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from rapidfuzz.distance import Levenshtein

from completer.syntax.cursor import line_above, lines_below
from completer.types import MAX_LINE_CP, Snapshot

_COMPARED_LINES = 3
_FUZZY_FROM = 20
_SAME_LINES = 5
_DANGLING = " \t,+-*/%=<>&|^"
_REPEATED = re.compile(r"([^\n]{2,40}?)\1{4,}")


def cut_suffix_lines(text: str, snapshot: Snapshot) -> str:
    """Return `text` up to the line from which on it repeats what is already below the cursor's line.

    Compared are three lines, or as many as are left of `text`: several within 5 % of their characters (at least 1) if they
    have 20 characters or more, otherwise exactly and with the same indentation. A first line without a letter or digit
    is left to `fit`: whether another bracket is one too many is a matter of counting.
    """
    below = lines_below(snapshot, _COMPARED_LINES)
    lines = text.split("\n")
    for i in range(len(lines)):
        if not lines[i].strip() or (i == 0 and (snapshot.line_suffix.strip() or not _has_word(lines[i]))):
            continue
        ahead = [line for line in lines[i:] if line.strip()][:_COMPARED_LINES]
        if i == 0:
            ahead[0] = snapshot.line_prefix + ahead[0]
        if below and _repeats(ahead, below):
            return "\n".join(lines[:i])
    return text


def _target(line: str) -> str:
    """Return what a line assigns to, or the line itself if it assigns nothing."""
    return line.partition("=")[0]


def _has_word(line: str) -> bool:
    return any(character.isalnum() for character in line)


def _repeats(ahead: list[str], below: list[str]) -> bool:
    n = min(len(ahead), len(below))
    mine, theirs = ([line.rstrip() for line in lines[:n]] for lines in (ahead, below))
    if mine == theirs and (len(ahead) <= len(below) or len(below) < _COMPARED_LINES):
        return True  # all of the text, or all that is left of the document
    if mine[0] == theirs[0] and sum(c.isalnum() for c in mine[0]) >= 10:
        return True
    a, b = ("\n".join(line.strip() for line in lines) for lines in (mine, theirs))
    limit = max(1, max(len(a), len(b)) // 20)
    if n == 1 and _target(a) != _target(b):
        return a == b  # similar lines follow each other in tables, lists and tests
    return min(len(a), len(b)) >= _FUZZY_FROM and Levenshtein.distance(a, b, score_cutoff=limit) <= limit


def cut_repetition(text: str) -> str:
    """Return `text` up to where it begins to repeat itself; the first of the repeated pieces stays.

    Five equal lines, three equal groups of two or three lines, or five equal stretches within a line are repetition.
    """
    lines = text.split("\n")
    bare = [line.strip() for line in lines]
    for i in range(len(lines)):
        for size, times in ((1, _SAME_LINES), (2, 3), (3, 3)):
            group = bare[i : i + size]
            if any(c.isalnum() for c in "".join(group)) and bare[i : i + size * times] == group * times:
                return "\n".join(lines[: i + size])
    for match in _REPEATED.finditer(text):
        if any(character.isalnum() for character in match[1]):
            return text[: match.end(1)].rstrip(_DANGLING)
    return text


def repeats_line_above(text: str, snapshot: Snapshot) -> bool:
    """Whether the first line, completed by `text`, is the line above once more."""
    first = (snapshot.line_prefix + text.split("\n", 1)[0] + snapshot.line_suffix).strip()
    return first == line_above(snapshot).strip() and sum(c.isalnum() for c in first) >= 4


def duplicates_suffix(text: str, snapshot: Snapshot, end_cp: int) -> bool:
    """Whether the document would contain the same twice after `text` replaces up to `end_cp`.

    True when the text ends with all of the rest of the line that stays, or with the lines that follow.
    """
    rest = snapshot.text[end_cp : snapshot.line_end_cp][:MAX_LINE_CP].strip()
    if len(rest) >= 3 and text.rstrip().endswith(rest):
        return True
    if end_cp > snapshot.cursor_cp:  # what is replaced is no longer there, so the first line counts, too
        snapshot = replace(snapshot, text=snapshot.text[: snapshot.cursor_cp] + snapshot.text[end_cp:])
    return not rest and cut_suffix_lines(text, snapshot) != text
