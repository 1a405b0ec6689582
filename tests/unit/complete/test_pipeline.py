"""The whole flow over an engine that knows one text by heart: what is answered, by whom, when, and what it cost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from completer.complete.trace import MIN_RECENT
from completer.engines.base import Logits
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot, Suggestion
from tests.by_heart import HEAD, LINE, SCRIPT, SETTINGS, TAIL, ByHeart, at, key, pipeline, text_of


async def test_the_rest_of_the_line_is_suggested(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        made.did_open(at(9))
        assert text_of(await made.complete(at(9), explicit=False)) == LINE[9:]


async def test_typing_through_a_suggestion_calls_no_engine(tokenizer: Tokenizer) -> None:
    engine = ByHeart(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        made.did_open(at(9))
        await made.complete(at(9), explicit=False)
        await asyncio.sleep(0.2)  # prefetch and idle prefill come to their end
        before = len(engine.calls)
        for n in range(10, len(LINE)):
            assert text_of(await made.complete(key(made, n), explicit=False)) == LINE[n:]
        assert [c for c in engine.calls[before:] if c.name == "forward"] == []
        assert {t["answered_by"] for t in made.metrics()[1:]} == {"typed-through"}


class Unsure(ByHeart):
    """Says the same, but each token only with probability .7."""

    def logits_after(self, ids: Sequence[int]) -> Logits:
        row = super().logits_after(ids)
        others = self.vocab_size - 1
        return np.where(row > 0, np.float32(np.log(0.7 / 0.3 * others)), np.float32(0))


async def test_what_is_not_sure_enough_is_shown_when_the_user_has_typed_up_to_it(tokenizer: Tokenizer) -> None:
    engine = Unsure(tokenizer)
    async with pipeline(engine, tokenizer, replace(SETTINGS, confidence=0.3)) as made:
        made.did_open(at(9))
        shown = text_of(await made.complete(at(9), explicit=False))
        assert LINE[9:].startswith(shown) and 0 < len(shown) < len(LINE[9:])
        await asyncio.sleep(0.2)
        n = 9 + len(shown)
        for typed in range(10, n + 1):
            later = text_of(await made.complete(key(made, typed), explicit=False))
        assert later and LINE[n:].startswith(later)
        assert made.metrics()[-1]["answered_by"] == "typed-through"


async def test_an_explicit_request_shows_all_however_unsure(tokenizer: Tokenizer) -> None:
    async with pipeline(Unsure(tokenizer), tokenizer, replace(SETTINGS, confidence=0.3)) as made:
        made.did_open(at(9))
        assert text_of(await made.complete(at(9), explicit=False)) != LINE[9:]
        assert text_of(await made.complete(at(9), explicit=True)) == LINE[9:]
        assert text_of(await made.complete(key(made, 10), explicit=False)) == LINE[10:]  # and goes on to be shown


async def test_a_deletion_returns_to_a_suggestion_seen_before(tokenizer: Tokenizer) -> None:
    engine = ByHeart(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        made.did_open(at(9))
        assert await made.settled(2)
        await made.complete(at(9), explicit=False)
        wrong = LINE[:9] + "x"
        await made.complete(key(made, 10, wrong), explicit=False)
        made.did_change(at(9), [Edit(len(HEAD) + 9, len(HEAD) + 10, "")])
        assert text_of(await made.complete(at(9), explicit=False)) == LINE[9:]
        assert made.metrics()[-1]["answered_by"] == "typed-through"


async def test_a_key_behind_a_warm_anchor_feeds_only_the_end_of_what_is_typed(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        made.did_open(at(5))
        made.did_move_cursor(at(5))
        await asyncio.sleep(0.5)  # the cursor rests, and its place is prefilled
        await made.complete(key(made, 6), explicit=False)
        trace = made.metrics()[-1]
        assert trace["n_keep"] > 20
        assert trace["n_feed"] <= 8


async def test_accepting_shows_what_follows_from_the_prefetch(tokenizer: Tokenizer) -> None:
    engine = ByHeart(tokenizer)
    async with pipeline(engine, tokenizer, replace(SETTINGS, multiline="always")) as made:
        first = replace(at(9), text=HEAD + LINE[:9] + "\n")
        made.did_open(first)
        shown = await made.complete(first, explicit=False)
        assert shown is not None
        await asyncio.sleep(0.2)
        before = len([c for c in engine.calls if c.name == "forward"])
        text = first.text[: shown.start_cp] + shown.text + first.text[shown.end_cp :]
        accepted = replace(first, version=10, text=text, cursor_cp=shown.start_cp + len(shown.text))
        made.did_change(accepted, [Edit(shown.start_cp, shown.end_cp, shown.text)])
        await made.complete(accepted, explicit=False)
        assert len([c for c in engine.calls if c.name == "forward"]) == before


async def test_an_answer_comes_within_the_budget_and_the_rest_follows(tokenizer: Tokenizer) -> None:
    extended: list[Suggestion] = []
    settings = replace(SETTINGS, budget_ms=120)
    async with pipeline(ByHeart(tokenizer, delay_s=0.02), tokenizer, settings) as made:
        made.on_extend = extended.append
        started = time.perf_counter()
        shown = await made.complete(at(9), explicit=False)
        assert (time.perf_counter() - started) * 1e3 < 150
        await asyncio.sleep(1.0)
        assert text_of(extended[-1]) == LINE[9:]
        assert LINE[9:].startswith(text_of(shown))


async def test_a_key_whose_request_never_left_the_queue_counts_as_cold(tokenizer: Tokenizer) -> None:
    """Another document's forward holds the engine until the deadline is over."""

    class Held(ByHeart):
        def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
            entered.set()
            assert released.wait(10)
            return super().forward(slot, ids, n_logits)

    entered, released = threading.Event(), threading.Event()
    async with pipeline(Held(tokenizer), tokenizer, replace(SETTINGS, budget_ms=60)) as made:
        other = asyncio.ensure_future(made.complete(replace(at(9), uri="file:///b.py"), explicit=True))
        assert await asyncio.to_thread(entered.wait, 10)
        await made.complete(at(9), explicit=False)
        trace = made.metrics()[-1]
        released.set()
        await other
        assert (trace["uri"], trace["answered_by"], trace["n_feed"]) == ("file:///a.py", "cold", 0)


