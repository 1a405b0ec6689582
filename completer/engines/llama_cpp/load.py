"""From a GGUF file and the settings to the engine `llama.cpp` and its tokenizer. Nothing is converted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from completer.config import Settings
from completer.engines.llama_cpp.child import Order
from completer.engines.llama_cpp.engine import LlamaCppEngine
from completer.engines.llama_cpp.find import find_server
from completer.engines.llama_cpp.server import Server, start
from completer.engines.remote.engine import RemoteEngine
from completer.engines.remote.load import engine_over
from completer.engines.remote.probe import ask_server
from completer.engines.weights.gguf_header import GgufHeader
from completer.errors import (
    CacheError,
    CompleterError,
    DeadlineOver,
    EngineUnavailable,
    ModelError,
    ServerError,
    UnsupportedModel,
)
from completer.models.store import ModelFiles
from completer.system.replace import replace_file
from completer.tokens.tokenizer import Tokenizer
from completer.types import Progress

MAX_SLOTS = 8
"""More would make every forward's book-keeping larger, and few people type in more than eight documents at a time."""


def open_engine(order: Order, tokenizer: Tokenizer, progress: Progress) -> LlamaCppEngine:
    """Start a server and return the engine over it, its costs measured. Raises: EngineUnavailable; what `progress` raises."""

    def begin(tick: Callable[[], None]) -> Server:
        return start(order, tick)

    server = begin(lambda: progress("loading", 0, 1))
    try:
        progress("measuring", 0, 1)
        remote = asyncio.run(_connect(server, tokenizer))
    except BaseException as error:
        server.stop()
        if isinstance(error, DeadlineOver):
            raise EngineUnavailable(f"{order.model} is too slow here with llama.cpp ({error}): choose a smaller model") from error
        if isinstance(error, ServerError):
            raise EngineUnavailable(f"llama.cpp's server does not answer as it should: {error}") from error
        raise
    return LlamaCppEngine(begin, server, remote)


async def _connect(server: Server, tokenizer: Tokenizer) -> RemoteEngine:
    link = server.link()
    try:
        return await engine_over(link, await ask_server(link, "llama-server", "auto"), tokenizer)
    finally:
        await link.close()  # the engine's own event loop opens it again


def order_for(files: ModelFiles, settings: Settings, header: GgufHeader, threads: int, max_len: int) -> Order:
    """Return what to serve; as many slots as fit `kv_memory_mb`, at least two. Raises: EngineUnavailable without a server."""
    ctx = min(max_len, header.context_length)
    n_slots = settings.kv_memory_mb * 2**20 // (header.kv_bytes_per_token * ctx) if header.kv_bytes_per_token else 0
    slots = max(2, min(MAX_SLOTS, n_slots))
    return Order(find_server(settings.llama_server), str(files.path), "", "", threads, slots, ctx)


def tokenizer_of(header: GgufHeader, folder: Path, fim: str) -> tuple[Path, Tokenizer]:
    """Return the model's tokenizer, and its file in `folder`, which is written unless it is there.

    Raises: UnsupportedModel, ModelError, CacheError.
    """
    path = folder / "tokenizer.json"
    try:
        if not path.is_file():
            fresh = folder / f"tokenizer.{os.getpid()}"
            fresh.write_text(header.tokenizer_json(), encoding="utf-8")
            replace_file(fresh, path)
        return path, Tokenizer.load_quickly(path, fim)
    except UnsupportedModel as error:
        raise UnsupportedModel(f"{error}, or run a llama-server by yourself and use the engine 'remote'") from error
    except OSError as error:
        raise CacheError(f"{folder} cannot be written ({error}): free space or mend permissions there") from error
    except CompleterError:
        raise
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ModelError(f"the vocabulary of the model, in {path}, cannot be read ({error}): delete that folder") from error


def header_of(files: ModelFiles) -> GgufHeader:
    """Return the header of the model's file. Raises: UnsupportedModel for a folder; ModelError for a damaged file."""
    if files.format != "gguf":
        raise UnsupportedModel(f"the engine 'llama.cpp' needs a GGUF file; {files.path} is a folder: choose another model")
    return GgufHeader(files.path)
