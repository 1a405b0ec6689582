"""An engine that knows one text by heart, a pipeline over it, and a document in which that text is typed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import numpy as np

from completer.complete.pipeline import Pipeline
from completer.complete.state import Model
from completer.config import Settings
from completer.engines.base import CostCurve, Logits
from completer.generate.scheduler import LocalGenerator
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot, Suggestion
from tests.fake_engine import FakeEngine

SCRIPT = "def area(width, height):\n    result = width * height\n    return result\n"
HEAD, LINE, TAIL = "def area(width, height):\n", "    result = width * height", "\n    return result\n"
SETTINGS = Settings(budget_ms=400, confidence=0.0, memory=False)


class ByHeart(FakeEngine):
    """Continues SCRIPT after the typed text. Each forward, and each piece of a prefill, takes `delay_s`."""

    def __init__(self, tokenizer: Tokenizer, delay_s: float = 0.0) -> None:
        super().__init__(tokenizer.vocab_size, n_slots=3, max_len=1024)
        self.costs = CostCurve({1: 1.0, 8: 2.0}, 0.1)
        self.delay_s = delay_s
        self._tokenizer = tokenizer

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        time.sleep(self.delay_s)
        return super().forward(slot, ids, n_logits)

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        for _ in super().prefill(slot, ids):
            time.sleep(self.delay_s)
            yield

    def logits_after(self, ids: Sequence[int]) -> Logits:
        row = np.zeros(self.vocab_size, np.float32)
        row[self.next_of(SCRIPT, ids) or min(self._tokenizer.fim.end)] = 20.0
        return row

    def next_of(self, script: str, ids: Sequence[int]) -> int | None:
        """Return the token with which `script` continues the typed text; None if it does not contain that."""
        known = self.typed(ids)[1].lstrip("\n")
        at = script.find(known) if known else 0
        rest = script[at + len(known) :] if at >= 0 else ""
        return self._tokenizer.encode(rest)[0] if rest else None

    def typed(self, ids: Sequence[int]) -> tuple[int, str]:
        """Return how many tokens come before what was typed, and that; from left to right it is the last line with text."""
        middle = max((i for i, id_ in enumerate(ids) if id_ == self._tokenizer.fim.middle), default=None)
        if middle is not None:
            return middle, self._tokenizer.bytes_of(ids[middle + 1 :]).decode(errors="replace")
        ahead = self._tokenizer.bytes_of(ids[-40:]).decode(errors="replace")
        return len(ids), ahead[ahead.rstrip().rfind("\n") + 1 :]


@asynccontextmanager
async def pipeline(engine: ByHeart, tokenizer: Tokenizer, settings: Settings = SETTINGS) -> AsyncIterator[Pipeline]:
    generator = LocalGenerator(engine, tokenizer)
    made = Pipeline(Model(generator, tokenizer, lambda: engine.costs, engine.max_len, "by heart", "fake"), settings)
    try:
        yield made
        await made.close()
    finally:
        generator.close()


def at(n_typed: int, head: str = HEAD, tail: str = TAIL, line: str = LINE) -> Snapshot:
    """Return the document with the first `n_typed` characters of the line typed."""
    return Snapshot("file:///a.py", n_typed, "python", head + line[:n_typed] + tail, len(head) + n_typed)


def key(made: Pipeline, n_typed: int, line: str = LINE) -> Snapshot:
    """Type one more character."""
    snapshot = at(n_typed, line=line)
    made.did_change(snapshot, [Edit(snapshot.cursor_cp - 1, snapshot.cursor_cp - 1, line[n_typed - 1])])
    return snapshot


def text_of(suggestion: Suggestion | None) -> str:
    return suggestion.text if suggestion else ""
