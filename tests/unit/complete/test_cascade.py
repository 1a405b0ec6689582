"""A second look by a larger model: what it may change, when it works, and that it is in nobody's way."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from completer import assemble as loader
from completer.complete.cascade import REST_S, Larger
from completer.complete.pipeline import Pipeline
from completer.config import Settings
from completer.engines.base import Logits
from completer.errors import ConfigError, EngineError
from completer.generate.scheduler import LocalGenerator
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, GenerateRequest, StopRule, Suggestion
from tests import tiny
from tests.gate import GatedEngine
from tests.law import prompt_of, submit
from tests.unit.complete.test_pipeline import HEAD, LINE, SCRIPT, TAIL, ByHeart, at, key, text_of

SETTINGS = Settings(budget_ms=400, confidence=0.3)
MORE = "    result = width * height + border"
"""What the larger model knows: the same line, and more."""
OTHER = "    result = width - height"
"""Or another line."""
AFTER_S = REST_S + 0.1
"""When a second look would have begun."""


class Knows(ByHeart):
    """Goes on with `line` where the document stands at it, as a model that is sure; with `unsure` from its end on."""

    def __init__(self, tokenizer: Tokenizer, line: str, unsure: str = "", delay_s: float = 0.0) -> None:
        super().__init__(tokenizer, delay_s)
        self._script = HEAD + line + unsure + TAIL
        self._sure_until = len(HEAD + line) if unsure else len(self._script)

    def logits_after(self, ids: Sequence[int]) -> Logits:
        middle = max((i for i, id_ in enumerate(ids) if id_ == self._tokenizer.fim.middle), default=-1)
        known = self._tokenizer.bytes_of(ids[middle + 1 :]).decode(errors="replace").lstrip("\n")
        at = self._script.find(known) if known else 0
        row = np.zeros(self.vocab_size, np.float32)
        rest = self._script[at + len(known) :] if at >= 0 else ""
        unsure = at + len(known) >= self._sure_until
        row[self._tokenizer.encode(rest)[0] if rest else min(self._tokenizer.fim.end)] = 1.0 if unsure else 20.0
        return row


class Client(NamedTuple):
    made: Pipeline
    small: ByHeart
    large: ByHeart
    more: list[Suggestion]

    def n_small_forwards(self) -> int:
        return len([c for c in self.small.calls if c.name == "forward"])

    async def looked(self) -> None:
        """Wait until the second look is over."""
        async with asyncio.timeout(5):
            while self.made._cascade._place is not None:
                await asyncio.sleep(0.01)

    async def quiet(self) -> tuple[int, int]:
        """Wait until neither engine has anything left to do; return how many forwards and calls there were."""
        async with asyncio.timeout(5):
            while True:
                before = self.n_small_forwards(), len(self.large.calls)
                await asyncio.sleep(0.1)
                if before == (self.n_small_forwards(), len(self.large.calls)):
                    return before


@asynccontextmanager
async def cascade(
    tokenizer: Tokenizer, small: ByHeart, large: ByHeart, settings: Settings = SETTINGS, on: bool = True
) -> AsyncIterator[Client]:
    first = LocalGenerator(small, tokenizer)
    second = LocalGenerator(large, tokenizer, ahead=first)
    larger = Larger(second, large.max_len, "large") if on else None
    made = Pipeline(first, tokenizer, lambda: small.costs, small.max_len, settings, {"model": "small"}, larger=larger)
    client = Client(made, small, large, [])
    made.on_extend = client.more.append
    try:
        yield client
        await made.close()
    finally:
        second.close()
        first.close()


async def test_the_larger_model_extends_what_is_shown_where_it_agrees_and_goes_on(tokenizer: Tokenizer) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Knows(tokenizer, MORE)) as client:
        client.made.did_open(at(9))
        assert text_of(await client.made.complete(at(9), explicit=False)) == LINE[9:]
        await client.looked()
        (more,) = client.more
        assert (more.text, more.version, more.start_cp) == (MORE[9:], 9, at(9).cursor_cp)


async def test_the_next_keys_get_the_longer_text_without_any_engine(tokenizer: Tokenizer) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Knows(tokenizer, MORE)) as client:
        client.made.did_open(at(9))
        await client.made.complete(at(9), explicit=False)
        await client.looked()
        before = await client.quiet()
        for n in range(10, len(MORE)):
            assert text_of(await client.made.complete(key(client.made, n, MORE), explicit=False)) == MORE[n:]
        assert (client.n_small_forwards(), len(client.large.calls)) == before
        assert {t["answered_by"] for t in client.made.metrics()[1:]} == {"typed-through"}


async def test_what_is_read_is_never_replaced_by_something_else(tokenizer: Tokenizer) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Knows(tokenizer, OTHER)) as client:
        client.made.did_open(at(9))
        assert text_of(await client.made.complete(at(9), explicit=False)) == LINE[9:]
        await client.looked()
        assert client.large.calls, "it was asked"
        assert client.more == []
        assert text_of(await client.made.complete(key(client.made, 10), explicit=False)) == LINE[10:]


async def test_typing_that_leaves_what_is_shown_gets_what_the_larger_model_said(tokenizer: Tokenizer) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Knows(tokenizer, OTHER)) as client:
        start = LINE.index("*") - 1
        client.made.did_open(at(start))
        await client.made.complete(at(start), explicit=False)
        await client.looked()
        before = client.n_small_forwards()
        await client.made.complete(key(client.made, start + 1, OTHER), explicit=False)  # a blank: both agree
        left = await client.made.complete(key(client.made, start + 2, OTHER), explicit=False)
        assert text_of(left) == OTHER[start + 2 :]
        assert client.n_small_forwards() == before


async def test_it_shows_something_where_nothing_was_sure_enough_to_be_shown(tokenizer: Tokenizer) -> None:
    small = Knows(tokenizer, LINE[:9], unsure=LINE[9:])
    async with cascade(tokenizer, small, Knows(tokenizer, LINE)) as client:
        client.made.did_open(at(9))
        assert await client.made.complete(at(9), explicit=False) is None
        await client.looked()
        assert [more.text for more in client.more] == [LINE[9:]]


async def test_the_part_that_the_small_model_is_sure_of_is_extended(tokenizer: Tokenizer) -> None:
    small = Knows(tokenizer, LINE[:20], unsure=LINE[20:])
    async with cascade(tokenizer, small, Knows(tokenizer, LINE)) as client:
        client.made.did_open(at(9))
        shown = text_of(await client.made.complete(at(9), explicit=False))
        assert shown and LINE[9:].startswith(shown) and shown != LINE[9:]
        await client.looked()
        assert [more.text for more in client.more] == [LINE[9:]]


async def test_a_key_in_between_ends_it_and_the_next_rest_begins_it_again(tokenizer: Tokenizer) -> None:
    large = Knows(tokenizer, MORE, delay_s=0.05)
    async with cascade(tokenizer, Knows(tokenizer, LINE), large) as client:
        client.made.did_open(at(9))
        await client.made.complete(at(9), explicit=False)
        while not any(call.name == "forward" for call in large.calls):
            await asyncio.sleep(0.01)
        await client.made.complete(key(client.made, 10), explicit=False)
        await asyncio.sleep(0.06)  # the forward under way
        n_calls = len(large.calls)
        await asyncio.sleep(REST_S / 3)
        assert (len(large.calls), client.more) == (n_calls, [])
        await client.looked()
        assert [(more.text, more.version) for more in client.more] == [(MORE[10:], 10)]


@pytest.mark.parametrize("gesture", ["dismissed", "moved", "edited", "closed"])
async def test_who_has_gone_on_gets_nothing(tokenizer: Tokenizer, gesture: str) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Knows(tokenizer, MORE)) as client:
        client.made.did_open(at(9))
        shown = await client.made.complete(at(9), explicit=False)
        assert shown is not None
        await asyncio.sleep(REST_S / 3)
        if gesture == "dismissed":
            client.made.did_dismiss(shown)
        elif gesture == "moved":
            client.made.did_move_cursor(replace(at(9), cursor_cp=0))
        elif gesture == "edited":
            client.made.did_change(replace(at(9), version=10, text="\n" + at(9).text), [Edit(0, 0, "\n")])
        else:
            client.made.did_close(shown.uri)
        await asyncio.sleep(AFTER_S)
        assert (client.more, client.large.calls) == ([], [])


async def test_a_cursor_reported_where_it_was_ends_nothing(tokenizer: Tokenizer) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Knows(tokenizer, MORE)) as client:
        client.made.did_open(at(9))
        await client.made.complete(at(9), explicit=False)
        client.made.did_move_cursor(at(9))
        await client.looked()
        assert [more.text for more in client.more] == [MORE[9:]]


async def test_fast_keys_never_reach_the_larger_model(tokenizer: Tokenizer) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Knows(tokenizer, MORE)) as client:
        client.made.did_open(at(9))
        for n in range(10, 16):
            await client.made.complete(key(client.made, n), explicit=False)
            await asyncio.sleep(REST_S / 5)
        assert client.large.calls == []


async def test_keys_do_not_begin_its_reading_of_the_prompt_again(tokenizer: Tokenizer) -> None:
    large = Knows(tokenizer, MORE, delay_s=0.1)
    async with cascade(tokenizer, Knows(tokenizer, LINE), large) as client:
        client.made.did_open(at(9))
        n = 9
        await client.made.complete(at(n), explicit=False)
        await client.made.settled(2)  # the anchor is the full one from now on
        while not any(call.name == "forward" for call in large.calls):
            n += 1
            await client.made.complete(key(client.made, n), explicit=False)
            await asyncio.sleep(REST_S + 0.05)
        assert n > 10
        n_tokens = len(tokenizer.encode(SCRIPT)) + 8
        assert sum(call.n for call in large.calls if call.name == "prefill") <= 2 * n_tokens  # of the cold and of the full anchor


async def test_without_a_larger_model_nothing_happens(tokenizer: Tokenizer) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Knows(tokenizer, MORE), on=False) as client:
        client.made.did_open(at(9))
        assert text_of(await client.made.complete(at(9), explicit=False)) == LINE[9:]
        await asyncio.sleep(AFTER_S)
        assert (client.more, client.large.calls) == ([], [])


class Broken(Knows):
    def logits_after(self, ids: Sequence[int]) -> Logits:
        raise EngineError("the device is gone")


async def test_a_larger_model_that_fails_is_asked_once_and_the_small_one_goes_on(
    tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    async with cascade(tokenizer, Knows(tokenizer, LINE), Broken(tokenizer, MORE)) as client:
        client.made.did_open(at(9))
        for n in (9, 10):
            snapshot = at(9) if n == 9 else key(client.made, n)
            assert text_of(await client.made.complete(snapshot, explicit=False)) == LINE[n:]
            await client.looked()
        assert client.more == []
        assert "large failed" in client.made.status()["message"]
        assert len([r for r in caplog.records if "gone" in r.getMessage()]) == 1


def test_it_takes_no_step_while_the_small_model_has_work(tokenizer: Tokenizer) -> None:
    small, large = GatedEngine(), GatedEngine()
    first = LocalGenerator(small, tokenizer)
    second = LocalGenerator(large, tokenizer, ahead=first)
    stop = StopRule(max_tokens=6, single_line=False)
    large.open()
    try:
        key_ = submit(first, GenerateRequest(1, "a", prompt_of(tokenizer, tiny.some_ids(8)), stop))
        small.wait_at_gate()
        look = submit(second, GenerateRequest(2, "a", prompt_of(tokenizer, tiny.some_ids(8)), stop, priority=1))
        small.let_through(2)
        time.sleep(0.05)
        assert large.calls == []
        small.open()
        assert key_.wait().reasons != ["cancelled"]
        assert look.wait().reasons == key_.reasons
        assert look.ids == key_.ids
    finally:
        small.open()
        second.close()
        first.close()


def test_it_can_be_closed_while_it_waits_for_the_small_model(tokenizer: Tokenizer) -> None:
    small = GatedEngine()
    first = LocalGenerator(small, tokenizer)
    second = LocalGenerator(GatedEngine(), tokenizer, ahead=first)
    stop = StopRule(max_tokens=6)
    submit(first, GenerateRequest(1, "a", prompt_of(tokenizer, tiny.some_ids(8)), stop))
    small.wait_at_gate()
    look = submit(second, GenerateRequest(2, "a", prompt_of(tokenizer, tiny.some_ids(8)), stop, priority=1))
    closing = threading.Thread(target=second.close)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
    assert look.wait().reasons == ["cancelled"]
    small.open()
    first.close()


class Opened:
    """Models that a loader would load, by the setting `model`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tokenizers: dict[str, object]) -> None:
        self.engines = {name: GatedEngine() for name in tokenizers}
        monkeypatch.setattr(loader, "resolve", lambda settings: ("onnx", ""))
        monkeypatch.setattr(loader, "model_files", lambda settings, *_: settings.model)
        monkeypatch.setattr(loader, "load", lambda name, *_: self.loaded(name, tokenizers[name]))

    def loaded(self, name: str, tokenizer: object) -> object:
        return SimpleNamespace(engine=self.engines[name], tokenizer=tokenizer, model=name, keep_costs=lambda _: None)


def test_a_larger_model_of_another_vocabulary_is_refused_and_both_are_freed(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(monkeypatch, {"small": tokenizer, "large": SimpleNamespace(token_bytes=[b"x"])})
    with pytest.raises(ConfigError, match="'cascade_model': large has another vocabulary than small: choose a larger"):
        loader.Engines().make_completer(Settings(model="small", cascade_model="large"), lambda *_: None)
    assert all(engine._closed for engine in opened.engines.values())


def test_closing_frees_both_models(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch, {"small": tokenizer, "large": tokenizer})
    engines = loader.Engines()
    made = engines.make_completer(Settings(model="small", cascade_model="large"), lambda *_: None)
    assert made._larger is not None
    assert not any(engine._closed for engine in opened.engines.values())
    engines.close()
    assert all(engine._closed for engine in opened.engines.values())


@pytest.mark.parametrize("engine", ["remote", "lmdeploy"])
def test_an_engine_that_decodes_for_itself_refuses_a_larger_model_before_anything_is_loaded(engine: str) -> None:
    with pytest.raises(ConfigError, match=f"'cascade_model': the engine '{engine}' decodes for itself.*leave it empty"):
        loader.Engines().make_completer(Settings(engine=engine, cascade_model="large"), lambda *_: None)
