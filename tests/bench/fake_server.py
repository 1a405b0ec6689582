"""A scripted language server: answers inline completion requests after known delays, rightly or wrongly.

Usage: fake_server.py SCRIPT, a JSON object:
    {"delays_ms": [...], "answer": "text" | null, "fault": "range"|"prefix"|"version"|"silent"|"malformed"|
     "empty-when-cancelled"|"",
     "metrics": bool, "loading_s": seconds until the status is no longer "loading"}
Delays are taken in turn. `answer` may hold {n}, the number of the request.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

script: dict[str, Any] = json.loads(sys.argv[1])
lock = threading.Lock()
cancelled: set[Any] = set()
traces: list[dict[str, Any]] = []


def send(message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with lock:
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        sys.stdout.buffer.flush()


def item(position: dict[str, int], number: int) -> Any:
    fault = script.get("fault", "")
    answer = script.get("answer")
    if answer is None:
        return None
    if fault == "malformed":
        return [{"text": answer}]
    start = dict(position)
    if fault == "range":
        start = {"line": position["line"] + 1, "character": 0}
    if fault == "prefix":
        start = {"line": position["line"], "character": max(0, position["character"] - 1)}
    text = str(answer).replace("{n}", str(number))
    if fault == "prefix":
        text = "\u2603" + text
    end = position if fault != "range" else start
    return [{"insertText": text, "range": {"start": start, "end": end}}]


def answer_later(message: dict[str, Any], number: int, version: int, begun: float, delay_ms: float) -> None:
    time.sleep(max(0.0, begun + delay_ms / 1e3 - time.perf_counter()))
    traces[number]["total_ms"] = (time.perf_counter() - begun) * 1e3
    if script.get("fault") == "silent":
        return
    if message["id"] in cancelled and script.get("fault") == "empty-when-cancelled":
        send({"id": message["id"], "result": None})
        return
    if message["id"] in cancelled:
        send({"id": message["id"], "error": {"code": -32800, "message": "cancelled"}})
        return
    params = message["params"]
    send({"id": message["id"], "result": item(params["position"], number)})
    if script.get("fault") == "version":
        extended = {"uri": params["textDocument"]["uri"], "version": version + 1000, "text": "x", "range": None}
        send({"method": "completer/didExtendSuggestion", "params": extended})


def main() -> None:
    number, versions, started = 0, {}, time.perf_counter()
    delays = script.get("delays_ms") or [0.0]
    while head := sys.stdin.buffer.readline():
        length = int(head.split(b":")[1])
        while sys.stdin.buffer.readline().strip():
            pass
        message = json.loads(sys.stdin.buffer.read(length))
        begun = time.perf_counter()
        method = message.get("method")
        if method == "initialize":
            capabilities = {"positionEncoding": "utf-16", "inlineCompletionProvider": {}, "textDocumentSync": 2}
            send({"id": message["id"], "result": {"capabilities": capabilities, "serverInfo": {"name": "fake"}}})
        elif method in ("textDocument/didOpen", "textDocument/didChange"):
            document = message["params"]["textDocument"]
            versions[document["uri"]] = document["version"]
        elif method == "$/cancelRequest":
            cancelled.add(message["params"]["id"])
        elif method == "textDocument/inlineCompletion":
            uri = message["params"]["textDocument"]["uri"]
            delay_ms = delays[number % len(delays)]
            by = "typed-through" if delay_ms < 5 else "extended"
            stages = {"decode_ms": delay_ms, "total_ms": delay_ms, "n_feed": 2, "n_keep": 300, "n_forwards": 1}
            counts = {"n_generated": 3, "drafted": {"stale": 4}, "accepted": {"stale": 2}, "ttft_ms": delay_ms / 2}
            traces.append({"id": number, "uri": uri, "version": versions[uri], "answered_by": by, **stages, **counts})
            args = (message, number, versions[uri], begun, delay_ms)
            threading.Thread(target=answer_later, args=args, daemon=True).start()
            number += 1
        elif method == "completer/metrics" and script.get("metrics"):
            send({"id": message["id"], "result": {"traces": traces}})
        elif method == "completer/status" and "loading_s" in script:
            loading = time.perf_counter() - started < script["loading_s"]
            send({"id": message["id"], "result": {"state": "loading" if loading else "ready"}})
        elif method == "exit":
            return
        elif "id" in message:
            known = method == "shutdown"
            error = {"error": {"code": -32601, "message": f"no method {method}"}}
            send({"id": message["id"], **({"result": None} if known else error)})


if __name__ == "__main__":
    main()
