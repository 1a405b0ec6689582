"""A second look by a larger model of the same family, where typing rests: more of what is shown, never something else.

    a key ──> the small model answers ──> REST_S without another key ──> the larger one reads the same prompt
                                                                          │
              it goes on with what is shown, or nothing is shown  ──> the client gets the rest, and so do the next keys
              it says something else                              ──> kept for when typing leaves what is shown

Nobody waits for it: it steps only while the small model has nothing to do (`LocalGenerator`, ahead), and a key ends it. What it
has read of a prompt stays in its slots, so that it comes to its end although keys come in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from completer.complete.generations import Live
from completer.complete.open_document import OpenDocument
from completer.generate.decode import PREFILL_FROM
from completer.generate.scheduler import Generator
from completer.prompt.prompt import Anchor, lf
from completer.suggest.confidence import Piece
from completer.suggest.entries import Entry, Hit
from completer.suggest.trim import Trimmed
from completer.suggest.visible import goes_on
from completer.syntax.cursor import Place
from completer.tokens.tokenizer import Tokenizer
from completer.types import FinishReason, Prompt, Snapshot, StopRule

log = logging.getLogger(__name__)

REST_S = 0.15
"""Typing rests when no key came for so long: the median gap between keys is a little less."""
LOOK_S = 5.0
"""A second look that takes longer is given up: who rests for so long has read what is there, or is elsewhere."""


@dataclass(frozen=True, slots=True)
class Larger:
    """The larger model, of the same vocabulary. max_len: positions of its slots.  name: for messages."""

    generator: Generator
    max_len: int
    name: str


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of the small model, and what a second look at its place needs.

    stop_rule: returns it when it is asked for: it looks at much of the document.
    see: returns what of a hit can be shown there, trimmed as the answer was.
    """

    doc: OpenDocument
    snapshot: Snapshot
    where: Place
    anchor: Anchor
    prompt: Prompt
    stop_rule: Callable[[], StopRule]
    hit: Hit
    see: Callable[[Hit], Trimmed | None]


class _Filling(NamedTuple):
    """A prefill under way, for any place behind one anchor."""

    request_id: int
    uri: str
    anchor: int


class Cascade:
    """Owned by the event loop. One place at a time: somebody types at one only. larger: None: nothing ever happens."""

    def __init__(self, larger: Larger | None, tokenizer: Tokenizer, show: Callable[[Answered, Trimmed], None]) -> None:
        """show: called on the event loop with more of what the answer's document was given; it can take its place."""
        self.message = ""
        self._larger = larger
        self._tokenizer = tokenizer
        self._show = show
        self._place: Answered | None = None
        self._rested = False
        self._timer: asyncio.TimerHandle | None = None
        self._entry: Entry | None = None
        self._filling: _Filling | None = None

    def answered(self, place: Answered) -> None:
        """Look at `place` when typing has rested there. What was looked at before is given up."""
        self.stop()
        if self._larger is None or self.message or place.hit.entry.larger or len(place.prompt.ids) >= self._larger.max_len:
            return
        self._place = place
        self._timer = asyncio.get_running_loop().call_later(REST_S, self._look, self._larger, place)

    def moved(self, snapshot: Snapshot) -> None:
        """The cursor is there now: a look at any other place is given up."""
        if self._place is not None and self._place.snapshot.at != snapshot.at:
            self.stop()

    def stop(self) -> None:
        """Give up the look, before its next forward; reading a prompt goes on, whose end most keys leave as it is."""
        if self._timer is not None:
            self._timer.cancel()
        if self._entry is not None:
            self._live.cancel(self._entry.request_id)
        self._place = self._timer = self._entry = None
        self._rested = False

    def closed(self, uri: str) -> None:
        """Nothing more is wanted for a document that is gone."""
        if self._place is not None and self._place.snapshot.uri == uri:
            self.stop()
        if self._filling is not None and self._filling.uri == uri:
            self._live.cancel(self._filling.request_id)

    @cached_property
    def _live(self) -> Live:
        assert self._larger is not None
        return Live(self._larger.generator, self._tokenizer)

    def _look(self, larger: Larger, place: Answered) -> None:
        self._rested = True
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self.stop)
        if len(place.prompt.ids) - larger.generator.n_cached(place.prompt.ids) < PREFILL_FROM:
            self._ask(place)
        else:
            self._fill(place)

    def _fill(self, place: Answered) -> None:
        """Read the prompt first, in a request of its own: no key ends that, because the next one needs the same."""
        number, uri = place.anchor.number, place.snapshot.uri
        if self._filling is not None:
            if self._filling.anchor == number:
                return  # at its end it asks for the place there is then
            self._live.cancel(self._filling.request_id)

        def done(reason: FinishReason) -> None:
            if self._filling is None or self._filling.request_id != request_id:
                return  # another one took its place
            self._filling = None
            self._notice(reason)
            if reason == "length" and self._rested and self._place is not None and self._place.anchor.number == number:
                self._ask(self._place)

        request_id = self._live.prefill(uri, Prompt(place.prompt.ids), done)
        self._filling = _Filling(request_id, uri, number)

    def _ask(self, place: Answered) -> None:
        """Let the larger model say what follows; what the small one said is its draft. Mutates: the entry being made."""
        entry, n_typed = place.hit.entry, place.hit.n_typed
        draft = place.prompt.heal_bytes.decode(errors="ignore") + entry.text[n_typed:]
        self._entry = self._live.start(
            place.anchor,
            place.prompt,
            place.snapshot,
            place.where,
            place.stop_rule(),
            lf(place.anchor.typed(place.snapshot)),
            background=True,
            drafts=(tuple(self._tokenizer.encode(draft)),),
            corpora=(place.doc.text_ids,) if place.doc.text_ids else (),
            tree=place.doc.tree,
            on_done=lambda said: self._said(place, said),
        )

    def _said(self, place: Answered, said: Entry) -> None:
        """Compare both models. Mutates: the small one's entry, which leads the next keys to what the larger one said."""
        self._notice(said.reason)
        if said is not self._entry:
            return  # given up meanwhile
        self._entry = None
        self.stop()
        if said.reason in ("cancelled", "error"):
            return
        entry, given = place.hit.entry, place.doc.given
        both = Hit(joined(place.hit, said), place.hit.n_typed)
        shown = place.see(both)
        if not (goes_on(shown, given) if shown is not None else said.text and given is None):
            entry.otherwise = both.entry
            return
        entry.instead = both.entry
        if shown is not None and (given is None or shown.text != given.text):
            self._show(place, shown)

    def _notice(self, reason: FinishReason | None) -> None:
        """One failure is enough: the small model goes on alone. Mutates: message."""
        if reason == "error" and not self.message and self._larger is not None:
            self.message = f"{self._larger.name} failed and is not asked any more; see the server's log"
            log.warning("cascade: %s", self.message)


def joined(hit: Hit, said: Entry) -> Entry:
    """Return what a larger model said behind the typed part of a hit, as an entry that starts where the hit's does."""
    small, n = hit.entry, hit.n_typed
    typed = [piece for piece in small.pieces if piece.end_cp < n]
    pieces = [*typed, Piece(n, 1.0), *(Piece(n + end, prob) for end, prob in said.pieces)]
    return Entry(
        small.anchor,
        small.typed,
        said.request_id,
        background=True,
        asked_for=small.asked_for,
        text=small.text[:n] + said.text,
        ids=said.ids,
        pieces=pieces,
        reason=said.reason,
        stats=said.stats,
        larger=True,
    )
