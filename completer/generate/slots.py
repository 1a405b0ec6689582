"""The KV slots of an engine and the tokens they hold: the prefix cache.

    ids     a b c d e f g        the sequence wanted
    slot    a b c d | x y        keep 4, drop x y, feed e f g

An engine knows lengths only (completer.engines.base). Every forward and every truncation goes through a
`Slot`, so that what is known of its tokens and what the engine holds never differ.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from completer.engines.base import ChoosingEngine, Logits, StepEngine
from completer.tokens.prefix import common_length

PREFILL_FROM = 12
"""Shortest feed that goes through `prefill`; shorter ones are part of the first forward."""


class Slot:
    """One sequence of an engine.

    ids: the tokens it holds.  used: when it was last taken, on the clock of `Slots`.
    scratch_from: what it holds from there on may be dropped at no loss (`Request.scratch`).
    Invariant: `ids` names a token only after the forward that wrote it. An exception inside `guard` empties
    the slot. Owned by the engine's thread; other threads may read `ids`.
    """

    def __init__(self, engine: StepEngine, index: int, ids: Sequence[int] = ()) -> None:
        self.engine = engine
        self.index = index
        self.ids = list(ids)
        self.used = 0
        self.scratch_from = sys.maxsize
        self._choosing = engine if isinstance(engine, ChoosingEngine) else None

    @property
    def can_choose(self) -> bool:
        """Whether the engine can choose tokens on its device (`forward_choices`)."""
        return self._choosing is not None

    def n_shared(self, ids: Sequence[int]) -> int:
        """Return the length of the prefix that the slot shares with `ids`."""
        return common_length(self.ids, ids)

    def keep(self, ids: Sequence[int]) -> list[int]:
        """Drop what differs from `ids`; return what must be fed to reach them. Mutates: the slot.

        At least the last token is fed, because its row is wanted.
        """
        return list(ids[self.truncate(max(0, min(self.n_shared(ids), len(ids) - 1))) :])

    def truncate(self, length: int) -> int:
        """Drop all tokens from `length` on; return how many are left, perhaps fewer than `length`.

        Mutates: the slot.
        """
        if length < len(self.ids):
            del self.ids[self.engine.truncate(self.index, length) :]
        return len(self.ids)

    def forward(self, ids: Sequence[int], n_logits: int) -> Logits:
        """Append `ids` and return the logits of the last `n_logits` of them.

        Returns: [n_logits, vocab], valid until the next call.  Mutates: the slot.
        Raises: as `StepEngine.forward`.
        """
        logits = self.engine.forward(self.index, ids, n_logits)
        self.ids.extend(ids)
        return logits

    def forward_choices(self, ids: Sequence[int], allowed: Sequence[NDArray[np.int64] | None]) -> list[tuple[int, float]]:
        """Append `ids`; return what the device chose in the last `len(allowed)` rows, with probabilities.

        Only if `can_choose`.  Mutates: the slot.  Raises: as `ChoosingEngine.forward_choices`.
        """
        assert self._choosing is not None
        chosen = self._choosing.forward_choices(self.index, ids, allowed)
        self.ids.extend(ids)
        return chosen

    def prefill(self, ids: Sequence[int]) -> Iterator[None]:
        """Append `ids` without logits, yielding between pieces of work.

        Closing the iterator keeps the tokens that went through all layers.
        Mutates: the slot.  Raises: as `StepEngine.prefill`.
        """
        start = len(self.ids)
        for _ in self.engine.prefill(self.index, ids):
            # An engine may commit part by part; what is whole can be kept if the rest is abandoned.
            self.ids.extend(ids[len(self.ids) - start : self.engine.length(self.index) - start])
            yield
        self.ids[start:] = ids

    def copy_from(self, other: Slot, n: int) -> None:
        """Become a copy of the first `n` tokens of another slot. Mutates: the slot."""
        self.ids.clear()
        self.engine.copy(other.index, self.index, n)
        self.ids.extend(other.ids[:n])

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Empty the slot if the block raises: what a failed forward left in it is unknown. Mutates: the slot.

        A generator that is closed was between two forwards; its slot stays as it is.
        """
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException:
            self.ids.clear()
            self.engine.truncate(self.index, 0)
            raise


class Claim(NamedTuple):
    """The slot to take for a sequence; source, mostly the same slot, holds `n_shared` of its tokens."""

    slot: Slot
    source: Slot
    n_shared: int


class Slots:
    """All slots of one engine: which of them to take for a sequence, and how much of it is there already.

    Invariant: the `ids` of a slot name a token only after the forward that wrote it (see `Slot`).
    Owned by the engine's thread; only `n_cached` may be called from another one.
    """

    def __init__(self, engine: StepEngine, max_lost: int = sys.maxsize) -> None:
        """max_lost: most tokens that may be dropped to take over a slot in place."""
        self._slots = [Slot(engine, i) for i in range(engine.n_slots)]
        self._max_lost = max_lost
        self._clock = 0

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def n_cached(self, ids: Sequence[int]) -> int:
        """Return how many tokens of `ids` some slot holds, as a prefix."""
        # Read from another thread without a lock: a list that changes gives a slightly wrong number.
        return max(slot.n_shared(ids) for slot in self._slots)

    def choose(
        self, ids: Sequence[int], free: Sequence[Slot] | None = None, busy: Collection[Slot] = (), spare_busy: bool = False
    ) -> Claim:
        """Return the slot to take for `ids`.

        That is the one with the longest prefix of them, if taking it drops at most `max_lost` tokens and no
        more than it keeps, not counting scratch; else the one used least recently among the others, to which the prefix is then
        copied.

        free: the slots to choose from; None: all.  busy: those with unfinished work, taken last.
        spare_busy: a busy slot is not taken for its prefix either.
        """
        free = self._slots if free is None else free
        n_shared, _, source = max(((slot.n_shared(ids), slot.used, slot) for slot in self._slots), key=lambda one: one[:2])
        cheap = min(len(source.ids), source.scratch_from) - n_shared <= min(self._max_lost, n_shared)
        if source in free and cheap and not (spare_busy and source in busy):
            return Claim(source, source, n_shared)
        others = [slot for slot in free if slot is not source]
        return Claim(min(others, key=lambda slot: (slot in busy, slot.used), default=source), source, n_shared)

    def take(self, claim: Claim) -> Slot:
        """Return the claimed slot, which then begins with what is shared. Mutates: the slot, the clock."""
        slot, source, n_shared = claim
        if slot is not source:
            slot.copy_from(source, n_shared)
        slot.scratch_from = sys.maxsize
        self._clock += 1
        slot.used = self._clock
        return slot
