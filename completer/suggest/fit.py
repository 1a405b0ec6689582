"""Fit generated text between the text before and after the cursor without breaking the balance of the document.

The brackets and literals of the cursor's surroundings are lexed with and without the new text. A balanced document must
stay balanced; brackets that the document owes may be closed, and those that the lines below close may be opened. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from os.path import commonprefix

from completer.syntax.cursor import CursorContext, opens_block
from completer.syntax.lexer import CLOSER, Balance, balance, tokens
from completer.types import Snapshot

_JOINS_FROM = 4
MAX_CUTS = 36
"""Ends that are tried; each costs a lexing of the text, and a text of brackets alone has hundreds."""
MAX_LINE_ENDS = 8
_DANGLING = " \t,+-*/%=<>&|^.:!?~"


@dataclass(frozen=True, slots=True)
class Fitted:
    """`text` for the cursor; replaces_rest: it takes the place of the rest of the line, too."""

    text: str
    replaces_rest: bool = False
    bridged: bool = False


def fit(text: str, snapshot: Snapshot, cursor: CursorContext, *, partial: bool = False) -> Fitted | None:
    """Return as much of `text` as fits, or None. Line breaks are "\\n".

    In this order: without what the rest of the line repeats; whole, in place of the rest of the line; whole; cut at the
    last bracket, literal or line end from which on it fits, with its own open brackets closed.
    partial: more may follow; what it opens may stay open, and nothing is closed that the model has not closed.
    """
    rest = snapshot.line_suffix
    fits = _Fits(snapshot, cursor)
    if rest.strip():
        if "\n" not in text and (short := _without_overlap(text, rest, fits)) is not None:
            return Fitted(short, bridged=True)
        if (joined := _rejoined(text, rest.strip(), fits)) is not None:
            return Fitted(joined, bridged=True)
        if _rewrites(rest.strip(), text) and fits(text, ""):
            return Fitted(text, replaces_rest=True, bridged=True)
        text = _before_rest(text, snapshot)
    tail = "\n" + _indent_of(snapshot.line_prefix) if rest.strip() else ""
    for end in _cuts(text):
        piece = text[:end]
        if not piece.strip():
            return None
        if "\n" in piece:
            if _ends_in_head(text, end, cursor):
                continue
            piece = piece.rstrip() + tail
        elif end < len(text):
            piece = piece.rstrip()
        if fits(piece, rest) or (partial and end == len(text) and fits.so_far(piece, rest)):
            return Fitted(piece, bridged=joins(text[end:], rest))
        closed = None if partial else fits.close(piece)
        if closed is not None and fits(closed, rest):
            return Fitted(closed)
    return None


class _Fits:
    """Whether a piece fits one place; the lexing without the piece is done once."""

    def __init__(self, snapshot: Snapshot, cursor: CursorContext) -> None:
        self._snapshot, self._cursor = snapshot, cursor
        self._head = snapshot.text[cursor.lex_start_cp : snapshot.cursor_cp]
        self._before = self._lex(snapshot.line_suffix)

    def __call__(self, piece: str, rest: str) -> bool:
        at_end, after = self._lex(piece), self._lex(piece + rest)
        return self._literals_fit(at_end, after, rest) and self._brackets_fit(after)

    def so_far(self, piece: str, rest: str) -> bool:
        """Whether the piece fits but for the brackets that it leaves open on its last line."""
        at_end, after = self._lex(piece), self._lex(piece + rest)
        n_kept = len(commonprefix((self._before.stack, after.stack)))
        closed = Counter(self._before.stack[n_kept:]) - Counter(self._cursor.owed)
        in_place = self._before.excess.startswith(after.excess) and not closed
        return "\n" not in piece and in_place and self._literals_fit(at_end, after, rest)

    def close(self, piece: str) -> str | None:
        """Return the piece with the brackets closed that it leaves open; None where that would close nothing."""
        cursor, start = self._cursor, len(self._head)
        if self._lex(piece).inside != cursor.inside:
            return None
        opened: list[int] = []
        body = piece.rstrip()
        tail = piece[len(body) :]
        piece = body.rstrip(_DANGLING)
        for token in tokens(self._head + piece, cursor.language):
            if token.kind == "bracket" and token.text in CLOSER:
                opened.append(token.start - start)
            elif token.kind == "bracket" and opened:
                opened.pop()
        mine = [at for at in opened if at >= 0]
        if not mine or not piece[mine[-1] + 1 :].strip():
            return None
        lines = piece.split("\n")
        for at in reversed(mine):
            closer = CLOSER[piece[at]]
            if piece[at + 1 :].split("\n", 1)[0].strip():
                lines[-1] += closer if piece[at] != "{" else f" {closer}"
            else:
                before = self._snapshot.line_prefix + piece[:at]
                lines.append(_indent_of(before.rsplit("\n", 1)[-1]) + closer)
        return "\n".join(lines) + (tail if "\n" in tail else "")

    def _lex(self, ahead: str) -> Balance:
        return balance(self._head + ahead, self._cursor.language, self._cursor.stack)

    def _literals_fit(self, at_end: Balance, after: Balance, rest: str) -> bool:
        inside = self._cursor.inside
        if at_end.inside == inside and at_end.delimiter == self._cursor.delimiter:
            return after.inside == self._before.inside
        if at_end.inside == "line_comment" or inside == "line_comment":
            return not rest.strip() and {at_end.inside, inside} <= {"line_comment", "code"}
        if inside == "code" and at_end.delimiter and at_end.delimiter == self._cursor.wanted_literal:
            return True
        return at_end.inside == "code" and not self._cursor.closed and after.inside == "code"

    def _brackets_fit(self, after: Balance) -> bool:
        before = self._before
        if not before.excess.startswith(after.excess):
            return False
        n_kept = len(commonprefix((before.stack, after.stack)))
        closed, opened = before.stack[n_kept:], after.stack[n_kept:]
        if Counter(closed) - Counter(self._cursor.owed):
            return False
        if opened and len(closed) < self._n_owed_by_line():
            return False  # `f(a {`: what the line itself owes comes first
        # What is left open must be what the lines below close.
        return self._cursor.wanted.startswith("".join(CLOSER[opener] for opener in reversed(opened)))

    def _n_owed_by_line(self) -> int:
        return min(len(self._cursor.owed), len(balance(self._snapshot.line_prefix, self._cursor.language).stack))


def joins(behind: str, rest: str) -> bool:
    """Whether what comes after a piece of the model's text goes on as the rest of the line does."""
    ahead = rest.lstrip()[:1]
    return bool(ahead) and behind.lstrip().startswith(ahead)


