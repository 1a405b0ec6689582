"""Each phase on what is best at it: long feeds on one engine, short ones on another, over the same KV slots."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Protocol

from completer.engines.base import CostCurve, Logits, StepEngine
from completer.engines.kv import KvSlots

LONG_PREFILL = 96
"""Tokens from which a prefill tells what one more costs."""
_WAIT_S = 0.01
_END = object()


class Prefiller(Protocol):
    """The part of a StepEngine that fills slots; it may have no output head."""

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]: ...

    def close(self) -> None: ...


class PendingPrefiller:
    """A prefiller that another thread is still making: importing torch and packing its weights takes a second and a half.

    Until then a prefill waits in short pieces, so that its job can be cancelled and more urgent ones go first.
    If it cannot be made, `spare` prefills: slower, but suggestions come.
    """

    def __init__(self, making: Future[Prefiller], kv: KvSlots, spare: Prefiller) -> None:
        """spare: fills the same slots. It is not closed here."""
        self._making = making
        self._kv = kv
        self._spare = spare

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        """See `StepEngine.prefill`."""
        self._kv.check_room(slot, len(ids))
        while not self._making.done():
            wait([self._making], timeout=_WAIT_S)
            yield
        prefiller = self._spare if self._making.exception() else self._making.result()
        yield from prefiller.prefill(slot, ids)

    def close(self) -> None:
        if not self._making.cancel() and self._making.exception() is None:
            self._making.result().close()


class PhasedEngine:
    """A `StepEngine` that decodes on `decoder` and prefills on `prefiller`; both must write the slots of `decoder`.

    Its costs follow the work: measured while something else kept the machine busy, they would make every window too small.
    """

    def __init__(self, decoder: StepEngine, prefiller: Prefiller, name: str) -> None:
        self.name = name
        self.n_slots = decoder.n_slots
        self.max_len = decoder.max_len
        self.vocab_size = decoder.vocab_size
        self.costs = CostCurve({1: 1.0}, 1.0)
        self._decoder = decoder
        self._prefiller = prefiller

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        started = time.perf_counter()
        logits = self._decoder.forward(slot, ids, n_logits)
        if n_logits == len(ids):  # as the curve is measured
            self.costs = self.costs.seen(len(ids), (time.perf_counter() - started) * 1e3)
        return logits

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        pieces, spent_ms = iter(self._prefiller.prefill(slot, ids)), 0.0
        while True:
            started = time.perf_counter()
            more = next(pieces, _END) is not _END
            spent_ms += (time.perf_counter() - started) * 1e3
            if not more:
                break
            yield
        if len(ids) >= LONG_PREFILL:
            self.costs = self.costs.seen_prefill(spent_ms / len(ids))

    def length(self, slot: int) -> int:
        return self._decoder.length(slot)

    def truncate(self, slot: int, length: int) -> int:
        return self._decoder.truncate(slot, length)

    def copy(self, src: int, dst: int, length: int) -> None:
        self._decoder.copy(src, dst, length)

    def close(self) -> None:
        self._decoder.close()
        self._prefiller.close()
