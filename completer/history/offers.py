"""What one client is shown and accepts, as events of the history. Text is compared here and goes no further."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cachetools import LRUCache

from completer.history.events import Accepted, Event, Grew, Shown, Unit
from completer.types import Suggestion

MAX_IDS = 64
"""Suggestions whose acceptance is still understood, as many as the server knows."""
MAX_DOCUMENTS = 32
_LANGUAGE = re.compile(r"[A-Za-z0-9+#._-]{1,32}")
_keys = itertools.count(1)


class _Visible(NamedTuple):
    """The suggestion shown last in a document, and the offer that it belongs to."""

    offer: int
    suggestion: Suggestion


class Offers:
    """Owned by the event loop of one connection. An offer is a suggestion with all that goes on with it, key by key."""

    def __init__(self, put: Callable[[Event], None]) -> None:
        """put: takes an event. It is called at keystrokes, so it must return at once."""
        self._put = put
        self._visible: LRUCache[str, _Visible] = LRUCache(MAX_DOCUMENTS)  # by URI
        self._offers: LRUCache[str, int] = LRUCache(MAX_IDS)  # by id of the suggestion

    def shown(
        self, ids: Sequence[str], suggestion: Suggestion, language: str, latency_ms: float | None, *, remote: bool = False
    ) -> None:
        """Note an answer with a suggestion. Mutates: the offers.

        ids: of the suggestion and of its alternatives.  latency_ms: None if nobody had asked.  remote: a server had the prompt.
        """
        key = next(_keys)
        offer = self._offer_of(suggestion) or key
        name = language if _LANGUAGE.fullmatch(language) else "other"
        hour, n_chars = int(time.time() // 3600), len(suggestion.text)
        self._put(Shown(key, offer, hour, name, suggestion.answered_by, latency_ms, n_chars, remote))
        self._remember(ids, offer, suggestion)

    def extended(self, id_: str, suggestion: Suggestion, language: str, *, remote: bool = False) -> None:
        """Note a better text that was sent after the answer. Mutates: the offers. Parameters as `shown`."""
        offer = self._offer_of(suggestion)
        if offer is None:
            self.shown([id_], suggestion, language, None, remote=remote)
            return
        self._put(Grew(offer, len(suggestion.text)))
        self._remember([id_], offer, suggestion)

    def accepted(self, id_: str, suggestion: Suggestion, n_before: int, n_chars: int) -> None:
        """Note that the first `n_chars` characters are accepted in all, and `n_before` of them were before.

        Mutates: the offers; one that is accepted whole is over.
        """
        if (offer := self._offers.get(id_)) is None:
            return
        unit = unit_of(suggestion.text, n_chars)
        self._put(Accepted(offer, n_chars - n_before, unit))
        if unit is Unit.WHOLE:
            self._visible.pop(suggestion.uri, None)

    def _offer_of(self, suggestion: Suggestion) -> int | None:
        """Return the offer that a suggestion goes on with: what is left of the last one, longer or shorter."""
        last = self._visible.get(suggestion.uri)
        if last is None:
            return None
        n_typed = suggestion.start_cp - last.suggestion.start_cp
        left = last.suggestion.text[max(n_typed, 0) :]
        goes_on = n_typed >= 0 and left and (suggestion.text.startswith(left) or left.startswith(suggestion.text))
        return last.offer if goes_on else None

    def _remember(self, ids: Sequence[str], offer: int, suggestion: Suggestion) -> None:
        self._visible[suggestion.uri] = _Visible(offer, suggestion)
        for id_ in ids:
            self._offers[id_] = offer


def unit_of(text: str, n_chars: int) -> Unit:
    """Return how much of a suggestion its first `n_chars` characters are."""
    if n_chars >= len(text):
        return Unit.WHOLE
    return Unit.LINE if "\n" in (text[n_chars], text[n_chars - 1 : n_chars]) else Unit.WORD
