"""What a server is: its dialect, model, context length, vocabulary, and what a token costs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from completer.engines.base import CostCurve, StreamRequest
from completer.engines.remote.dialect import Dialect
from completer.engines.remote.dialects import DIALECTS, OWNERS
from completer.engines.remote.engine import RemoteEngine
from completer.engines.remote.link import Link
from completer.errors import ConfigError, DeadlineOver, ServerError
from completer.tokens.tokenizer import Tokenizer

PROBE_S = 10.0
COSTS_S = 20.0
DEFAULT_LEN = 2048
LONGEST = 4096
CHECK_TEXT = "def größe(x: int) -> str:\n\treturn f\"{x:>8}\" + '漢字'  # 😀\r\n"
"""Cut alike by two vocabularies only when they are the same, for all that a prompt can tell."""
N_SHORT, N_LONG, N_DECODE = 16, 208, 9
REPEATS = 2
FASTEST_PREFILL_MS = 0.01  # per token; a difference of two round trips may come out as nothing


@dataclass(frozen=True, slots=True)
class Server:
    """What the first endpoint reported. max_len: tokens of prompt and answer together."""

    dialect: Dialect
    model: str
    max_len: int


async def ask_server(link: Link, dialect: str, model: str) -> Server:
    """Find out dialect ("auto": from what it reports) and served model.

    model: the id to look for among the served ones, "auto" for the first.
    Raises: ServerError and its kinds, ConfigError when the dialect is unknown or the model is not served.
    """
    if dialect != "auto" and dialect not in DIALECTS:
        raise ConfigError(f"unknown dialect {dialect!r}: choose one of auto, {', '.join(DIALECTS)}")
    deadline = asyncio.get_running_loop().time() + PROBE_S
    try:
        served = (await link.get("/v1/models", deadline)).get("data") or []
    except (ServerError, AttributeError) as error:
        if dialect == "auto" or model == "auto" or type(error) not in (ServerError, AttributeError):
            raise
        served = []  # an old server without that page: the settings have what is needed
    card = _served(served, model)
    name = OWNERS.get(str(card.get("owned_by")), "openai") if dialect == "auto" else dialect
    max_len = card.get("max_model_len") or (card.get("meta") or {}).get("n_ctx") or DEFAULT_LEN
    if name == "llama-server":  # the context of one slot, which may be a part of the model's
        props = await link.get("/props", deadline)
        max_len = (props.get("default_generation_settings") or {}).get("n_ctx") or max_len
    return Server(DIALECTS[name], str(card.get("id", model)), min(int(max_len), LONGEST))


def _served(cards: list[Mapping[str, Any]], model: str) -> Mapping[str, Any]:
    """Return the card of the served model that the setting means: that id, one that contains it, or the only one."""
    if not cards:
        return {}
    if model == "auto":
        return cards[0]
    wanted = model.lower()
    exact = [card for card in cards if str(card.get("id")) == model]
    near = [card for card in cards if wanted in str(card.get("id")).lower().replace("_", "-")]
    if not (exact or near) and len(cards) > 1:
        ids = ", ".join(str(card.get("id")) for card in cards[:8])
        raise ConfigError(f"no served model is called {model!r}: set 'model' to one of {ids}")
    return (exact or near or cards)[0]


async def has_vocabulary(link: Link, server: Server, tokenizer: Tokenizer) -> bool:
    """Whether the server cuts text into the tokenizer's own ids; False when it cannot be asked."""
    if server.dialect.tokenize is None:
        return False
    path, body, key = server.dialect.tokenize
    deadline = asyncio.get_running_loop().time() + PROBE_S
    fim = tokenizer.fim
    try:
        plain = await link.post_json(path, body(server.model, CHECK_TEXT), deadline)
        special = await link.post_json(path, body(server.model, fim.format.prefix), deadline)
    except DeadlineOver:
        raise
    except ServerError:
        return False
    return bool(plain.get(key) == tokenizer.encode(CHECK_TEXT) and special.get(key) == [fim.prefix])


async def measure_costs(engine: RemoteEngine, tokenizer: Tokenizer) -> CostCurve:
    """Return what tokens cost through this engine, the way there included: the best of REPEATS short requests of each kind."""
    rng = random.Random()  # other tokens each time: nothing may be found in the prefix cache
    words = [id_ for id_, data in enumerate(tokenizer.token_bytes[:4096]) if data.isalpha() and data.isascii()]

    async def best_ms(n_prompt: int, n_predict: int) -> float:
        return min([await _timed_ms(engine, rng.choices(words, k=n_prompt), n_predict) for _ in range(REPEATS)])

    await _timed_ms(engine, rng.choices(words, k=N_SHORT), 1)  # opens the connection
    short_ms, long_ms, decode_ms = await best_ms(N_SHORT, 1), await best_ms(N_LONG, 1), await best_ms(N_SHORT, N_DECODE)
    prefill_ms = max((long_ms - short_ms) / (N_LONG - N_SHORT), FASTEST_PREFILL_MS)
    step_ms = max((decode_ms - short_ms) / (N_DECODE - 1), prefill_ms)
    return CostCurve({1: step_ms, 2: step_ms + prefill_ms}, prefill_ms)


async def _timed_ms(engine: RemoteEngine, ids: list[int], n_predict: int) -> float:
    clock = asyncio.get_running_loop().time
    started = clock()
    async with aclosing(engine.stream(StreamRequest(tuple(ids), n_predict, deadline_s=COSTS_S))) as pieces:
        async for _ in pieces:
            pass
    return (clock() - started) * 1e3
