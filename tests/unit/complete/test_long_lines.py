"""A cursor in a long line: answers come from a window in the line, and idle time comes to an end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from completer.engines.base import CostCurve
from completer.tokens.tokenizer import Tokenizer
from completer.types import Snapshot
from tests.by_heart import SETTINGS, ByHeart, pipeline

COLD_TOKENS = 120
"""Of a small window, with the costs below."""


def minified(n_cp: int, piece: str) -> Snapshot:
    """Return a document with the cursor in a line after `n_cp` characters."""
    line = (piece * n_cp)[:n_cp]
    return Snapshot("file:///a.js", 1, "javascript", f"x()\n{line}{line[: n_cp // 2]}\n", 4 + n_cp)


class Patient(ByHeart):
    """Has room for a full window with what is typed after it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.max_len = 2048
        self.costs = CostCurve({1: 1.0, 8: 2.0}, 1.5)


@pytest.mark.parametrize("piece", ["f(a,b);", "QmFzZTY0", "漢字"])
@pytest.mark.parametrize("n_cp", [100, 450, 1_900, 38_560])
async def test_idle_time_in_a_long_line_warms_a_full_window_and_comes_to_an_end(
    tokenizer: Tokenizer, n_cp: int, piece: str
) -> None:
    snapshot = minified(n_cp, piece)
    engine = Patient(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        made.did_open(snapshot)
        assert await made.settled(5)
        doc = made._state.docs[snapshot.uri]
        assert doc.anchors.last_full("middle") is not None
        assert doc.anchors.better(snapshot) is None


@pytest.mark.parametrize("n_cp", [1_904, 38_563])
@pytest.mark.parametrize("explicit", [False, True])
async def test_a_prompt_in_a_long_line_is_no_longer_than_elsewhere(tokenizer: Tokenizer, n_cp: int, explicit: bool) -> None:
    snapshot = minified(n_cp, "f(a,b);")
    async with pipeline(Patient(tokenizer), tokenizer, replace(SETTINGS, budget_ms=10_000)) as made:
        await made.complete(snapshot, explicit=explicit)
        trace = made.metrics()[-1]
        assert 50 < trace["n_keep"] + trace["n_feed"] < (960 if explicit else COLD_TOKENS) + 250
