"""Ollama, `POST /api/generate` with `raw`: its `/v1/completions` would put a chat template around the prompt.

Source: docs/api.md of Ollama; GenerateRequest of the PyPI package `ollama`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from completer.engines.remote.dialect import Alternative, Ask, Dialect, Event, Json, finish

KEEP_ALIVE = "30m"
"""An idle model is dropped from memory after five minutes otherwise: the next key would wait for its loading."""


def body(ask: Ask) -> Json:
    wanted: Json = {
        "model": ask.model,
        "prompt": ask.prompt,
        "raw": True,
        "stream": True,
        "keep_alive": KEEP_ALIVE,
        "options": {"num_predict": max(1, ask.n_predict), "temperature": 0, "stop": list(ask.stop)},
    }
    if ask.n_top:
        wanted |= {"logprobs": True, "top_logprobs": ask.n_top}
    return wanted


def read(message: Mapping[str, Any]) -> Event:
    logprobs = message.get("logprobs") or []
    tops = (logprobs[0].get("top_logprobs") or ()) if logprobs else ()
    return Event(
        message.get("response") or "",
        None,
        math.exp(min(one["logprob"] for one in logprobs)) if logprobs else None,
        tuple(Alternative(None, one["token"], math.exp(one["logprob"])) for one in tops),
        None,
        finish(message.get("done_reason") or "stop") if message.get("done") else None,
    )


OLLAMA = Dialect(name="ollama", path="/api/generate", body=body, reader=lambda: read, framing="lines")
