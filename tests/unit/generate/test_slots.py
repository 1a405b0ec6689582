"""Which slot a request takes: the one that holds the most of its prompt, unless that would cost another document its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from completer.errors import EngineError
from completer.generate.drafts.draft_model import DraftModel
from completer.generate.scheduler import MAX_OVERWRITTEN, LocalGenerator
from completer.generate.slots import Slot, Slots
from completer.tokens.tokenizer import Tokenizer
from tests import tiny
from tests.fake_engine import PIECE, FakeEngine
from tests.gate import NOTHING, STOP, GatedEngine, engine, request
from tests.law import plain_greedy, prompt_of, submit


def slots_used(of: FakeEngine, name: str) -> list[int]:
    return [call.slot for call in of.calls if call.name == name]


def test_typing_on_extends_the_slot_in_place(tokenizer: Tokenizer) -> None:
    fake = engine()
    generator = LocalGenerator(fake, tokenizer)
    text = tiny.some_ids(120)
    for n in range(100, 120):
        done = submit(generator, request(tokenizer, n, text[:n], n_heal=1)).wait()
        assert n == 100 or done.stats.n_feed <= 3
    assert set(slots_used(fake, "forward")) == {0}
    assert "copy" not in {call.name for call in fake.calls}
    generator.close()


def test_a_prompt_that_would_cost_a_slot_much_copies_what_they_share(tokenizer: Tokenizer) -> None:
    fake = engine()
    generator = LocalGenerator(fake, tokenizer)
    text = tiny.some_ids(200)
    other = [*text[:100], *tiny.some_ids(50, seed=1)]
    submit(generator, request(tokenizer, 1, text)).wait()
    branched = submit(generator, request(tokenizer, 2, other)).wait()
    assert branched.stats.n_keep == 100
    assert [call for call in fake.calls if call.name == "copy"] == [("copy", 1, 100)]
    back = submit(generator, request(tokenizer, 3, text)).wait()  # undo: its slot is still there
    assert back.stats.n_keep == 199
    assert MAX_OVERWRITTEN < 200 - 100
    generator.close()


def test_a_new_document_takes_a_free_slot_and_then_the_one_used_least_recently(tokenizer: Tokenizer) -> None:
    fake = engine(n_slots=3)
    generator = LocalGenerator(fake, tokenizer)
    documents = [tiny.some_ids(30, seed=n) for n in range(4)]

    def feed_of(which: int) -> int:
        return submit(generator, request(tokenizer, next(ids), documents[which])).wait().stats.n_feed

    ids = iter(range(100))
    assert [feed_of(n) for n in (0, 1, 2)] == [30, 30, 30]
    assert [feed_of(n) for n in (0, 1, 2)] == [1, 1, 1], "each has a slot of its own"
    assert feed_of(0) == 1
    assert feed_of(3) == 30  # document 1 was used least recently
    assert [feed_of(n) for n in (0, 2, 3)] == [1, 1, 1]
    assert feed_of(1) == 30
    generator.close()


def test_a_background_request_never_takes_the_slot_of_a_running_one(
    tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]
) -> None:
    gated_engine, generator = gated
    text = tiny.some_ids(9)
    older = submit(generator, request(tokenizer, 1, text, priority=1))
    gated_engine.wait_at_gate()
    gated_engine.let_through()
    newer = submit(generator, request(tokenizer, 2, text, priority=1))
    gated_engine.open()
    expected = plain_greedy(engine(), tokenizer, prompt_of(tokenizer, text), STOP)[0]
    assert newer.wait().ids == older.wait().ids == expected
    assert set(slots_used(gated_engine, "forward")) == {0, 1}


def test_a_key_takes_the_slot_of_the_background_work_on_its_document(
    tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]
) -> None:
    gated_engine, generator = gated
    text = tiny.some_ids(9)
    behind = submit(generator, request(tokenizer, 1, text, priority=1))
    gated_engine.wait_at_gate()
    gated_engine.let_through(2)
    front = submit(generator, request(tokenizer, 2, [*text, 5]))
    gated_engine.open()
    assert behind.wait().reasons == ["cancelled"]
    assert front.wait().stats.n_keep == 9
    assert front.ids == plain_greedy(engine(), tokenizer, prompt_of(tokenizer, [*text, 5]), STOP)[0]
    assert set(slots_used(gated_engine, "forward")) == {0}


def test_more_documents_than_slots_wait_for_one_and_are_all_answered(tokenizer: Tokenizer) -> None:
    gated_engine = GatedEngine()
    generator = LocalGenerator(gated_engine, tokenizer)
    texts = [tiny.some_ids(9, seed=seed) for seed in range(5)]
    receivers = [
        submit(generator, replace(request(tokenizer, n, text), session=f"file{n}")) for n, text in enumerate(texts, start=1)
    ]
    gated_engine.open()
    for receiver, text in zip(receivers, texts, strict=True):
        assert receiver.wait().ids == plain_greedy(engine(), tokenizer, prompt_of(tokenizer, text), STOP)[0]
    generator.close()


def test_what_a_slot_holds_of_a_prompt_can_be_asked(tokenizer: Tokenizer) -> None:
    generator = LocalGenerator(engine(), tokenizer)
    text = tiny.some_ids(50)
    assert generator.n_cached(text) == 0
    submit(generator, request(tokenizer, 1, text, NOTHING)).wait()
    assert generator.n_cached(text) == 49
    assert generator.n_cached([*text[:20], 1]) == 20
    generator.close()


def test_an_error_inside_a_guard_empties_the_slot() -> None:
    fake = engine()
    slot = Slot(fake, 0)
    slot.forward([1, 2, 3], 0)

    def fail() -> None:
        with slot.guard():
            fake.forward(0, [4], 0)  # a part of the work was done
            raise EngineError("the device is gone")

    with pytest.raises(EngineError, match="gone"):
        fail()
    assert slot.ids == fake.ids[0] == []


def test_a_generator_closed_inside_a_guard_leaves_the_slot_as_it_is() -> None:
    fake = engine()
    slot = Slot(fake, 0)
    ids = tiny.some_ids(40)

    def fill() -> Iterator[None]:
        with slot.guard():
            yield from slot.prefill(ids)

    filling = fill()
    next(filling)
    next(filling)
    filling.close()  # type: ignore[attr-defined]
    assert slot.ids == fake.ids[0] == ids[:PIECE]


def test_what_is_kept_of_a_slot_leaves_its_last_token_to_be_fed() -> None:
    slot = Slot(engine(), 0)
    slot.forward([1, 2, 3, 4], 0)
    assert slot.keep([1, 2, 9]) == [9]
    assert slot.keep([1, 2]) == [2]
    assert slot.ids == [1]


@pytest.mark.parametrize(("max_lost", "copies"), [(64, False), (3, True)])
def test_a_slot_that_would_lose_too_much_is_copied_from(max_lost: int, copies: bool) -> None:
    fake = engine(n_slots=2)
    slots = Slots(fake, max_lost)
    text = tiny.some_ids(20)
    first = slots.take(slots.choose(text))
    first.forward(text, 0)
    claim = slots.choose([*text[:15], 1, 2])
    taken = slots.take(claim)
    assert (taken is not first, claim.n_shared) == (copies, 15)
    assert taken.ids == fake.ids[taken.index]
    assert taken.n_shared(text) >= 15


def test_a_slot_is_never_cut_to_less_than_nothing() -> None:
    fake = engine(n_slots=2)
    slot = Slots(fake).take(Slots(fake).choose([1]))
    slot.forward(tiny.some_ids(5), 0)
    assert slot.keep([]) == [] and slot.ids == fake.ids[slot.index] == []


def test_scratch_at_the_end_of_a_slot_is_dropped_in_place_whatever_it_holds() -> None:
    fake = engine(n_slots=2)
    slots = Slots(fake, max_lost=4)
    text = tiny.some_ids(20)
    first = slots.take(slots.choose(text[:10]))
    first.forward(text, 0)
    first.scratch_from = 10
    taken = slots.take(slots.choose([*text[:9], 1, 2]))
    assert taken is first
    assert taken.scratch_from > len(text)  # whoever takes a slot owns all of it


def test_a_draft_model_copies_the_prefix_of_another_document(tokenizer: Tokenizer) -> None:
    small = engine(n_slots=2)
    model = DraftModel(small, tokenizer)
    text = tiny.some_ids(100)
    other = [*text[:40], *tiny.some_ids(60, seed=1)]
    list(model.catch_up(text))
    list(model.catch_up(other))
    assert small.ids == [text, other]
    assert [call for call in small.calls if call.name == "copy"] == [("copy", 1, 40)]
