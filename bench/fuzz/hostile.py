"""LSP messages of every kind that may come from a broken or hostile client, by a seeded random generator."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.client import Json

LANGUAGES = (
    "python", "javascript", "typescript", "javascriptreact", "typescriptreact", "rust", "go", "c", "cpp", "csharp", "java",
    "ruby", "php", "lua", "shellscript", "html", "css", "json", "yaml", "toml", "markdown", "sql", "plaintext", "\0", "",
)  # fmt: skip
METHODS = (
    "textDocument/didOpen", "textDocument/didChange", "textDocument/didClose", "textDocument/didSave",
    "textDocument/inlineCompletion", "textDocument/completion", "completionItem/resolve", "completer/status",
    "completer/metrics", "completer/explain", "completer/nextEdit", "completer/models", "completer/didAccept",
    "completer/didDismiss", "completer/didShow", "completer/didMoveCursor", "notebookDocument/didOpen",
    "notebookDocument/didChange", "notebookDocument/didClose", "workspace/didChangeConfiguration",
    "workspace/didChangeWorkspaceFolders", "workspace/didChangeWatchedFiles", "workspace/executeCommand",
    "$/cancelRequest", "$/setTrace", "$/unknown", "initialized", "initialize", "window/workDoneProgress/cancel",
    "textDocument/hover", "no/such/method", "", "\0", "completer/authenticate", "textDocument/didOpen ", "\ud800",
)  # fmt: skip
TEXTS = (
    "",
    "x",
    "\0",
    "\ud800",
    "\udfff",
    "é",
    "𝒳",
    "\r",
    "\r\n",
    "\u2028",
    "def f(",
    "}",
    '"""',
    "/*",
    "a" * 300,
    "\t\v\f\ufeff",
)
NUMBERS = (0, 1, 2, 5, -1, -(2**31), 2**31 - 1, 2**31, 2**53, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308)
SETTINGS = ("budget_ms", "confidence", "explicit_budget_ms", "disabled_languages", "model", "engine", "no_such", "worker_python")
N_DOCUMENTS = 12


class Sent(NamedTuple):
    """A body. due: the id of the answer that it must have; None: none with an id."""

    body: bytes
    due: int | str | None
    kind: str


