"""The seam over a socket: what comes back is what the same engine gives in the same process; and who gets what, when."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from completer.config import Settings
from completer.errors import UnsupportedModel
from completer.generate.scheduler import LocalGenerator
from completer.tokens.tokenizer import Tokenizer
from completer.worker.generator import WorkerGenerator
from tests.fake_engine import FakeEngine
from tests.unit.worker.in_thread import PROMPT, Events, StartFront, Worker, open_gate, request, wait_until


def test_a_request_gives_the_same_tokens_as_in_one_process(front: StartFront, tokenizer: Tokenizer) -> None:
    here = LocalGenerator(FakeEngine(tokenizer.vocab_size), tokenizer)
    over_there = front()
    for number, prompt in enumerate((PROMPT, PROMPT[:-3], (7, 7, 7)), start=1):
        expected, events = Events(), Events()
        here.submit(request(number, prompt), expected)
        over_there.submit(request(number, prompt), events)
        ids, done = events.until_done()
        ids_here, done_here = expected.until_done()
        assert (ids, done.reason, done.request_id) == (ids_here, done_here.reason, number)
        assert (done.stats.n_keep, done.stats.n_feed) == (done_here.stats.n_keep, done_here.stats.n_feed)
    here.close()


def test_what_is_cached_is_known_at_the_end_of_a_request(front: StartFront, worker: Worker) -> None:
    first, second = front(), front()
    assert first.n_cached(PROMPT) == 0
    events = Events()
    first.submit(request(1, PROMPT), events)
    ids, _ = events.until_done()
    assert first.n_cached((*PROMPT, *ids)) == worker.models[0].generator.n_cached((*PROMPT, *ids)) >= len(PROMPT)
    wait_until(lambda: second.n_cached(PROMPT) == len(PROMPT))
    assert front().n_cached(PROMPT) == len(PROMPT)  # one that comes later learns what is there


def test_two_fronts_share_one_model_and_the_prefix_of_the_same_file(front: StartFront, worker: Worker) -> None:
    first, second = front(), front()
    for generator, n_keep in ((first, 0), (second, len(PROMPT) - 1)):
        events = Events()
        generator.submit(request(1, PROMPT), events)
        _, done = events.until_done()
        assert done.stats.n_keep >= n_keep
    assert len(worker.models) == 1


def test_fronts_with_the_same_ids_and_documents_do_not_disturb_each_other(front: StartFront, tokenizer: Tokenizer) -> None:
    here = LocalGenerator(FakeEngine(tokenizer.vocab_size), tokenizer)
    generators = [front() for _ in range(3)]
    listeners, expected = [Events() for _ in generators], []
    prompts = [tuple(range(start, start + 30)) for start in (5, 50, 100)]
    for generator, events, prompt in zip(generators, listeners, prompts, strict=True):
        generator.submit(request(1, prompt), events)
    for prompt in prompts:
        alone = Events()
        here.submit(request(1, prompt), alone)
        expected.append(alone.until_done()[0])
    assert [events.until_done()[0] for events in listeners] == expected
    here.close()


def test_a_long_text_is_sent_once(front: StartFront, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = front()
    session = generator._session
    assert session is not None
    sent: list[str] = []
    send = session._channel.send
    monkeypatch.setattr(session._channel, "send", lambda *ms: (sent.extend(type(m).__name__ for m in ms), send(*ms))[1])
    text, other = tuple(range(300)), tuple(range(1, 301))
    for number, corpora in enumerate(((text,), (text, (1, 2)), (other, text)), start=1):
        events = Events()
        generator.submit(replace(request(number, PROMPT), corpus_ids=corpora), events)
        assert events.until_done()[1].reason != "error"
    assert sent == ["Text", "Submit", "Submit", "Text", "Submit"]


def test_more_texts_than_there_are_numbers_take_the_place_of_the_oldest(front: StartFront) -> None:
    generator = front()
    for number in range(1, 70):
        events = Events()
        generator.submit(replace(request(number, PROMPT, n=1), corpus_ids=(tuple(range(number, number + 290)),)), events)
        assert events.until_done()[1].reason != "error"
    assert generator._session is not None and len(generator._session._texts) == 32


def test_a_cancelled_request_ends(front: StartFront, worker: Worker) -> None:
    worker.gated = True
    generator, events = front(), Events()
    generator.submit(request(1, PROMPT), events)
    events.first()
    generator.cancel(1)
    wait_until(lambda: all(job.cancelled for job in worker.models[0].generator._jobs))
    open_gate(worker)
    assert events.until_done()[1].reason == "cancelled"


def test_a_front_that_leaves_frees_what_it_asked_for(front: StartFront, worker: Worker) -> None:
    worker.gated = True
    generator, events = front(), Events()
    generator.submit(request(1, PROMPT), events)
    events.first()
    generator.close()
    assert events.until_done()[1].reason == "error"
    wait_until(lambda: not worker.server._connections)
    open_gate(worker)
    wait_until(lambda: not worker.models[0].generator.is_busy)


def test_progress_and_errors_of_loading_reach_the_front(worker: Worker) -> None:
    worker.failure = UnsupportedModel("no engine runs this")
    said: list[str] = []
    generator = WorkerGenerator(worker.connect, Settings(model="odd"))
    with pytest.raises(UnsupportedModel, match="no engine runs this"):
        generator.begin(lambda label, _: said.append(label))
    assert "reading" in said


def test_loading_is_broken_off_when_nobody_waits_any_more(worker: Worker) -> None:
    worker.may_load.clear()

    def report(label: str, _: float | None) -> None:
        if label == "reading":
            raise KeyError("the client is gone")

    with pytest.raises(KeyError):
        WorkerGenerator(worker.connect, Settings(model="large")).begin(report)
    wait_until(lambda: not worker.server._models.is_loading)
    assert worker.models == []


def test_another_model_takes_the_place_of_one_that_nobody_uses(front: StartFront, worker: Worker) -> None:
    front("one").close()
    wait_until(lambda: not worker.server._connections)
    front("two")
    assert [model.is_closed for model in worker.models] == [True, False]


def test_costs_and_troubles_reach_every_front(front: StartFront, worker: Worker) -> None:
    first, second = front(), front()
    worker.models[0].trouble = "decode.onnx is damaged"
    worker.models[0].engine.costs = worker.models[0].engine.costs.seen(1, 0.5)
    events = Events()
    first.submit(request(1, PROMPT), events)
    events.until_done()
    assert first.message == "decode.onnx is damaged"
    assert first.costs.forward_ms[1] == 0.5
    wait_until(lambda: second.message == "decode.onnx is damaged")


def test_closing_ends_the_thread(front: StartFront) -> None:
    generator, before = front(), threading.active_count()
    generator.close()
    wait_until(lambda: threading.active_count() < before)
    events = Events()
    generator.submit(request(9, PROMPT), events)
    assert events.until_done()[1].reason == "cancelled"
