"""The StreamEngines that the contract is asked of, and what each of them should answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_llama_program import install
from numpy.typing import NDArray

from completer.config import Settings
from completer.engines.base import StreamEngine, StreamPiece, StreamRequest
from completer.engines.factory import load_llama_cpp
from completer.engines.llama_cpp.engine import LlamaCppEngine
from completer.engines.other.lmdeploy import open_engine
from completer.models.store import locate
from tests import tiny
from tests.contract import fake_lmdeploy
from tests.contract.releases import release
from tests.fake_engine import FakeEngine

Ids = tuple[int, ...]
LMDEPLOY = ("lmdeploy-turbomind", "lmdeploy-pytorch")
LLAMA_CPP = ("llama.cpp", "llama.cpp-program")
LMDEPLOY_LEN = 256
SETTINGS = Settings(engine="llama.cpp", threads=1)


@dataclass
class Subject:
    """An engine over a model whose logits after some ids are known.

    is_free: whether the last request was cancelled in the engine, too.  short_s: a time in which no long answer ends.
    """

    engine: StreamEngine
    logits_after: Callable[[list[int]], NDArray[np.float32]]
    is_free: Callable[[], Awaitable[bool]]
    short_s: float = 0.02

    def greedy(self, ids: Ids, n: int) -> list[int]:
        held = list(ids)
        for _ in range(n):
            held.append(int(self.logits_after(held).argmax()))
        return held[len(ids) :]

    def prompt(self, n: int, seed: int = 0) -> Ids:
        """Return a prompt whose next `n` tokens are no halves of characters, which servers hold back, and no end."""
        for number in range(seed * 1000, (seed + 1) * 1000):
            ids = tuple(tiny.some_ids(40, seed=number))
            if all(id_ in _WHOLE for id_ in self.greedy(ids, n)):
                return ids
        raise AssertionError("no such prompt")

    def long_prompt(self) -> Ids:
        """Return a prompt whose answer does not end soon."""
        prompts = (tuple(tiny.some_ids(40, seed=number)) for number in range(1000))
        return next(ids for ids in prompts if not _SPECIAL & set(self.greedy(ids, 60)))


def _whole_tokens() -> frozenset[int]:
    vocabulary = tiny.loaded_tokenizer()
    ascii_ = (id_ for id_, data in enumerate(vocabulary.token_bytes) if data.isascii() and data)
    return frozenset((*ascii_, *range(len(vocabulary.token_bytes), tiny.VOCAB_SIZE)))


_WHOLE = _whole_tokens()
_SPECIAL = frozenset(range(tiny.N_ORDINARY, tiny.N_ORDINARY + len(tiny.SPECIAL)))


def lmdeploy(library: SimpleNamespace) -> Subject:
    async def is_free() -> bool:
        return len(library.cancelled) == 1

    fake = FakeEngine(fake_lmdeploy.N_TOKENS)
    engine = open_engine(library, Path("model"), LMDEPLOY_LEN, kv_bits=16)
    return Subject(engine, lambda ids: fake.logits_after(ids), is_free)


def lmdeploy_library(kind: str) -> SimpleNamespace:
    return fake_lmdeploy.lmdeploy(release("lmdeploy"), kind.removeprefix("lmdeploy-"))


def llama_cpp(kind: str, folder: Path, patch: pytest.MonkeyPatch) -> Subject:
    """Return a real server of the library over a tiny model, on one thread: at a socket, or as a program at a port."""
    model = tiny.save_gguf("qwen2", folder / "tiny.gguf", padded=True)
    patch.setenv("COMPLETER_CACHE", str(folder / "cache"))
    settings = SETTINGS
    if kind == "llama.cpp-program":
        settings = Settings(engine="llama.cpp", threads=1, llama_server=str(install(folder)))
        patch.setattr("completer.engines.llama_cpp.server._socket_path", lambda _: "")
    engine: Any = load_llama_cpp(locate(str(folder / "tiny.gguf")), settings).engine

    async def is_free() -> bool:
        link = engine._server.link()
        slots = await link.get("/slots", asyncio.get_running_loop().time() + 5.0)
        await link.close()
        return not any(slot["is_processing"] for slot in slots)

    return Subject(engine, lambda ids: tiny.reference_logits(model, ids)[-1].numpy(), is_free, short_s=0.001)


async def leave_loop(engine: StreamEngine) -> None:
    """Close what belongs to the event loop of one test; the next one opens it again."""
    if isinstance(engine, LlamaCppEngine):
        await engine._remote.close()


async def answer(engine: StreamEngine, ids: Ids, n: int, n_top: int = 1) -> list[StreamPiece]:
    async with aclosing(engine.stream(StreamRequest(ids, n, n_top=n_top))) as pieces:
        return [piece async for piece in pieces]
