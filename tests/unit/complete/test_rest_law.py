"""The law of blocks at rest: whatever is typed and whenever, keys are answered as if there were no blocks."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from completer.config import Settings
from completer.engines.base import Logits
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot, Suggestion
from tests.by_heart import ByHeart, pipeline, text_of
from tests.seeds import seeds

PROB = 0.9
"""Of each token: a line is shown at rest and not while typing."""

HEAD, TAIL = "import math\n\n\ndef area(width, height):\n    ", "\n\n\nx = 1\n"
KEYS = ("result", " = width * height\n    return result", "\n    ", "x", " ", "res", "return", "\b", "move", "ask", "dismiss")


class Doubtful(ByHeart):
    """Knows its text by heart, but is not sure of it."""

    def logits_after(self, ids: Sequence[int]) -> Logits:
        row = super().logits_after(ids)
        row[row > 0] = math.log(PROB / (1 - PROB) * (self.vocab_size - 1))
        return row


def session(seed: int) -> list[tuple[str, bool]]:
    """Return keys, and whether the user rests after each."""
    rng = random.Random(seed)
    return [(rng.choice(KEYS), rng.random() < 0.6) for _ in range(12)]


async def answers(tokenizer: Tokenizer, seed: int, block_after_ms: int) -> tuple[list[str], int]:
    """Return what each key of a session is answered, and how often something better came in a rest."""
    settings = Settings(budget_ms=10_000, context="off", memory=False, block_after_ms=block_after_ms)
    found: list[str] = []
    async with pipeline(Doubtful(tokenizer), tokenizer, settings) as made:
        extended: list[Suggestion] = []
        made.on_extend = extended.append
        snapshot = Snapshot("file:///a.py", 1, "python", HEAD + TAIL, len(HEAD))
        made.did_open(snapshot)
        shown = await made.complete(snapshot, explicit=False)
        for key, rests in session(seed):
            if rests:
                assert await made.settled(10)
            for one in extended:
                assert one.version <= snapshot.version
            at, text = snapshot.cursor_cp, snapshot.text
            version = snapshot.version + 1
            if key == "move":
                made.did_move_cursor(snapshot := Snapshot("file:///a.py", version - 1, "python", text, len(HEAD)))
            elif key == "dismiss" and shown is not None:
                made.did_dismiss(shown)
            elif key == "\b":
                snapshot = Snapshot("file:///a.py", version, "python", text[: at - 1] + text[at:], at - 1)
                made.did_change(snapshot, [Edit(at - 1, at, "")])
            elif key not in ("ask", "dismiss"):
                snapshot = Snapshot("file:///a.py", version, "python", text[:at] + key + text[at:], at + len(key))
                made.did_change(snapshot, [Edit(at, at, key)])
            else:
                continue
            shown = await made.complete(snapshot, explicit=False)
            found.append(text_of(shown))
    return found, len(extended)


@pytest.mark.parametrize("seed", seeds(8, fast=2))
async def test_no_key_is_answered_otherwise_because_of_blocks(tokenizer: Tokenizer, seed: int) -> None:
    without, _ = await answers(tokenizer, seed, -1)
    withs, _ = await answers(tokenizer, seed, 0)
    assert withs == without


async def test_blocks_come_in_these_sessions(tokenizer: Tokenizer) -> None:
    n_extended = [(await answers(tokenizer, seed, 0))[1] - (await answers(tokenizer, seed, -1))[1] for seed in range(4)]
    assert sum(n_extended) > 0
