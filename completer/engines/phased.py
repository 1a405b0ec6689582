"""Each phase on what is best at it: long feeds on one engine, short ones on another, over the same KV slots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from completer.engines.base import CostCurve, Logits, StepEngine


class Prefiller(Protocol):
    """The part of a StepEngine that fills slots; it may have no output head."""

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]: ...

    def close(self) -> None: ...


class PhasedEngine:
    """A `StepEngine` that decodes on `decoder` and prefills on `prefiller`; both must write the slots of `decoder`."""

    def __init__(self, decoder: StepEngine, prefiller: Prefiller, name: str) -> None:
        self.name = name
        self.n_slots = decoder.n_slots
        self.max_len = decoder.max_len
        self.vocab_size = decoder.vocab_size
        self.costs = CostCurve({1: 1.0}, 1.0)
        self._decoder = decoder
        self._prefiller = prefiller

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        return self._decoder.forward(slot, ids, n_logits)

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        return self._prefiller.prefill(slot, ids)

    def length(self, slot: int) -> int:
        return self._decoder.length(slot)

    def truncate(self, slot: int, length: int) -> int:
        return self._decoder.truncate(slot, length)

    def copy(self, src: int, dst: int, length: int) -> None:
        self._decoder.copy(src, dst, length)

    def close(self) -> None:
        self._decoder.close()
        self._prefiller.close()