class Hostile:
    """Makes messages. The documents that it opens are known to it, so that most changes and positions nearly fit."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._ids: list[Any] = []
        self._n = 0

    def message(self) -> Sent:
        """Return the next message."""
        roll = self._random.random()
        if roll < 0.02:
            return self._sent(self._bytes(), "bytes")
        if roll < 0.05:
            return self._sent(json.dumps(self._anything(3)).encode(), "no message")
        if roll < 0.06:
            opening = self._random.choice(("[", '{"a":', '[{"":'))
            return self._sent((opening * self._random.choice((100, 200, 3000, 50_000))).encode(), "deep")
        method = self._random.choice(METHODS)
        message: Json = {"jsonrpc": "2.0", "method": method, "params": self._params()}
        if self._random.random() < 0.6:
            message["id"] = self._id()
        if self._random.random() < 0.08:
            self._spoil(message)
        return self._sent(json.dumps(message).encode(), method)

    def _sent(self, body: bytes, kind: str) -> Sent:
        return Sent(body, due_of(body), kind)

    def _bytes(self) -> bytes:
        return self._random.choice(
            (b"", b"\xff\xfe{}", b"\x00" * 9, b"{" * 90, b"1" * 5000, b'"\\ud8', self._random.randbytes(30))
        )

    def _spoil(self, message: Json) -> None:
        name = self._random.choice(("jsonrpc", "method", "params", "id", "result", "error"))
        if self._random.random() < 0.5:
            message.pop(name, None)
        else:
            message[name] = self._anything(2)

    def _id(self) -> Any:
        self._n += 1
        fresh: Any = self._n if self._random.random() < 0.7 else f"id {self._n}"
        if self._random.random() < 0.12:
            fresh = self._random.choice(self._ids[-20:] or [1])  # one that may be under way
        if self._random.random() < 0.04:
            fresh = self._anything(1)
        self._ids.append(fresh)
        return fresh

    def _params(self) -> Any:
        if self._random.random() < 0.06:
            return self._anything(3)
        made: Json = {}
        for name, make in self._fields.items():
            if self._random.random() < 0.75:
                made[name] = make() if self._random.random() < 0.93 else self._anything(2)
        return made

    @property
    def _fields(self) -> dict[str, Callable[[], Any]]:
        choice = self._random.choice
        return {
            "textDocument": self._document,
            "position": self._position,
            "context": lambda: {"triggerKind": choice((1, 2, 3, 0, -1)), "selectedCompletionInfo": choice((None, {"text": "x"}))},
            "contentChanges": lambda: [self._change() for _ in range(self._random.randrange(4))],
            "notebookDocument": lambda: self._document() | {"notebookType": "jupyter-notebook", "cells": self._cells()},
            "cellTextDocuments": lambda: [self._document() for _ in range(self._random.randrange(3))],
            "change": lambda: {"cells": choice((None, {"structure": {"array": {"start": choice(NUMBERS), "deleteCount": 1}}}))},
            "settings": lambda: {"completer": {choice(SETTINGS): self._anything(1)}},
            "event": lambda: {"added": [{"uri": self._uri(), "name": "x"}], "removed": []},
            "id": lambda: choice(self._ids[-20:] or [1]),
            "capabilities": lambda: {"textDocument": {"inlineCompletion": {}}},
            "command": lambda: choice(("completer.didAccept", "rm", "")),
            "arguments": lambda: [self._anything(1)],
            "acceptedLength": lambda: choice(NUMBERS),
        }

    def _uri(self) -> str:
        if self._random.random() < 0.06:
            return self._random.choice(
                ("", "file://[", "\ud800", "file:///a%00b", "untitled:1", "x" * 5000, "file:///../../etc/x")
            )
        return f"file:///nowhere/{self._random.randrange(N_DOCUMENTS)}.py"

    def _document(self) -> Json:
        text = "".join(self._text() for _ in range(self._random.randrange(12)))
        version = self._random.choice((1, 2, 3, None, *NUMBERS))
        return {"uri": self._uri(), "languageId": self._random.choice(LANGUAGES), "version": version, "text": text}

    def _cells(self) -> list[Json]:
        return [{"kind": self._random.choice((1, 2, 7)), "document": self._uri()} for _ in range(self._random.randrange(3))]

    def _position(self) -> Json:
        if self._random.random() < 0.8:
            return {"line": self._random.randrange(4), "character": self._random.randrange(12)}
        return {"line": self._random.choice(NUMBERS), "character": self._random.choice(NUMBERS)}

    def _change(self) -> Json:
        change: Json = {"text": self._text()}
        if self._random.random() < 0.8:
            change["range"] = {"start": self._position(), "end": self._position()}
        return change

    def _text(self) -> str:
        return self._random.choice(TEXTS) + self._random.choice(("", "\n", " "))

    def _anything(self, depth: int) -> Any:
        kind = self._random.randrange(8 if depth else 6)
        if kind == 6:
            return [self._anything(depth - 1) for _ in range(self._random.randrange(4))]
        if kind == 7:
            return {self._random.choice(TEXTS): self._anything(depth - 1) for _ in range(self._random.randrange(4))}
        return self._random.choice((None, True, False, self._random.choice(NUMBERS), self._random.choice(TEXTS), self._uri()))


def due_of(body: bytes) -> int | str | None:
    """Return the id that exactly one answer to this body must carry; None when no answer with an id is due."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or ("method" not in data and ("result" in data or "error" in data)):
        return None
    id_ = data.get("id")
    return id_ if isinstance(id_, str | int) and not isinstance(id_, bool) else None
