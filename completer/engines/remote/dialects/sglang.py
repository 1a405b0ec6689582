"""SGLang's own `POST /generate`, which takes token ids; its gateway, which routes by text, is spoken to as "openai".

A message repeats the whole answer so far unless the server runs with incremental streaming: both are read.
Source: sglang/srt/managers/io_struct.py (GenerateReqInput) and sampling_params.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from completer.engines.remote.dialect import Alternative, Ask, Dialect, Event, Json, Read, finish


def body(ask: Ask) -> Json:
    prompt = {"text": ask.prompt} if isinstance(ask.prompt, str) else {"input_ids": ask.prompt}
    sampling: Json = {"max_new_tokens": ask.n_predict, "temperature": 0, "stop": list(ask.stop), "stop_token_ids": [*ask.end_ids]}
    wanted: Json = {**prompt, "sampling_params": sampling, "stream": True}
    if ask.n_top:
        wanted |= {"return_logprob": True, "top_logprobs_num": ask.n_top}
    return wanted


def reader() -> Read:
    seen = {"ids": 0, "text": 0}

    def read(message: Mapping[str, Any]) -> Event:
        meta = message.get("meta_info") or {}
        ids, text = list(message.get("output_ids") or ()), message.get("text") or ""
        logprobs, tops = meta.get("output_token_logprobs") or [], meta.get("output_top_logprobs") or []
        if len(ids) >= (meta.get("completion_tokens") or 0):  # the whole answer so far
            logprobs, tops = logprobs[-len(ids) :][seen["ids"] :], tops[-len(ids) :][seen["ids"] :]
            ids, text = ids[seen["ids"] :], text[seen["text"] :]
        seen["ids"] += len(ids)
        seen["text"] += len(text)
        reason = meta.get("finish_reason") or {}
        return Event(
            text,
            tuple(ids),
            math.exp(min(entry[0] for entry in logprobs)) if logprobs else None,
            tuple(Alternative(entry[1], "", math.exp(entry[0])) for entry in tops[0] or ()) if tops else (),
            meta.get("cached_tokens"),
            finish(reason.get("type"), reason.get("matched")),
        )

    return read


SGLANG = Dialect(
    name="sglang",
    path="/generate",
    body=body,
    reader=reader,
    takes_ids=True,
    tokenize=("/tokenize", lambda model, text: {"model": model, "prompt": text, "add_special_tokens": False}, "tokens"),
)
