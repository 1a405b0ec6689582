"""The narrow waist between the decoder and whatever runs the model.

An engine implements exactly one of two protocols: `StepEngine` (we decode, it forwards) or `StreamEngine` (it decodes).
All calls on one engine come from one thread. Nothing here imports an inference library.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from completer.types import FinishReason

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CostCurve:
    """What a forward costs on this machine, measured when the engine was loaded. A busy machine can only seem slower than it is.

    forward_ms: {n: milliseconds of a forward over n tokens}, for some n in 1..16.
    prefill_ms_per_token: marginal price of a prompt token in a long prefill.
    logit_noise: largest difference of a logit that matters between a forward over many tokens and forwards over one each:
        kernels add in another order. 0: none, or not measured; near-ties are then decided as they fall.
    """

    forward_ms: dict[int, float]
    prefill_ms_per_token: float
    logit_noise: float = 0.0

    def cost(self, n: int) -> float:
        """Milliseconds of a forward over n tokens, n >= 1; linear between the measured widths."""
        widths = sorted(self.forward_ms)
        return float(np.interp(n, widths, [self.forward_ms[w] for w in widths]))

    def seen(self, n: int, ms: float) -> CostCurve:
        """Return the curve after a forward over n tokens took `ms`: of all readings of a measured width the least counts."""
        if ms >= self.forward_ms.get(n, 0.0):
            return self
        return replace(self, forward_ms={**self.forward_ms, n: ms})

    def seen_prefill(self, ms_per_token: float) -> CostCurve:
        """Return the curve after a long prefill at `ms_per_token`."""
        return self if ms_per_token >= self.prefill_ms_per_token else replace(self, prefill_ms_per_token=ms_per_token)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine can run here; `reason` states why not, and how to fix it."""

    engine: str
    available: bool
    reason: str = ""
    version: str = ""
    device: str = ""


@runtime_checkable
class StepEngine(Protocol):
    """Owns KV slots and forwards tokens through them. Decoding is ours (completer.generate.decode).

    A slot is one sequence of at most `max_len` positions; position i holds the keys and values of the i-th token
    that was fed and not truncated. The engine keeps lengths only; which ids a slot holds is the caller's knowledge.
    """

    name: str
    n_slots: int
    max_len: int
    vocab_size: int
    costs: CostCurve

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        """Append `ids` to the slot and return the logits of the last `n_logits` of them.

        ids: [n], n >= 1.  Returns: [n_logits, vocab_size] float32, 0 <= n_logits <= n; valid until the next call.
        Mutates: the slot (length grows by n). Raises: ContextOverflow, and then the slot is unchanged.
        """
        ...

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        """Append `ids` without logits, yielding between pieces of work of at most about 20 ms.

        Between two pieces the caller may run anything on *other* slots, or abandon the iterator (`close()`); the
        slot's length counts only tokens that went through all layers.
        Mutates: the slot. Raises: ContextOverflow before the first piece.
        """
        ...

    def length(self, slot: int) -> int:
        """Number of positions the slot holds."""
        ...

    def truncate(self, slot: int, length: int) -> int:
        """Drop all positions from `length` on; return the length kept (<= length; recurrent models may keep less)."""
        ...

    def copy(self, src: int, dst: int, length: int) -> None:
        """Make slot `dst` hold the first `length` positions of slot `src`. Mutates: dst only."""
        ...

    def close(self) -> None:
        """Free the model and the slots. Further calls raise EngineClosed."""
        ...


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What a StreamEngine is asked for: no more than servers can do. Healing and stop rules are completer's own.

    ids: [T] the prompt; the answer follows it.  n_predict: most tokens wanted; 0: only bring the prefix cache to `ids`.
    begins_with: UTF-8 that the answer must start with; only engines with `constrains` get any.
    n_top: alternatives wanted at each place; more than 1 while something is to be healed.
    single_line: the answer may end at its first line break.  session: whose prompt it is.
    deadline_s: seconds from now after which nobody wants the answer any more.
    """

    ids: tuple[int, ...]
    n_predict: int
    begins_with: bytes = b""
    n_top: int = 1
    single_line: bool = False
    session: str = ""
    deadline_s: float = 30.0


@dataclass(frozen=True, slots=True)
class StreamPiece:
    """A part of an answer, usually one token, in ids of the tokenizer that made the prompt.

    prob: its probability before any constraint; 1.0 where the engine does not tell.
    top: the likeliest tokens at this place, best first, each with its probability; () where the engine does not tell.
    n_cached: how many of the prompt's tokens came from the engine's prefix cache, as far as known.
    end: why the engine ended here; None: more may follow.
    """

    ids: tuple[int, ...] = ()
    prob: float = 1.0
    top: tuple[tuple[tuple[int, ...], float], ...] = ()
    n_cached: int | None = None
    end: FinishReason | None = None


@runtime_checkable
class ChoosingEngine(StepEngine, Protocol):
    """A StepEngine on a device of its own that also chooses there, so that not all logits travel for each row."""

    def forward_choices(
        self, slot: int, ids: Sequence[int], allowed: Sequence[NDArray[np.int64] | None]
    ) -> list[tuple[int, float]]:
        """Append `ids`; return the likeliest id of each of the last `len(allowed)` rows and its probability.

        allowed: for each of these rows the ids among which it chooses and which share the probability; None: all that the
        tokenizer knows.  Mutates and raises as `forward`.
        """
        ...


@runtime_checkable
class StreamEngine(Protocol):
    """Takes a prompt, streams tokens, keeps its own prefix cache. Drafts and slots are its own business.

    constrains: whether it honours `begins_with`.  costs: what a prompt token and an output token cost, its way included.
    All calls come from one event loop; many streams may be open at once.
    """

    name: str
    max_len: int
    costs: CostCurve
    constrains: bool

    def stream(self, request: StreamRequest) -> AsyncGenerator[StreamPiece, None]:
        """Yield what follows the prompt, greedily; closing the iterator cancels.

        Raises: EngineError, with the mend in its text, when the endpoint or library fails or the deadline is over.
        """
        ...

    async def close(self) -> None:
        """Release connections and models."""
        ...
