"""lmdeploy in this process: TurboMind, or its PyTorch engine for models that TurboMind does not know.

It decodes for itself and keeps its own prefix cache: it can neither append to a slot nor verify a draft. Not run on a GPU by this
project: the calls are checked against the released sources, over a stand-in (tests/contract).
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from completer.engines.base import CostCurve, StreamPiece, StreamRequest
from completer.errors import (
    ConfigError,
    ContextOverflow,
    DeadlineOver,
    EngineClosed,
    EngineError,
    EngineUnavailable,
    UnsupportedModel,
)
from completer.types import FinishReason

COSTS = CostCurve({1: 10.0}, 0.1)
"""An estimate for a 7B model in 4 bits: measuring would bind the library's queues to another event loop than the serving one."""
MAX_STREAMS = 16
CACHE_SHARE = 0.5
"""Of the card's free memory, for the prefix cache; the library's default of 0.8 leaves an editor's other models little."""
_ENDS: dict[str | None, FinishReason] = {"stop": "end", "length": "length", "abort": "cancelled"}


class LmdeployEngine:
    """A `StreamEngine` over an `AsyncEngine` of lmdeploy; `generation_config` is the library's class of that name."""

    name = "lmdeploy"
    constrains = False

    def __init__(self, engine: Any, generation_config: Any, max_len: int) -> None:
        self.max_len = max_len
        self.costs = COSTS
        self._engine = engine
        self._generation_config = generation_config
        self._sessions = itertools.count(1)

    async def stream(self, request: StreamRequest) -> AsyncGenerator[StreamPiece, None]:
        """Raises: ContextOverflow, DeadlineOver, EngineClosed, EngineError."""
        if self._engine is None:
            raise EngineClosed("the engine was closed")
        n_wanted = max(request.n_predict, 1)  # the library refuses 0; the token is then left out
        if len(request.ids) + n_wanted > self.max_len:
            raise ContextOverflow(f"{len(request.ids)} tokens and {n_wanted} more exceed {self.max_len}: use a smaller context")
        config = checked(
            self._generation_config,
            max_new_tokens=n_wanted,
            do_sample=False,
            logprobs=max(request.n_top, 1),
            skip_special_tokens=False,
        )
        deadline = asyncio.get_running_loop().time() + request.deadline_s
        try:
            async with asyncio.timeout_at(deadline):
                prepared = await self._engine.preprocess(
                    messages=None,
                    session_id=next(self._sessions),
                    gen_config=config,
                    do_preprocess=False,
                    input_ids=list(request.ids),
                )
            # Closing the library's generator, on whatever way out, cancels the request in its engine.
            async with aclosing(self._engine.generate(prepared, stream_response=True)) as outputs:
                ended = False
                while True:
                    async with asyncio.timeout_at(deadline):
                        output = await anext(outputs, None)
                    if output is None:
                        break
                    for piece in _pieces(output, with_tokens=request.n_predict > 0):
                        ended = ended or piece.end is not None
                        yield piece
            if not ended:
                _say_why(deadline)
        except TimeoutError:
            raise DeadlineOver(f"lmdeploy did not come to an end within {request.deadline_s:.0f} s") from None
        except RuntimeError as error:  # the library's RequestError is one
            raise EngineError(f"lmdeploy: {error}") from error

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()


def _say_why(deadline: float) -> None:
    """Raise what a stream without an end means: the library takes a cancellation for the end, whoever cancelled."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    if asyncio.get_running_loop().time() >= deadline:
        raise TimeoutError
    raise RuntimeError("the answer was broken off")


def _pieces(output: Any, with_tokens: bool) -> list[StreamPiece]:
    """Return the events of one output of the library: a piece for each token, and one for the end. Raises: EngineError."""
    if output.finish_reason not in (None, *_ENDS):
        raise EngineError(f"lmdeploy ended a request: {output.finish_reason}")
    ids = list(output.token_ids or []) if with_tokens else []
    rows = list(output.logprobs or [])
    pieces = [_piece(id_, rows[i] if i < len(rows) else {}, output.cached_tokens) for i, id_ in enumerate(ids)]
    if output.finish_reason is not None:
        pieces.append(StreamPiece(n_cached=output.cached_tokens, end=_ENDS[output.finish_reason]))
    return pieces


def _piece(id_: int, logprobs: dict[int, float], n_cached: int) -> StreamPiece:
    """logprobs: of the likeliest tokens at this place, by id; the chosen one's may be missing."""
    best = sorted(logprobs.items(), key=lambda one: -one[1])
    top = tuple(((other,), math.exp(logprob)) for other, logprob in best)
    return StreamPiece((id_,), math.exp(logprobs.get(id_, 0.0)), top, n_cached)


def checked(kind: Any, **values: Any) -> Any:
    """Return a dataclass of the library's, whose constructors pass over unknown fields in silence in some releases.

    Raises: EngineUnavailable when this release has not all of the fields.
    """
    unknown = sorted(set(values) - {field.name for field in dataclasses.fields(kind)})
    if unknown:
        raise EngineUnavailable(
            f"this lmdeploy has no {kind.__name__}.{', '.join(unknown)}: install a release that 'completer[lmdeploy]' allows"
        )
    return kind(**values)


def open_engine(library: Any, folder: Path, max_len: int, kv_bits: int) -> LmdeployEngine:
    """Load a Hugging Face folder. library: see `Library`; kv_bits: 16, 8 or 4.

    Raises: ConfigError, EngineUnavailable, UnsupportedModel, EngineError when the card has too little memory.
    """
    if kv_bits not in (16, 8, 4):
        raise ConfigError(f"the engine 'lmdeploy' has no kv_bits {kv_bits}: choose 16, 8 or 4")
    try:
        backend = library.autoget_backend(str(folder))
        config = engine_config(library, backend, max_len, 0 if kv_bits == 16 else kv_bits)
        engine = library.AsyncEngine(str(folder), backend=backend, backend_config=config)
    except (AssertionError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        if "out of memory" in str(error).lower():
            raise EngineError(f"{folder.name} does not fit the card: choose a smaller model, or kv_bits 8") from error
        raise UnsupportedModel(f"lmdeploy cannot load {folder}: {first_line}") from error
    return LmdeployEngine(engine, library.GenerationConfig, max_len)


def engine_config(library: Any, backend: str, max_len: int, quant_policy: int) -> Any:
    """Return the configuration of one of the library's two engines."""
    both = {
        "session_len": max_len,
        "max_batch_size": MAX_STREAMS,
        "cache_max_entry_count": CACHE_SHARE,
        "enable_prefix_caching": True,
        "quant_policy": quant_policy,
        "enable_metrics": False,
    }
    if backend == "turbomind":
        # Without "all" only whole blocks of 64 tokens are found again, and each key would feed up to 63 of them.
        return checked(library.TurbomindEngineConfig, **both, cache_prompt="all")
    return checked(library.PytorchEngineConfig, **both)


class Library:
    """The names of lmdeploy that are used here, imported when this is made. Raises: ImportError and what its extension throws."""

    def __init__(self) -> None:
        import lmdeploy
        from lmdeploy.archs import autoget_backend
        from lmdeploy.serve.core.async_engine import AsyncEngine

        self.GenerationConfig: Any = lmdeploy.GenerationConfig
        self.PytorchEngineConfig: Any = lmdeploy.PytorchEngineConfig
        self.TurbomindEngineConfig: Any = lmdeploy.TurbomindEngineConfig
        self.autoget_backend: Any = autoget_backend
        self.AsyncEngine: Any = AsyncEngine
