"""Suggestions that are finished, or still growing, and where they may be shown again.

A key that agrees with a live suggestion is answered from here, without the engine: *typed through*. So is a deletion
that returns to a state seen before. An entry belongs to one anchor, so a hit is never made from another context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cachetools import LRUCache

from completer.suggest.confidence import TokenSpan
from completer.tokens.tokenizer import Tokenizer
from completer.types import Evidence, FinishReason, Stats

BROKEN: tuple[FinishReason, ...] = ("cancelled", "error")
"""Ends of a generation that neither the model nor a rule brought about."""
MAX_ENTRIES = 256
MAX_TYPED_THROUGH = 128
"""Characters of a suggestion that can be typed before it must be asked for again."""


@dataclass(slots=True)
class Entry:
    """One suggestion: `text` follows `typed` after the anchor. It grows until `reason` is set.

    request_id: of the generation; stats: what that had cost at its latest event.
    background: it was made ahead of need.  asked_for: explicitly, so all of it is shown.
    wants_body: it fills the empty body of a function, in which a placeholder is no answer.
    evidence: what the model's choices were weighed against.
    block: for a user who rests, so it is shown by lines (`completer.suggest.block_part`). No key is answered from it.
    on_stats: called at each event with what the generation has cost; None once it is over.
    ids, spans: its tokens. The healed ones among them repeat the first `n_healed_bytes` bytes; `text` follows those.
    """

    anchor: int
    typed: str
    request_id: int
    background: bool = False
    asked_for: bool = False
    wants_body: bool = False
    block: bool = False
    evidence: Evidence | None = None
    n_healed_bytes: int = 0
    text: str = ""
    ids: list[int] = field(default_factory=list)
    spans: list[TokenSpan] = field(default_factory=list)
    reason: FinishReason | None = None
    stats: Stats = field(default_factory=Stats)
    on_stats: Callable[[Stats], None] | None = None

    def cost(self, stats: Stats) -> None:
        """Take what the generation has cost by now. Mutates: stats."""
        self.stats = stats
        if self.on_stats is not None:
            self.on_stats(stats)

    @property
    def is_broken(self) -> bool:
        """Whether its generation was cancelled or failed: its text says nothing of what would follow."""
        return self.reason in BROKEN

    @property
    def stops_unsure(self) -> bool:
        """Whether its text was ended, or may be, because it became too unsure."""
        return not self.asked_for and self.reason in (None, "confidence")

    def begin_anew(self, request_id: int) -> None:
        """Forget what was generated: another request fills the entry. Mutates: the entry."""
        self.request_id, self.text, self.reason = request_id, "", None
        self.ids.clear()
        self.spans.clear()


class Opening(NamedTuple):
    """The text after the cursor up to the first token that is more than white space, and how likely all of it was."""

    text: bytes
    prob: float


def opening(entry: Entry, n_typed: int, tokenizer: Tokenizer) -> Opening | None:
    """Return how the text behind the cursor begins; None as long as there is none.

    n_typed: characters of it that the user has typed.
    """
    n_known = entry.n_healed_bytes + len(entry.text[:n_typed].encode())
    said, prob = b"", 1.0
    for id_, span in zip(entry.ids, entry.spans, strict=True):
        said += tokenizer.token_bytes[id_]
        if len(said) > entry.n_healed_bytes and n_typed and len(said) <= n_known:
            continue  # typed, and so confirmed
        prob *= span.prob
        if said[n_known:].strip():
            return Opening(said[n_known:], prob)
    return None


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry, and how many characters of its text are typed already."""

    entry: Entry
    n_typed: int


class ReuseStore:
    """A bounded store of entries, the least recently used dropped first."""

    def __init__(self) -> None:
        self._entries: LRUCache[tuple[int, str], Entry] = LRUCache(maxsize=MAX_ENTRIES)
        self._others: LRUCache[tuple[int, str], tuple[Entry, ...]] = LRUCache(maxsize=MAX_ENTRIES)
        self._carried: LRUCache[int, tuple[int, int]] = LRUCache(maxsize=MAX_ENTRIES)  # anchor: a later one, n_moved

    def put(self, entry: Entry) -> None:
        """Remember `entry`, replacing an older one at the same place. Mutates: the store."""
        for place in self._places(entry.anchor, entry.typed):
            self._entries[place] = entry

    def put_others(self, anchor: int, typed: str, others: Sequence[Entry]) -> None:
        """Remember the alternatives of a place, best first. Mutates: the store."""
        for place in self._places(anchor, typed):
            self._others[place] = tuple(others)

    def others(self, anchor: int, typed: str) -> tuple[Entry, ...]:
        """Return the alternatives of a place that were found so far."""
        return self._others.get((anchor, typed), ())

    def carry(self, old_anchor: int, new_anchor: int, n_moved: int) -> None:
        """Let what was made after one anchor answer after a later one as well: a re-anchoring hides no suggestion.

        n_moved: characters of the typed text that are now before the anchor.  Mutates: the store; what is put after the
        old anchor from now on (an answer that took its time) is put after the later one, too.
        """
        self._carried[old_anchor] = new_anchor, n_moved
        for (anchor, typed), entry in list(self._entries.items()):
            if anchor == old_anchor and len(typed) >= n_moved:
                self._entries.setdefault((new_anchor, typed[n_moved:]), entry)
        for (anchor, typed), others in list(self._others.items()):
            if anchor == old_anchor and len(typed) >= n_moved:
                self._others.setdefault((new_anchor, typed[n_moved:]), others)

    def lookup(self, anchor: int, typed: str) -> Hit | None:
        """Return the most recent start of a suggestion with which `typed` agrees, or None.

        A suggestion whose text is used up by typing is no hit, unless more of it is on the way. An alternative is one when
        something of it was typed: then it is what the user chose.
        """
        for n in range(min(len(typed), MAX_TYPED_THROUGH) + 1):
            start = typed[: len(typed) - n]
            entry = self._entries.get((anchor, start))
            for one in (entry, *(self.others(anchor, start) if n and self._others else ())):
                if one is not None and _serves(one, typed[len(start) :]):
                    return Hit(one, n)
        return None

    def _places(self, anchor: int, typed: str) -> Iterator[tuple[int, str]]:
        """Yield a place as its own anchor names it, and as later ones do that took over from it."""
        seen: set[int] = set()
        while anchor not in seen:
            seen.add(anchor)
            yield anchor, typed
            later, n_moved = self._carried.get(anchor, (anchor, 0))
            if len(typed) < n_moved:
                return
            anchor, typed = later, typed[n_moved:]


def _serves(entry: Entry, typed: str) -> bool:
    """Whether the entry agrees with what was typed since its start, and may have more."""
    if entry.is_broken or not entry.text.startswith(typed):
        return False
    return len(entry.text) > len(typed) or entry.reason is None or not typed
