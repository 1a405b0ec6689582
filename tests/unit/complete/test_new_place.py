"""Laws of the answer at a place that nobody has been to: the full window, whatever was asked before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from completer.complete.pipeline import Pipeline
from completer.engines.base import CostCurve, Logits
from completer.tokens.tokenizer import Tokenizer
from completer.types import Snapshot, Suggestion
from tests.by_heart import SETTINGS, ByHeart, pipeline, text_of
from tests.seeds import seeds

DOCUMENT = "".join(f"def area_{n}(width, height):\n    result = width * height + {n}\n    return result\n\n" for n in range(60))
UNHURRIED = replace(SETTINGS, budget_ms=10_000)
"""A busy machine must not change what is said."""
FULL, SMALL = "full_window", "small_window"


class WindowTeller(ByHeart):
    """Writes which window it sees: whether the prompt holds more than a small one has room for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.max_len = 4096
        self.costs = CostCurve({1: 1.0, 8: 2.0}, 1.5)

    def next_of(self, script: str, ids: Sequence[int]) -> int | None:
        n_fixed, typed = self.typed(ids)
        said = typed.rpartition("\n")[2].strip()
        word = FULL if n_fixed > 700 else SMALL
        rest = word.removeprefix(said) if word.startswith(said) else ""
        return self._tokenizer.encode(rest)[0] if rest else None

    def logits_after(self, ids: Sequence[int]) -> Logits:
        row = np.zeros(self.vocab_size, np.float32)
        row[self.next_of("", ids) or min(self._tokenizer.fim.end)] = 20.0
        return row


def at_line(n: int) -> Snapshot:
    """Return the document with an empty line, and the cursor in it, after its line `n`."""
    lines = DOCUMENT.split("\n")
    head = "\n".join(lines[: n + 1]) + "\n    "
    return Snapshot("file:///areas.py", 1, "python", head + "\n" + "\n".join(lines[n + 1 :]), len(head))


@pytest.fixture
def teller(tokenizer: Tokenizer) -> WindowTeller:
    return WindowTeller(tokenizer)


async def test_a_key_at_a_new_place_is_answered_from_a_small_window_and_a_question_from_the_full_one(
    teller: WindowTeller, tokenizer: Tokenizer
) -> None:
    async with pipeline(teller, tokenizer, UNHURRIED) as made:
        assert text_of(await made.complete(at_line(101), explicit=False)) == SMALL
        assert text_of(await made.complete(at_line(101), explicit=True)) == FULL


async def test_an_answer_from_a_small_window_is_replaced_once_the_full_one_is_ready(
    teller: WindowTeller, tokenizer: Tokenizer
) -> None:
    async with pipeline(teller, tokenizer, UNHURRIED) as made:
        better: list[Suggestion] = []
        made.on_extend = better.append
        assert text_of(await made.complete(at_line(101), explicit=False)) == SMALL
        assert await made.settled(5)
        assert [one.text for one in better] == [FULL]
        assert text_of(await made.complete(at_line(101), explicit=False)) == FULL
        assert made.metrics()[-1]["answered_by"] == "background"


async def test_typing_on_after_a_rest_is_never_answered_from_the_small_window(teller: WindowTeller, tokenizer: Tokenizer) -> None:
    async with pipeline(teller, tokenizer, UNHURRIED) as made:
        made.did_move_cursor(at_line(101))
        assert await made.settled(5)
        assert text_of(await made.complete(at_line(101), explicit=False)) == FULL


@pytest.mark.parametrize("seed", seeds(12, fast=3))
async def test_whatever_was_asked_before_an_explicit_answer_is_that_of_the_full_window(
    teller: WindowTeller, tokenizer: Tokenizer, seed: int
) -> None:
    chance = random.Random(seed)
    async with pipeline(teller, tokenizer, UNHURRIED) as made:
        for _ in range(6):
            await _do_something(made, chance)
        place = at_line(chance.randrange(60, 180))
        if chance.random() < 0.5:
            await made.complete(place, explicit=False)
        assert text_of(await made.complete(place, explicit=True)) == FULL
        assert await made.settled(5)
        assert text_of(await made.complete(place, explicit=False)) == FULL


async def _do_something(made: Pipeline, chance: random.Random) -> None:
    place = at_line(chance.randrange(60, 180))
    match chance.randrange(4):
        case 0:
            await made.complete(place, explicit=False)
        case 1:
            await made.complete(place, explicit=True)
        case 2:
            made.did_move_cursor(place)
        case _:
            await made.settled(0.05)


async def test_a_window_of_many_tokens_is_shortened_until_it_fits_a_slot(tokenizer: Tokenizer) -> None:
    engine = WindowTeller(tokenizer)
    engine.max_len = 1024
    async with pipeline(engine, tokenizer, UNHURRIED) as made:
        assert text_of(await made.complete(at_line(101), explicit=True)) in (SMALL, FULL)
        assert 500 < made.metrics()[-1]["n_feed"] < 1024


async def test_an_answer_that_is_made_again_leaves_the_trace_of_the_first_as_it_was(
    teller: WindowTeller, tokenizer: Tokenizer
) -> None:
    async with pipeline(teller, tokenizer, UNHURRIED) as made:
        made.on_extend = lambda _: None
        await made.complete(at_line(101), explicit=False)
        before = made.metrics()[-1]["tokenise_ms"]
        assert await made.settled(5)
        assert made.metrics()[-1]["tokenise_ms"] == before
