"""Which slot a request takes: the one that holds the most of its prompt, unless that would cost another document its own."""

from __future__ import annotations

from dataclasses import replace

from completer.engines.fake import FakeEngine
from completer.generate.scheduler import MAX_OVERWRITTEN, LocalGenerator
from completer.tokens.tokenizer import Tokenizer
from tests import tiny
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
