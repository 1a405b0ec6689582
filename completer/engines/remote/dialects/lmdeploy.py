"""lmdeploy's api_server, `POST /generate`: the endpoint that takes token ids.

Log probabilities are refused unless the server was started for them, so there is no confidence cut.
Source: lmdeploy/serve/openai/protocol.py (GenerateReqInput).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from completer.engines.remote.dialect import Ask, Dialect, Event, Json, finish


def body(ask: Ask) -> Json:
    prompt = {"prompt": ask.prompt} if isinstance(ask.prompt, str) else {"input_ids": ask.prompt}
    return {
        **prompt,
        "max_tokens": max(1, ask.n_predict),
        "temperature": 0.0,
        "top_k": 1,
        "stop": list(ask.stop),
        "stop_token_ids": list(ask.end_ids),
        "stream": True,
    }


def read(message: Mapping[str, Any]) -> Event:
    meta = message.get("meta_info") or {}
    reason = meta.get("finish_reason") or {}
    return Event(message.get("text") or "", tuple(message.get("output_ids") or ()), end=finish(reason.get("type")))


LMDEPLOY = Dialect(
    name="lmdeploy",
    path="/generate",
    body=body,
    reader=lambda: read,
    takes_ids=True,
    tokenize=("/v1/encode", lambda _, text: {"input": text, "add_bos": False}, "input_ids"),
)
