"""Turn what the model wrote into what is worth showing.

`trim` is a pure function over one snapshot: special tokens, indentation, repetition, what already stands behind the
cursor, brackets, white space, line endings; in that order. Showing nothing beats showing something wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from completer.suggest.block_end import sibling_stop
from completer.suggest.fit import Fitted, fit
from completer.suggest.overlap import cut_repetition, cut_suffix_lines, duplicates_suffix, repeats_line_above
from completer.syntax.cursor import (
    TAB_COLUMNS,
    Place,
    closer_column,
    columns,
    indent_unit,
    line_above,
    lines_below,
    without_word,
)
from completer.syntax.lexer import OPENER, close_of, tokens
from completer.types import MAX_LINE_CP, Snapshot

_SPECIAL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<｜[^｜\n]{1,40}｜>|<\[(?:fim-|end)[^\]\n]{0,30}\]>"
    r"|<(?:fim_(?:prefix|suffix|middle|pad)|file_sep|repo_name|endoftext|jupyter_\w+|reponame|filename)>"
    r"|▁?<(?:PRE|SUF|MID|EOT)>|\[(?:PREFIX|SUFFIX|MIDDLE)\]|</s>\s*\Z"
)
_SPECIAL_BEGUN = re.compile(r"<(?:\|(?:f|fi|fim|end|file|repo|im)?[a-z_]*\|?|｜[^｜\n]{0,40}|fim_?[a-z]*)\Z")
_SAID_TWICE = re.compile(r"(?!long\b)\w+(?:::|\.|->|/| )")  # the last word, or path segment, before the cursor
_CONTINUES = re.compile(r"\??\.\w|[?:&|+*/<=-]|(?:and|or)\b")
_NO_BRACE = re.compile(r"\s*(?:\}?\s*else\b)?\s*(?:(?:if|for|while|foreach)\b.*\)|else)\s*\Z|.*(?:=>?|\?|&&|\|\||:)\s*\Z")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_MIN_VISIBLE = 2
_SEARCHED_CP = 400_000
"""How much of the document on each side of the cursor is searched for a word."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """`text` replaces `[start_cp, end_cp)` of the snapshot: on the cursor's line, start_cp <= cursor_cp <= end_cp."""

    text: str
    start_cp: int
    end_cp: int


@dataclass(frozen=True, slots=True)
class Selected:
    """The entry selected in the editor's completion list: accepting it would put `text` for `[start_cp, end_cp)`."""

    text: str
    start_cp: int
    end_cp: int


def trim(
    raw: str,
    snapshot: Snapshot,
    where: Place,
    *,
    selected: Selected | None = None,
    finished: bool = True,
    explicit: bool = False,
    typed_through: bool = False,
    partial: bool = False,
) -> Trimmed | None:
    """Return the suggestion made of the model's raw output, or None where there is nothing worth a Tab.

    selected: the suggestion must begin with it.  finished: the model ended the middle itself (not by a limit or
    a line break) or goes on with the rest of the line, which lets text in front of code on the same line stand.
    explicit: the user asked, so `where.suppress` is ignored, and so is how short the text is.
    typed_through: the text is the rest of a visible suggestion, which does not vanish for being short.
    partial: more may follow, so no bracket is closed that the model has not closed.
    """
    text = cut_special(raw).replace("\r\n", "\n").replace("\r", "\n")
    text = cut_fence(text, where)
    within = _within_literal(text, snapshot, where)
    finished = finished or (where.closed and not text.endswith(within))  # it came to the end of the literal
    text = _indented(within, snapshot, where)
    text = cut_suffix_lines(cut_repetition(text), snapshot)
    text = _cut_block(text, snapshot, where)
    text = "\n".join(line.rstrip() for line in text.rstrip("\n").split("\n")) if "\n" in text else text
    if not snapshot.line_suffix.strip() and where.inside == "code":
        text = text.rstrip()
    fitted = fit(text, snapshot, where, partial=partial)
    if fitted is None or (where.suppress and not explicit and not _bridges(fitted, where, finished)):
        return None
    end_cp = snapshot.line_end_cp if fitted.replaces_rest else snapshot.cursor_cp
    text = _tidy(fitted.text, snapshot, end_cp)
    if snapshot.language_id == "json" and re.match(r"\s*[}\]]", snapshot.text[end_cp:]):
        text = text.rstrip(",")  # the last entry of a JSON object or list has none
    if not _worth_showing(text, snapshot, end_cp, 1 if typed_through or explicit else _MIN_VISIBLE):
        return None
    return _with_selected(Trimmed(_with_line_ends(text, snapshot), snapshot.cursor_cp, end_cp), snapshot, selected)


