"""Logits that were computed before, found again by the tokens before them.

While a word is typed, every key takes the same word back and asks the same question: which token comes here,
given these bytes? The row that answers it was computed at the word's first letter; the other keys choose from
it without a forward.

    typed   d e f ␣ r        row after `def`   ──> likeliest token that starts with " r"
    typed   d e f ␣ r e      the same row      ──> likeliest token that starts with " re"

A row is a function of the tokens before it, so it never goes stale, whichever slot held them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cachetools import LRUCache

from completer.engines.base import Logits

MAX_ROWS = 32
"""A row over 150,000 tokens takes 600 kB."""


class KnownRows:
    """The rows of the last forwards, by all tokens before them. Owned by the engine thread."""

    def __init__(self, vocab_size: int) -> None:
        # One table for good: rows that came and went would leave holes in the heap that nothing else fits.
        self._table = np.empty((MAX_ROWS, vocab_size), np.float32)
        self._places: LRUCache[tuple[int, ...], int] = LRUCache(maxsize=MAX_ROWS)

    def after(self, ids: Sequence[int]) -> Logits | None:
        """Return the logits [vocab] of what follows `ids`, valid until the next `keep`; None: unknown."""
        place = self._places.get(tuple(ids))
        return None if place is None else self._table[place]

    def keep(self, ids: Sequence[int], row: Logits) -> None:
        """Remember a copy of `row` [vocab], the logits of what follows `ids`.

        Mutates: the rows, the oldest is dropped.
        """
        key, n = tuple(ids), len(self._places)
        place = self._places.pop(key, None)
        if place is None:
            place = n if n < MAX_ROWS else self._places.popitem()[1]
        self._table[place] = row
        self._places[key] = place
