"""A StepEngine without a model: logits are a pure function of the token ids in the slot, equal to the last bit.

    most positions     logits depend on the last two ids, so that texts repeat themselves and drafts come true
    one in four        on all ids of the slot, so that one wrong id anywhere is seen

Law tests run over it, and a front end can be tried with it. It is strict: misuse that a real engine would answer with
wrong numbers is an error here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from completer.engines.base import CostCurve, Logits
from completer.errors import ContextOverflow, EngineClosed, EngineError

PIECE = 16
"""Tokens in a piece of a prefill."""
_SEED = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


class Call(NamedTuple):
    """One piece of work that was done: `n` tokens were fed or copied, or `n` were left by a truncation."""

    name: str  # forward, prefill, truncate, copy
    slot: int
    n: int


class FakeEngine:
    """A strict, deterministic `StepEngine`. ids: what each slot holds, for tests to look at; calls: what was done."""

    name = "fake"

    def __init__(self, vocab_size: int, n_slots: int = 3, max_len: int = 256) -> None:
        self.vocab_size = vocab_size
        self.n_slots = n_slots
        self.max_len = max_len
        self.costs = CostCurve({1: 1.0, 4: 1.2, 16: 2.0}, 0.1)
        self.ids: list[list[int]] = [[] for _ in range(n_slots)]
        self.calls: list[Call] = []
        self._mixed = _mix(np.arange(vocab_size, dtype=np.uint64))
        self._handed_out: Logits | None = None
        self._thread: int | None = None
        self._closed = False

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        self._check(slot)
        if not 0 <= n_logits <= len(ids):
            raise EngineError(f"{n_logits} rows of logits wanted of {len(ids)} tokens")
        self._append("forward", slot, ids)
        held = self.ids[slot]
        rows = np.empty((n_logits, self.vocab_size), np.float32)
        for row, end in enumerate(range(len(held) - n_logits + 1, len(held) + 1)):
            rows[row] = self.logits_after(held[:end])
        self._handed_out = rows
        return rows

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        self._check(slot)
        self._check_room(slot, len(ids))
        for start in range(0, len(ids), PIECE):
            before = list(self.ids[slot])
            yield
            self._check(slot)
            if self.ids[slot] != before:
                raise EngineError(f"slot {slot} was changed while a prefill of it was under way")
            self._append("prefill", slot, ids[start : start + PIECE])

    def length(self, slot: int) -> int:
        return len(self.ids[slot])

    def truncate(self, slot: int, length: int) -> int:
        self._check(slot)
        if length < 0:
            raise EngineError(f"a slot cannot be truncated to {length} positions")
        del self.ids[slot][length:]
        self.calls.append(Call("truncate", slot, len(self.ids[slot])))
        return len(self.ids[slot])

    def copy(self, src: int, dst: int, length: int) -> None:
        self._check(src)
        self._check(dst)
        self.ids[dst] = self.ids[src][:length]
        self.calls.append(Call("copy", dst, len(self.ids[dst])))

    def close(self) -> None:
        self._closed = True

    def logits_after(self, ids: Sequence[int]) -> Logits:
        """Return the logits of the token behind `ids`: [vocab_size], within 0..8, no two alike in the vocabularies of tests."""
        of_all = _hash(ids)
        state = of_all if of_all % 4 == 0 else _hash(ids[-2:])
        bits = _mix(self._mixed ^ np.uint64(state)) >> np.uint64(40)
        uniform = bits.astype(np.float32) / np.float32(2**24)  # exact: 24 bits
        return uniform**8 * np.float32(8.0)  # few tokens stand out, as with a real model

    def _append(self, name: str, slot: int, ids: Sequence[int]) -> None:
        if not ids:
            raise EngineError("a forward needs at least one token")
        if not all(0 <= i < self.vocab_size for i in ids):
            raise EngineError(f"token ids must be within 0..{self.vocab_size - 1}")
        self._check_room(slot, len(ids))
        self.ids[slot].extend(ids)
        self.calls.append(Call(name, slot, len(ids)))

    def _check_room(self, slot: int, n: int) -> None:
        if len(self.ids[slot]) + n > self.max_len:
            raise ContextOverflow(f"{n} tokens after {len(self.ids[slot])} exceed the {self.max_len} positions of a slot")

    def _check(self, slot: int) -> None:
        """Every call comes here first. Mutates: the logits handed out last, which are valid until now only."""
        if self._closed:
            raise EngineClosed("the engine was closed")
        if not 0 <= slot < self.n_slots:
            raise EngineError(f"there is no slot {slot}")
        here = threading.get_ident()
        self._thread = self._thread or here
        if here != self._thread:
            raise EngineError("an engine was called from two threads")
        if self._handed_out is not None:
            self._handed_out.fill(np.nan)
            self._handed_out = None


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit numbers. Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    x = (x + np.uint64(_SEED)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _hash(ids: Sequence[int]) -> int:
    state = len(ids)
    for id_ in ids:
        state = ((state ^ id_) * _SEED + 1) & _MASK
        state ^= state >> 29
    return state