def cut_special(raw: str) -> str:
    """Return `raw` up to its first special token of any model family, or a beginning of one at its end."""
    found = _SPECIAL.search(raw) or _SPECIAL_BEGUN.search(raw)
    return raw[: found.start()] if found else raw


def cut_fence(text: str, where: Place) -> str:
    """Return `text` up to a code fence: the model's way to end its answer. In prose and comments a fence is text."""
    found = None if where.inside != "code" or not where.language.brackets else _FENCE.search(text)
    return text if found is None else text[: found.start()].rstrip()


def clean_partial(raw: str, snapshot: Snapshot, where: Place, *, whole_words: bool = False) -> str:
    """Return what of an unfinished output ends at a clean boundary, for `trim` to go on with; "" where nothing does.

    Dropped from its end: the last of several lines, a string begun and not ended, and an identifier that may go on,
    unless the whole word stands somewhere in the document already, or `whole_words` says that none goes on.
    Brackets may stay open: who accepts goes on inside them.
    """
    text = cut_special(raw)
    whole_lines, line_end, _ = text.rpartition("\n")
    if whole_lines.strip():
        return whole_lines.rstrip() + line_end
    head = snapshot.text[where.lex_start_cp : snapshot.cursor_cp]
    found = tokens(head + text, where.language)
    if found and found[-1].kind == "string" and not found[-1].closed and found[-1].start >= len(head):
        text = text[: found[-1].start - len(head)]
    if not whole_words and (word := re.search(r"\w+\Z", text)):
        line = snapshot.line_prefix
        whole = (line[len(without_word(line)) :] if word.start() == 0 else "") + word[0]
        near = snapshot.text[max(0, snapshot.cursor_cp - _SEARCHED_CP) : snapshot.cursor_cp + _SEARCHED_CP]
        if not re.search(rf"\b{re.escape(whole)}\b", near):
            text = text[: word.start()]
    return text.rstrip() if text.strip() else ""


def _bridges(fitted: Fitted, where: Place, finished: bool) -> bool:
    """Whether the text leads up to the rest of the line: it met it, or the model ended in front of it."""
    return where.suppress == "rest" and (fitted.bridged or finished)


def _within_literal(text: str, snapshot: Snapshot, where: Place) -> str:
    """Cut where the text leaves the string or comment around the cursor, if that ends behind the cursor already.

    A docstring that nothing closes yet may be closed, but nothing comes behind it. Models tend to begin a string that
    has only just been opened once more; that quote is dropped.
    """
    if where.inside not in ("string", "block_comment") or not (where.closed or where.kind == "docstring"):
        return text
    just_opened = snapshot.cursor_cp == where.lex_start_cp + len(where.delimiter)
    if just_opened and text.startswith(where.delimiter) and text.strip() != where.delimiter:
        text = text[len(where.delimiter) :]
    closer = close_of(where.delimiter, where.language)
    found = re.search(rf"(?<!\\){re.escape(closer)}", text)
    if found is None:
        return text
    return text[: found.start()] if where.closed else text[: found.end()]


