"""Large and broken inputs, each on a connection of its own: what random messages seldom are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from bench.client import Json
from bench.fuzz.hostile import LANGUAGES
from bench.fuzz.lsp import Connection

LINE_CHARS = 20_000_000
N_BRACKETS = 100_000
N_DOCUMENTS = 10_000
HEADERS = (
    b"Content-Length: 999999999999999\r\n\r\n", b"Content-Length: " + b"9" * 400 + b"\r\n\r\n", b"Content-Length: -5\r\n\r\n",
    b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", b"Content-Length: 0x10\r\n\r\n", b"content-length 5\r\n\r\n",
    b"Content-Type: " + b"x" * 5000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"\0" * 64, b"\r\n" * 4,
)  # fmt: skip
INITIALIZE = {"processId": None, "rootUri": None, "capabilities": {"textDocument": {"inlineCompletion": {}}}}

Scene = Callable[[Connection], int]
"""Plays on a connection that has shaken hands; returns how many messages it sent."""


def scenes(small: bool) -> Iterator[tuple[str, Scene]]:
    """Yield all of them with their names. small: a hundredth of each size, for a quick run."""
    less = 100 if small else 1
    yield "a long line", lambda c: long_line(c, LINE_CHARS // less, "x")
    yield "a long line of surrogates and quotes", lambda c: long_line(c, LINE_CHARS // less // 8, '\ud800"\\é')
    for language in LANGUAGES:
        for brackets in ("(", "[{("):
            name = f"open brackets {brackets} in {language!r}"
            yield name, lambda c, language=language, brackets=brackets: one_text(c, brackets * (N_BRACKETS // less), language)
    yield "many documents", lambda c: many_documents(c, N_DOCUMENTS // less)
    yield "many requests at once", lambda c: many_requests(c, 20_000 // less)


def shake_hands(connection: Connection) -> None:
    connection.call("initialize", INITIALIZE, "hello")
    connection.notify("initialized", {})


def long_line(connection: Connection, n: int, piece: str) -> int:
    """A line of `n` pieces, typed into at its end and its start."""
    n_sent = one_text(connection, piece * n, "python")
    return n_sent + one_text(connection, "x = 1\n" + piece * n + "\ny = 2", "javascript")


def one_text(connection: Connection, text: str, language: str) -> int:
    """Open a text, ask at both ends, type, ask again, close it."""
    uri = "file:///nowhere/large"
    item = {"uri": uri, "languageId": language, "version": 1, "text": text}
    connection.notify("textDocument/didOpen", {"textDocument": item})
    for turn, column in enumerate((len(text.encode("utf-16-le", "surrogatepass")) // 2, 0)):
        place = {"line": 0, "character": column}
        connection.call("textDocument/inlineCompletion", _at(uri, place), f"before {turn} {language} {len(text)}")
        change = {"range": {"start": place, "end": place}, "text": "("}
        document = {"uri": uri, "version": turn + 2}
        connection.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        connection.call("textDocument/inlineCompletion", _at(uri, place), f"after {turn} {language} {len(text)}")
        connection.probe(f"{len(text)} characters of {language!r}")
    connection.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    return 8


def many_documents(connection: Connection, n: int) -> int:
    """Open `n` documents, ask in some, close all."""
    for i in range(n):
        item = {
            "uri": f"file:///nowhere/{i}",
            "languageId": LANGUAGES[i % len(LANGUAGES)],
            "version": 1,
            "text": "def f():\n" * 20,
        }
        connection.notify("textDocument/didOpen", {"textDocument": item})
        if i % 25 == 0:
            connection.call(
                "textDocument/inlineCompletion", _at(f"file:///nowhere/{i}", {"line": 0, "character": 3}), f"many {i}"
            )
            connection.probe("25 documents were opened")
    for i in range(n):
        connection.notify("textDocument/didClose", {"textDocument": {"uri": f"file:///nowhere/{i}"}})
        if i % 25 == 0:
            connection.probe("25 documents were closed")
    return 2 * n


def many_requests(connection: Connection, n: int) -> int:
    """Ask `n` times for a completion under two ids, cancel half of them."""
    item = {"uri": "file:///nowhere/a", "languageId": "python", "version": 1, "text": "def f(\n"}
    connection.notify("textDocument/didOpen", {"textDocument": item})
    for i in range(n):
        connection.call("textDocument/inlineCompletion", _at("file:///nowhere/a", {"line": 0, "character": 6}), f"same {i % 2}")
        if i % 2:
            connection.notify("$/cancelRequest", {"id": f"same {i % 2}"})
    connection.notify("textDocument/didClose", {"textDocument": {"uri": "file:///nowhere/a"}})
    return 2 * n


def _at(uri: str, position: Json) -> Json:
    return {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 2}}


def cut_message() -> bytes:
    """Return a message that breaks off, as of a client that died."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "completer/status"}).encode()
    return b"Content-Length: %d\r\n\r\n" % (len(body) + 50) + body
