"""Requests to the engine thread, and an engine that stands at a gate, so that a test decides what runs before what."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from completer.engines.base import Logits
from completer.tokens.tokenizer import Tokenizer
from completer.types import Request, StopRule
from tests import tiny
from tests.fake_engine import FakeEngine
from tests.law import prompt_of

STOP = StopRule(max_tokens=10, single_line=False)
NOTHING = StopRule(max_tokens=0)


def engine(n_slots: int = 3) -> FakeEngine:
    return FakeEngine(tiny.VOCAB_SIZE, n_slots=n_slots, max_len=256)


class GatedEngine(FakeEngine):
    """Each forward waits at a gate until the test lets it through."""

    def __init__(self, n_slots: int = 3) -> None:
        super().__init__(tiny.VOCAB_SIZE, n_slots=n_slots, max_len=256)
        self.arrived = threading.Semaphore(0)
        self._gate = threading.Semaphore(0)

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        self.arrived.release()
        assert self._gate.acquire(timeout=10)
        return super().forward(slot, ids, n_logits)

    def let_through(self, n: int = 1) -> None:
        """Let n forwards through; return when the engine thread stands at the gate again."""
        self._gate.release(n)
        for _ in range(n):
            assert self.arrived.acquire(timeout=10)

    def wait_at_gate(self) -> None:
        assert self.arrived.acquire(timeout=10)

    def open(self) -> None:
        self._gate.release(10_000)


def request(
    tokenizer: Tokenizer, id_: int, ids: Sequence[int], stop: StopRule = STOP, priority: int = 0, n_heal: int = 0
) -> Request:
    prompt = prompt_of(tokenizer, ids, n_heal)
    return Request(id_, "a", prompt, stop, priority, corpus_ids=(tuple(ids),))
