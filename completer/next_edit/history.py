"""What the user changed lately: runs of keys coalesced into edits, across the documents of one client, bounded.

A new change that touches an earlier one joins it, so that each edit holds what a diff of the session would show there;
a change that restores the old text makes the edit vanish. Offsets follow the text as it is now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from completer.next_edit.words import joins
from completer.types import Edit

Kind = Literal["typed", "paste", "bulk", "accepted"]
"""typed: by keys, also with several cursors; paste: many lines at once; bulk: a formatter, a checkout, a language
server's rename; accepted: an offer of ours."""

MAX_EDITS = 32
MAX_EDIT_CP = 4_000
"""A longer edit teaches nothing that a rule could hold."""
MAX_BETWEEN_CP = 200
MAX_CURSORS = 8
MAX_FOLLOWED = 64
"""Edits of one notification above which the earlier edits of the document are forgotten instead of moved along."""
PASTED_LINES = 3
BULK_LINES = 60


@dataclass(frozen=True, slots=True)
class PastEdit:
    """`old` became `new`, which stands at `start_cp` of the document as it is now.

    at_s: when it was changed last, in seconds of the caller's clock.  rule: of an accepted offer (`NextEdit.rule`), or "".
    """

    uri: str
    start_cp: int
    old: str
    new: str
    kind: Kind
    at_s: float
    rule: str = ""

    @property
    def end_cp(self) -> int:
        return self.start_cp + len(self.new)


def kind_of(text: str, edits: Sequence[Edit]) -> Kind:
    """Tell apart how edits of one notification came about. text: the document before them.

    An editor may send several keys at once, so edits that go on at one place count once.
    """
    n_lines = sum(edit.new_text.count("\n") + text.count("\n", edit.start_cp, edit.old_end_cp) for edit in edits)
    n_places = _n_places(edits)
    differ = n_places > 1 and len({edit.new_text for edit in edits}) > 1
    if n_places > MAX_CURSORS or n_lines > BULK_LINES or differ:
        return "bulk"
    if any(edit.new_text.count("\n") > PASTED_LINES and len(edit.new_text) > 1 for edit in edits):
        return "paste"
    return "typed"


def _n_places(edits: Sequence[Edit]) -> int:
    """Count runs of edits that each touch what the run has written so far."""
    n, start, end = 0, -1, -1
    for edit in edits:
        if not n or edit.start_cp > end or edit.old_end_cp < start:
            n, start, end = n + 1, edit.start_cp, edit.start_cp
        start = min(start, edit.start_cp)
        end = max(end, edit.old_end_cp) + len(edit.new_text) - (edit.old_end_cp - edit.start_cp)
    return n


class EditHistory:
    """The last edits, oldest first. Owned by the event loop."""

    def __init__(self) -> None:
        self.edits: list[PastEdit] = []
        self.vanished: list[PastEdit] = []
        """Edits that the last change took back, as they were before it."""

    def change(self, uri: str, text: str, edits: Sequence[Edit], now_s: float, rule: str = "") -> None:
        """Take the edits of one notification, each in the text before it. Mutates: edits, vanished.

        text: the document before the first of them.  rule: of the offer of ours that they are, if they are one.
        """
        self.vanished = []
        kind: Kind = "accepted" if rule else kind_of(text, edits)
        if kind == "bulk":
            self._follow(uri, edits)
            return
        for edit in edits:
            self._record(text, edit, PastEdit(uri, 0, "", "", kind, now_s, rule))
            if len(edits) > 1:
                text = text[: edit.start_cp] + edit.new_text + text[edit.old_end_cp :]
        del self.edits[:-MAX_EDITS]

    def forget(self, uri: str) -> None:
        """Drop the edits of a document. Mutates: edits."""
        self.edits = [past for past in self.edits if past.uri != uri]

    def _follow(self, uri: str, edits: Sequence[Edit]) -> None:
        """Move the earlier edits along with changes that are not the user's; those that are touched go."""
        if len(edits) > MAX_FOLLOWED:
            self.forget(uri)
            return
        for edit in edits:
            self.edits = [
                _moved(past, edit) if past.uri == uri else past
                for past in self.edits
                if past.uri != uri or past.end_cp < edit.start_cp or past.start_cp > edit.old_end_cp
            ]

    def _record(self, text: str, edit: Edit, made: PastEdit) -> None:
        """Join a change with the edits that it touches. made: all of the new edit but its place and texts."""
        kept: list[PastEdit] = []
        touched: list[PastEdit] = []
        for past in self.edits:
            if past.uri != made.uri:
                kept.append(past)
            elif _touches(past, edit, text, same_kind=past.kind == made.kind):
                touched.append(past)
            else:
                kept.append(_moved(past, edit))
        touched.sort(key=lambda past: past.start_cp)
        start = min([edit.start_cp, *(past.start_cp for past in touched)])
        end = max([edit.old_end_cp, *(past.end_cp for past in touched)])
        at, old_parts = start, []
        for past in touched:
            old_parts += [text[at : past.start_cp], past.old]
            at = past.end_cp
        old = "".join(old_parts) + text[at:end]
        new = text[start : edit.start_cp] + edit.new_text + text[edit.old_end_cp : end]
        self.edits = kept
        if old == new:
            self.vanished += touched
        elif max(len(old), len(new)) <= MAX_EDIT_CP:
            kind = _joint(made.kind, touched)
            self.edits.append(_trimmed(replace(made, start_cp=start, old=old, new=new, kind=kind)))


def _joint(kind: Kind, touched: Sequence[PastEdit]) -> Kind:
    """Typing into a paste leaves it a paste; typing into what we offered, or accepting beside it, makes it the user's."""
    kinds = {past.kind for past in touched}
    return "paste" if "paste" in kinds else "typed" if "typed" in kinds else kind


def _touches(past: PastEdit, edit: Edit, text: str, *, same_kind: bool) -> bool:
    """Whether a change goes on with an earlier edit: at it, within the same word, or, if it is of its kind, in its line.

    So a line that is written anew is one edit, also if it keeps some of its characters.
    """
    if edit.start_cp > past.end_cp:
        between = text[past.end_cp : edit.start_cp]
    elif edit.old_end_cp < past.start_cp:
        between = text[edit.old_end_cp : past.start_cp]
    else:
        return True
    if len(between) > MAX_BETWEEN_CP:
        return False
    return "\n" not in between if same_kind else all(joins(character) for character in between)


def _moved(past: PastEdit, edit: Edit) -> PastEdit:
    if edit.start_cp > past.start_cp:
        return past
    return replace(past, start_cp=past.start_cp + len(edit.new_text) - (edit.old_end_cp - edit.start_cp))


def _trimmed(past: PastEdit) -> PastEdit:
    """Return the edit without the common head and tail of its texts."""
    old, new = past.old, past.new
    limit, head, tail = min(len(old), len(new)), 0, 0
    while head < limit and old[head] == new[head]:
        head += 1
    while tail < limit - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return replace(past, start_cp=past.start_cp + head, old=old[head : len(old) - tail], new=new[head : len(new) - tail])
