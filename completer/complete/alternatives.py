"""Other suggestions for one place, for a user who asks: the same prompt, gone on with from another first token.

    return wid|               first          th * height
                              alternatives   ened, get()

Each is decoded greedily behind its first token, which is the likeliest one that the suggestions before it don't begin with; white
space in front of it may be the same. The prompt stands in its slot already, so an alternative costs its own tokens only.

Greedy decoding takes the likeliest token each time, which need not lead to the likeliest line: behind `if !v` it may say
`.Type().Implements(reader) {` (.15) and not `.IsValid() {` (.20). So the likeliest line of all comes first, unless the user has
seen another one there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from completer.complete.generations import Live
from completer.suggest.entries import Entry, Hit, ReuseStore
from completer.suggest.trim import Trimmed
from completer.tokens.tokenizer import Tokenizer
from completer.types import FinishReason

MAX_ITEMS = 3
"""The first one included: more would be read by nobody, and each costs as much as the first."""
MAX_TRIES = 4
"""Some say the same in other tokens, or nothing that can be shown; so many are decoded at the most."""
MIN_SHARE = 1 / 300
"""An alternative begins with at least this share of the first one's probability. Small models are sure of themselves: the 0.5B
model gives `map` behind `items.` a 230th of what `reduce` gets, but an 800th to the wrong name that a `max` would return."""
LIKELY = 1 / 20
"""A line comes first for its probability from here on. Below, none is likely as a whole: a long one would lose for its length."""
_BROKEN: tuple[FinishReason, ...] = ("cancelled", "error")


class Start(Protocol):
    """Starts a generation at the place whose text behind the cursor avoids these; see `GenerateRequest.avoid`."""

    def __call__(self, *, avoid: tuple[bytes, ...]) -> Entry: ...


Show = Callable[[Hit], Trimmed | None]


class Opening(NamedTuple):
    """The text behind the cursor up to the first token that is more than white space, and how likely all of it was."""

    text: bytes
    prob: float


def opening(hit: Hit, tokenizer: Tokenizer) -> Opening | None:
    """Return how the text behind the cursor begins; None as long as there is none."""
    entry = hit.entry
    n_known = entry.n_healed_bytes + len(entry.text[: hit.n_typed].encode())
    said, prob = b"", 1.0
    for id_, piece in zip(entry.ids, entry.pieces, strict=True):
        said += tokenizer.token_bytes[id_]
        if len(said) > entry.n_healed_bytes and hit.n_typed and len(said) <= n_known:
            continue  # typed, and so confirmed
        prob *= piece.prob
        if said[n_known:].strip():
            return Opening(said[n_known:], prob)
    return None


class Ranked(NamedTuple):
    """What can be shown at a place, best first. hit: what `shown` is made of.  others: without what says the same as another."""

    hit: Hit
    shown: Trimmed
    others: list[Trimmed]


Candidate = tuple[Entry, Trimmed]


class Alternatives:
    """Finds them and leaves them in the reuse store: what is typed of one is answered from there. Owned by the event loop."""

    def __init__(self, live: Live, tokenizer: Tokenizer, reuse: ReuseStore) -> None:
        self._live = live
        self._tokenizer = tokenizer
        self._reuse = reuse

    async def of(
        self, first: Hit, shown: Trimmed, anchor: int, typed: str, start: Start, show: Show, until_s: float, seen: bool
    ) -> Ranked:
        """Return `shown`, all that is visible of `first`, and what else could stand there, perhaps nothing.

        anchor, typed: the place.  until_s: when the answer must go out, on the clock of `time.perf_counter`; of one
        that is not whole by then the clean part is given, and decoding goes on.  seen: `shown` stays the first, the user has
        it before them.  Mutates: the reuse store, where the first is what answers at this place from now on.
        """
        begins = opening(first, self._tokenizer)
        if begins is None:
            return Ranked(first, shown, [])
        least = MIN_SHARE * begins.prob
        # Those of an earlier time come first; perhaps that was too short for all.
        found = tuple(entry for entry in self._reuse.others(anchor, typed) if entry.reason not in _BROKEN)
        avoid: tuple[bytes, ...] = (b"", begins.text)
        for entry in found:
            known = await self._wait(entry, least, until_s)
            avoid = (*avoid, known.text) if known else avoid
        while len(found) < MAX_TRIES and len(_distinct(shown, found, show)) < MAX_ITEMS - 1 and time.perf_counter() < until_s:
            entry = start(avoid=avoid)
            entry.asked_for = True
            begins = await self._wait(entry, least, until_s)
            if begins is None:
                break
            found, avoid = (*found, entry), (*avoid, begins.text)
            self._reuse.put_others(anchor, typed, found)
        candidates = [(first.entry, shown), *_distinct(shown, found, show)]
        best = candidates[0] if seen or first.n_typed else likeliest(candidates)
        others = [other for entry, other in candidates if entry is not best[0]]
        if best[0] is first.entry:
            return Ranked(first, shown, others)
        self._reuse.put(best[0])
        self._reuse.put_others(anchor, typed, [first.entry, *(entry for entry in found if entry is not best[0])])
        return Ranked(Hit(best[0], 0), best[1], others)

    async def _wait(self, entry: Entry, least: float, until_s: float) -> Opening | None:
        """Wait until an alternative is whole, or the time is up; return how it begins, None where it is of no use.

        Mutates: the generation, which is cancelled where it begins too unlikely, or where the caller is cancelled.
        """

        def unlikely() -> bool:
            begins = opening(Hit(entry, 0), self._tokenizer)
            return begins is not None and begins.prob < least

        try:
            await self._live.wait(lambda: entry.reason is not None or unlikely(), until_s - time.perf_counter())
        except asyncio.CancelledError:
            self._live.cancel(entry.request_id)
            raise
        begins = opening(Hit(entry, 0), self._tokenizer)
        if begins is None or unlikely():
            self._live.cancel(entry.request_id)
            return None
        return begins if entry.reason not in _BROKEN else None


def likeliest(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate whose first line is the likeliest as a whole, of those that are whole; the first if none is LIKELY."""
    probs = [line_prob(entry) if entry.reason is not None else 0.0 for entry, _ in candidates]
    return candidates[probs.index(max(probs))] if max(probs) >= LIKELY else candidates[0]


def line_prob(entry: Entry) -> float:
    """Return how likely the entry's first line was, the healed tokens in front of it included."""
    line_end = entry.text.partition("\n")[0]
    starts = [0, *(piece.end_cp for piece in entry.pieces)]
    return math.prod(piece.prob for piece, start in zip(entry.pieces, starts, strict=False) if start <= len(line_end))


def _distinct(shown: Trimmed, found: Sequence[Entry], show: Show) -> list[Candidate]:
    """Return what can be shown of each, without what says the same as another."""
    by_text: dict[str, Candidate] = {}
    for entry in found:
        if (other := show(Hit(entry, 0))) is not None and other.text != shown.text:
            by_text.setdefault(other.text, (entry, other))
    return list(by_text.values())
