"""A stand-in for lmdeploy: calls must fit the real release's signatures and fields; tokens are `FakeEngine`'s choices."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests import tiny
from tests.contract.releases import Release
from tests.fake_engine import FakeEngine

ENGINE = "serve/core/async_engine.py"
N_TOKENS = json.loads(tiny.tokenizer_text())["added_tokens"][-1]["id"] + 1
"""Tokens of the tiny vocabulary: unlike our own decoder, the library may choose a row of the model behind them."""


def lmdeploy(real: Release, backend: str = "turbomind") -> SimpleNamespace:
    """Return what `completer.engines.other.lmdeploy.Library` holds; `made`: configurations, `cancelled`: sessions broken off."""
    made: list[Any] = []
    cancelled: list[int] = []
    configs = {name: _dataclass(real, name) for name in ("GenerationConfig", "PytorchEngineConfig", "TurbomindEngineConfig")}
    output_fields = real.fields(ENGINE, "GenOut")
    assert {"token_ids", "logprobs", "finish_reason", "cached_tokens"} <= set(output_fields)
    names = real.exports()
    assert set(configs) <= names

    @real.checked("archs.py", "autoget_backend")
    def autoget_backend(model_path: str, trust_remote_code: bool) -> str:
        assert not trust_remote_code
        return backend

    class AsyncEngine:
        @real.checked(ENGINE, "AsyncEngine.__init__")
        def __init__(self: Any, model_path: str, backend: str, backend_config: Any, trust_remote_code: bool) -> None:  # type: ignore[misc]
            expected = {"turbomind": "TurbomindEngineConfig", "pytorch": "PytorchEngineConfig"}[backend]
            assert type(backend_config) is configs[expected]
            assert not trust_remote_code
            made.append(backend_config)
            self.backend_config, self.session_len = backend_config, backend_config.session_len
            self.engine, self.held, self.busy = FakeEngine(N_TOKENS), [], set()

        async def preprocess(self, **kwargs: Any) -> Any:
            bound = real.signature(ENGINE, "AsyncEngine.preprocess").bind(self, **kwargs).arguments
            assert not bound.get("kwargs"), "the library passes over unknown arguments in silence"
            if (bound["messages"] is not None) ^ (bound["input_ids"] is None):
                raise RuntimeError("You must specify exactly one of messages or input_ids.")
            if len(bound["input_ids"]) >= self.session_len or bound["gen_config"].max_new_tokens < 1:
                raise RuntimeError("the request is invalid")
            await asyncio.sleep(0)
            return SimpleNamespace(session_id=bound["session_id"], ids=bound["input_ids"], config=bound["gen_config"])

        async def generate(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            bound = real.signature(ENGINE, "AsyncEngine.generate").bind(self, *args, **kwargs)
            bound.apply_defaults()
            request, ids = bound.arguments["request"], list(bound.arguments["request"].ids)
            assert bound.arguments["stream_response"]
            assert request.session_id not in self.busy, "a session has one request at a time"
            self.busy.add(request.session_id)
            cached = max((_n_common(held, ids) for held in self.held), default=0)
            self.held.append(list(ids))
            try:
                for _ in range(request.config.max_new_tokens):
                    await asyncio.sleep(0.001)
                    logits = self.engine.logits_after(ids).astype(np.float64)
                    logprobs = logits - np.log(np.exp(logits).sum())
                    best = np.argsort(-logprobs)[: request.config.logprobs]
                    ids.append(int(best[0]))
                    yield _output([int(best[0])], [{int(i): float(logprobs[i]) for i in best}], None, cached)
                yield _output([], None, "length", cached)
            except (asyncio.CancelledError, GeneratorExit):
                cancelled.append(request.session_id)
                return  # as the library does: a cancelled request ends like a finished one
            finally:
                self.busy.discard(request.session_id)

        @real.checked(ENGINE, "AsyncEngine.close")
        def close(self: Any) -> None:  # type: ignore[misc]
            self.engine.close()

    def _output(ids: list[int], logprobs: Any, reason: str | None, cached: int) -> Any:
        return SimpleNamespace(
            **{**output_fields, "token_ids": ids, "logprobs": logprobs, "finish_reason": reason, "cached_tokens": cached}
        )

    return SimpleNamespace(**configs, autoget_backend=autoget_backend, AsyncEngine=AsyncEngine, made=made, cancelled=cancelled)


def _dataclass(real: Release, name: str) -> Any:
    """Return a dataclass with the real fields and literal defaults."""
    fields = real.fields("messages.py", name)
    return dataclasses.make_dataclass(name, [(field, Any, dataclasses.field(default=value)) for field, value in fields.items()])


def _n_common(held: list[int], ids: list[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(held, ids, strict=False)) if a != b), min(len(held), len(ids)))