def _without_overlap(text: str, rest: str, fits: _Fits) -> str | None:
    """Return `text` without the end that the rest of the line begins with; None when there is no such end."""
    rest_code = rest.strip()
    for n in range(min(len(text), len(rest_code)), 0, -1):
        repeated = rest_code[:n]
        whole = n == len(rest_code)
        if not text.rstrip().endswith(repeated) or not (whole or not any(c.isalnum() or c.isspace() for c in repeated)):
            continue
        short = text.rstrip()[:-n]
        short = short if rest[:1] not in ("", " ", "\t") else short.rstrip()
        if fits(short, rest):
            return short
    return None


def _rejoined(text: str, rest: str, fits: _Fits) -> str | None:
    """Return `text` up to where its first line goes on as the rest of the line does; or None.

    It does where some characters are the same, where many follow a different punctuation mark, or where
    all that is left of the line is somewhere in the rest.
    """
    first = text.split("\n", 1)[0]
    for at in range(len(first)):
        ahead = first[at + 1 :].strip()
        same = len(commonprefix((first[at:], rest))) >= _JOINS_FROM
        if not same and not first[at].isalnum() and not rest[0].isalnum():
            same = len(commonprefix((first[at + 1 :], rest[1:]))) >= 2 * _JOINS_FROM
            same = same or (first[at] == rest[0] and len(ahead) >= 2 * _JOINS_FROM and ahead in rest)
        if same and fits(first[:at], rest):
            return first[:at]
    return None


def _rewrites(rest: str, text: str) -> bool:
    """Whether all of `rest` comes again in `text`, in order: only then can an editor show the change as ghost text."""
    characters = iter(text)
    return all(character in characters for character in rest)


def _ends_in_head(text: str, end: int, cursor: CursorContext) -> bool:
    """Whether the last of several lines of `text[:end]` is, as `text` has it, the head of a block: half a statement."""
    start = text.rstrip().rfind("\n", 0, end) + 1
    line = text[start : end + len(text[end:].split("\n", 1)[0])]
    cut_short = start < end < start + len(line.rstrip()) or not text[end:].strip()
    return start > 0 and cut_short and opens_block(line, cursor.language)


def _before_rest(text: str, snapshot: Snapshot) -> str:
    """Keep the first line only, unless the text after the cursor may move to a line of its own."""
    if any(c.isalnum() for c in snapshot.line_suffix):
        return text.split("\n", 1)[0]
    return text.rstrip("\n")


def _indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _cuts(text: str) -> list[int]:
    """Return the offsets at which `text` may end, longest first; of a text that has too many, the first line ends, too."""
    ends = {len(text)}
    ends.update(i for i, character in enumerate(text) if character in "()[]{}\n\"'`#/-<")
    ends.update(i + 1 for i, character in enumerate(text) if character in ")]}\"'`")
    tried = sorted(ends, reverse=True)[:MAX_CUTS]
    lines = [match.start() for match in islice(re.finditer("\n", text[: tried[-1]]), MAX_LINE_ENDS)]
    return tried + lines[::-1]
