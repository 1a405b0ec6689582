"""llama-server (llama.cpp), `POST /completion`. Never `/infill`: its window slides, and its suffix is evaluated at each key.

Source: tools/server/README.md of llama.cpp, and its server as the PyPI wheel `xllamacpp` carries it (tests/contract).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from completer.engines.remote.dialect import Alternative, Ask, Dialect, Event, Json, finish


def body(ask: Ask) -> Json:
    wanted: Json = {
        "prompt": ask.prompt,
        "n_predict": ask.n_predict,
        "temperature": 0,
        "samplers": ["temperature"],  # greedy needs no other, and each would look at the whole vocabulary
        "cache_prompt": True,
        "stream": True,
        "return_tokens": True,
        "timings_per_token": True,
        "n_probs": ask.n_top,
        "stop": list(ask.stop),
        "t_max_predict_ms": int(ask.deadline_s * 1e3),
    }
    if ask.begins_with:
        # A token that the grammar allows costs nothing more; one that it forbids costs one look at the whole vocabulary.
        wanted["grammar"] = f"root ::= {json.dumps(ask.begins_with, ensure_ascii=False)} [^\\x00]*"
    return wanted


def read(message: Mapping[str, Any]) -> Event:
    timings = message.get("timings") or {}
    probs = message.get("completion_probabilities") or []
    last = probs[-1] if probs else {}
    top = tuple(Alternative(one["id"], one["token"], math.exp(one["logprob"])) for one in last.get("top_logprobs") or [])
    end = finish(message.get("stop_type") or "end", message.get("stopping_word")) if message.get("stop") else None
    if end is not None:  # the last message repeats nothing that is wanted
        return Event(n_cached=timings.get("cache_n"), end=end)
    prob = math.exp(last["logprob"]) if "logprob" in last else None
    return Event(message.get("content", ""), tuple(message.get("tokens") or ()), prob, top, timings.get("cache_n"))


LLAMA_SERVER = Dialect(
    name="llama-server",
    path="/completion",
    body=body,
    reader=lambda: read,
    takes_ids=True,
    constrains=True,
    tokenize=("/tokenize", lambda _, text: {"content": text, "add_special": False}, "tokens"),
)
