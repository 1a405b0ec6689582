"""How the cursor's line goes on, as far as the workspace agrees on it: pure functions over the places that an index found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from completer.prompt.memory.index import MAX_CONTINUATION, Place
from completer.types import Evidence

MIN_AGREE = 0.5
"""Least share of the best matches that must go on in the same way."""
OWN_WEIGHT = 2
"""A place in the cursor's own document counts as much as so many others."""
LOG_ODDS = ((48, 3.0), (24, 1.8), (0, 1.6))
"""Logarithm of the odds that the next token of a continuation is right, by the bytes that match at the least: .95, .86
and .83 on added lines of eleven repositories (decision 025)."""
NEW_LINE = 1.6
"""So much less are the log odds of the first token of a line: .47, .62 and .78."""


@dataclass(frozen=True, slots=True)
class Line:
    """The cursor's line: the text before the cursor, and after it."""

    before: str = ""
    rest: str = ""


def recall(own: Iterable[Place], others: Iterable[Place], line: Line) -> Evidence | None:
    """Return what comes next if the longest matches agree on it, or None.

    own, others: the places in the cursor's document and elsewhere.  line: where something follows the cursor in it, a
    continuation must end with that.
    """
    places = [(place, OWN_WEIGHT) for place in own] + [(place, 1) for place in others]
    if not places:
        return None
    longest = max(place.matched for place, _ in places)
    votes: Counter[bytes] = Counter()
    for place, weight in places:
        if place.matched == longest:
            votes[place.continuation.rstrip()] += weight
    best, n = votes.most_common(1)[0]
    if n < MIN_AGREE * votes.total() or len(best) > MAX_CONTINUATION:
        return None
    text = _up_to(best, line.rest.strip().encode(errors="replace"))
    if text is None or not text.strip():
        return None
    odds = next(odds for least, odds in LOG_ODDS if longest >= least)
    first = odds if line.before.strip() else odds - NEW_LINE
    return Evidence(text, odds, first, may_indent=not line.before, matched=longest)


def _up_to(continuation: bytes, rest: bytes) -> bytes | None:
    """Return the continuation without the rest of the line that is there already; ended by a line feed if there is none."""
    if not rest:
        return continuation + b"\n"
    return continuation[: -len(rest)] if continuation.endswith(rest) else None
