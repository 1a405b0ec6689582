"""A small model that drafts for a large one of the same vocabulary.

    ids          i0 i1 i2 ... in | d1 d2 d3       d: chosen by the small model, one forward each
    large model          feed in   d1 d2 d3       one forward finds how many of them it would have chosen, too

Each drafted token costs a forward of the small model and a row of the large one's. So the small model drafts
only while the cost curves of both and the acceptance seen so far promise more tokens per millisecond with
another token than without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from completer.engines.base import CostCurve, StepEngine
from completer.generate.choice import choose_next, remaining
from completer.generate.slots import PREFILL_FROM, Slot, Slots
from completer.tokens.tokenizer import Tokenizer

PRIOR_RATE = 0.7
"""Share of drafted tokens that are right, before any was seen."""
_WEIGHT = 0.05
_FORGIVE = 0.005
"""How fast a bad rate is forgotten while nothing is drafted: hard text must not end drafting for good."""


class DraftModel:
    """Proposes tokens from a StepEngine of its own.

    All calls come from the engine thread, which owns both engines' slots.
    """

    def __init__(self, engine: StepEngine, tokenizer: Tokenizer) -> None:
        self.engine = engine
        self._tokenizer = tokenizer
        self._slots = Slots(engine)
        self._rate = PRIOR_RATE
        self._rates: dict[int, float] = {}  # by tenths of the small model's own probability
        self._proposed: list[float] = []

    def catch_up(self, ids: Sequence[int]) -> Iterator[None]:
        """Bring a slot to the front of a prompt, piece by piece; a few missing tokens are left.

        Between two pieces the caller may ask for proposals: they may take the slot over, and this ends.
        Mutates: a slot.
        """
        claim = self._slots.choose(ids)
        if len(ids) - claim.n_shared < PREFILL_FROM or len(ids) >= self.engine.max_len:
            return
        slot = self._slots.take(claim)
        taken = slot.used
        with slot.guard():
            for _ in slot.prefill(slot.keep(ids)):
                yield
                if slot.used != taken:
                    return

    def missing_ms(self, ids: Sequence[int]) -> float:
        """Return what it would cost to catch up with `ids`."""
        return (len(ids) - self._slots.n_cached(ids)) * self.engine.costs.prefill_ms_per_token

    def propose(self, ids: Sequence[int], pending: bytes, n_feed: int, limit: int, verify: CostCurve) -> list[int]:
        """Return up to `limit` tokens that probably follow `ids`; none if too few of `ids` are in a slot, or none pays.

        pending: bytes that they must reproduce first.  n_feed: tokens that the verifying forward feeds.
        verify: what that forward costs.  Mutates: a slot, the rates.
        """
        self._proposed = []
        claim = self._slots.choose(ids)
        room = self.engine.max_len - len(ids)
        if len(ids) - claim.n_shared > PREFILL_FROM or room < 1:
            return []
        slot = self._slots.take(claim)
        with slot.guard():
            return self._propose(slot, ids, pending, n_feed, min(limit, room), verify)

    def record(self, n_right: int) -> None:
        """Learn that `n_right` tokens of the last proposal were right, and the one after them not.

        Mutates: the rates.
        """
        for i, probability in enumerate(self._proposed[: n_right + 1]):
            outcome, key = float(i < n_right), int(probability * 10)
            old = self._rates.get(key, probability)
            self._rates[key] = old + _WEIGHT * (outcome - old)
            self._rate += _WEIGHT * (outcome - self._rate)

    def close(self) -> None:
        self.engine.close()

    def _propose(self, slot: Slot, ids: Sequence[int], pending: bytes, n_feed: int, limit: int, verify: CostCurve) -> list[int]:
        """Draft while another token is expected to raise tokens per millisecond."""
        proposed: list[int] = []
        reach, expected, spent_ms = 1.0, 1.0, verify.cost(n_feed)
        feed = slot.keep(ids)
        while len(proposed) < limit:
            width = n_feed + len(proposed)
            row_ms = verify.cost(width + 1) - verify.cost(width)
            step_ms = self.engine.costs.cost(len(feed))
            if reach * self._rate * spent_ms <= expected * (step_ms + row_ms):
                if not proposed:
                    self._rate += _FORGIVE * (PRIOR_RATE - self._rate)
                break
            token = choose_next(slot, feed, pending, self._tokenizer)
            text = self._tokenizer.token_bytes[token.id]
            spent_ms += step_ms
            reach *= self._rates.get(int(token.prob * 10), token.prob)
            # An end needs no row of its own: the large model finds it in the row before.
            if not text or reach * spent_ms <= expected * row_ms:
                break
            proposed.append(token.id)
            self._proposed.append(token.prob)
            if b"\n" in text:
                break  # most suggestions end here
            expected, spent_ms = expected + reach, spent_ms + row_ms
            pending, feed = remaining(pending, text), [token.id]
        return proposed
