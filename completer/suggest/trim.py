"""Turn the model's output into a suggestion, or into none.

`trim` is a pure function over one snapshot: the stages below in their order, then brackets (`fit`), then the question
whether enough is left to be useful. Showing nothing is better than showing something wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from completer.suggest.block_end import sibling_stop
from completer.suggest.fit import Fitted, fit
from completer.suggest.indentation import indented
from completer.suggest.overlap import cut_repetition, cut_suffix_lines, duplicates_suffix, repeats_line_above
from completer.suggest.special import cut_fence, cut_special
from completer.syntax.cursor import CursorContext
from completer.syntax.lexer import close_of
from completer.types import MAX_LINE_CP, Replacement, Snapshot

_MIN_VISIBLE = 2
MAX_SHOWN_CP = 4_000
"""More than anybody reads as ghost text; single tokens of a hundred dashes make as much."""

Stage = Callable[[str, Snapshot, CursorContext], str]
Note = Callable[[str, str], None]
"""Told the name of a stage that changed the text, and the text after it."""


@dataclass(frozen=True, slots=True)
class Showing:
    """How the text is to be shown.

    selected: the suggestion must begin with it.  finished: the model ended the middle itself (not by a limit or
    a line break) or goes on with the rest of the line, which lets text before code on the same line through.
    explicit: the user asked, so `cursor.suppress` is ignored, and so is how short the text is.
    typed_through: the text is the rest of a visible suggestion, which does not vanish for being short.
    partial: more may follow, so no bracket is closed that the model has not closed.
    """

    selected: Replacement | None = None
    finished: bool = True
    explicit: bool = False
    typed_through: bool = False
    partial: bool = False


SHOWING = Showing()


def trim(
    raw: str, snapshot: Snapshot, cursor: CursorContext, showing: Showing = SHOWING, note: Note = lambda *_: None
) -> Replacement | None:
    """Return the suggestion made of the model's raw output, or None if not enough is left to be useful.

    Its lines end at "\\n", whatever the document uses: some clients insert a "\\r" as a character.
    """
    text, finished = raw[:MAX_SHOWN_CP], showing.finished
    for name, stage in STAGES:
        before, text = text, stage(text, snapshot, cursor)
        if text != before:
            note(name, text)
        if stage is _within_literal and cursor.closed and not before.endswith(text):
            finished = True  # it came to the end of the literal
    fitted = fit(text, snapshot, cursor, partial=showing.partial)
    if fitted is None or fitted.text != text:
        note("brackets", fitted.text if fitted else "")
    if fitted is None:
        return None
    if cursor.suppress and not showing.explicit and not _bridges(fitted, cursor, finished):
        note("text after the cursor", "")
        return None
    end_cp = snapshot.line_end_cp if fitted.replaces_rest else snapshot.cursor_cp
    text = _tidy(fitted.text, snapshot, end_cp)
    if not _worth_showing(text, snapshot, end_cp, 1 if showing.typed_through or showing.explicit else _MIN_VISIBLE):
        note("worth showing", "")
        return None
    return _with_selected(Replacement(text, snapshot.cursor_cp, end_cp), snapshot, showing.selected)


def _plain(text: str, _snapshot: Snapshot, _cursor: CursorContext) -> str:
    return cut_special(text).replace("\r\n", "\n").replace("\r", "\n")


def _within_literal(text: str, snapshot: Snapshot, cursor: CursorContext) -> str:
    """Cut where the text leaves the string or comment around the cursor, if that already ends after the cursor.

    Code inside a string ends on the cursor's line, as the string does. A docstring that nothing closes yet may be
    closed, but nothing may follow it. Models tend to begin a string that has only just been opened once more; that
    quote is dropped.
    """
    if cursor.in_string:
        return text.split("\n", 1)[0]
    if cursor.inside not in ("string", "block_comment") or not (cursor.closed or cursor.kind == "docstring"):
        return text
    just_opened = snapshot.cursor_cp == cursor.lex_start_cp + len(cursor.delimiter)
    if just_opened and text.startswith(cursor.delimiter) and text.strip() != cursor.delimiter:
        text = text[len(cursor.delimiter) :]
    closer = close_of(cursor.delimiter, cursor.language)
    found = re.search(rf"(?<!\\){re.escape(closer)}", text)
    if found is None:
        return text
    return text[: found.start()] if cursor.closed else text[: found.end()]


def _cut_block(text: str, snapshot: Snapshot, cursor: CursorContext) -> str:
    """Cut several lines where the block ends. A parenthesis closed on the first line is the business of `fit`."""
    if "\n" not in text:
        return text
    stop = sibling_stop(snapshot, cursor, text)
    if stop is None:
        return text
    closes_block = text[stop:].lstrip()[:1] == "}"
    return text[:stop] if closes_block or "\n" in text[: stop + 1] else text


def _without_trailing_space(text: str, snapshot: Snapshot, cursor: CursorContext) -> str:
    text = "\n".join(line.rstrip() for line in text.rstrip("\n").split("\n")) if "\n" in text else text
    return text.rstrip() if not snapshot.line_suffix.strip() and cursor.inside == "code" else text


STAGES: tuple[tuple[str, Stage], ...] = (
    ("special tokens", _plain),
    ("code fence", lambda text, _snapshot, cursor: cut_fence(text, cursor)),
    ("end of the literal", _within_literal),
    ("indentation", indented),
    ("repetition", lambda text, _snapshot, _cursor: cut_repetition(text)),
    ("lines that follow anyway", lambda text, snapshot, _cursor: cut_suffix_lines(text, snapshot)),
    ("end of the block", _cut_block),
    ("white space at line ends", _without_trailing_space),
)
"""Each takes the text that the one before it left, and only shortens it or changes white space."""


def _bridges(fitted: Fitted, cursor: CursorContext, finished: bool) -> bool:
    """Whether the text leads up to the rest of the line: it met it, or the model ended in front of it."""
    return cursor.suppress == "rest" and (fitted.bridged or finished)


def _tidy(text: str, snapshot: Snapshot, end_cp: int) -> str:
    """Drop white space at the end, but not what separates the text from the rest of the line."""
    if snapshot.language_id == "json" and re.match(r"\s*[}\]]", snapshot.text[end_cp : end_cp + MAX_LINE_CP]):
        text = text.rstrip(",")  # the last entry of a JSON object or list has none
    rest = snapshot.text[end_cp : snapshot.line_end_cp][:MAX_LINE_CP]
    if not rest.strip():
        return text.rstrip()
    return text.rstrip() if "\n" not in text and rest[0] in " \t)]};,:" else text


def _worth_showing(text: str, snapshot: Snapshot, end_cp: int, min_visible: int) -> bool:
    visible = [character for character in text if not character.isspace()]
    if len(visible) < min_visible or cut_special(text) != text or text == snapshot.text[snapshot.cursor_cp : end_cp]:
        return False
    return not repeats_line_above(text, snapshot) and not duplicates_suffix(text, snapshot, end_cp)


def _with_selected(trimmed: Replacement, snapshot: Snapshot, selected: Replacement | None) -> Replacement | None:
    if selected is None:
        return trimmed
    whole = snapshot.text[selected.start_cp : snapshot.cursor_cp] + trimmed.text
    if not whole.startswith(selected.text.replace("\r\n", "\n")):
        return None
    return Replacement(whole, selected.start_cp, max(trimmed.end_cp, selected.end_cp))
