"""A user who asks again for what is visible gets others beside it, after the same prompt and within the same deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from completer.complete.pipeline import Pipeline
from completer.engines.base import Logits
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot, Suggestion
from tests.by_heart import HEAD, SCRIPT, SETTINGS, ByHeart, at, key, pipeline, text_of

OTHERS = ("height * width", "2 * width", "None", "0")


class Undecided(ByHeart):
    """Knows other lines besides, each e times less likely than the one before."""

    def logits_after(self, ids: Sequence[int]) -> Logits:
        row = np.zeros(self.vocab_size, np.float32)
        for n, line in enumerate(["width * height", *OTHERS]):
            id_ = self.next_of(SCRIPT.replace("width * height", line), ids)
            if id_ is not None:
                row[id_] = max(row[id_], 20.0 - n)
        if not row.any():
            row[min(self._tokenizer.fim.end)] = 20.0
        return row


def n_fed(engine: ByHeart) -> int:
    """Return how many tokens went through the engine so far."""
    return sum(call.n for call in engine.calls if call.name in ("forward", "prefill"))


async def ask_again(made: Pipeline, snapshot: Snapshot) -> Suggestion | None:
    """Ask explicitly until the answer is visible, then once more for others."""
    await made.complete(snapshot, explicit=True)
    return await made.complete(snapshot, explicit=True)


EQUALS = len("    result =")
UNHURRIED = replace(SETTINGS, budget_ms=10_000)
"""On a busy machine too, all others are there before the test goes on."""


async def test_asking_again_gives_others_that_begin_with_other_words(tokenizer: Tokenizer) -> None:
    async with pipeline(Undecided(tokenizer), tokenizer) as made:
        shown = await ask_again(made, at(EQUALS))
        assert shown is not None
        assert [one.text for one in (shown, *shown.alternatives)] == [" width * height", " height * width", " 2 * width"]
        assert {(one.start_cp, one.end_cp, one.version) for one in shown.alternatives} == {(shown.start_cp, shown.end_cp, EQUALS)}


async def test_the_first_explicit_answer_does_not_wait_for_others(tokenizer: Tokenizer) -> None:
    async with pipeline(Undecided(tokenizer), tokenizer) as made:
        shown = await made.complete(at(EQUALS), explicit=True)
        assert shown is not None and shown.text == " width * height" and shown.alternatives == ()
        assert made.metrics()[-1]["alternatives_ms"] < 1.0


async def test_typing_gets_one_suggestion_at_the_old_price_and_it_is_the_first_of_those_asked_for(tokenizer: Tokenizer) -> None:
    counts = []
    for kind in (ByHeart, Undecided):
        engine = kind(tokenizer)
        async with pipeline(engine, tokenizer) as made:
            shown = await made.complete(at(EQUALS), explicit=False)
            assert shown is not None
            assert (shown.text, shown.alternatives) == (" width * height", ())
            counts.append((made.metrics()[-1]["n_forwards"], made.metrics()[-1]["alternatives_ms"]))
    assert counts[0] == counts[1]


async def test_others_are_decoded_behind_the_prompt_that_is_there(tokenizer: Tokenizer) -> None:
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        first = await made.complete(at(EQUALS), explicit=False)
        await made.settled(2)
        before = n_fed(engine)
        shown = await ask_again(made, at(EQUALS))
        assert shown is not None and first is not None
        assert shown.text == first.text
        n_new = sum(len(tokenizer.encode(one.text)) for one in shown.alternatives)
        assert n_fed(engine) - before <= 2 * (n_new + 4)  # drafts, and the last token of the prompt


async def test_asking_a_third_time_shows_the_same_without_the_engine(tokenizer: Tokenizer) -> None:
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        shown = await ask_again(made, at(EQUALS))
        assert await made.settled(2)
        await asyncio.sleep(0.1)
        before = n_fed(engine)
        again = await ask_again(made, at(EQUALS))
        assert shown is not None and again is not None
        assert [one.text for one in again.alternatives] == [one.text for one in shown.alternatives]
        assert n_fed(engine) == before


async def test_another_one_that_is_accepted_in_part_goes_on(tokenizer: Tokenizer) -> None:
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer, UNHURRIED) as made:
        made.did_open(at(EQUALS))
        await ask_again(made, at(EQUALS))
        line = "    result = height * width"
        taken = replace(at(EQUALS + len(" height"), line=line), version=99)
        made.did_change(taken, [Edit(len(HEAD) + EQUALS, len(HEAD) + EQUALS, " height")])
        assert text_of(await made.complete(taken, explicit=False)) == " * width"
        assert made.metrics()[-1]["answered_by"] == "typed-through"


async def test_where_nothing_else_is_likely_there_is_one(tokenizer: Tokenizer) -> None:
    async with pipeline(Undecided(tokenizer), tokenizer) as made:
        shown = await ask_again(made, at(9))  # in the middle of a word that has one end
        assert shown is not None
        assert shown.alternatives == ()


async def test_others_that_are_not_ready_by_the_deadline_follow_the_next_time(tokenizer: Tokenizer) -> None:
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer, replace(SETTINGS, explicit_budget_ms=400)) as made:
        await made.complete(at(EQUALS), explicit=True)
        assert await made.settled(2)
        engine.delay_s = 0.1
        started = time.perf_counter()
        shown = await made.complete(at(EQUALS), explicit=True)
        assert (time.perf_counter() - started) * 1e3 < 450
        assert shown is not None
        assert shown.text == " width * height" and len(shown.alternatives) < 2
        engine.delay_s = 0.0
        later = await made.complete(at(EQUALS), explicit=True)
        assert later is not None
        assert [one.text for one in later.alternatives] == [" height * width", " 2 * width"]


async def test_a_key_ends_the_search_for_others(tokenizer: Tokenizer) -> None:
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        await made.complete(at(EQUALS), explicit=True)
        assert await made.settled(2)
        engine.delay_s = 0.03
        asking = asyncio.ensure_future(ask_again(made, at(EQUALS)))
        await asyncio.sleep(0.1)  # in the midst of the first other one
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.1)
        n_calls = len(engine.calls)
        await asyncio.sleep(0.2)
        assert len(engine.calls) == n_calls
        engine.delay_s = 0.0
        assert text_of(await made.complete(key(made, EQUALS + 1), explicit=False)) == "width * height"
        again = await ask_again(made, at(EQUALS))
        assert again is not None and len(again.alternatives) == 2