async def test_the_rest_follows_where_the_user_has_typed_to_meanwhile(tokenizer: Tokenizer) -> None:
    extended: list[Suggestion] = []
    async with pipeline(ByHeart(tokenizer, delay_s=0.03), tokenizer, replace(SETTINGS, budget_ms=150)) as made:
        made.on_extend = extended.append
        await made.complete(at(9), explicit=False)
        shown = await made.complete(key(made, 10), explicit=False)
        assert shown is not None and not shown.complete
        await asyncio.sleep(1.0)
        assert text_of(extended[-1]) == LINE[10:]
        assert extended[-1].version == shown.version


async def test_an_explicit_request_waits_longer_than_the_budget(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer, delay_s=0.02), tokenizer, replace(SETTINGS, budget_ms=20)) as made:
        assert text_of(await made.complete(at(9), explicit=True)) == LINE[9:]


async def test_the_prefill_of_a_superseded_key_is_not_begun_again(tokenizer: Tokenizer) -> None:
    engine = ByHeart(tokenizer, delay_s=0.03)
    async with pipeline(engine, tokenizer, replace(SETTINGS, budget_ms=40)) as made:
        for n in range(6, 12):  # keys come faster than the prompt can be prefilled
            await made.complete(key(made, n), explicit=False)
        await asyncio.sleep(1.5)
        pieces = [c.n for c in engine.calls if c.name == "prefill"]
        assert sum(pieces) <= 3 * len(tokenizer.encode(SCRIPT))  # the cold prompt and the full one, not one for each key


