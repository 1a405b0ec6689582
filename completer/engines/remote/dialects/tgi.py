"""Text Generation Inference, `POST /generate_stream`: takes text only. Source: docs/openapi.json of the server."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from completer.engines.remote.dialect import Alternative, Ask, Dialect, Event, Json, finish

MAX_TOP = 5  # its default --max-top-n-tokens
MAX_STOPS = 4  # its default --max-stop-sequences


def body(ask: Ask) -> Json:
    parameters: Json = {
        "max_new_tokens": max(1, ask.n_predict),
        "do_sample": False,
        "return_full_text": False,
        "stop": list(ask.stop[:MAX_STOPS]),
        "details": True,
    }
    if ask.n_top:
        parameters["top_n_tokens"] = min(ask.n_top, MAX_TOP)
    return {"inputs": ask.prompt, "parameters": parameters, "stream": True}


def read(message: Mapping[str, Any]) -> Event:
    token = message.get("token") or {}
    details = message.get("details") or {}
    end = finish(details.get("finish_reason"))  # "length", "eos_token" or "stop_sequence"
    if token.get("special"):
        return Event(end=end or "end")
    top = tuple(Alternative(one.get("id"), one["text"], math.exp(one["logprob"])) for one in message.get("top_tokens") or ())
    prob = math.exp(token["logprob"]) if token.get("logprob") is not None else None
    return Event(token.get("text") or "", (token["id"],) if "id" in token else None, prob, top, None, end)


TGI = Dialect(name="tgi", path="/generate_stream", body=body, reader=lambda: read)
