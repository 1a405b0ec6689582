"""A language server client for measuring: framing by hand, every message stamped when its last byte is there."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

Json = dict[str, Any]
CLIENT_KEY = secrets.token_hex()
"""In the environment of each server that is started here: it takes settings with this key as the user's own."""


def user_settings(settings: Json) -> Json | None:
    """Return the initializationOptions that make `settings` the user's, so that they may also name engine and endpoints."""
    return {"userSettings": settings, "clientKey": CLIENT_KEY} if settings else None


class ServerDied(ConnectionError):
    """The server closed the connection; the message holds the end of what it said on stderr."""


@dataclass(slots=True)
class Reply:
    """A request on its way. Times are perf_counter seconds; `received_s` is 0 until the answer is there."""

    id: int
    method: str
    sent_s: float
    received_s: float = 0.0
    result: Any = None
    error: Json | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ms(self) -> float:
        return (self.received_s - self.sent_s) * 1e3


class LspClient:
    """One connection to a language server, over the pipes of a child process or over TCP.

    on_reply is called in the loop as soon as an answer is parsed; handlers[method] for notifications.
    parse_ms collects what taking in each message cost the harness itself.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.handlers: dict[str, Callable[[Json, float], None]] = {}
        self.on_reply: Callable[[Reply], None] = lambda reply: None
        self.parse_ms: list[float] = []
        self.process: asyncio.subprocess.Process | None = None
        self._reader, self._writer = reader, writer
        self._next_id = 0
        self._open: dict[int, Reply] = {}
        self._stderr: list[str] = []
        self._tasks = [asyncio.create_task(self._read_all())]

    @classmethod
    async def spawn(cls, command: str) -> LspClient:
        """Start `command` (split as a shell would) and talk to it over its standard streams. Raises: OSError."""
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 26,
            env=os.environ | {"COMPLETER_CLIENT_KEY": CLIENT_KEY},
        )
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        client = cls(process.stdout, process.stdin)
        client.process = process
        client._tasks.append(asyncio.create_task(client._drain_stderr(process.stderr)))
        return client

    @classmethod
    async def connect(cls, host: str, port: int) -> LspClient:
        """Talk to a server that listens on TCP. Raises: OSError."""
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 26)
        return cls(reader, writer)

    def notify(self, method: str, params: Json) -> None:
        """Send a notification; returns once it is handed to the operating system or the write buffer."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: Json | None) -> Reply:
        """Send a request; the returned Reply fills in when the answer arrives."""
        self._next_id += 1
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        reply = Reply(self._next_id, method, perf_counter())
        self._open[reply.id] = reply
        self._send(message)
        return reply

    async def call(self, method: str, params: Json | None, timeout_s: float = 60.0) -> Reply:
        """Send a request and wait. Raises: TimeoutError, ServerDied."""
        reply = self.request(method, params)
        await asyncio.wait_for(reply.done.wait(), timeout_s)
        if reply.received_s == 0:
            raise ServerDied(f"the server ended before it answered {method}: {self.last_words()}")
        return reply

    def cancel(self, reply: Reply) -> None:
        """Ask the server to give up on `reply`; its answer still arrives."""
        if reply.id in self._open:
            self.notify("$/cancelRequest", {"id": reply.id})

    def last_words(self) -> str:
        """Return the end of what the server wrote to stderr."""
        return "".join(self._stderr[-20:]).strip()[-2000:] or "(nothing on stderr)"

    async def close(self) -> None:
        """End the session politely, then for good; no child is left behind."""
        if not self._tasks[0].done():
            try:
                await self.call("shutdown", None, timeout_s=5)
                self.notify("exit", {})
            except (TimeoutError, ConnectionError):
                pass
        self._writer.close()
        if self.process is not None:
            try:
                await asyncio.wait_for(self.process.wait(), 5)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _send(self, message: Json) -> None:
        body = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _read_all(self) -> None:
        try:
            while True:
                head = await self._reader.readuntil(b"\r\n\r\n")
                fields = dict(line.split(b":", 1) for line in head.strip().split(b"\r\n"))
                body = await self._reader.readexactly(int(fields[b"Content-Length"]))
                received = perf_counter()
                self._take(json.loads(body), received)
                self.parse_ms.append((perf_counter() - received) * 1e3)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for reply in self._open.values():
                reply.done.set()

    def _take(self, message: Json, received_s: float) -> None:
        if "method" not in message:
            reply = self._open.pop(message.get("id", -1), None)
            if reply is None:
                return
            reply.received_s, reply.result, reply.error = received_s, message.get("result"), message.get("error")
            self.on_reply(reply)
            reply.done.set()
        elif "id" in message:
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": _default_answer(message)})
        elif handler := self.handlers.get(message["method"]):
            handler(message.get("params") or {}, received_s)

    async def _drain_stderr(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self._stderr.append(line.decode(errors="replace"))
            del self._stderr[:-50]


def _default_answer(message: Json) -> Any:
    """What a client without settings answers to a request of the server."""
    if message["method"] == "workspace/configuration":
        return [None for _ in message.get("params", {}).get("items", [])]
    return None
