"""The engine thread: who goes first, and that nothing is lost when requests come and go, or an engine fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.engines.base import Logits
from completer.errors import EngineError
from completer.generate.scheduler import LocalGenerator
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, Tokens
from tests import tiny
from tests.examples import examples
from tests.fake_engine import FakeEngine
from tests.gate import NOTHING, STOP, GatedEngine, engine, request
from tests.law import plain_greedy, prompt_of, submit


def test_a_request_gives_what_plain_greedy_decoding_gives(tokenizer: Tokenizer) -> None:
    generator = LocalGenerator(engine(), tokenizer)
    done = submit(generator, request(tokenizer, 1, tiny.some_ids(40), n_heal=1)).wait()
    generator.close()
    expected = plain_greedy(engine(), tokenizer, prompt_of(tokenizer, tiny.some_ids(40), 1), STOP)
    assert (done.ids, done.reasons) == (expected[0], [expected[1]])
    assert done.stats.n_generated == len(done.ids)


STEPS = st.tuples(st.integers(0, 2), st.integers(0, 40), st.lists(st.integers(0, 5), max_size=4), st.integers(0, 2))


@examples(60)
@given(edits=st.lists(STEPS, min_size=1, max_size=8), n_slots=st.integers(1, 3))
def test_random_edits_never_give_what_a_fresh_generator_would_not_give(
    tokenizer: Tokenizer, edits: list[tuple[int, int, list[int], int]], n_slots: int
) -> None:
    generator = LocalGenerator(engine(n_slots), tokenizer)
    documents = [tiny.some_ids(n, seed=n) for n in (20, 90, 150)]
    for id_, (which, at, typed, n_heal) in enumerate(edits):
        text = documents[which]
        at = min(at, len(text) - 3)
        text[len(text) - at :] = typed  # deletes from there on, then types
        stop = STOP if id_ % 3 else NOTHING
        done = submit(generator, request(tokenizer, id_, text, stop, n_heal=min(n_heal, len(text) - 1))).wait()
        if stop is STOP:
            expected = plain_greedy(engine(), tokenizer, prompt_of(tokenizer, text, min(n_heal, len(text) - 1)), stop)
            assert (done.ids, done.reasons[0]) == expected
    generator.close()


@examples(40)
@given(ends=st.lists(st.integers(3, 60), min_size=2, max_size=6), cancelled=st.sets(st.integers(0, 5)))
def test_requests_that_overlap_and_are_cancelled_do_not_disturb_each_other(
    tokenizer: Tokenizer, ends: list[int], cancelled: set[int]
) -> None:
    generator = LocalGenerator(engine(), tokenizer)
    text = tiny.some_ids(60)
    receivers = [submit(generator, request(tokenizer, n, text[:end], priority=n % 2)) for n, end in enumerate(ends)]
    for n in cancelled:
        generator.cancel(n)
    for end, receiver in zip(ends, receivers, strict=True):
        receiver.wait()
        expected = plain_greedy(engine(), tokenizer, prompt_of(tokenizer, text[:end]), STOP)
        if receiver.reasons == ["cancelled"]:
            assert receiver.ids == expected[0][: len(receiver.ids)]
        else:
            assert (receiver.ids, receiver.reasons[0]) == expected
    generator.close()


def test_a_foreground_request_runs_between_two_steps_of_a_background_one(
    tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]
) -> None:
    gated_engine, generator = gated
    events: list[tuple[str, str]] = []
    behind = submit(generator, request(tokenizer, 1, tiny.some_ids(8, seed=1), priority=1), events)
    gated_engine.wait_at_gate()
    gated_engine.let_through(2)
    front = submit(generator, request(tokenizer, 2, tiny.some_ids(8, seed=2)), events)
    gated_engine.open()
    front.wait()
    behind.wait()
    names = [name for name, _ in events]
    first, last = names.index("2"), len(names) - 1 - names[::-1].index("2")
    assert set(names[first : last + 1]) == {"2"}, "nothing comes between"
    assert first == 3, "it waits for the forward under way, and for no other"
    assert behind.ids == plain_greedy(engine(), tokenizer, prompt_of(tokenizer, tiny.some_ids(8, seed=1)), STOP)[0]


def test_the_newest_foreground_request_goes_first(tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]) -> None:
    gated_engine, generator = gated
    events: list[tuple[str, str]] = []
    receivers = [submit(generator, request(tokenizer, 1, tiny.some_ids(8, seed=1)), events)]
    gated_engine.wait_at_gate()
    receivers += [submit(generator, request(tokenizer, n, tiny.some_ids(8, seed=n)), events) for n in (2, 3)]
    gated_engine.open()
    for receiver in receivers:
        receiver.wait()
    assert [name for name, what in events if what != "tokens"] == ["3", "2", "1"]


def test_idle_prefill_gives_way_to_everything(tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]) -> None:
    gated_engine, generator = gated
    events: list[tuple[str, str]] = []
    first = submit(generator, request(tokenizer, 1, tiny.some_ids(5)), events)
    gated_engine.wait_at_gate()
    receivers = [
        submit(generator, request(tokenizer, n, tiny.some_ids(80, seed=n), NOTHING if n == 2 else STOP, priority), events)
        for n, priority in ((2, 2), (3, 1), (4, 0))
    ]
    gated_engine.open()
    for receiver in (first, *receivers):
        receiver.wait()
    assert [name for name, what in events if what != "tokens"] == ["4", "1", "3", "2"]


def test_cancelling_ends_a_request_before_its_next_forward_and_keeps_its_work(
    tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]
) -> None:
    gated_engine, generator = gated
    ids = tiny.some_ids(10)
    receiver = submit(generator, request(tokenizer, 1, ids))
    gated_engine.wait_at_gate()
    gated_engine.let_through(2)
    generator.cancel(1)
    generator.cancel(99)  # nobody knows this one
    gated_engine.open()
    assert receiver.wait().reasons == ["cancelled"]
    assert len(receiver.ids) == 3  # two were let through, the third stood at the gate already
    again = submit(generator, request(tokenizer, 2, [*ids, *receiver.ids])).wait()
    assert again.stats.n_keep == 12
    assert again.ids == plain_greedy(engine(), tokenizer, prompt_of(tokenizer, [*ids, *receiver.ids]), STOP)[0]


def test_a_request_cancelled_before_it_runs_never_reaches_the_engine(
    tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]
) -> None:
    gated_engine, generator = gated
    first = submit(generator, request(tokenizer, 2, tiny.some_ids(8)))
    gated_engine.wait_at_gate()
    second = submit(generator, request(tokenizer, 1, tiny.some_ids(100, seed=1), priority=1))
    generator.cancel(1)
    gated_engine.open()
    first.wait()
    assert second.wait().reasons == ["cancelled"]
    assert second.ids == []
    assert "prefill" not in {call.name for call in gated_engine.calls}


class FailingEngine(FakeEngine):
    """Fails in every forward while `broken`."""

    broken: BaseException | None = None

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        if self.broken is not None:
            raise self.broken
        return super().forward(slot, ids, n_logits)


@pytest.mark.parametrize(
    "error",
    [
        EngineError("the device is gone"),
        RuntimeError("from some library"),
        MemoryError(),
        StopIteration(),
        SystemExit(1),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_engine_that_fails_ends_the_request_and_the_next_one_starts_cold(tokenizer: Tokenizer, error: BaseException) -> None:
    failing = FailingEngine(tiny.VOCAB_SIZE)
    generator = LocalGenerator(failing, tokenizer)
    text = tiny.some_ids(30)
    submit(generator, request(tokenizer, 1, text)).wait()
    failing.broken = error
    failed = submit(generator, request(tokenizer, 2, [*text, 5])).wait()
    failing.broken = None
    assert generator.message
    assert (failed.reasons, failed.ids) == (["error"], [])
    again = submit(generator, request(tokenizer, 3, text)).wait()
    assert again.stats.n_keep == 0
    assert again.ids == plain_greedy(engine(), tokenizer, prompt_of(tokenizer, text), STOP)[0]
    generator.close()


def test_a_receiver_that_fails_does_not_stop_the_engine_thread(tokenizer: Tokenizer) -> None:
    generator = LocalGenerator(engine(), tokenizer)
    called = threading.Event()

    def fail(event: Tokens | Done) -> None:
        if isinstance(event, Done):
            called.set()
            raise RuntimeError("the event loop is closed")

    generator.submit(request(tokenizer, 1, tiny.some_ids(8)), fail)
    assert called.wait(10)
    assert submit(generator, request(tokenizer, 2, tiny.some_ids(8))).wait().reasons != ["error"]
    generator.close()


def test_closing_ends_every_request_once_and_frees_the_engine(tokenizer: Tokenizer) -> None:
    gated_engine = GatedEngine()
    generator = LocalGenerator(gated_engine, tokenizer)
    receivers = [submit(generator, request(tokenizer, 1, tiny.some_ids(8)))]
    gated_engine.wait_at_gate()
    receivers += [submit(generator, request(tokenizer, n, tiny.some_ids(8, seed=n), priority=1)) for n in range(2, 6)]
    closing = threading.Thread(target=generator.close)
    closing.start()
    while not generator._closed:
        time.sleep(0.001)
    gated_engine.open()
    closing.join(10)
    assert [receiver.wait().reasons for receiver in receivers] == [["cancelled"]] * 5
    with pytest.raises(EngineError, match="closed"):
        gated_engine.forward(0, [1], 0)
    assert submit(generator, request(tokenizer, 9, [1])).wait().reasons == ["cancelled"]
    generator.close()  # twice does no harm


def test_an_idle_generator_costs_no_time(tokenizer: Tokenizer) -> None:
    generator = LocalGenerator(engine(), tokenizer)
    submit(generator, request(tokenizer, 1, tiny.some_ids(8))).wait()
    thread = next(t for t in threading.enumerate() if t is generator._thread)
    before = cpu_seconds(thread)
    time.sleep(0.2)
    assert cpu_seconds(thread) - before < 0.002
    generator.close()
    assert not thread.is_alive()


def cpu_seconds(thread: threading.Thread) -> float:
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def test_each_event_carries_the_counts_of_its_moment(tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]) -> None:
    gated_engine, generator = gated
    events: list[Tokens | Done] = []
    done = threading.Event()

    def on_event(event: Tokens | Done) -> None:
        events.append(event)
        if isinstance(event, Done):
            done.set()

    generator.submit(request(tokenizer, 1, tiny.some_ids(8)), on_event)
    gated_engine.wait_at_gate()
    gated_engine.let_through(3)
    seen = [(event.stats.n_keep, event.stats.n_feed, event.stats.n_generated) for event in events]
    assert seen == [(0, 8, 0), (0, 8, 1), (0, 8, 2), (0, 8, 3)]
    gated_engine.open()
    assert done.wait(10)
    assert [event.stats.n_generated for event in events[:4]] == [0, 1, 2, 3], "what was handed out never changes"
    assert isinstance(events[-1], Done) and events[-1].stats.n_generated == 10


def test_a_request_cancelled_in_the_queue_says_that_it_never_began(
    tokenizer: Tokenizer, gated: tuple[GatedEngine, LocalGenerator]
) -> None:
    gated_engine, generator = gated
    first = submit(generator, request(tokenizer, 1, tiny.some_ids(8)))
    gated_engine.wait_at_gate()
    waiting = submit(generator, request(tokenizer, 2, tiny.some_ids(8), priority=1))
    generator.cancel(2)
    gated_engine.open()
    assert (first.wait().stats.began, waiting.wait().stats.began) == (True, False)
