"""Drafts: tokens that probably come next, verified in one forward. They change the cost, not the output.

Sources, in the order in which they are asked:
    stale    what an earlier suggestion had at this place
    ngram    what followed the same tokens in the prompt, the open documents, or the text generated so far
    model    what a smaller model chooses (completer.generate.drafts.draft_model), if one is set
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from completer.engines.base import CostCurve

MAX_MATCH = 12
MAX_PLACES = 256
"""The latest places of a token that are looked at: a comma has hundreds."""
MAX_WIDTH = 8


class Draft(NamedTuple):
    """`ids` proposed by `source`, with the length of the match that they rest on (0: not applicable)."""

    source: str
    ids: list[int]
    match: int = 0


NO_DRAFT = Draft("", [])


Fits = Callable[[Sequence[int], int], bool]
"""Tells whether the tokens of a corpus from a position on fit the place that is drafted for."""


class NgramIndex:
    """Finds earlier places at which the same tokens stood.

    Source: prompt lookup decoding, REST (2311.08252).
    """

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self.ids: list[int] = []
        self._ends: defaultdict[int, list[int]] = defaultdict(list)
        self.extend(ids)

    def extend(self, ids: Iterable[int]) -> None:
        """Append `ids`. Mutates: the index."""
        for id_ in ids:
            self.ids.append(id_)
            self._ends[id_].append(len(self.ids))

    def continue_(self, tail: Sequence[int], width: int, fits: Fits | None = None) -> Draft:
        """Return up to `width` ids after the longest (then latest) match of `tail`'s end that `fits`."""
        if not tail or width < 1:
            return NO_DRAFT
        best, best_length = -1, 0
        for end in islice(reversed(self._ends.get(tail[-1], ())), MAX_PLACES):
            if end >= len(self.ids):
                continue
            length = _backward_match(self.ids, end, tail)
            if length > best_length and (fits is None or fits(self.ids, end)):
                best, best_length = end, length
                if length >= MAX_MATCH:
                    break
        return NO_DRAFT if best < 0 else Draft("ngram", self.ids[best : best + width], best_length)


def _backward_match(ids: Sequence[int], end: int, tail: Sequence[int]) -> int:
    n = 0
    limit = min(end, len(tail), MAX_MATCH)
    while n < limit and ids[end - 1 - n] == tail[-1 - n]:
        n += 1
    return n


def n_covering(ids: Sequence[int], at: int, wanted: bytes, token_bytes: Sequence[bytes]) -> int:
    """Return how many tokens from `at` on it takes to begin with the bytes `wanted`; 0: they do not."""
    for n, id_ in enumerate(ids[at : at + len(wanted)], 1):
        token = token_bytes[id_] if id_ < len(token_bytes) else b""  # the padding after a vocabulary
        if len(token) >= len(wanted):
            return n if token.startswith(wanted) else 0
        if not token or not wanted.startswith(token):
            return 0
        wanted = wanted[len(token) :]
    return 0


class AcceptanceRates:
    """Running share of drafted tokens that were right, for each source and length of match."""

    _WEIGHT = 0.05

    def __init__(self) -> None:
        self._rates: dict[tuple[str, int], float] = {}

    def rate(self, draft: Draft) -> float:
        prior = 0.8 if draft.source == "stale" else min(0.3 + 0.08 * draft.match, 0.85)
        return self._rates.get((draft.source, draft.match), prior)

    def record(self, draft: Draft, n_right: int) -> None:
        """Count the first `n_right` tokens as right and the one after them, if there is one, as wrong.

        Mutates: the rates.
        """
        outcomes = [1.0] * n_right + [0.0] * (n_right < len(draft.ids))
        for outcome in outcomes:
            old = self.rate(draft)
            self._rates[(draft.source, draft.match)] = old + self._WEIGHT * (outcome - old)


def best_width(rate: float, costs: CostCurve, n_feed: int, limit: int = MAX_WIDTH) -> int:
    """Return how many draft tokens give the most output per millisecond, from 0 to `limit`.

    rate: probability that a drafted token is right, given that those before it were.
    n_feed: tokens that the forward must take anyway.  Source: the expected length in 2211.17192, section 3.1.
    """
    best, best_speed = 0, 1.0 / costs.cost(n_feed)
    expected = 1.0
    for width in range(1, limit + 1):
        expected += rate**width
        speed = expected / costs.cost(n_feed + width)
        if speed > best_speed:
            best, best_speed = width, speed
    return best


class ModelSource(Protocol):
    """The part of a draft model that proposes; see completer.generate.drafts.draft_model."""

    def propose(self, ids: Sequence[int], pending: bytes, n_feed: int, limit: int, verify: CostCurve) -> list[int]: ...

    def record(self, n_right: int) -> None: ...


class Drafter:
    """Proposes drafts for one request from its sources.

    `rates` and `model` outlive the request and learn from it.
    """

    def __init__(
        self,
        stale: Sequence[Sequence[int]],
        corpora: Sequence[NgramIndex],
        rates: AcceptanceRates,
        costs: CostCurve,
        model: ModelSource | None = None,
    ) -> None:
        self._stale = [list(ids) for ids in stale]  # best first
        self._corpora = corpora
        self._rates = rates
        self._costs = costs
        self._model = model

    def propose(
        self, context: Sequence[int], generated: Sequence[int], n_feed: int, limit: int, pending: bytes | None = None
    ) -> Draft:
        """Return a draft of what follows `generated` (which follows `context`), as wide as pays.

        n_feed: tokens fed beside the draft.  limit: most tokens wanted.
        pending: bytes that the draft model must reproduce first; None: only what costs nothing is asked.
        """
        limit = min(limit, MAX_WIDTH)
        if limit < 1:
            return NO_DRAFT
        draft = self._from_stale(generated, limit) or self._from_corpora([*context[-MAX_MATCH:], *generated][-MAX_MATCH:], limit)
        width = best_width(self._rates.rate(draft), self._costs, n_feed, len(draft.ids)) if draft.ids else 0
        if width:
            return draft._replace(ids=draft.ids[:width])
        if self._model is None or pending is None:
            return NO_DRAFT
        ids = self._model.propose([*context, *generated], pending, n_feed, limit, self._costs)
        return Draft("model", ids) if ids else NO_DRAFT

    def heal(self, context: Sequence[int], wanted: bytes, token_bytes: Sequence[bytes]) -> list[int]:
        """Return the tokens seen after `context`'s end elsewhere that reproduce the bytes `wanted`, or []."""

        def fits(ids: Sequence[int], at: int) -> bool:
            return n_covering(ids, at, wanted, token_bytes) > 0

        seen = [ids for ids in self._stale if fits(ids, 0)][:1] or [self._from_corpora(context[-MAX_MATCH:], MAX_WIDTH, fits).ids]
        return seen[0][: n_covering(seen[0], 0, wanted, token_bytes)]

    def record(self, draft: Draft, n_right: int) -> None:
        """Learn how much of a draft was right. Mutates: the shared rates."""
        if draft.source == "model" and self._model is not None:
            self._model.record(n_right)
            return
        self._rates.record(draft, n_right)

    def _from_stale(self, generated: Sequence[int], limit: int) -> Draft | None:
        n = len(generated)
        for ids in self._stale:
            if len(ids) > n and ids[:n] == list(generated):
                return Draft("stale", ids[n : n + limit])
        return None

    def _from_corpora(self, tail: Sequence[int], limit: int, fits: Fits | None = None) -> Draft:
        found = [corpus.continue_(tail, limit, fits) for corpus in self._corpora]
        return max(found, key=lambda draft: draft.match, default=NO_DRAFT)