async def test_an_edit_in_front_of_the_window_is_answered_for_the_new_text(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        made.did_open(at(9))
        await made.complete(at(9), explicit=False)
        moved = at(9, head="import math\n" + HEAD)
        made.did_change(moved, [Edit(0, 0, "import math\n")])
        assert text_of(await made.complete(moved, explicit=False)) == LINE[9:]


async def test_nothing_is_asked_inside_a_word_unless_the_user_asks(tokenizer: Tokenizer) -> None:
    engine = ByHeart(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        inside = at(9, tail="ult" + TAIL)
        made.did_open(inside)
        assert await made.complete(inside, explicit=False) is None
        assert not [c for c in engine.calls if c.name == "forward"]


async def test_a_closed_document_leaves_nothing_running(tokenizer: Tokenizer) -> None:
    engine = ByHeart(tokenizer, delay_s=0.02)
    async with pipeline(engine, tokenizer, replace(SETTINGS, budget_ms=30)) as made:
        await made.complete(at(9), explicit=False)
        made.did_close("file:///a.py")
        await asyncio.sleep(0.6)  # one cold prefill may come to its end
        before = len(engine.calls)
        await asyncio.sleep(0.3)
        assert len(engine.calls) == before


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_line_ends_of_the_document_make_no_difference(tokenizer: Tokenizer, ending: str) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        snapshot = at(9, head=HEAD.replace("\n", ending), tail=TAIL.replace("\n", ending))
        made.did_open(snapshot)
        assert text_of(await made.complete(snapshot, explicit=False)) == LINE[9:]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_what_follows_a_block_is_prefetched_where_the_editor_inserts_its_own_line_ends(
    tokenizer: Tokenizer, ending: str
) -> None:
    engine = ByHeart(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        head = HEAD.replace("\n", ending) + "    "
        before = Snapshot("file:///a.py", 1, "python", head + ending, len(head))
        made.did_open(before)
        block = text_of(await made.complete(before, explicit=True))
        assert block == "result = width * height\n    return result"
        assert await made.settled(5)
        inserted = block.replace("\n", ending)
        after = Snapshot("file:///a.py", 2, "python", head + inserted + ending, len(head) + len(inserted))
        made.did_change(after, [Edit(before.cursor_cp, before.cursor_cp, inserted)])
        engine.calls.clear()
        await made.complete(after, explicit=False)
        assert not [c for c in engine.calls if c.name == "forward"]


async def test_an_answer_that_came_in_time_is_not_told_once_more(tokenizer: Tokenizer) -> None:
    extended: list[Suggestion] = []
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        made.on_extend = extended.append
        assert text_of(await made.complete(at(9), explicit=False)) == LINE[9:]
        await asyncio.sleep(0.1)
        assert extended == []


async def test_of_many_documents_opened_at_once_only_a_few_are_prefilled(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        prefilled: list[str] = []
        monkeypatch.setattr(made._foreground.idle, "prefill", lambda doc, snapshot: prefilled.append(snapshot.uri))
        for n in range(100):  # an editor that comes back with its last session
            made.did_open(replace(at(9), uri=f"file:///{n}.py"))
        assert await made.settled(10)
        assert prefilled == [f"file:///{n}.py" for n in range(92, 100)]  # else no key is answered for seconds
        made.did_move_cursor(replace(at(9), uri="file:///5.py"))
        assert await made.settled(10)
        assert prefilled[-1] == "file:///5.py"


async def test_the_status_tells_that_the_budget_is_often_missed(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        made.did_open(at(9))
        for _ in range(MIN_RECENT):
            await made.complete(at(9), explicit=False)
        made.set_settings(replace(SETTINGS, budget_ms=60_000))
        assert (made.status()["slow"], made.status()["message"]) == (False, "")
        made.set_settings(replace(SETTINGS, budget_ms=0.001))
        assert made.status()["slow"] and "the budget is 0.001 ms" in made.status()["message"]
