"""The engine `remote` against a real llama.cpp server over the real model: `pytest -m model -s` prints the figures."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from llama_server import llama_server

from bench.capacity import USUAL, serial_answer_ms
from completer.complete.pipeline import Pipeline
from completer.complete.state import Model
from completer.config import Settings
from completer.engines.base import CostCurve, StreamEngine, StreamRequest
from completer.engines.remote.load import Connected, connect
from completer.engines.remote.vocabulary import stand_in
from completer.errors import DeadlineOver, ServerError
from completer.generate.stream import StreamGenerator
from completer.generate.stream_heal import healed
from completer.models.store import locate
from completer.suggest.entries import ReuseStore
from completer.tokens.prefix import common_length
from completer.types import Edit, Prompt, Request, Snapshot, StopRule

pytestmark = pytest.mark.model

MODEL = "qwen2.5-coder-0.5b"
N_CTX = 3072
SOURCE = Path(__file__).parents[2] / "completer" / "suggest" / "trim.py"
COSTS = CostCurve({1: 20.0}, 0.5)
"""Fixed, so that the windows do not depend on how busy the machine is while they are measured."""
WARM_SHARE = 0.95


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with llama_server(locate(MODEL).path, N_CTX) as url:
        yield url


@pytest.fixture(scope="module")
def connected(url: str) -> Connected:
    return connect(Settings(engine="remote", endpoints=(url,)))


@pytest.fixture
async def engine(connected: Connected) -> AsyncIterator[StreamEngine]:
    yield connected.engine
    await connected.engine.close()  # each test has an event loop of its own


async def tokens_of(engine: StreamEngine, ids: tuple[int, ...], n: int, deadline_s: float = 60.0) -> tuple[int, ...]:
    async with aclosing(engine.stream(StreamRequest(ids, n, deadline_s=deadline_s))) as pieces:
        return tuple([id_ async for piece in pieces for id_ in piece.ids])


def prompt_ids(connected: Connected, typed: str, head: str = "def add(left, right):\n", tail: str = "\n") -> tuple[int, ...]:
    fim, encode = connected.tokenizer.fim, connected.tokenizer.encode
    assert fim.middle is not None
    return (fim.prefix, *encode(head), fim.suffix, *encode(tail), fim.middle, *encode(typed))


def test_the_server_is_recognised_and_takes_our_token_ids(connected: Connected) -> None:
    engine = connected.engine
    assert isinstance(engine, StreamEngine)
    assert engine.dialect.name == "llama-server"
    assert MODEL in engine.model
    assert engine.sends_ids and engine.constrains
    assert engine.max_len == N_CTX
    assert engine.costs.cost(1) > 0


async def test_answers_are_greedy_and_repeatable(connected: Connected, engine: StreamEngine) -> None:
    ids = prompt_ids(connected, "    return")
    first = await tokens_of(engine, ids, 8)
    assert connected.tokenizer.text_of(first).startswith(" left + right")
    assert await tokens_of(engine, ids, 8) == first


async def test_a_healed_answer_begins_with_the_typed_text_and_goes_on_as_an_unhealed_one(
    connected: Connected, engine: StreamEngine
) -> None:
    typed = [
        "    ret",
        "    r",
        "    return le",
        "    return rig",
        "    # 漢字 gr",
        "    ri",
        "    xyz",
        "    Opt",
        "    self.ad",
    ]
    same = [await goes_on_the_same(connected, engine, one) for one in typed]
    assert sum(same) >= len(typed) - 1  # fed otherwise, the server adds in another order: a near tie may fall the other way


async def goes_on_the_same(connected: Connected, engine: StreamEngine, typed: str) -> bool:
    """Heal `typed`, which must hold in any case; return whether the rest is what follows the healed tokens unconstrained."""
    tokenizer = connected.tokenizer
    ids = prompt_ids(connected, typed)
    pending = tokenizer.bytes_of(ids[-1:])
    request = Request(1, "a", Prompt(ids, 1, pending), StopRule(max_tokens=8, single_line=False))
    async with aclosing(healed(engine, tokenizer, request, 60.0)) as pieces:
        found = [piece async for piece in pieces]
    got = [id_ for piece in found for id_ in piece.ids]
    assert tokenizer.bytes_of(got).startswith(pending)
    n_healing = next(n for n in range(1, len(got) + 1) if len(tokenizer.bytes_of(got[:n])) >= len(pending))
    rest = await tokens_of(engine, (*ids[:-1], *got[:n_healing]), 8 - n_healing)
    assert all(0.0 <= piece.prob <= 1.0 for piece in found)
    return got[n_healing:] == list(rest)


def is_warm(generator: StreamGenerator, ids: tuple[int, ...]) -> bool:
    return generator.n_cached(ids) >= len(ids)


async def test_typing_two_lines_key_by_key_finds_the_prompt_in_the_servers_cache(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReuseStore, "lookup", lambda *_: None)  # so that every key asks the server
    text = SOURCE.read_text(encoding="utf-8")
    start = text.index("\n", len(text) // 2) + 1
    end = text.index("\n", text.index("\n", text.index("\n", start) + 1) + 1)
    typed = text[start:end]
    assert typed.count("\n") == 2
    head, tail = text[:start], text[end:]
    settings = Settings(engine="remote", budget_ms=20_000, max_tokens=3, confidence=0.0, context="off")
    engine = connected.engine
    engine.costs = COSTS
    generator = StreamGenerator(engine, connected.tokenizer)
    made = Pipeline(Model(generator, connected.tokenizer, lambda: COSTS, engine.max_len, engine="remote"), settings)
    first = Snapshot("file:///trim.py", 0, "python", head + tail, len(head))
    made.did_open(first)
    await made.complete(first, explicit=True)
    deadline = time.monotonic() + 60
    while not ((anchor := made._state.docs[first.uri].anchors.last_full("middle")) and is_warm(generator, anchor.fixed_ids)):
        assert time.monotonic() < deadline, "the window was not warmed"
        await asyncio.sleep(0.1)
    for n in range(1, len(typed) + 1):
        snapshot = replace(first, version=n, text=head + typed[:n] + tail, cursor_cp=len(head) + n)
        made.did_change(snapshot, [Edit(len(head) + n - 1, len(head) + n - 1, typed[n - 1])])
        await made.complete(snapshot, explicit=True)
    keys = made.metrics()[1:]
    await made.close()
    generator.close()
    asked = [key for key in keys if key["n_keep"] + key["n_feed"]]
    kept, fed = sum(key["n_keep"] for key in asked), sum(key["n_feed"] for key in asked)
    print(
        f"\n{len(asked)} keys asked the server: {kept} of {kept + fed} prompt tokens ({kept / (kept + fed):.1%}) from its cache"
    )
    assert len(asked) >= 0.9 * len(typed)
    assert kept / len(asked) > 400  # the window is a real one
    assert kept / (kept + fed) >= WARM_SHARE


async def test_leaving_the_stream_frees_the_servers_slot(connected: Connected, engine: StreamEngine, url: str) -> None:
    async with aclosing(engine.stream(StreamRequest(prompt_ids(connected, "    # "), 1500))) as pieces:
        await anext(pieces)
    async with httpx.AsyncClient() as client:
        for _ in range(50):
            (slot,) = (await client.get(f"{url}/slots")).json()
            if not slot["is_processing"]:
                return
            await asyncio.sleep(0.1)
    raise AssertionError("the server goes on with an answer that nobody reads")


async def test_a_deadline_ends_a_prompt_that_takes_too_long(connected: Connected, engine: StreamEngine) -> None:
    ids = tuple(connected.tokenizer.encode(SOURCE.read_text(encoding="utf-8")))[:1500]
    started = time.perf_counter()
    with pytest.raises(DeadlineOver):
        await tokens_of(engine, ids, 1, deadline_s=0.2)
    assert time.perf_counter() - started < 1.5


async def test_a_prompt_longer_than_the_context_is_a_clear_error(connected: Connected, engine: StreamEngine) -> None:
    with pytest.raises(ServerError, match="context"):
        await tokens_of(engine, (11,) * (N_CTX + 10), 4)


async def test_characters_split_over_tokens_come_back_whole(connected: Connected, engine: StreamEngine) -> None:
    line = 'FLAGS = ["🏳️‍🌈", "漢字", "Grüße"]'
    wanted = line[9:]
    request = StreamRequest(prompt_ids(connected, line[:9], head="", tail="\n"), 64, begins_with=wanted.encode())
    async with aclosing(engine.stream(request)) as pieces:
        got = [id_ async for piece in pieces for id_ in piece.ids]
    assert connected.tokenizer.text_of(got).startswith(wanted)
    split = [id_ for id_ in got if "\ufffd" in connected.tokenizer.bytes_of([id_]).decode(errors="replace")]
    assert split  # some characters took several tokens


async def test_requests_at_the_same_time_get_their_own_answers(connected: Connected, engine: StreamEngine) -> None:
    prompts = [prompt_ids(connected, f"    return {name}", head=f"def f({name}s):\n") for name in ("apple", "banana", "cherry")]
    alone = [await tokens_of(engine, ids, 4) for ids in prompts]
    together = await asyncio.gather(*(tokens_of(engine, ids, 4) for ids in prompts))
    # The server puts them into one batch, whose kernels round otherwise: a near-tie may go the other way, a mix-up may not.
    for mine, answer in enumerate(together):
        agreement = [common_length(answer, other) for other in alone]
        assert answer == alone[mine] or (agreement[mine] >= 1 and agreement[mine] == max(agreement)), (together, alone)


async def test_the_openai_dialect_with_text_prompts_gives_the_same_answer(connected: Connected, url: str) -> None:
    by_ids = connected.engine
    expected = connected.tokenizer.text_of(await tokens_of(by_ids, prompt_ids(connected, "    return"), 8))
    await by_ids.close()
    made = await asyncio.to_thread(connect, Settings(engine="remote", endpoints=(url,), dialect="openai"))
    assert not made.engine.sends_ids
    assert made.tokenizer.text_of(await tokens_of(made.engine, prompt_ids(made, "    return"), 8)) == expected
    async with aclosing(made.engine.stream(StreamRequest(prompt_ids(made, "    return"), 2, n_top=5))) as pieces:
        first = await anext(pieces)
    assert 0.0 < first.prob < 1.0
    assert first.top
    await made.engine.close()


async def test_no_tokenizer_is_needed_for_text_prompts(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connected: Connected
) -> None:
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path))  # where no model lies
    made = await asyncio.to_thread(connect, Settings(engine="remote", endpoints=(url,)))
    assert made.tokenizer.vocab_size == stand_in("qwen").vocab_size
    assert not made.engine.sends_ids
    assert made.tokenizer.text_of(await tokens_of(made.engine, prompt_ids(made, "    return"), 8)).startswith(" left + right")
    await made.engine.close()


async def test_people_at_one_slot_wait_as_the_capacity_model_says(connected: Connected, engine: StreamEngine) -> None:
    ids = prompt_ids(connected, "    return")

    async def answer_ms() -> float:
        started = time.perf_counter()
        await tokens_of(engine, ids, 8)
        return (time.perf_counter() - started) * 1e3

    async def alone_ms() -> float:
        return statistics.mean([await answer_ms() for _ in range(10)])

    await answer_ms()
    rng = random.Random(1)
    service_ms = await alone_ms()
    for busy in (0.3, 0.6):
        for _ in range(4):
            rate = busy / service_ms * 1e3
            tasks = []
            for _ in range(30):
                tasks.append(asyncio.create_task(answer_ms()))
                await asyncio.sleep(rng.expovariate(rate))
            measured = statistics.mean(await asyncio.gather(*tasks))
            before_ms, service_ms = service_ms, await alone_ms()
            if max(before_ms, service_ms) < 1.4 * min(before_ms, service_ms):
                break  # else the machine did something else meanwhile, and what was predicted was predicted for another one
        predicted = serial_answer_ms(1, before_ms, before_ms, replace(USUAL, keys_s=rate, asked=1.0))
        print(f"{rate:.1f} requests/s, {busy:.0%} busy: {measured:.0f} ms, predicted {predicted:.0f}")
        assert 0.5 < measured / predicted < 2.0  # thirty requests, one seed
