"""Waiting until a server is ready, so that loading a model is reported apart from typing."""

from __future__ import annotations

import asyncio
from time import perf_counter

from bench.client import Json, LspClient

SCRATCH = "file:///bench/warm-up/scratch.py"
TEXT = "def add(left, right):\n    return "
POLL_S = 0.1


async def warm_up(client: LspClient, timeout_s: float) -> Json:
    """Wait until the model is loaded and one request has gone through; return how long both took.

    ready_ms: until `completer/status` no longer says "loading" (other servers do not know the request; then it is left out).
    first_answer_ms: the first completion, in a small document of its own that is closed again.
    Raises: TimeoutError, ServerDied.
    """
    begun = perf_counter()
    out: Json = {}
    while perf_counter() - begun < timeout_s:
        reply = await client.call("completer/status", {})
        if reply.error is not None or not isinstance(reply.result, dict):
            break
        out["ready_ms"] = round((perf_counter() - begun) * 1e3, 1)
        out["status"] = reply.result
        if reply.result.get("state") != "loading":
            break
        await asyncio.sleep(POLL_S)
    item = {"uri": SCRATCH, "languageId": "python", "version": 1, "text": TEXT}
    client.notify("textDocument/didOpen", {"textDocument": item})
    place = {"textDocument": {"uri": SCRATCH}, "position": {"line": 1, "character": 11}}
    first = await client.call("textDocument/inlineCompletion", {**place, "context": {"triggerKind": 1}}, timeout_s)
    out["first_answer_ms"] = round(first.ms, 1)
    client.notify("textDocument/didClose", {"textDocument": {"uri": SCRATCH}})
    return out
