"""What every StreamEngine promises (completer.engines.base), asked of lmdeploy's over a stand-in of the released library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from completer.cli.main import app
from completer.config import Settings
from completer.engines import factory
from completer.engines.base import Availability, StreamEngine, StreamPiece, StreamRequest
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
from tests.contract.releases import release
from tests.fake_engine import FakeEngine
from tests.law import plain_greedy, prompt_of, submit

MAX_LEN = 256
IDS = tuple(tiny.some_ids(40))


@pytest.fixture(params=["turbomind", "pytorch"])
def library(request: pytest.FixtureRequest) -> SimpleNamespace:
    return fake_lmdeploy.lmdeploy(release("lmdeploy"), request.param)


@pytest.fixture
def engine(library: SimpleNamespace) -> LmdeployEngine:
    return open_engine(library, Path("model"), MAX_LEN, kv_bits=16)


async def answer(engine: StreamEngine, ids: tuple[int, ...], n: int, n_top: int = 1) -> list[StreamPiece]:
    async with aclosing(engine.stream(StreamRequest(ids, n, n_top=n_top))) as pieces:
        return [piece async for piece in pieces]


def greedy(ids: tuple[int, ...], n: int) -> list[int]:
    fake, held = FakeEngine(fake_lmdeploy.N_TOKENS), list(ids)
    for _ in range(n):
        held.append(int(fake.logits_after(held).argmax()))
    return held[len(ids) :]


async def test_it_streams_the_greedy_continuation_and_says_why_it_ended(engine: LmdeployEngine) -> None:
    assert isinstance(engine, StreamEngine)
    pieces = await answer(engine, IDS, 12)
    assert [id_ for piece in pieces for id_ in piece.ids] == greedy(IDS, 12)
    assert [piece.end for piece in pieces] == [None] * 12 + ["length"]


async def test_probabilities_and_alternatives_come_best_first(engine: LmdeployEngine) -> None:
    first = (await answer(engine, IDS, 1, n_top=5))[0]
    logits = FakeEngine(fake_lmdeploy.N_TOKENS).logits_after(IDS).astype(np.float64)
    probs = np.exp(logits) / np.exp(logits).sum()
    assert len(first.top) == 5
    assert first.top[0] == (first.ids, first.prob)
    for (id_,), prob in first.top:
        assert prob == pytest.approx(probs[id_])


async def test_what_follows_a_prompt_finds_it_in_the_prefix_cache(engine: LmdeployEngine) -> None:
    first = await answer(engine, IDS, 1)
    again = await answer(engine, (*IDS, 7), 1)
    assert (first[0].n_cached, again[0].n_cached) == (0, len(IDS))


async def test_a_prompt_can_be_read_ahead_without_an_answer(engine: LmdeployEngine) -> None:
    assert [id_ for piece in await answer(engine, IDS, 0) for id_ in piece.ids] == []
    assert (await answer(engine, IDS, 1))[0].n_cached == len(IDS)


async def test_closing_the_stream_cancels_the_request(engine: LmdeployEngine, library: SimpleNamespace) -> None:
    stream = engine.stream(StreamRequest(IDS, 50))
    await anext(stream)
    await stream.aclose()
    assert len(library.cancelled) == 1


async def test_a_task_that_is_cancelled_cancels_the_request(engine: LmdeployEngine, library: SimpleNamespace) -> None:
    task = asyncio.create_task(answer(engine, IDS, 50))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(library.cancelled) == 1


async def test_a_stream_ends_at_its_deadline(engine: LmdeployEngine, library: SimpleNamespace) -> None:
    with pytest.raises(DeadlineOver, match="did not come to an end"):
        async for _ in engine.stream(StreamRequest(IDS, 200, deadline_s=0.02)):
            pass
    assert len(library.cancelled) == 1


async def test_streams_do_not_know_of_each_other(engine: LmdeployEngine) -> None:
    prompts = [tuple(tiny.some_ids(30, seed=seed)) for seed in range(5)]
    answers = await asyncio.gather(*(answer(engine, ids, 8) for ids in prompts))
    for ids, pieces in zip(prompts, answers, strict=True):
        assert [id_ for piece in pieces for id_ in piece.ids] == greedy(ids, 8)


async def test_more_than_the_context_holds_is_refused(engine: LmdeployEngine) -> None:
    with pytest.raises(ContextOverflow):
        await answer(engine, tuple(tiny.some_ids(MAX_LEN - 3)), 4)


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
    generator = StreamGenerator(open_engine(library, Path("model"), MAX_LEN, kv_bits=16), tokenizer)
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
        open_engine(library, Path("model"), MAX_LEN, kv_bits)
        config = library.made[-1]
        assert (config.quant_policy, config.enable_prefix_caching, config.session_len) == (policy, True, MAX_LEN)
        assert getattr(config, "cache_prompt", "all") == "all"
    with pytest.raises(ConfigError, match="16, 8 or 4"):
        open_engine(library, Path("model"), MAX_LEN, kv_bits=6)


def test_a_field_that_the_release_does_not_have_is_named(library: SimpleNamespace) -> None:
    with pytest.raises(EngineUnavailable, match=r"no TurbomindEngineConfig\.cache_all"):
        checked(library.TurbomindEngineConfig, cache_all=True)


def test_what_the_library_cannot_load_is_refused_in_one_line(library: SimpleNamespace) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unknown architecture\nand a page of text")

    library.AsyncEngine = fail
    with pytest.raises(UnsupportedModel, match=r"cannot load model: unknown architecture$"):
        open_engine(library, Path("model"), MAX_LEN, kv_bits=16)


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
