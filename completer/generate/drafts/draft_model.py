"""A small model that drafts for a large one of the same vocabulary.

    ids          i0 i1 i2 ... in | d1 d2 d3       d: what the small model would say, one forward of its own each
    large model          feed in   d1 d2 d3       one forward tells how many of them it would have said, too

Each drafted token costs a forward of the small model and a row of the large one's, so one is asked for only while the
cost curves of both and the acceptance seen so far promise more tokens per millisecond with it than without.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from completer.engines.base import CostCurve, StepEngine
from completer.generate.choice import choose_next, remaining
from completer.generate.decode import PREFILL_FROM, SlotState
from completer.tokens.prefix import common_length
from completer.tokens.tokenizer import Tokenizer

PRIOR_RATE = 0.7
"""Share of drafted tokens that are right, before any was seen."""
_WEIGHT = 0.05
_FORGIVE = 0.005
"""How fast a bad rate is forgotten while nothing is drafted: a stretch of hard text must not end drafting for good."""


class DraftModel:
    """Proposes tokens from a StepEngine of its own. All calls come from the engine thread, which owns both engines' slots."""

    def __init__(self, engine: StepEngine, tokenizer: Tokenizer) -> None:
        self.engine = engine
        self._tokenizer = tokenizer
        self._slots = [SlotState(i) for i in range(engine.n_slots)]
        self._clock = 0
        self._rate = PRIOR_RATE
        self._rates: dict[int, float] = {}  # by tenths of the small model's own probability
        self._proposed: list[float] = []

    def catch_up(self, ids: Sequence[int]) -> Iterator[None]:
        """Bring a slot to `ids` (the front of a prompt), yielding between pieces of work; a few missing ones are left.

        Between two pieces the caller may ask for proposals: they may take the slot over, and this ends.  Mutates: the slot.
        """
        slot = self._choose_slot(ids)
        if len(ids) - common_length(slot.ids, ids) < PREFILL_FROM or len(ids) >= self.engine.max_len:
            return
        mine = self._touch(slot)
        with _Emptied(self.engine, slot):
            self._keep(slot, ids)
            pieces = self.engine.prefill(slot.index, ids[len(slot.ids) :])
            for _ in pieces:
                slot.ids.extend(ids[len(slot.ids) : self.engine.length(slot.index)])
                yield
                if slot.used != mine:
                    if isinstance(pieces, Generator):
                        pieces.close()
                    return
            slot.ids.extend(ids[len(slot.ids) :])

    def missing_ms(self, ids: Sequence[int]) -> float:
        """Return what it would cost to catch up with `ids`."""
        n = len(ids) - max(common_length(slot.ids, ids) for slot in self._slots)
        return n * self.engine.costs.prefill_ms_per_token

    def propose(self, ids: Sequence[int], pending: bytes, n_feed: int, limit: int, verify: CostCurve) -> list[int]:
        """Return up to `limit` tokens that probably follow `ids`: none where a slot is far behind, or where they do not pay.

        pending: bytes that they must reproduce first.  n_feed: tokens that the verifying forward takes anyway.
        verify: what that forward costs.  Mutates: a slot, the rates.
        """
        self._proposed = []
        slot = self._choose_slot(ids)
        room = self.engine.max_len - len(ids)
        if len(ids) - common_length(slot.ids, ids) > PREFILL_FROM or room < 1:
            return []
        self._touch(slot)
        with _Emptied(self.engine, slot):
            return self._propose(slot, ids, pending, n_feed, min(limit, room), verify)

    def record(self, n_right: int) -> None:
        """Learn that `n_right` tokens of the last proposal were right, and the one behind them not. Mutates: the rates."""
        for i, probability in enumerate(self._proposed[: n_right + 1]):
            outcome, key = float(i < n_right), int(probability * 10)
            old = self._rates.get(key, probability)
            self._rates[key] = old + _WEIGHT * (outcome - old)
            self._rate += _WEIGHT * (outcome - self._rate)

    def close(self) -> None:
        self.engine.close()

    def _propose(
        self, slot: SlotState, ids: Sequence[int], pending: bytes, n_feed: int, limit: int, verify: CostCurve
    ) -> list[int]:
        """Draft while another token is expected to raise tokens per millisecond."""
        proposed: list[int] = []
        reach, expected, spent_ms = 1.0, 1.0, verify.cost(n_feed)
        self._keep(slot, ids)
        feed = list(ids[len(slot.ids) :])
        while len(proposed) < limit:
            width = n_feed + len(proposed)
            row_ms = verify.cost(width + 1) - verify.cost(width)
            step_ms = self.engine.costs.cost(len(feed))
            if reach * self._rate * spent_ms <= expected * (step_ms + row_ms):
                if not proposed:
                    self._rate += _FORGIVE * (PRIOR_RATE - self._rate)
                break
            token = choose_next(self.engine, slot.index, feed, pending, self._tokenizer)
            slot.ids.extend(feed)
            text = self._tokenizer.token_bytes[token.id]
            spent_ms += step_ms
            reach *= self._rates.get(int(token.prob * 10), token.prob)
            # An end is not worth a row: the large model finds it in the row in front of it.
            if not text or reach * spent_ms <= expected * row_ms:
                break
            proposed.append(token.id)
            self._proposed.append(token.prob)
            if b"\n" in text:
                break  # most suggestions end here
            expected, spent_ms = expected + reach, spent_ms + row_ms
            pending, feed = remaining(pending, text), [token.id]
        return proposed

    def _choose_slot(self, ids: Sequence[int]) -> SlotState:
        """Return the slot that shares most with `ids`, or the one used least recently where it would lose more than it keeps."""
        best = max(self._slots, key=lambda slot: (common_length(slot.ids, ids), slot.used))
        if common_length(best.ids, ids) * 2 >= len(best.ids):
            return best
        return min(self._slots, key=lambda slot: slot.used)

    def _touch(self, slot: SlotState) -> int:
        self._clock += 1
        slot.used = self._clock
        return self._clock

    def _keep(self, slot: SlotState, ids: Sequence[int]) -> None:
        """Truncate the slot to what it shares with `ids`, all but the last of them at the most. Mutates: slot."""
        keep = min(common_length(slot.ids, ids), len(ids) - 1)
        del slot.ids[self.engine.truncate(slot.index, keep) :]


class _Emptied:
    """Empties the slot when the block raises: what a failed forward left in it is not known."""

    def __init__(self, engine: StepEngine, slot: SlotState) -> None:
        self._engine, self._slot = engine, slot

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and kind is not GeneratorExit:  # a generator that is closed was between two forwards
            self._slot.ids.clear()
            self._engine.truncate(self._slot.index, 0)
