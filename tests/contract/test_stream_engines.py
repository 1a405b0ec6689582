"""What every StreamEngine promises (completer.engines.base): lmdeploy's over a stand-in of the released library, llama.cpp's
over the real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from stream_subjects import (
    LLAMA_CPP,
    LMDEPLOY,
    LMDEPLOY_LEN,
    Subject,
    answer,
    leave_loop,
    llama_cpp,
    lmdeploy,
    lmdeploy_library,
)
from typer.testing import CliRunner

from completer.cli.main import app
from completer.config import Settings
from completer.engines import factory
from completer.engines.base import Availability, StreamEngine, StreamRequest
from completer.engines.other.lmdeploy import LmdeployEngine, checked, open_engine
from completer.errors import (
    ConfigError,
    ContextOverflow,
    DeadlineOver,
    EngineClosed,
    EngineError,
    EngineUnavailable,
    UnsupportedModel,
)
from completer.generate.stream import StreamGenerator
from completer.models.store import locate
from completer.tokens.tokenizer import Tokenizer
from completer.types import Request, StopRule
from tests import tiny
from tests.contract import fake_lmdeploy
from tests.fake_engine import FakeEngine
from tests.law import plain_greedy, prompt_of, submit

IDS = tuple(tiny.some_ids(40))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Subject]]:
    """Servers of llama.cpp that were started so far; each serves all tests."""
    started: dict[str, Subject] = {}
    yield started
    for subject in started.values():
        asyncio.run(subject.engine.close())


@pytest.fixture(params=[*LMDEPLOY, *LLAMA_CPP])
async def subject(
    request: pytest.FixtureRequest, servers: dict[str, Subject], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Subject]:
    kind = request.param
    if kind in LMDEPLOY:
        yield lmdeploy(lmdeploy_library(kind))
        return
    if kind not in servers:
        with pytest.MonkeyPatch.context() as patch:
            servers[kind] = await asyncio.to_thread(llama_cpp, kind, tmp_path_factory.mktemp("llama"), patch)
    yield servers[kind]
    await leave_loop(servers[kind].engine)


@pytest.fixture(params=LMDEPLOY)
def library(request: pytest.FixtureRequest) -> SimpleNamespace:
    return lmdeploy_library(request.param)


async def test_it_streams_the_greedy_continuation_and_says_why_it_ended(subject: Subject) -> None:
    assert isinstance(subject.engine, StreamEngine)
    ids = subject.prompt(12)
    pieces = await answer(subject.engine, ids, 12)
    assert [id_ for piece in pieces for id_ in piece.ids] == subject.greedy(ids, 12)
    assert [piece.end for piece in pieces] == [None] * 12 + ["length"]


async def test_probabilities_and_alternatives_come_best_first(subject: Subject) -> None:
    ids = subject.prompt(1, seed=1)
    first = (await answer(subject.engine, ids, 1, n_top=5))[0]
    logits = subject.logits_after(list(ids)).astype(np.float64)
    probs = np.exp(logits) / np.exp(logits).sum()
    assert len(first.top) == 5
    assert first.top[0] == (first.ids, first.prob)
    for (id_,), prob in first.top:
        assert prob == pytest.approx(probs[id_], rel=0.01)


async def test_what_follows_a_prompt_finds_it_in_the_prefix_cache(subject: Subject) -> None:
    ids = subject.prompt(1, seed=2)
    first = await answer(subject.engine, ids, 1)
    again = await answer(subject.engine, (*ids, 7), 1)
    assert (first[0].n_cached or 0) < 3  # another test's prompt may begin alike
    assert again[0].n_cached == len(ids)


async def test_a_prompt_can_be_read_ahead_without_an_answer(subject: Subject) -> None:
    ids = subject.prompt(1, seed=3)
    assert [id_ for piece in await answer(subject.engine, ids, 0) for id_ in piece.ids] == []
    assert (await answer(subject.engine, (*ids, 7), 1))[0].n_cached == len(ids)


async def test_closing_the_stream_cancels_the_request(subject: Subject) -> None:
    stream = subject.engine.stream(StreamRequest(subject.long_prompt(), 200))
    await anext(stream)
    await stream.aclose()
    await soon(subject.is_free)


async def test_a_task_that_is_cancelled_cancels_the_request(subject: Subject) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(subject.engine.stream(StreamRequest(subject.long_prompt(), 200))) as pieces:
            async for _ in pieces:
                begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await soon(subject.is_free)


async def test_a_stream_ends_at_its_deadline(subject: Subject) -> None:
    with pytest.raises(DeadlineOver, match=r"in time|did not come to an end"):
        async for _ in subject.engine.stream(StreamRequest(subject.long_prompt(), 200, deadline_s=subject.short_s)):
            pass
    await soon(subject.is_free)


async def test_streams_do_not_know_of_each_other(subject: Subject) -> None:
    prompts = [subject.prompt(8, seed) for seed in range(10, 15)]
    answers = await asyncio.gather(*(answer(subject.engine, ids, 8) for ids in prompts))
    for ids, pieces in zip(prompts, answers, strict=True):
        assert [id_ for piece in pieces for id_ in piece.ids] == subject.greedy(ids, 8)


async def test_more_than_the_context_holds_is_refused(subject: Subject) -> None:
    with pytest.raises(ContextOverflow):
        await answer(subject.engine, tuple(tiny.some_ids(subject.engine.max_len - 3)), 4)


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5.0):
        while not await holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def engine(library: SimpleNamespace) -> LmdeployEngine:
    return open_engine(library, Path("model"), LMDEPLOY_LEN, kv_bits=16)


async def test_a_closed_engine_says_so(engine: LmdeployEngine) -> None:
    await engine.close()
    with pytest.raises(EngineClosed):
        await answer(engine, IDS, 1)


async def test_a_failure_of_the_library_is_an_engine_error(engine: LmdeployEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> AsyncGenerator[SimpleNamespace, None]:
        yield SimpleNamespace(token_ids=[], logprobs=None, finish_reason="error", cached_tokens=0)

    monkeypatch.setattr(engine._engine, "generate", broken)
    with pytest.raises(EngineError, match="ended a request: error"):
        await answer(engine, IDS, 1)


def test_the_generator_over_it_gives_healed_answers_like_the_slow_path(library: SimpleNamespace, tokenizer: Tokenizer) -> None:
    stop, fake = StopRule(max_tokens=8, single_line=False), FakeEngine(fake_lmdeploy.N_TOKENS)
    generator = StreamGenerator(open_engine(library, Path("model"), LMDEPLOY_LEN, kv_bits=16), tokenizer)
    try:
        ids = tokenizer.encode("print('größe 😀")
        n_split = next(n for n in range(1, 5) if tokenizer.bytes_of(ids[-n:]) == "😀".encode())
        assert n_split > 1, "the test needs a character of several tokens"
        for n_heal in range(n_split + 1):
            prompt = prompt_of(tokenizer, ids, n_heal)
            got = submit(generator, Request(n_heal + 1, "a", prompt, stop)).wait()  # type: ignore[arg-type]
            whole, written = tokenizer.bytes_of(ids), tokenizer.bytes_of([*ids[: len(ids) - n_heal], *got.ids])
            # The rest of a character cannot be put in as text: where the engine does not choose it, the answer ends there.
            assert written.startswith(whole) or (0 < n_heal < n_split and whole.startswith(written))
            if n_heal == 0:
                assert got.ids == plain_greedy(fake, tokenizer, prompt, stop)[0]
    finally:
        generator.close()


def test_quantised_kv_and_prefix_caching_reach_the_engine(library: SimpleNamespace) -> None:
    for kv_bits, policy in ((16, 0), (8, 8), (4, 4)):
        open_engine(library, Path("model"), LMDEPLOY_LEN, kv_bits)
        config = library.made[-1]
        assert (config.quant_policy, config.enable_prefix_caching, config.session_len) == (policy, True, LMDEPLOY_LEN)
        assert getattr(config, "cache_prompt", "all") == "all"
    with pytest.raises(ConfigError, match="16, 8 or 4"):
        open_engine(library, Path("model"), LMDEPLOY_LEN, kv_bits=6)


def test_a_field_that_the_release_does_not_have_is_named(library: SimpleNamespace) -> None:
    with pytest.raises(EngineUnavailable, match=r"no TurbomindEngineConfig\.cache_all"):
        checked(library.TurbomindEngineConfig, cache_all=True)


def test_what_the_library_cannot_load_is_refused_in_one_line(library: SimpleNamespace) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unknown architecture\nand a page of text")

    library.AsyncEngine = fail
    with pytest.raises(UnsupportedModel, match=r"cannot load model: unknown architecture$"):
        open_engine(library, Path("model"), LMDEPLOY_LEN, kv_bits=16)


def test_the_command_line_completes_over_it(library: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "a.py").write_text("def print_total(items):\n    total = 0\n    for it\n    print(total)\n", encoding="utf-8")
    tiny.tokenizer(tmp_path)
    monkeypatch.setattr(factory, "availability", lambda name, **_: Availability(name, True))
    monkeypatch.setattr("completer.engines.other.lmdeploy.Library", lambda: library)
    command = ["complete", f"{tmp_path / 'a.py'}:3:11", "--json", "--model", str(tmp_path), "--engine", "lmdeploy"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    said = json.loads(result.output.splitlines()[-1])
    assert said["engine"] == "lmdeploy"
    assert said["tokens"]["generated"] > 0
    with pytest.raises(ConfigError, match="decodes for itself"):
        factory.load(locate(str(tmp_path)), Settings(engine="lmdeploy"))
