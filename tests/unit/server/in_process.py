"""The server of one connection without a process: bytes in, messages out."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from completer.complete.api import Report
from completer.config import Settings
from completer.errors import UnknownModel
from completer.server.framing import MAX_HEADER_BYTES, BadFrame
from completer.server.layers import Layers
from completer.server.session import CompleterServer
from completer.server.transport import make_server, quiet_pygls, serve

INITIALIZE: dict[str, Any] = {"processId": None, "rootUri": None, "capabilities": {"textDocument": {"inlineCompletion": {}}}}


def never_ready(_settings: Settings, _report: Report) -> Any:
    raise UnknownModel("there is no model in this test")


class Writer:
    """Collects what the server sends."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None: ...


def framed(message: Any) -> bytes:
    """Return a message with its header; bytes are taken as its body."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def request(method: str, params: Any = None, id_: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


def notification(method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def talk(*messages: Any) -> tuple[list[dict[str, Any]], CompleterServer, bool]:
    """Send messages and then the end of the stream; return what came back, the server, and whether the stream was bad."""
    return say(b"".join(framed(message) for message in messages))


def say(stream: bytes) -> tuple[list[dict[str, Any]], CompleterServer, bool]:
    """As `talk`, of raw bytes."""
    quiet_pygls()
    logging.getLogger("completer.server").setLevel(logging.ERROR)
    writer = Writer()

    async def run() -> tuple[CompleterServer, bool]:
        reader = asyncio.StreamReader(limit=MAX_HEADER_BYTES)
        ls = make_server(never_ready, Layers())
        ls.protocol.set_writer(writer)
        reader.feed_data(stream)
        reader.feed_eof()
        try:
            await serve(ls, reader)
        except BadFrame:
            return ls, True
        return ls, False

    ls, bad = asyncio.run(run())
    return messages_of(writer.sent), ls, bad


def messages_of(sent: bytes) -> list[dict[str, Any]]:
    """Return the messages of a stream that must be right to the last byte."""
    found = []
    while sent:
        header, _, rest = sent.partition(b"\r\n\r\n")
        n_bytes = int(header.split(b"\r\n")[0].removeprefix(b"Content-Length: "))
        found.append(json.loads(rest[:n_bytes]))
        sent = rest[n_bytes:]
    return found
