"""A generator whose tokens the test writes itself, so that a test of the front decides what arrives when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from completer.complete.state import Model
from completer.engines.base import CostCurve
from completer.generate.generator import OnEvent
from completer.tokens.prefix import common_length
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, FinishReason, Request, Snapshot, Stats, Token, Tokens

COSTS = CostCurve({1: 1.0, 8: 2.0}, 1.5)
"""A first answer at a new place has room for 120 tokens, a full window for 960."""
MAX_LEN = 4096


class ByHand:
    """A `Generator`. submitted, cancelled: what was asked of it, in order.

    held: prompts that its slots hold: those of requests for which tokens were written, and those that were prefilled.
    """

    message = ""
    avoids = False

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.submitted: list[Request] = []
        self.cancelled: list[int] = []
        self.held: list[tuple[int, ...]] = []
        self._tokenizer = tokenizer
        self._listeners: dict[int, OnEvent] = {}
        self._written: set[int] = set()

    def submit(self, request: Request, on_event: OnEvent) -> None:
        self.submitted.append(request)
        self._listeners[request.id] = on_event

    def cancel(self, request_id: int) -> None:
        self.cancelled.append(request_id)

    def n_cached(self, ids: Sequence[int]) -> int:
        return max((common_length(held, ids) for held in self.held), default=0)

    def close(self) -> None:
        pass

    @property
    def prefills(self) -> list[Request]:
        return [request for request in self.submitted if request.stop.max_tokens == 0]

    @property
    def generations(self) -> list[Request]:
        return [request for request in self.submitted if request.stop.max_tokens > 0]

    def write(self, request: Request, text: str, prob: float = 1.0, stats: Stats | None = None) -> None:
        """Send `text` after what was written for a request; the first time with the healed bytes in front of it."""
        healed = b"" if request.id in self._written else request.prompt.heal_bytes
        self._written.add(request.id)
        self.write_ids(request, self._tokenizer.encode(healed.decode() + text), prob, stats)

    def write_ids(self, request: Request, ids: Sequence[int], prob: float = 1.0, stats: Stats | None = None) -> None:
        self.held.append(request.prompt.ids)
        tokens = tuple(Token(id_, prob) for id_ in ids)
        self._listeners[request.id](Tokens(request.id, tokens, stats or Stats(n_keep=1)))

    def end(self, request: Request, reason: FinishReason = "end") -> None:
        """End a request. A prefill that ends with "length" is done, and its prompt is held from now on."""
        if request.stop.max_tokens == 0 and reason == "length":
            self.held.append(request.prompt.ids)
        self._listeners[request.id](Done(request.id, reason, Stats(n_keep=1)))


def model_of(generator: ByHand, tokenizer: Tokenizer, *, leaves_machine: bool = False) -> Model:
    return Model(generator, tokenizer, lambda: COSTS, MAX_LEN, "by hand", "fake", leaves_machine)


async def turn() -> None:
    """Let the event loop do all that is ready."""
    for _ in range(20):
        await asyncio.sleep(0)


def snap(marked: str, language_id: str = "python", version: int = 1) -> Snapshot:
    """Return the document `marked`, in which ‸ is the cursor."""
    return Snapshot("file:///a", version, language_id, marked.replace("‸", "", 1), marked.index("‸"))
