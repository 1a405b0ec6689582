"""Who asks explicitly gets others beside the first suggestion, behind the same prompt and within the same deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from completer.complete.alternatives import likeliest
from completer.engines.base import Logits
from completer.suggest.confidence import Piece
from completer.suggest.entries import Entry
from completer.suggest.trim import Trimmed
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit
from tests.unit.complete.test_pipeline import HEAD, SCRIPT, SETTINGS, ByHeart, at, key, pipeline, text_of

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


class Misled(ByHeart):
    """Begins with `width` rather than `2`, but is not sure at all what comes behind that."""

    def logits_after(self, ids: Sequence[int]) -> Logits:
        row = np.zeros(self.vocab_size, np.float32)
        for line, sure in (("width * height", 20.0), ("2 * width", 19.9), ("width + 1", 19.95)):
            id_ = self.next_of(SCRIPT.replace("width * height", line), ids)
            if id_ is not None:
                row[id_] = max(row[id_], sure)
        if not row.any():
            row[min(self._tokenizer.fim.end)] = 20.0
        return row


def n_fed(engine: ByHeart) -> int:
    """Return how many tokens went through the engine so far."""
    return sum(call.n for call in engine.calls if call.name in ("forward", "prefill"))


EQUALS = len("    result =")
UNHURRIED = replace(SETTINGS, budget_ms=10_000)
"""On a busy machine too, all others are there before the test goes on."""


async def test_who_asks_gets_others_that_begin_with_other_words(tokenizer: Tokenizer) -> None:
    async with pipeline(Undecided(tokenizer), tokenizer) as made:
        shown = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert shown is not None
        assert [one.text for one in (shown, *shown.alternatives)] == [" width * height", " height * width", " 2 * width"]
        assert {(one.start_cp, one.end_cp, one.version) for one in shown.alternatives} == {(shown.start_cp, shown.end_cp, EQUALS)}


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
        shown = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert shown is not None and first is not None
        assert shown.text == first.text
        n_new = sum(len(tokenizer.encode(one.text)) for one in shown.alternatives)
        assert n_fed(engine) - before <= 2 * (n_new + 4)  # drafts, and the last token of the prompt


async def test_asking_again_shows_the_same_without_the_engine(tokenizer: Tokenizer) -> None:
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        shown = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert await made.settled(2)
        await asyncio.sleep(0.1)
        before = n_fed(engine)
        again = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert shown is not None and again is not None
        assert [one.text for one in again.alternatives] == [one.text for one in shown.alternatives]
        assert n_fed(engine) == before


async def test_another_one_that_is_accepted_in_part_goes_on(tokenizer: Tokenizer) -> None:
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer, UNHURRIED) as made:
        made.did_open(at(EQUALS))
        await made.complete(at(EQUALS), explicit=True, alternatives=True)
        line = "    result = height * width"
        taken = replace(at(EQUALS + len(" height"), line=line), version=99)
        made.did_change(taken, [Edit(len(HEAD) + EQUALS, len(HEAD) + EQUALS, " height")])
        assert text_of(await made.complete(taken, explicit=False)) == " * width"
        assert made.metrics()[-1]["answered_by"] == "typed-through"


async def test_who_asks_gets_the_likeliest_line_first_and_goes_on_with_it(tokenizer: Tokenizer) -> None:
    async with pipeline(Misled(tokenizer), tokenizer, UNHURRIED) as made:
        shown = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert shown is not None
        assert [one.text for one in (shown, *shown.alternatives)] == [" 2 * width", " width * height"]
        assert made.metrics()[-1]["n_chars"] == len(" 2 * width")
        again = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert again is not None and again.text == shown.text
        assert text_of(await made.complete(at(EQUALS), explicit=False)) == " 2 * width"
        assert made.metrics()[-1]["answered_by"] == "typed-through"


def test_a_long_line_does_not_lose_to_a_short_one_where_neither_is_likely() -> None:
    long, short, sure = (
        Entry(1, "", 1, text="x" * len(probs), reason="newline") for probs in ((0.5,) * 9, (0.2, 0.2), (0.4, 0.4))
    )
    for entry, prob, n in ((long, 0.5, 9), (short, 0.2, 2), (sure, 0.4, 2)):
        entry.pieces = [Piece(end, prob) for end in range(1, n + 1)]
    shown = [Trimmed(entry.text, 0, 0) for entry in (long, short, sure)]
    assert likeliest([(long, shown[0]), (short, shown[1])])[0] is long
    assert likeliest([(long, shown[0]), (sure, shown[2])])[0] is sure


async def test_what_the_user_has_seen_stays_the_first(tokenizer: Tokenizer) -> None:
    async with pipeline(Misled(tokenizer), tokenizer, UNHURRIED) as made:
        assert text_of(await made.complete(at(EQUALS), explicit=False)) == " width * height"
        shown = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert shown is not None
        assert [one.text for one in (shown, *shown.alternatives)] == [" width * height", " 2 * width"]


async def test_where_nothing_else_is_likely_there_is_one(tokenizer: Tokenizer) -> None:
    async with pipeline(Undecided(tokenizer), tokenizer) as made:
        shown = await made.complete(at(9), explicit=True, alternatives=True)  # in the middle of a word that has one end
        assert shown is not None
        assert shown.alternatives == ()


async def test_others_that_are_not_ready_by_the_deadline_follow_the_next_time(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("completer.complete.question.EXPLICIT_MS", 400.0)
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        await made.complete(at(EQUALS), explicit=False)
        assert await made.settled(2)
        engine.delay_s = 0.1
        started = time.perf_counter()
        shown = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert (time.perf_counter() - started) * 1e3 < 450
        assert shown is not None
        assert shown.text == " width * height" and len(shown.alternatives) < 2
        engine.delay_s = 0.0
        later = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert later is not None
        assert [one.text for one in later.alternatives] == [" height * width", " 2 * width"]


async def test_a_key_ends_the_search_for_others(tokenizer: Tokenizer) -> None:
    engine = Undecided(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        await made.complete(at(EQUALS), explicit=False)
        assert await made.settled(2)
        engine.delay_s = 0.03
        asking = asyncio.ensure_future(made.complete(at(EQUALS), explicit=True, alternatives=True))
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
        again = await made.complete(at(EQUALS), explicit=True, alternatives=True)
        assert again is not None and len(again.alternatives) == 2
