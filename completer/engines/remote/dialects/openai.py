"""`POST /v1/completions`: what all OpenAI-compatible servers and routers share, and what vLLM and TensorRT-LLM do otherwise.

Never the chat endpoint: its template would surround the prompt. Never `suffix`: servers ignore or refuse it.
Sources: the API reference of OpenAI; vllm/entrypoints/openai of vLLM; tensorrt_llm/serve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from completer.engines.remote.dialect import Alternative, Ask, Dialect, Event, Json, finish

MAX_STOPS = 4  # of the OpenAI API
MAX_LOGPROBS = 5  # of the OpenAI API
VLLM_MAX_LOGPROBS = 20  # its default --max-logprobs


def body(ask: Ask) -> Json:
    wanted: Json = {
        "model": ask.model,
        "prompt": ask.prompt,
        "max_tokens": max(1, ask.n_predict),
        "temperature": 0,
        "stream": True,
        "stop": list(ask.stop[:MAX_STOPS]),
    }
    if ask.n_top:
        wanted["logprobs"] = min(ask.n_top, MAX_LOGPROBS)
    return wanted


def vllm_body(ask: Ask) -> Json:
    wanted = body(ask) | {"stop": list(ask.stop), "stop_token_ids": list(ask.end_ids), "return_token_ids": True}
    wanted["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    if ask.n_top:
        wanted |= {"logprobs": min(ask.n_top, VLLM_MAX_LOGPROBS), "return_tokens_as_token_ids": True}
    return wanted


def read(message: Mapping[str, Any]) -> Event:
    usage = message.get("usage") or {}
    n_cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    choices = message.get("choices") or []
    if not choices:
        return Event(n_cached=n_cached)
    choice = choices[0]
    known, top = _probabilities(choice.get("logprobs") or {})
    ids = choice.get("token_ids")
    return Event(
        choice.get("text") or "",
        tuple(ids) if ids else None,
        math.exp(min(known)) if known else None,  # a message may carry several tokens: the least sure one counts
        top,
        n_cached,
        finish(choice.get("finish_reason"), choice.get("stop_reason")),
    )


def _probabilities(logprobs: Mapping[str, Any]) -> tuple[list[float], tuple[Alternative, ...]]:
    """Return the log probabilities of a message's tokens, and the alternatives at its first one.

    llama-server answers here, too, in the form of the chat endpoint: a list of tokens under `content`.
    """
    if content := logprobs.get("content"):
        known = [token["logprob"] for token in content]
        return known, tuple(_alternative(one["token"], one["logprob"]) for one in content[0].get("top_logprobs") or ())
    known = [p for p in logprobs.get("token_logprobs") or () if p is not None]
    tops = logprobs.get("top_logprobs") or [{}]
    return known, tuple(_alternative(text, p) for text, p in (tops[0] or {}).items())


def _alternative(text: str, logprob: float) -> Alternative:
    id_ = text.removeprefix("token_id:")
    if id_ != text and id_.isdecimal():
        return Alternative(int(id_), "", math.exp(logprob))
    return Alternative(None, text, math.exp(logprob))


def tensorrt_body(ask: Ask) -> Json:
    """trtllm-serve refuses fields that it does not know, and log probabilities unless it was started with them."""
    return {key: value for key, value in body(ask).items() if key != "logprobs"}


OPENAI = Dialect(name="openai", path="/v1/completions", body=body, reader=lambda: read)
TENSORRT_LLM = Dialect(name="tensorrt-llm", path="/v1/completions", body=tensorrt_body, reader=lambda: read)
VLLM = Dialect(
    name="vllm",
    path="/v1/completions",
    body=vllm_body,
    reader=lambda: read,
    takes_ids=True,
    tokenize=("/tokenize", lambda model, text: {"model": model, "prompt": text, "add_special_tokens": False}, "tokens"),
)
