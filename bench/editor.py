"""An editor in front of a language server: when it asks, what it cancels, what it shows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.answer import read_answer
from bench.client import Json, LspClient, Reply, user_settings
from bench.document import Change, Document, Encoding, position
from bench.screen import Record, Screen
from bench.trace import EDITS, Event
from bench.warmup import warm_up

INLINE = "textDocument/inlineCompletion"


@dataclass(frozen=True, slots=True)
class EditorModel:
    """How an editor behaves.

    debounce_ms: quiet time before it asks.  cancels: sends $/cancelRequest for what a new request supersedes.
    keeps_typed_through: shortens visible ghost text itself.  asks_while_typed_through: asks all the same.
    shows_stale: shows answers for a text that has changed since.
    speaks_completer: sends our own notifications (cursor moved, suggestion shown), which other servers ignore.
    """

    name: str = "plain"
    debounce_ms: float = 0.0
    cancels: bool = True
    keeps_typed_through: bool = False
    asks_while_typed_through: bool = True
    shows_stale: bool = False
    speaks_completer: bool = True
    encoding: Encoding = "utf-16"


EDITORS = {
    model.name: model
    for model in (
        EditorModel(),
        EditorModel("vscode", debounce_ms=50, keeps_typed_through=True),
        EditorModel("vscode-plugin", keeps_typed_through=True),
        EditorModel("neovim", debounce_ms=200, cancels=False, shows_stale=True, speaks_completer=False, encoding="utf-8"),
        EditorModel("neovim-plugin", keeps_typed_through=True, encoding="utf-8"),
    )
}
"""`plain` asks at once at every key and leaves all cleverness to the server: the stage on which servers compare."""


class Editor:
    """One editor session with one server. Implements the Tool protocol of `bench.drive`."""

    def __init__(
        self,
        command: str,
        model: EditorModel,
        *,
        name: str = "",
        options: Json | None = None,
        tcp: str = "",
        warm_up_s: float = 0.0,
    ) -> None:
        """warm_up_s: how long to wait, before anything is typed, until the server has loaded its model; 0: not."""
        self.name = name or "server"
        self.model = model
        self.screen = Screen(keeps_typed_through=model.keeps_typed_through)
        self.documents: dict[str, Document] = {}
        self.info: Json = {}
        self.has_metrics = True
        self._command, self._options, self._tcp = command, options or {}, tcp
        self._warm_up_s = warm_up_s
        self._encoding: Encoding = model.encoding
        self._pending: dict[int, tuple[Record, Document, str, int]] = {}
        self._last: Reply | None = None
        self._latest: Record | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._origin_s = 0.0
        self._client: LspClient | None = None

    @property
    def client(self) -> LspClient:
        if self._client is None:
            raise RuntimeError("the editor has not been started")
        return self._client

    @property
    def pid(self) -> int | None:
        return self.client.process.pid if self.client.process else None

    async def start(self, origin_s: float) -> None:
        """Start the server and shake hands. `origin_s`: perf_counter at which the run's clock reads 0."""
        self._origin_s = origin_s
        begun = perf_counter()
        if self._tcp:
            host, _, port = self._tcp.rpartition(":")
            self._client = await LspClient.connect(host, int(port))
        else:
            self._client = await LspClient.spawn(self._command)
        self.client.on_reply = self._on_reply
        self.client.handlers["completer/didExtendSuggestion"] = self._on_extended
        reply = await self.client.call("initialize", self._initialize_params(), timeout_s=600)
        if reply.error or not isinstance(reply.result, dict):
            raise ConnectionError(f"initialize failed: {reply.error}")
        capabilities = reply.result.get("capabilities", {})
        self._encoding = capabilities.get("positionEncoding", "utf-16")
        self.info = {
            "server": reply.result.get("serverInfo", {}),
            "inline_completion": bool(capabilities.get("inlineCompletionProvider")),
            "start_ms": round((perf_counter() - begun) * 1e3, 1),
        }
        self.client.notify("initialized", {})
        if self._warm_up_s:
            self.info |= await warm_up(self.client, self._warm_up_s)

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.close()

    def open(self, document: Document) -> None:
        """Open `document` at the server."""
        self.documents[document.uri] = document
        item = {
            "uri": document.uri,
            "languageId": document.language,
            "version": document.version,
            "text": document.text,
        }
        self.client.notify("textDocument/didOpen", {"textDocument": item})

    def close(self, document: Document) -> None:
        """Close `document` at the server."""
        self.documents.pop(document.uri, None)
        self.client.notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})

    def event(self, event: Event, record: Record, document: Document, change: Change | None) -> None:
        """Tell the server what happened and, where this editor would, ask."""
        self._latest = record
        self.screen.event(event, record.index, record.t_ms)
        if change is None:
            if self.model.speaks_completer:
                self.client.notify("completer/didMoveCursor", self._at(document, document.cursor))
            return
        self.client.notify("textDocument/didChange", self._change_params(document, change))
        if event.kind not in EDITS:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self.screen.text and not self.model.asks_while_typed_through:
            record.answered_ms, record.ghost, record.answered_by = record.t_ms, self.screen.text, "typed-through"
            return
        if self.model.debounce_ms:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.model.debounce_ms / 1e3, self._ask, record, document)
        else:
            self._ask(record, document)

    async def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; return False when the time was not enough."""
        deadline = perf_counter() + timeout_s
        while self._timer is not None and self._timer.when() > asyncio.get_running_loop().time():
            if self._timer.cancelled():
                break
            await asyncio.sleep(0.001)
        reply = self._last
        if reply is None or reply.received_s:
            return True
        try:
            await asyncio.wait_for(reply.done.wait(), max(0.0, deadline - perf_counter()))
        except TimeoutError:
            return False
        return True

    async def stages(self) -> list[Json]:
        """Return the server's own stage traces, newest last; [] where it keeps none."""
        if not self.has_metrics:
            return []
        try:
            reply = await self.client.call("completer/metrics", {}, timeout_s=10)
        except TimeoutError:
            self.has_metrics = False
            return []
        self.has_metrics = reply.error is None and isinstance(reply.result, dict)
        return list(reply.result.get("traces", [])) if self.has_metrics else []

    def _now_ms(self) -> float:
        return (perf_counter() - self._origin_s) * 1e3

    def _ask(self, record: Record, document: Document) -> None:
        if self._last is not None and not self._last.received_s:
            superseded = self._pending.get(self._last.id)
            if self.model.cancels:
                self.client.cancel(self._last)
                if superseded is not None:
                    superseded[0].cancelled = True
        params = {**self._at(document, document.cursor), "context": {"triggerKind": 2}}
        record.asked_ms = self._now_ms()
        self._last = self.client.request(INLINE, params)
        self._pending[self._last.id] = (record, document, document.text, document.cursor)

    def _on_reply(self, reply: Reply) -> None:
        if (pending := self._pending.pop(reply.id, None)) is None:
            return
        record, document, text, cursor = pending
        received_ms = (reply.received_s - self._origin_s) * 1e3
        if reply.error is not None:
            record.error = f"{reply.error.get('code')}: {reply.error.get('message', '')}"[:200]
            return
        record.answered_ms = received_ms
        answer = read_answer(reply.result, text, cursor, self._encoding)
        record.ghost, record.problem = answer.ghost, answer.problem
        if answer.problem is not None:
            return
        fresh = document.version == record.version or self.model.shows_stale
        keeps = self.model.keeps_typed_through and self.screen.text and not answer.ghost
        if fresh and not keeps:
            self.screen.show(answer.ghost, record.index, received_ms)
            if answer.ghost and self.model.speaks_completer:
                self.client.notify("completer/didShow", {"textDocument": {"uri": document.uri}})

    def _on_extended(self, params: Json, received_s: float) -> None:
        """More of a suggestion is ready. Its version must be that of a text the server has been sent."""
        record = self._latest
        document = self.documents.get(str(params.get("uri")))
        if record is None or document is None:
            return
        version = params.get("version")
        if not isinstance(version, int) or version > document.version:
            record.problem = "wrong-version"
            return
        if version < document.version or record.uri != document.uri:
            return
        item = {"insertText": params.get("text"), "range": params.get("range")}
        answer = read_answer([item], document.text, document.cursor, self._encoding)
        if answer.problem is None and answer.ghost:
            self.screen.show(answer.ghost, record.index, (received_s - self._origin_s) * 1e3, extended=True)

    def _at(self, document: Document, offset: int) -> Json:
        return {
            "textDocument": {"uri": document.uri, "version": document.version},
            "position": position(document.text, offset, self._encoding),
        }

    def _change_params(self, document: Document, change: Change) -> Json:
        start = position(change.before, change.pos, self._encoding)
        end = position(change.before, change.pos + change.n, self._encoding) if change.n else start
        return {
            "textDocument": {"uri": document.uri, "version": document.version},
            "contentChanges": [{"range": {"start": start, "end": end}, "text": change.text}],
        }

    def _initialize_params(self) -> Json:
        capabilities: dict[str, Any] = {
            "general": {"positionEncodings": [self.model.encoding, "utf-16"]},
            "textDocument": {"inlineCompletion": {"dynamicRegistration": False}, "synchronization": {}},
            "workspace": {"configuration": True},
        }
        return {
            "processId": None,
            "clientInfo": {"name": f"bench ({self.model.name})"},
            "rootUri": Path.cwd().as_uri(),
            "capabilities": capabilities,
            "initializationOptions": user_settings(self._options),
        }
