"""What of an unfinished output may be shown: as much as ends at a clean boundary."""

from __future__ import annotations

import re

from completer.suggest.special import cut_special
from completer.syntax.cursor import CursorContext, without_word
from completer.syntax.lexer import tokens
from completer.types import Snapshot

_SEARCHED_CP = 400_000
"""How much of the document on each side of the cursor is searched for a word."""
_DANGLING = re.compile(r"""(?:(?<=\s)|\A)[-+*/%<>=!&|^~?:]{1,3}\Z""")
"""An operator set off by a space: its right operand is still to come."""


def clean_partial(raw: str, snapshot: Snapshot, cursor: CursorContext, *, whole_words: bool = False) -> str:
    """Return what of an unfinished output ends at a clean boundary, for `trim` to go on with; "" where nothing does.

    Dropped from its end: the last of several lines, a string begun and not ended, an identifier that may go on, unless
    the whole word is somewhere in the document already, and an operator whose right operand is still to come. With
    `whole_words` the output ends after a word and nothing follows soon: words and operators stay.
    Brackets may stay open: the user goes on inside them.
    """
    text = cut_special(raw)
    whole_lines, line_end, _ = text.rpartition("\n")
    if whole_lines.strip():
        return whole_lines.rstrip() + line_end
    head = snapshot.text[cursor.lex_start_cp : snapshot.cursor_cp]
    found = tokens(head + text, cursor.language)
    if found and found[-1].kind == "string" and not found[-1].closed and found[-1].start >= len(head):
        text = text[: found[-1].start - len(head)]
    if not whole_words and (word := re.search(r"\w+\Z", text)):
        line = snapshot.line_prefix
        whole = (line[len(without_word(line)) :] if word.start() == 0 else "") + word[0]
        near = snapshot.text[max(0, snapshot.cursor_cp - _SEARCHED_CP) : snapshot.cursor_cp + _SEARCHED_CP]
        if not re.search(rf"\b{re.escape(whole)}\b", near):
            text = text[: word.start()]
    text = text.rstrip()
    return text if whole_words else _DANGLING.sub("", text).rstrip()
