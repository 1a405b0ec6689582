"""What of a growing suggestion may be shown at a snapshot: as much as is sure, whole, and fits its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from completer.suggest.block_part import block_part
from completer.suggest.confidence import Sure, sure_part
from completer.suggest.entries import BROKEN, Entry, Hit
from completer.suggest.fit import joins
from completer.suggest.partial import clean_partial
from completer.suggest.placeholder import is_placeholder
from completer.suggest.trim import SHOWING, Note, Showing, trim
from completer.syntax.cursor import CursorContext
from completer.types import AnsweredBy, FinishReason, Replacement, Snapshot, Suggestion

MAX_EXTENDING_FEED = 16
"""Most tokens fed for an answer from a warm slot; more are a cold prompt."""
_UNFINISHED: tuple[FinishReason | None, ...] = (None, "length", "confidence", *BROKEN)


def sure(hit: Hit, confidence: float) -> Sure:
    """Return how much of the entry's text is sure enough; all of it where the user asked to see it."""
    entry = hit.entry
    part = block_part if entry.block else sure_part
    return part(entry.text, entry.spans, hit.n_typed, 0.0 if entry.asked_for else confidence)


def is_complete(hit: Hit, confidence: float) -> bool:
    """Whether nothing more will be shown: decoding is over, or goes on with what is not sure enough."""
    return hit.entry.reason is not None or sure(hit, confidence).cut


def visible(
    hit: Hit,
    confidence: float,
    snapshot: Snapshot,
    cursor: CursorContext,
    showing: Showing = SHOWING,
    note: Note = lambda *_: None,
) -> Replacement | None:
    """Return what of the entry's text, as far as it is, can be shown at the snapshot, or None.

    showing: of which only `selected` and `explicit` count; the rest follows from the entry.  note: see `trim`.
    """
    return part(hit, sure(hit, confidence), snapshot, cursor, showing, note)


def part(
    hit: Hit, known: Sure, snapshot: Snapshot, cursor: CursorContext, showing: Showing = SHOWING, note: Note = lambda *_: None
) -> Replacement | None:
    """Return what can be shown if `known` of the entry's text may be. Else as `visible`."""
    raw = hit.entry.text[hit.n_typed : known.end_cp]
    if known.end_cp < len(hit.entry.text):
        note("confidence", raw)
    unfinished = known.cut or hit.entry.reason in _UNFINISHED
    text = clean_partial(raw, snapshot, cursor, whole_words=known.cut) if unfinished and raw else raw
    if text != raw:
        note("clean end", text)
    if hit.entry.wants_body and not hit.n_typed and is_placeholder(text):
        note("placeholder", text := "")
    if not text:
        return None
    finished = _ends_there(hit.entry, known, snapshot.line_suffix)
    return trim(
        text, snapshot, cursor, replace(showing, finished=finished, typed_through=hit.n_typed > 0, partial=unfinished), note
    )


def _ends_there(entry: Entry, known: Sure, rest: str) -> bool:
    """Whether the model ended after what is sure: by itself, or by going on with the rest of the line."""
    return joins(entry.text[known.end_cp :], rest) if known.cut else entry.reason == "end"


def goes_on(shown: Replacement, given: Suggestion | None) -> bool:
    """Whether `shown` can take the place of what the client was given there without a flicker: it begins with that."""
    return given is None or (shown.start_cp == given.start_cp and shown.text.startswith(given.text))


def suggestion_of(
    shown: Replacement, snapshot: Snapshot, by: AnsweredBy, complete: bool = True, others: Sequence[Replacement] = ()
) -> Suggestion:
    """Return what the client gets of it, and of the others beside it."""
    alternatives = tuple(suggestion_of(other, snapshot, by) for other in others)
    return Suggestion(snapshot.uri, snapshot.version, shown.text, shown.start_cp, shown.end_cp, by, complete, alternatives)


def answered_by(hit: Hit, fresh: bool) -> AnsweredBy:
    """Return how an answer came about. fresh: its generation was started for it; if it never left the queue, it is cold."""
    if not fresh:
        return "background" if hit.entry.background and hit.n_typed == 0 else "typed-through"
    stats = hit.entry.stats
    return "extended" if stats.began and stats.n_feed <= MAX_EXTENDING_FEED else "cold"
