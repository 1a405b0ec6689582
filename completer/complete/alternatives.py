"""Other suggestions for one place, if the user asks for them: the same prompt, continued from another first token.

    return wid|               first          th * height
                              alternatives   ened, get()

Each is decoded greedily after its first token, which is the likeliest one that the suggestions before it don't begin with; white
space in front of it may be the same. The prompt is in its slot already, so an alternative costs its own tokens only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from completer.complete.generations import Generations
from completer.complete.question import Question
from completer.complete.site import Site
from completer.complete.state import ClientState
from completer.suggest.entries import Entry, Hit, Opening, opening
from completer.types import Replacement

MAX_ITEMS = 3
"""The first one included: nobody reads more, and each costs as much as the first."""
MAX_TRIES = 4
"""Some repeat another one in other tokens, or give nothing that can be shown; at most so many are decoded."""
MIN_SHARE = 1 / 300
"""An alternative begins with at least this share of the first one's probability. Small models are sure of themselves: after
`items.` the 0.5B model gives `map` a 230th of what `reduce` gets, but the wrong name that a `max` would return an 800th."""


class Alternatives:
    """Finds them and leaves them in the reuse store: what is typed of one is answered from there. Owned by the event loop."""

    def __init__(self, generations: Generations, state: ClientState) -> None:
        self._generations = generations
        self._state = state

    async def of(self, site: Site, first: Hit, shown: Replacement, asked_again: Question | None) -> list[Entry]:
        """Return what else could be shown, best first; perhaps nothing.

        first: the suggestion that comes first, `shown` what is visible of it.
        asked_again: the question with which the user asks for others; None: only those found earlier are returned, at once.
        Mutates: the reuse store.
        """
        place = (site.anchor.number, site.typed)
        known = [entry for entry in self._state.reuse.others(*place) if not entry.is_broken]
        return known if asked_again is None else await self._find(site, first, shown, known, asked_again)

    async def _find(self, site: Site, first: Hit, shown: Replacement, known: Sequence[Entry], question: Question) -> list[Entry]:
        """Return `known` and more, as the question's deadline allows. Mutates: the reuse store."""
        found = list(known)
        begins = opening(first.entry, first.n_typed, self._state.model.tokenizer)
        if begins is None:
            return found
        least = MIN_SHARE * begins.prob
        avoid: tuple[bytes, ...] = (b"", begins.text)
        for entry in found:
            begun = await self._wait(entry, least, question.until_s)
            avoid = (*avoid, begun.text) if begun else avoid
        rule = self._state.stop_rule(site.cursor, site.snapshot, explicit=True)

        def enough() -> bool:
            texts = {seen.text for entry in found if (seen := question.see(Hit(entry, 0)))} - {shown.text}
            return len(texts) >= MAX_ITEMS - 1 or len(found) >= MAX_TRIES

        while not enough() and time.perf_counter() < question.until_s:
            entry = self._generations.start(site, rule, corpora=(tuple(first.entry.ids),), avoid=avoid)
            entry.asked_for = True
            begins = await self._wait(entry, least, question.until_s)
            if begins is None:
                break
            found.append(entry)
            avoid = (*avoid, begins.text)
            self._state.reuse.put_others(site.anchor.number, site.typed, found)
        return found

    async def _wait(self, entry: Entry, least: float, until_s: float) -> Opening | None:
        """Wait until an alternative is whole, or the time is up; return how it begins, None if it is of no use.

        Mutates: the generation, which is cancelled if it begins too unlikely, or if the caller is cancelled.
        """

        def begun() -> Opening | None:
            return opening(entry, 0, self._state.model.tokenizer)

        def unlikely() -> bool:
            begins = begun()
            return begins is not None and begins.prob < least

        try:
            await self._generations.wait(lambda: entry.reason is not None or unlikely(), until_s - time.perf_counter())
        except asyncio.CancelledError:
            self._generations.cancel(entry.request_id)
            raise
        begins = begun()
        if begins is None or unlikely():
            self._generations.cancel(entry.request_id)
            return None
        return begins if not entry.is_broken else None