def _indented(text: str, snapshot: Snapshot, where: Place) -> str:
    """Give the lines the file's tabs or spaces, and the first line no more white space than belongs at the cursor."""
    first, *others = text.split("\n")
    line = snapshot.line_prefix
    if where.inside == "code" and first.strip():
        first = first[_said_twice(first, line) :]
        if line[-1:] in (" ", "\t") and line.strip():
            first = first.lstrip(" \t")
        elif not line.strip():
            first = _at_column(first, snapshot, where)
    tabs = _uses_tabs(snapshot)
    first = _reindent(first, tabs) if not line.strip() else first
    return "\n".join([first, *(_reindent(other, tabs) for other in others)])


def _at_column(first: str, snapshot: Snapshot, where: Place) -> str:
    """Return the first line of a blank line's suggestion with the white space that belongs between cursor and text."""
    body, at_cursor = first.lstrip(" \t"), columns(snapshot.line_prefix)
    if body[0] in OPENER and where.owed and (column := closer_column(snapshot, where)) is not None:
        return " " * max(0, column - at_cursor) + body
    below = lines_below(snapshot, 1)
    deepest = max(where.indent, columns(below[0]) if below else 0)
    if not where.language.indented and _goes_on_from_above(body, snapshot):
        deepest += 2 * indent_unit(snapshot.text)
    return " " * min(max(0, deepest - at_cursor), columns(first)) + body


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


def _uses_tabs(snapshot: Snapshot) -> bool | None:
    head = "\n" + snapshot.text[:32_000]
    with_tabs, with_spaces = head.count("\n\t"), head.count("\n  ")
    return with_tabs > with_spaces if with_tabs or with_spaces else None


def _reindent(line: str, tabs: bool | None) -> str:
    body = line.lstrip(" \t")
    if tabs is None or (("\t" not in line[: len(line) - len(body)]) if not tabs else line[:1] != " "):
        return line
    width = columns(line)
    return (("\t" * (width // TAB_COLUMNS) + " " * (width % TAB_COLUMNS)) if tabs else " " * width) + body


def _cut_block(text: str, snapshot: Snapshot, where: Place) -> str:
    """Cut several lines where the block ends. A parenthesis closed on the first line is the business of `fit`."""
    if "\n" not in text:
        return text
    stop = sibling_stop(snapshot, where, text)
    if stop is None:
        return text
    closes_block = text[stop:].lstrip()[:1] == "}"
    return text[:stop] if closes_block or "\n" in text[: stop + 1] else text


def _tidy(text: str, snapshot: Snapshot, end_cp: int) -> str:
    """Drop white space at the end, but not what separates the text from the rest of the line."""
    rest = snapshot.text[end_cp : snapshot.line_end_cp][:MAX_LINE_CP]
    if not rest.strip():
        return text.rstrip()
    return text.rstrip() if "\n" not in text and rest[0] in " \t)]};,:" else text


def _worth_showing(text: str, snapshot: Snapshot, end_cp: int, min_visible: int) -> bool:
    visible = [character for character in text if not character.isspace()]
    if len(visible) < min_visible or cut_special(text) != text or text == snapshot.text[snapshot.cursor_cp : end_cp]:
        return False
    return not repeats_line_above(text, snapshot) and not duplicates_suffix(text, snapshot, end_cp)


def _with_line_ends(text: str, snapshot: Snapshot) -> str:
    found = re.search(r"\r\n|\r|\n", snapshot.text[:_SEARCHED_CP])
    return text.replace("\n", found[0]) if found else text


def _with_selected(trimmed: Trimmed, snapshot: Snapshot, selected: Selected | None) -> Trimmed | None:
    if selected is None:
        return trimmed
    whole = snapshot.text[selected.start_cp : snapshot.cursor_cp] + trimmed.text
    if not whole.startswith(selected.text):
        return None
    return Trimmed(whole, selected.start_cp, max(trimmed.end_cp, selected.end_cp))
