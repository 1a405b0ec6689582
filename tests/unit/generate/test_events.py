"""What crosses the seam between completion and the engine is frozen plain data, so that it can cross a process."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from queue import SimpleQueue

import pytest

from completer.generate.scheduler import LocalGenerator
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, Request, StopRule, Tokens
from tests import tiny
from tests.gate import engine
from tests.law import prompt_of


def events_of(tokenizer: Tokenizer, request: Request) -> list[Tokens | Done]:
    arriving: SimpleQueue[Tokens | Done] = SimpleQueue()
    generator = LocalGenerator(engine(), tokenizer)
    generator.submit(request, arriving.put)
    events = [arriving.get(timeout=10)]
    while not isinstance(events[-1], Done):
        events.append(arriving.get(timeout=10))
    generator.close()
    return events


@pytest.fixture
def request_down(tokenizer: Tokenizer) -> Request:
    ids = tiny.some_ids(40)
    stop = StopRule(max_tokens=10, single_line=False, end_ids=tokenizer.fim.end)
    return Request(7, "file:///a.py", prompt_of(tokenizer, ids, 1), stop, 0, ((1, 2),), (tuple(ids),), (b"x",))


def test_a_request_and_its_events_survive_pickling(tokenizer: Tokenizer, request_down: Request) -> None:
    assert pickle.loads(pickle.dumps(request_down)) == request_down
    events = events_of(tokenizer, request_down)
    assert pickle.loads(pickle.dumps(events)) == events
    assert {event.request_id for event in events} == {7}


def test_the_first_event_tells_that_the_request_began_and_the_last_one_why_it_ended(
    tokenizer: Tokenizer, request_down: Request
) -> None:
    first, *middle, last = events_of(tokenizer, request_down)
    assert isinstance(first, Tokens) and first.tokens == () and first.stats.began
    assert all(isinstance(event, Tokens) and event.tokens for event in middle)
    assert isinstance(last, Done)
    assert sum(len(event.tokens) for event in middle if isinstance(event, Tokens)) == last.stats.n_generated > 0


def test_counts_cannot_be_changed(tokenizer: Tokenizer, request_down: Request) -> None:
    stats = events_of(tokenizer, request_down)[-1].stats
    with pytest.raises(FrozenInstanceError):
        stats.n_generated = 0  # type: ignore[misc]
