"""The generator over an engine that streams: healing, stop rules, order, cancelling; no server, no network."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from completer.complete.pipeline import Pipeline
from completer.complete.state import Model
from completer.config import Settings
from completer.engines.base import CostCurve, StreamPiece, StreamRequest
from completer.errors import ServerError
from completer.generate.stream import StreamGenerator
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, Edit, FinishReason, Prompt, Request, Snapshot, Stats, StopRule, Token, Tokens

Say = Callable[[StreamRequest], list[StreamPiece]]


@dataclass
class TalkingEngine:
    """Answers each request by `say`, a token every `delay_s`; honours `begins_with` by leaving out what disagrees."""

    tokenizer: Tokenizer
    say: Say
    delay_s: float = 0.0
    constrains: bool = False
    name: str = "remote"
    max_len: int = 1024
    costs: CostCurve = field(default_factory=lambda: CostCurve({1: 1.0}, 0.1))
    asked: list[StreamRequest] = field(default_factory=list)
    n_closed: int = 0

    async def stream(self, request: StreamRequest) -> AsyncGenerator[StreamPiece, None]:
        self.asked.append(request)
        try:
            for piece in self.say(request):
                await asyncio.sleep(self.delay_s)
                yield piece
        finally:
            self.n_closed += 1

    async def close(self) -> None: ...


@dataclass
class Heard:
    """What a client heard of one request."""

    stats: Stats = field(default_factory=Stats)
    tokens: list[Token] = field(default_factory=list)
    reason: FinishReason | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def on_event(self, event: Tokens | Done) -> None:
        self.stats = event.stats
        if isinstance(event, Done):
            self.reason = event.reason
            self.done.set()
        else:
            self.tokens.extend(event.tokens)


@pytest.fixture
def make() -> Iterator[Callable[[TalkingEngine], StreamGenerator]]:
    made: list[StreamGenerator] = []

    def start(engine: TalkingEngine) -> StreamGenerator:
        made.append(StreamGenerator(engine, engine.tokenizer))
        return made[-1]

    yield start
    for generator in made:
        generator.close()


Make = Callable[[TalkingEngine], StreamGenerator]


def pieces(tokenizer: Tokenizer, text: str, prob: float = 0.9) -> list[StreamPiece]:
    return [StreamPiece((id_,), prob) for id_ in tokenizer.encode(text)]


def request_of(
    tokenizer: Tokenizer, typed: str, number: int = 1, *, n_heal: int = 0, priority: int = 0, **stop: object
) -> Request:
    ids = tokenizer.encode(typed)
    heal_bytes = tokenizer.bytes_of(ids[len(ids) - n_heal :]) if n_heal else b""
    rule = StopRule(**({"max_tokens": 20, "end_ids": tokenizer.fim.end} | stop))  # type: ignore[arg-type]
    return Request(number, "file:///a.py", Prompt(tuple(ids), n_heal, heal_bytes), rule, priority)


def ask(generator: StreamGenerator, request: Request, wait: bool = True) -> Heard:
    heard = Heard()
    generator.submit(request, heard.on_event)
    assert not wait or heard.done.wait(5)
    return heard


def text_of(tokenizer: Tokenizer, heard: Heard) -> str:
    return tokenizer.text_of(token.id for token in heard.tokens)


def test_tokens_arrive_until_the_line_ends(tokenizer: Tokenizer, make: Make) -> None:
    engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "a + b\n\nprint"))
    heard = ask(make(engine), request_of(tokenizer, "return "))
    assert (text_of(tokenizer, heard).rstrip("\n"), heard.reason) == ("a + b", "newline")
    assert engine.n_closed == 1


def test_the_first_improbable_token_ends_the_answer(tokenizer: Tokenizer, make: Make) -> None:
    sure, unsure = pieces(tokenizer, "a"), pieces(tokenizer, "b", prob=0.3)
    heard = ask(make(TalkingEngine(tokenizer, lambda _: [*sure, *unsure])), request_of(tokenizer, "return ", confidence=0.4))
    assert (text_of(tokenizer, heard), heard.reason) == ("a", "confidence")


def test_an_end_token_and_the_engines_own_end_are_the_end(tokenizer: Tokenizer, make: Make) -> None:
    end = StreamPiece((min(tokenizer.fim.end),))
    heard = ask(make(TalkingEngine(tokenizer, lambda _: [*pieces(tokenizer, "a"), end])), request_of(tokenizer, "x"))
    assert (text_of(tokenizer, heard), heard.reason) == ("a", "end")
    heard = ask(
        make(TalkingEngine(tokenizer, lambda _: [*pieces(tokenizer, "a"), StreamPiece(end="end")])), request_of(tokenizer, "x")
    )
    assert (text_of(tokenizer, heard), heard.reason) == ("a", "end")


def test_healed_tokens_are_not_sent_and_come_back_in_the_answer(tokenizer: Tokenizer, make: Make) -> None:
    request = request_of(tokenizer, "x = f", n_heal=1)
    engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, request.prompt.heal_bytes.decode() + "oo"))
    heard = ask(make(engine), request)
    assert engine.asked[0].ids == request.prompt.ids[:-1]
    assert text_of(tokenizer, heard).encode() == request.prompt.heal_bytes + b"oo"


def test_an_engine_that_constrains_is_told_what_to_begin_with(tokenizer: Tokenizer, make: Make) -> None:
    request = request_of(tokenizer, "x = f", n_heal=1)
    engine = TalkingEngine(tokenizer, lambda r: pieces(tokenizer, r.begins_with.decode() + "oo"), constrains=True)
    heard = ask(make(engine), request)
    assert engine.asked[0].begins_with == request.prompt.heal_bytes
    assert text_of(tokenizer, heard).encode() == request.prompt.heal_bytes + b"oo"


def test_another_first_choice_is_replaced_by_the_likeliest_alternative_that_agrees(tokenizer: Tokenizer, make: Make) -> None:
    request = request_of(tokenizer, "x = f", n_heal=1)
    (wrong,), (right,) = tokenizer.encode("1"), request.prompt.ids[-1:]
    first = StreamPiece((wrong,), 0.6, (((wrong,), 0.6), ((right,), 0.1), ((right + 1,), 0.05)))
    engine = TalkingEngine(tokenizer, lambda r: [first] if len(engine.asked) == 1 else pieces(tokenizer, "oo"))
    heard = ask(make(engine), request)
    assert [r.ids for r in engine.asked] == [request.prompt.ids[:-1], request.prompt.ids]
    assert text_of(tokenizer, heard).encode() == request.prompt.heal_bytes + b"oo"
    assert heard.tokens[0].prob == pytest.approx(1.0)  # it is the only one among those that agree


def test_without_an_alternative_the_typed_text_stands(tokenizer: Tokenizer, make: Make) -> None:
    request = request_of(tokenizer, "x = f", n_heal=1)
    engine = TalkingEngine(tokenizer, lambda r: pieces(tokenizer, "1" if len(engine.asked) == 1 else "oo"))
    heard = ask(make(engine), request)
    assert text_of(tokenizer, heard).encode() == request.prompt.heal_bytes + b"oo"
    assert len(engine.asked) == 2


def test_an_answer_that_ends_before_the_typed_text_is_healed_too(tokenizer: Tokenizer, make: Make) -> None:
    request = request_of(tokenizer, "x = f", n_heal=1)
    engine = TalkingEngine(tokenizer, lambda r: [StreamPiece(end="end")] if len(engine.asked) == 1 else pieces(tokenizer, "oo"))
    assert text_of(tokenizer, ask(make(engine), request)).encode() == request.prompt.heal_bytes + b"oo"


def test_whatever_the_engine_says_the_answer_begins_with_the_healed_bytes(tokenizer: Tokenizer, make: Make) -> None:
    for n_heal in (1, 2, 3):
        for typed in ("x = foo", "naïve 漢", "    ret"):
            request = request_of(tokenizer, typed, n_heal=n_heal, max_tokens=12)
            engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "é1"))
            said = tokenizer.bytes_of(t.id for t in ask(make(engine), request).tokens)
            assert said.startswith(request.prompt.heal_bytes) or request.prompt.heal_bytes.startswith(said)


def test_a_key_goes_before_what_is_made_ahead_of_need(tokenizer: Tokenizer, make: Make) -> None:
    engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "abc"), delay_s=0.1)
    generator = make(engine)
    ahead = ask(generator, request_of(tokenizer, "ahead", 1, priority=1), wait=False)
    time.sleep(0.03)
    key = ask(generator, request_of(tokenizer, "key", 2))
    assert key.reason == "end" or key.reason == "length"
    assert not ahead.done.is_set()  # it had not answered yet: it begins again
    assert ahead.done.wait(5)
    assert text_of(tokenizer, ahead) == "abc"
    assert [r.ids for r in engine.asked] == [tuple(tokenizer.encode(t)) for t in ("ahead", "key", "ahead")]


def test_cancelling_closes_the_stream_and_is_heard_once(tokenizer: Tokenizer, make: Make) -> None:
    engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "a" * 50), delay_s=0.02)
    generator = make(engine)
    heard = ask(generator, request_of(tokenizer, "x", 7, max_tokens=100), wait=False)
    time.sleep(0.1)
    generator.cancel(7)
    generator.cancel(7)
    generator.cancel(99)
    assert heard.done.wait(2)
    assert (heard.reason, engine.n_closed) == ("cancelled", 1)


def test_a_waiting_request_can_be_cancelled(tokenizer: Tokenizer, make: Make) -> None:
    engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "a" * 20), delay_s=0.02)
    generator = make(engine)
    key = ask(generator, request_of(tokenizer, "key", 1), wait=False)
    ahead = ask(generator, request_of(tokenizer, "ahead", 2, priority=2), wait=False)
    generator.cancel(2)
    assert ahead.done.wait(2) and ahead.reason == "cancelled"
    assert key.done.wait(5) and key.reason != "cancelled"


def test_a_failing_engine_is_an_error_of_that_request_and_told_to_the_user(tokenizer: Tokenizer, make: Make) -> None:
    def say(_: StreamRequest) -> list[StreamPiece]:
        if len(engine.asked) == 1:
            raise ServerError("the server is on fire: fetch water")
        return pieces(tokenizer, "a")

    engine = TalkingEngine(tokenizer, say)
    generator = make(engine)
    assert ask(generator, request_of(tokenizer, "x", 1)).reason == "error"
    assert generator.message == "the server is on fire: fetch water"
    assert ask(generator, request_of(tokenizer, "x", 2)).reason == "length"
    assert generator.message == ""


def test_closing_cancels_everything_and_later_requests(tokenizer: Tokenizer, make: Make) -> None:
    engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "a" * 50), delay_s=0.05)
    generator = make(engine)
    heard = ask(generator, request_of(tokenizer, "x", max_tokens=100), wait=False)
    time.sleep(0.1)
    generator.close()
    assert heard.reason == "cancelled"
    assert ask(generator, request_of(tokenizer, "y", 2)).reason == "cancelled"


def test_prompts_that_were_answered_count_as_cached(tokenizer: Tokenizer, make: Make) -> None:
    generator = make(TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "a")))
    request = request_of(tokenizer, "some long prompt")
    assert generator.n_cached(request.prompt.ids) == 0
    ask(generator, request)
    assert generator.n_cached((*request.prompt.ids, 1, 2)) == len(request.prompt.ids)
    warm = request_of(tokenizer, "a quite different one", 2, max_tokens=0)
    assert ask(generator, warm).reason == "length"
    assert generator.n_cached(warm.prompt.ids) == len(warm.prompt.ids)


async def test_a_document_that_holds_a_secret_is_not_sent_until_it_is_gone(tokenizer: Tokenizer) -> None:
    engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "1"))
    generator = StreamGenerator(engine, tokenizer)
    settings = Settings(budget_ms=400, explicit_budget_ms=400, confidence=0.0)
    made = Pipeline(
        Model(generator, tokenizer, lambda: engine.costs, engine.max_len, "m", "remote", leaves_machine=True), settings
    )
    secret = "key = '" + "AKIA" + "IOSFODNN7QWERTYU'\n"
    text = f"import os\n{secret}x = "
    snapshot = Snapshot("file:///conf.py", 1, "python", text, len(text))
    made.did_open(snapshot)
    assert await made.complete(snapshot, explicit=True) is None
    await asyncio.sleep(0.4)
    assert engine.asked == []
    assert made.status()["message"] == "conf.py is not sent: it seems to hold a AWS access key"
    start = text.index(secret)
    clean = replace(snapshot, version=2, text=text.replace(secret, ""), cursor_cp=len(text) - len(secret))
    made.did_change(clean, [Edit(start, start + len(secret), "")])
    await made.complete(clean, explicit=True)
    assert engine.asked and made.status()["message"] == ""
    hidden = replace(snapshot, uri="file:///home/a/.env", text="x = ", cursor_cp=4)
    n = len(engine.asked)
    assert await made.complete(hidden, explicit=True) is None
    assert len(engine.asked) == n
    await made.close()
    generator.close()


@pytest.mark.parametrize("secret", [True, False])
async def test_an_open_document_that_holds_a_secret_tells_others_nothing(
    tokenizer: Tokenizer, tmp_path: Path, secret: bool
) -> None:
    engine = TalkingEngine(tokenizer, lambda _: pieces(tokenizer, "1"))
    generator = StreamGenerator(engine, tokenizer)
    settings = Settings(budget_ms=400, confidence=0.0)
    made = Pipeline(Model(generator, tokenizer, lambda: engine.costs, 4096, engine="remote", leaves_machine=True), settings)
    made.set_folders([tmp_path])
    key = "AKIA" + "IOSFODNN7QWERTYU" if secret else "a_harmless_name"
    body = "".join(f"def connect_{n}(host, port):\n    return open_socket(host, port, {n})\n\n\n" for n in range(6))
    other = f"{body}KEY = '{key}'\ndef connect_special(host, port):\n    return open_socket(host, port, 99)\n"
    here = f"{body}def connect_more(host, port):\n    return "
    for name, text in (("other.py", other), ("here.py", here)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    made.did_open(Snapshot((tmp_path / "other.py").as_uri(), 1, "python", other, len(other)))
    snapshot = Snapshot((tmp_path / "here.py").as_uri(), 1, "python", here, len(here))
    made.did_open(snapshot)
    await made.complete(snapshot, explicit=True)
    assert await made.settled(10)
    made.did_move_cursor(snapshot)
    await asyncio.sleep(0.1)
    assert await made.settled(10)
    await made.complete(snapshot, explicit=True)
    prompts = [tokenizer.bytes_of(request.ids).decode(errors="replace") for request in engine.asked]
    await made.close()
    generator.close()
    assert prompts
    assert any("connect_special" in prompt for prompt in prompts) is not secret
    assert not any("AKIA" in prompt for prompt in prompts)
