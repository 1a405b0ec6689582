"""What of a growing suggestion may be shown at a snapshot: as much as is sure, whole, and fits its surroundings."""

from __future__ import annotations

from completer.confidence import Sure, sure_part
from completer.place import Place
from completer.reuse import Hit
from completer.trim import Selected, Trimmed, clean_partial, trim
from completer.types import FinishReason, Snapshot

_UNFINISHED: tuple[FinishReason | None, ...] = (None, "length", "confidence", "cancelled", "error")


def sure(hit: Hit, confidence: float) -> Sure:
    """Return how much of the entry's text is sure enough; all of it where the user asked to see it."""
    return sure_part(hit.entry.text, hit.entry.pieces, hit.n_typed, 0.0 if hit.entry.asked_for else confidence)


def is_complete(hit: Hit, confidence: float) -> bool:
    """Whether nothing more will be shown: decoding is over, or goes on with what is not sure enough."""
    return hit.entry.reason is not None or sure(hit, confidence).cut


def visible(
    hit: Hit, confidence: float, snapshot: Snapshot, where: Place, *, selected: Selected | None = None, explicit: bool = False
) -> Trimmed | None:
    """Return what of the entry's text, as far as it is, can be shown at the snapshot, or None."""
    known = sure(hit, confidence)
    raw = hit.entry.text[hit.n_typed : known.end_cp]
    if not raw:
        return None
    unfinished = known.cut or hit.entry.reason in _UNFINISHED
    text = clean_partial(raw, snapshot, where, whole_words=known.cut) if unfinished else raw
    if not text:
        return None
    return trim(
        text,
        snapshot,
        where,
        selected=selected,
        finished=not known.cut and hit.entry.reason == "end",
        explicit=explicit,
        typed_through=hit.n_typed > 0,
    )
